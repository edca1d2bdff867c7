"""Covalent bonds from distances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from mofmd.arrays import freeze

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
    from ase.neighborlist import neighbor_list

    atoms = atoms.copy()
    atoms.calc = None
    non_metal = np.flatnonzero([symbol in NON_METALS for symbol in atoms.symbols])
    part = atoms[non_metal]
    radii = covalent_radii[part.numbers]
    i, j = neighbor_list("ij", part, factor * radii)
    keep = i <= j
    pairs = np.unique(np.stack([i[keep], j[keep]], axis=1), axis=0).reshape(-1, 2)
    return Bonds(
        first=non_metal[pairs[:, 0]],
        second=non_metal[pairs[:, 1]],
        radii_sum=radii[pairs].sum(axis=1),
    )
