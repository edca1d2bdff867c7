"""Whether a model suits a structure: its elements, and the framework that it was made for."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

from ase import Atoms

from mofmd.errors import InputError, InputWarning
from mofmd.models.files.card import RANGE, read_card
from mofmd.models.files.deployed import find_manifest
from mofmd.models.files.model_file import read_model_file
from mofmd.models.names import next_steps
from mofmd.models.universal import RECOMMENDED


def check_suits(model_file: Path, structures: Atoms | Sequence[Atoms]) -> None:
    """Look whether a model suits what it is to be used for, before anything heavy is begun.

    Parameters
    ----------
    model_file
        Of any kind.
    structures
        One, or frames; of frames of many compositions one note tells.

    Raises
    ------
    InputError
        If the model lacks an element, by name.

    Warns
    -----
    InputWarning
        If a model of the package is to be used for another framework than its own.
    """
    frames = [structures] if isinstance(structures, Atoms) else structures
    elements = sorted({str(symbol) for frame in frames for symbol in frame.symbols})
    check_species(model_file, read_model_file(model_file).type_names, elements)
    compositions = {frame.get_chemical_formula(): frame for frame in frames}
    for frame in compositions.values():
        if hint := validity_hint(model_file, frame):
            warnings.warn(f"model: {hint}", InputWarning, stacklevel=3)
            return


def check_species(model_file: Path, known: Sequence[str] | None, elements: Iterable[str]) -> None:
    """Refuse elements that a model was not made for.

    Parameters
    ----------
    model_file
        Named in the message.
    known
        Elements of the model; None where its file does not say.
    elements
        Those that are needed.
    """
    wanted = list(dict.fromkeys(elements))  # each once
    missing = [name for name in wanted if known is not None and name not in known]
    if known is not None and missing:
        raise InputError(
            f"model: {model_file.name} lacks {', '.join(missing)}: it knows {', '.join(known)}; "
            f"{next_steps(wanted)}"
        )


def validity_hint(model_file: Path, structure: Atoms) -> str:
    """Say that a structure is not of the framework that a model of the package was made for.

    Compositions are compared: that of the structure whose energy and forces are in the model's
    manifest, which is the framework that its card tells of. Guests and defects change it too.

    Parameters
    ----------
    model_file
        Of a model with a card.
    structure
        What it is to be used for.

    Returns
    -------
    str
        Empty where they are alike, or the model has no card.
    """
    card, manifest = read_card(model_file), find_manifest(model_file)
    reference = (manifest or {}).get("reference")
    if card is None or not card.section(RANGE) or not reference:
        return ""
    made_for, found = (
        Atoms(symbols).symbols.formula.reduce()[0].format("metal")
        for symbols in (reference["symbols"], list(structure.symbols))
    )
    if made_for == found:
        return ""
    name = card.path.stem
    return (
        f"{name} was made for {made_for}, this structure is {found}; its range of validity does "
        f"not hold for other frameworks, guests or defects (mofmd models show {name}): take a "
        f"universal model ({RECOMMENDED}), check this one against a reference first (mofmd learn "
        "label, evaluate), or train a model of this framework (mofmd learn distil)"
    )
