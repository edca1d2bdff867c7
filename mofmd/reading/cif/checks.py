"""What a CIF says of its structure, beside what was read from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.reading.cif.cell import CellAtoms
from mofmd.reading.cif.sites import Sites
from mofmd.reading.cif.text import CifBlock
from mofmd.reading.elements import DEUTERIUM, is_element
from mofmd.topology.bonds import NON_METALS

VOLUME_TOLERANCE = 0.01  # relative; volumes are rounded, and lengths too
WHOLE_ATOMS = 0.5  # a cell may differ by less than an atom from a formula with fractions


def read_formula(block: CifBlock) -> dict[str, float]:
    """Atoms of each element in the chemical formula; none where it says none, or in a way unknown.

    Examples
    --------
    >>> read_formula(CifBlock("x", {"_chemical_formula_sum": ["'C8 H4.5 D2 O4 Zn'"]}))
    {'C': 8.0, 'H': 6.5, 'O': 4.0, 'Zn': 1.0}
    """
    text = block.text("_chemical_formula_sum")
    words = (text or "").replace(",", " ").split()
    matches = [re.fullmatch(r"([A-Z][a-z]?)(\d*\.?\d*)", word) for word in words]
    found: dict[str, float] = {}
    for match in matches:
        if match is None:
            return {}
        name = "H" if match[1] == DEUTERIUM else match[1]
        if not is_element(name):
            return {}
        found[name] = found.get(name, 0.0) + float(match[2] or 1)
    return found


def check_volume(block: CifBlock, atoms: Atoms) -> None:
    """Refuse a cell whose volume is not the one that the block gives.

    Raises
    ------
    InputError
        Naming both.
    """
    said = block.number("_cell_volume")
    found = float(atoms.cell.volume)
    if said is not None and abs(found / said - 1 if said else 1) > VOLUME_TOLERANCE:
        raise InputError(
            f"lengths and angles make a cell of {found:.1f} Å³, but _cell_volume is {said:g}; "
            "correct what is wrong, or remove _cell_volume"
        )


def composition_faults(
    formula: Mapping[str, float], units: float | None, atoms: Atoms
) -> tuple[str, str]:
    """Compare the atoms of the cell with the chemical formula.

    What the formula does not allow is wrong: an element that it lacks, more atoms of one than it
    has, other numbers of metal atoms. Fewer non-metals are often right: solvent or hydrogen that
    the refinement did not place.

    Parameters
    ----------
    formula
        Atoms of each element in a formula unit; or in the cell, as some programs write it, which
        shows by numbers that the formula units divide.
    units
        Formula units in the cell; None where the file does not say.
    atoms
        The cell.

    Returns
    -------
    wrong, note
        What is wrong, and what people should know; empty where there is nothing.
    """
    if not formula:
        return "", ""
    found = Counter(atoms.get_chemical_symbols())
    if others := sorted(set(found) - set(formula)):
        return f"holds {', '.join(others)}, which _chemical_formula_sum lacks", ""
    metals = [name for name in formula if name not in NON_METALS]
    measures = metals or (["C"] if "C" in formula else list(formula))
    in_cell = found[measures[0]] / formula[measures[0]]
    scale = in_cell if units is None else units
    of_cell = units is not None and all(number % units == 0 for number in formula.values())
    if of_cell and in_cell == 1:
        scale = 1.0
    expected = {name: scale * number for name, number in formula.items()}
    excess = {name: found[name] - number for name, number in expected.items()}
    differing = [name for name, more in excess.items() if abs(more) > WHOLE_ATOMS]
    if not differing:
        return "", ""
    counts = ", ".join(f"{found[name]} {name} instead of {expected[name]:g}" for name in differing)
    text = f"by _chemical_formula_sum times {scale:g} the cell holds {counts}"
    missing_solvent = all(name not in metals and excess[name] < 0 for name in differing)
    return ("", f"{text}: solvent or hydrogen left out?") if missing_solvent else (text, "")


def multiplicity_fault(sites: Sites, filled: CellAtoms) -> str:
    """Which site makes another number of atoms than the file says; empty where none does."""
    counts = np.bincount(filled.site, minlength=len(sites.names))
    for name, said, found in zip(sites.names, sites.multiplicities, counts, strict=True):
        if said and said != found:
            return f"site {name} makes {found} atoms in the cell, its multiplicity is {said}"
    return ""
