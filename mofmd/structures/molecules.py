"""Molecules: structures without a cell, such as clusters cut out of a framework."""

from __future__ import annotations

import numpy as np
from ase import Atoms


def is_molecule(atoms: Atoms) -> bool:
    """Whether a structure is periodic in no direction."""
    return not atoms.pbc.any()


def box_of(atoms: Atoms, space_A: float) -> np.ndarray:
    """(3, 3) cell of a structure [Å]; of a molecule a box with so much space between its images.

    Examples
    --------
    >>> from ase import Atoms
    >>> box_of(Atoms("H2", positions=[[0, 0, 0], [0, 0, 0.74]]), 5.0).diagonal().tolist()
    [5.0, 5.0, 5.74]
    """
    if not is_molecule(atoms):
        return np.asarray(atoms.cell.array)
    return np.diag(np.ptp(atoms.positions, axis=0) + space_A)


def in_a_box(atoms: Atoms, space_A: float) -> Atoms:
    """Put a molecule into the middle of a periodic box, with so much space between its images."""
    boxed = Atoms(atoms.numbers, positions=atoms.positions, cell=box_of(atoms, space_A), pbc=True)
    boxed.positions += 0.5 * space_A - atoms.positions.min(axis=0)
    return boxed
