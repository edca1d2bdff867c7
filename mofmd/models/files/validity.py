"""Whether a structure is of the framework that a model was made for."""

from __future__ import annotations

from pathlib import Path

from ase import Atoms

from mofmd.models.files.card import RANGE, read_card
from mofmd.models.files.deployed import find_manifest
from mofmd.models.universal import RECOMMENDED


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
