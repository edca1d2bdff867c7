"""The primitive cell of a crystal."""

from __future__ import annotations

import numpy as np
import spglib
from ase import Atoms
from ase.utils import spglib_new_errorhandling

from mofmd.errors import InputError
from mofmd.structures.symmetry import symmetry_search

PRIMITIVE_TOLERANCE_A = 1e-3
"""Within which atoms are images of one another: files have three to five decimals."""


def primitive_cell(atoms: Atoms, tolerance_A: float = PRIMITIVE_TOLERANCE_A) -> Atoms:
    """Make the smallest cell of a crystal, in the orientation that it has.

    By spglib (Togo, Shinohara, Tanaka, Sci. Technol. Adv. Mater. Meth. 4, 2384822 (2024)), without
    idealising: an atom stands where one of its images stood. Of what atoms have, elements and
    positions are kept.

    Parameters
    ----------
    atoms
        Periodic in three directions.
    tolerance_A
        Within which atoms are images of one another.

    Returns
    -------
    Atoms
        Of the volume and the atoms a whole number of times smaller; a copy of the structure where
        it is primitive already.

    Raises
    ------
    InputError
        If the structure is no crystal, or the tolerance makes no sense for it.

    Examples
    --------
    >>> from mofmd.structures.crystals.carboxylate import uio66
    >>> len(uio66()), len(primitive_cell(uio66()))
    (456, 114)
    """
    if not np.all(atoms.pbc):
        raise InputError("primitive: the structure is not periodic in three directions")
    cell = (atoms.cell.array, atoms.get_scaled_positions(wrap=False), atoms.numbers)
    standardize = spglib_new_errorhandling(spglib.standardize_cell)
    with symmetry_search(atoms, tolerance_A):
        found = standardize(cell, to_primitive=True, no_idealize=True, symprec=tolerance_A)
    lattice, places, numbers = found
    copies = len(atoms) // len(numbers)
    if copies == 1:
        return Atoms(atoms.numbers, atoms.positions, cell=atoms.cell, pbc=True)
    smaller = Atoms(numbers, cell=lattice, scaled_positions=places, pbc=True)
    if len(numbers) * copies != len(atoms) or not np.isclose(
        smaller.get_volume() * copies, atoms.get_volume(), rtol=1e-3
    ):
        raise InputError(
            f"primitive: within {tolerance_A:g} Å the {len(atoms)} atoms are no whole number of "
            f"cells of {len(numbers)}; take another tolerance (--symmetry-tolerance)"
        )
    return smaller
