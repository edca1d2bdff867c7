"""Whether a model suits a structure: its elements, and the framework that it was made for."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.formula import Formula
from scipy.optimize import nnls

from mofmd.errors import InputError, InputWarning
from mofmd.models.files.card import COMPOSITIONS, RANGE, read_card
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
    manifest, which is the framework that its card tells of. Guests and defects change it too. A
    card with ``COMPOSITIONS`` names the blocks that the model was made for, in any numbers.

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
    if made_for == found or _is_made_of(card.section(COMPOSITIONS), structure):
        return ""
    name = card.path.stem
    return (
        f"{name} was made for {made_for}, this structure is {found}; its range of validity does "
        f"not hold for other frameworks, guests or defects (mofmd models show {name}): take a "
        f"universal model ({RECOMMENDED}), check this one against a reference first (mofmd learn "
        "label, evaluate), or train a model of this framework (mofmd learn distil)"
    )


def _is_made_of(blocks: str, structure: Atoms) -> bool:
    """Whether a composition is one of blocks, for example ``0-1 C12H4O32Zr6, 0-6 C6H4, 0-12 H``.

    The numbers are how many there may be to one of the nodes, which are the blocks of ``0-1``.
    """
    found = re.findall(r"\b0-(\d+) ([A-Z]\w*)", blocks)
    if not found:
        return False
    most = np.array([float(number) for number, _ in found])
    counts = [Formula(formula).count() for _, formula in found]
    wanted = structure.symbols.formula.count()
    elements = sorted({*wanted, *(name for count in counts for name in count)})
    table = np.array([[count.get(name, 0) for count in counts] for name in elements], dtype=float)
    numbers, left_over = nnls(table, np.array([float(wanted.get(name, 0)) for name in elements]))
    nodes = numbers[most == 1].sum()
    return bool(left_over < 1e-6 * len(structure) and (numbers <= most * nodes + 1e-6).all())
