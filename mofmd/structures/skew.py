"""Cells that are too thin for LAMMPS: skewed ones, which have an equal one that is not."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from mofmd.errors import InputError
from mofmd.geometry.neighbours import cell_heights

THIN_A = 1.0  # atoms and their images are farther apart than that


def check_thickness(atoms: Atoms) -> None:
    """Refuse a cell whose faces are so near to each other that no framework could lie between.

    LAMMPS loses atoms in cells that are skewed that far.

    Raises
    ------
    InputError
        Naming the supercell of the same volume whose faces are far apart, if there is one.
    """
    height = float(cell_heights(atoms.cell.array).min())
    if height >= THIN_A:
        return
    reduced, matrix = minkowski_reduce(atoms.cell.array)
    if np.linalg.det(matrix) < 0:
        matrix = -matrix
    if float(cell_heights(np.asarray(reduced)).min()) < THIN_A:
        raise InputError(
            f"structure: the cell is {height:.2g} Å thin, thinner than any atom; are its lengths "
            "in Å?"
        )
    words = " ".join(str(round(word)) for word in np.ravel(matrix))
    raise InputError(
        f"structure: the cell is skewed so far that it is {height:.2g} Å thin; take the cell of "
        f'the same crystal that is not: --supercell "{words}"'
    )
