"""Crystallographic information files: a structure, checked against what else the file says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.geometry import cellpar_to_cell

from mofmd.errors import InputError
from mofmd.geometry.minimum_image import shorten_fractions
from mofmd.reading.cif.cell import CellAtoms, fill_cell
from mofmd.reading.cif.checks import (
    check_volume,
    composition_faults,
    multiplicity_fault,
    read_formula,
)
from mofmd.reading.cif.sites import Sites, read_sites
from mofmd.reading.cif.symmetry import WRITE_OPERATIONS, Setting, find_settings
from mofmd.reading.cif.text import CifBlock, choose_block, read_blocks
from mofmd.reading.reading import Reading
from mofmd.topology.check import closest_contact

LENGTHS = ("_cell_length_a", "_cell_length_b", "_cell_length_c")
SAME_FRACTION = 1e-3
ANGLES = ("_cell_angle_alpha", "_cell_angle_beta", "_cell_angle_gamma")


def read_cif(path: Path, choice: str | None = None) -> Reading:
    """Read a structure from a CIF.

    Parameters
    ----------
    path
        The file.
    choice
        Block to take, by its name or its number from zero; needed where several hold atoms.

    Raises
    ------
    InputError
        If the file leaves open which structure, setting, element or position is meant, sites are
        occupied partly, or what was read contradicts its formula, volume or covalent radii.
    """
    blocks, notes = read_blocks(path)
    block = choose_block(blocks, choice)
    try:
        reading = _read_block(block)
    except InputError as error:
        where = f"block {block.name}: " if len(blocks) > 1 else ""
        raise InputError(f"{where}{error}") from error
    return Reading(reading.atoms, (*notes, *reading.notes))


@dataclass(frozen=True, eq=False)
class _Attempt:
    """The atoms of the cell in one setting, and what speaks against it."""

    setting: Setting
    filled: CellAtoms
    atoms: Atoms
    wrong: str
    composition: str
    multiplicity: str


def _read_block(block: CifBlock) -> Reading:
    cell = _cell(block)
    formula = read_formula(block)
    sites = read_sites(block, formula)
    units = block.number("_cell_formula_units_z")
    settings, notes = find_settings(block)
    attempts = [
        _attempt(sites, setting, cell, composition=(formula, units))
        for setting in settings
        if setting.fits(cell)
    ]
    if not attempts:
        names = " or ".join(setting.name for setting in settings)
        raise InputError(
            f"the cell's lengths and angles are not those of {names}: its operations do not map it "
            f"on itself; correct the cell or the symmetry, or {WRITE_OPERATIONS}"
        )
    chosen, why = _choose(attempts)
    check_volume(block, chosen.atoms)
    texts = (*sites.notes, *notes, why, chosen.composition, chosen.multiplicity)
    return Reading(chosen.atoms, tuple(text for text in texts if text))


def _cell(block: CifBlock) -> np.ndarray:
    """(3, 3) rows a, b, c [Å], a along x and b in the xy plane."""
    values = []
    for tag in (*LENGTHS, *ANGLES):
        value = block.number(tag)
        if value is None:
            raise InputError(f"{tag} is missing, so that there is no cell")
        values.append(value)
    a, b, c, alpha, beta, gamma = values
    cosines = np.cos(np.radians([alpha, beta, gamma]))
    square = 1 - (cosines**2).sum() + 2 * cosines.prod()
    if min(a, b, c) <= 0 or not all(0 < angle < 180 for angle in values[3:]) or square <= 1e-6:
        raise InputError(
            f"no cell has the lengths {a:g}, {b:g}, {c:g} Å and angles {alpha:g}, {beta:g}, "
            f"{gamma:g}°; correct them"
        )
    return np.asarray(cellpar_to_cell(values))


def _attempt(
    sites: Sites,
    setting: Setting,
    cell: np.ndarray,
    composition: tuple[dict[str, float], float | None],
) -> _Attempt:
    filled = fill_cell(sites, setting, cell)
    elements = [sites.elements[k] for k in filled.site]
    atoms = Atoms(elements, scaled_positions=filled.fractions, cell=cell, pbc=True)
    contact = _contact(sites, filled, atoms)
    wrong, note = composition_faults(*composition, atoms)
    if wrong:
        wrong += "; correct symmetry, sites or formula (_cell_formula_units_Z), or remove these"
    fault = multiplicity_fault(sites, filled)
    return _Attempt(setting, filled, atoms, contact or wrong, note, fault)


def _contact(sites: Sites, filled: CellAtoms, atoms: Atoms) -> str:
    """Say which sites are too close to each other; empty where none are."""
    contact = closest_contact(atoms)
    if contact is None:
        return ""
    first, second, distance = contact
    a, b = filled.site[first], filled.site[second]
    if a == b:
        return (
            f"site {sites.names[a]} and its own image are {distance:.2f} Å apart: it is disordered "
            "about a symmetry element, or the symmetry is another; write an ordered structure"
        )
    hint = "remove one of them" if distance < 0.01 else "remove duplicates and disordered copies"
    if distance < 0.01 and len(filled.site) > len(sites.names):
        hint = "remove one, or the symmetry (P 1) if all atoms of the cell are listed"
    return f"sites {sites.names[a]} and {sites.names[b]} are {distance:.2f} Å apart; {hint}"


def _choose(attempts: Sequence[_Attempt]) -> tuple[_Attempt, str]:
    """Take the setting that nothing speaks against, and say why where there was a choice.

    Raises
    ------
    InputError
        If there is none, or several that give different structures.
    """
    possible = [attempt for attempt in attempts if not attempt.wrong]
    if len(possible) > 1:
        # multiplicities are often left over from another description: they decide last
        possible = [attempt for attempt in possible if not attempt.multiplicity] or possible
    if not possible:
        raise InputError(attempts[0].wrong)
    chosen = possible[0]
    if not all(_same(chosen, other) for other in possible[1:]):
        names = " or ".join(attempt.setting.name for attempt in possible)
        raise InputError(
            f"the symbol may mean {names}, which give different structures; write one of them as "
            f"_space_group_name_H-M_alt, or {WRITE_OPERATIONS}"
        )
    others = [attempt for attempt in attempts if attempt not in possible]
    if not others:
        return chosen, ""
    reasons = ", ".join(
        f"in {other.setting.name} {other.wrong or other.multiplicity}" for other in others
    )
    return chosen, f"the symbol leaves the setting open; {chosen.setting.name} is taken: {reasons}"


def _same(one: _Attempt, other: _Attempt) -> bool:
    """Whether two settings put the same sites at the same places."""
    if len(one.atoms) != len(other.atoms):
        return False
    for site in range(one.filled.site.max() + 1):
        places, others = (
            attempt.filled.fractions[attempt.filled.site == site] for attempt in (one, other)
        )
        apart = np.abs(shorten_fractions(places[:, None] - others[None])).max(axis=2)
        if len(places) != len(others) or (apart.min(axis=1) > SAME_FRACTION).any():
            return False
    return True
