"""Covalent bonds from distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from mofmd.arrays import freeze
from mofmd.geometry.neighbours import Pairs, find_pairs

# Elements that make covalent bonds; every other one counts as a metal centre.
# fmt: off
NON_METALS = frozenset((
    "H", "He", "B", "C", "N", "O", "F", "Ne", "Si", "P", "S", "Cl", "Ar",
    "Ge", "As", "Se", "Br", "Kr", "Te", "I", "Xe",
))
# fmt: on
BOND_FACTOR = 1.25


@dataclass(frozen=True)
class Bonds:
    """Bonds of a structure, each once; arrays are read-only.

    Parameters
    ----------
    first, second
        (bonds,) indices of the two atoms, ``first`` ≤ ``second``.
    radii_sum
        (bonds,) sum of the two covalent radii [Å] (Cordero et al., Dalton Trans. 2008, 2832).
    """

    first: np.ndarray
    second: np.ndarray
    radii_sum: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "first", "second", "radii_sum")

    def __len__(self) -> int:
        """Count the bonds."""
        return len(self.first)


def near_pairs(atoms: Atoms, radii: np.ndarray) -> Pairs:
    """Find ordered pairs of atoms nearer to each other than the sum of their radii.

    Every periodic image counts; where the structure is not periodic there are none. The cell may
    be left-handed.

    Parameters
    ----------
    atoms
        A structure or a molecule.
    radii
        (atoms,) [Å].
    """
    none = np.empty(0, dtype=np.int64)
    if len(atoms) == 0 or radii.max() <= 0:
        return Pairs(none, none, np.empty((0, 3)), np.empty((0, 3), dtype=np.int64))
    reach = 2 * float(radii.max())
    box = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if not box.pbc.all():  # images that do not count are put out of reach
        box.center(vacuum=reach, axis=np.flatnonzero(~box.pbc).tolist())
    cell = box.cell.array.copy()
    hand = 1 if np.linalg.det(cell) > 0 else -1
    cell[0] *= hand
    found = find_pairs(box.positions, cell, reach)
    near = found.distances < radii[found.first] + radii[found.second]
    images = found.images[near] * np.array([hand, 1, 1])
    return Pairs(found.first[near], found.second[near], found.vectors[near], images)


def covalent_bonds(atoms: Atoms, factor: float = BOND_FACTOR) -> Bonds:
    """Find the bonds between non-metal atoms.

    Two atoms are bonded if any periodic image of one lies within ``factor`` times the sum of the
    covalent radii of the other. Distances alone: meant for a crystal or a relaxed structure, not
    for a hot frame or a structure with clashes.

    Examples
    --------
    >>> from ase.build import molecule
    >>> len(covalent_bonds(molecule("C6H6")))
    12
    """
    non_metal = np.flatnonzero([symbol in NON_METALS for symbol in atoms.symbols])
    part = Atoms(
        atoms.symbols[non_metal], atoms.positions[non_metal], cell=atoms.cell, pbc=atoms.pbc
    )
    radii = covalent_radii[part.numbers]
    found = near_pairs(part, factor * radii)
    keep = found.first <= found.second
    pairs = np.stack([found.first[keep], found.second[keep]], axis=1)
    pairs = np.unique(pairs, axis=0).reshape(-1, 2)
    return Bonds(
        first=non_metal[pairs[:, 0]],
        second=non_metal[pairs[:, 1]],
        radii_sum=radii[pairs].sum(axis=1),
    )
