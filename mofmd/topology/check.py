"""Checks of structures: what makes a simulation meaningless from the start."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from mofmd.errors import InputError
from mofmd.topology.bonds import covalent_bonds, near_pairs

OVERLAP_FACTOR = 0.6  # of the sum of the covalent radii; the shortest real bonds are at 0.85
CLOSEST_A = 0.6  # of any two atoms: hydrogen's radii alone would let pass what no molecule has
LINEAR_DEG = 160.0
HYDROGEN_HINTS_SHOWN = 3


def check_structure(atoms: Atoms) -> list[str]:
    """Refuse what cannot be simulated; return hints at what may be wrong.

    Raises
    ------
    InputError
        If there are no atoms, the cell is not periodic or flat, or atoms overlap.

    Examples
    --------
    >>> from mofmd.structures.crystals.zif import zif4
    >>> check_structure(zif4())
    []
    """
    if len(atoms) == 0:
        raise InputError("structure: holds no atoms")
    if not atoms.pbc.all():
        raise InputError(
            "structure: is not periodic in all three directions; give it a cell (extxyz: "
            'Lattice="..." pbc="T T T")'
        )
    if not np.isfinite(atoms.positions).all() or not np.isfinite(atoms.cell.array).all():
        raise InputError("structure: holds positions or cell vectors that are not numbers")
    if abs(np.linalg.det(atoms.cell.array)) < 1e-6:
        raise InputError("structure: the cell has no volume; its vectors lie in a plane")
    refuse_overlaps(atoms)
    return _missing_hydrogen(atoms)


def refuse_overlaps(atoms: Atoms) -> None:
    """Refuse a structure in which two atoms are nearer to each other than any bond.

    Raises
    ------
    InputError
        Naming the two atoms.
    """
    contact = closest_contact(atoms)
    if contact is None:
        return
    first, second, distance = contact
    raise InputError(
        f"structure: {atoms.symbols[first]} {first + 1} and {atoms.symbols[second]} {second + 1} "
        f"are {distance:.2f} Å apart; remove duplicates and disordered copies"
    )


def closest_contact(atoms: Atoms) -> tuple[int, int, float] | None:
    """Find the two atoms that are nearest to each other among those nearer than any bond.

    Returns
    -------
    tuple or None
        Indices, the lower first (one atom's twice for its own image), and their distance [Å];
        None where no two atoms are too close.
    """
    # a cutoff for each atom counts as a sum for each pair; half of the floor makes the floor
    radii = np.maximum(OVERLAP_FACTOR * covalent_radii[atoms.numbers], CLOSEST_A / 2)
    found = near_pairs(atoms, radii)
    if len(found.first) == 0:
        return None
    worst = int(found.distances.argmin())
    first, second = sorted((int(found.first[worst]), int(found.second[worst])))
    return first, second, float(found.distances[worst])


def _missing_hydrogen(atoms: Atoms) -> list[str]:
    """Carbons with too few neighbours for their geometry: a hydrogen is probably missing.

    A carbon with two neighbours in a bent arrangement has an open valence (sp² needs three, sp
    is linear), one with three in a pyramid too (sp³ needs four).
    """
    bonds = covalent_bonds(atoms)
    neighbours: dict[int, list[int]] = {}
    for i, j in zip(bonds.first.tolist(), bonds.second.tolist(), strict=True):
        neighbours.setdefault(i, []).append(j)
        neighbours.setdefault(j, []).append(i)
    carbons = np.flatnonzero(atoms.symbols == "C").tolist()
    suspects = [k for k in carbons if _is_open(atoms, k, neighbours)]
    if not suspects:
        return []
    names = ", ".join(f"C {k + 1}" for k in suspects[:HYDROGEN_HINTS_SHOWN])
    more = len(suspects) - HYDROGEN_HINTS_SHOWN
    tail = f" and {more} more" if more > 0 else ""
    return [
        f"structure: {names}{tail} have too few neighbours for their geometry; hydrogen atoms "
        "may be missing, as they often are in CIFs from X-ray diffraction"
    ]


def _is_open(atoms: Atoms, carbon: int, neighbours: dict[int, list[int]]) -> bool:
    around = neighbours.get(carbon, [])
    if len(around) == 2:
        angle = atoms.get_angle(around[0], carbon, around[1], mic=True)
        return bool(angle < LINEAR_DEG)
    if len(around) == 3:
        vectors = atoms.get_distances(carbon, around, mic=True, vector=True)
        unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
        # flat: the three unit vectors lie in a plane; a tetrahedron's enclose 0.77
        return bool(abs(np.linalg.det(unit)) > 0.5)
    return False
