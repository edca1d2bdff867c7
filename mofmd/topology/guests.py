"""Guests: the molecules in the pores, told from the framework by the bond graph."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii

from mofmd.errors import InputError
from mofmd.topology.bonds import BOND_FACTOR, near_pairs


def guest_atoms(atoms: Atoms) -> np.ndarray:
    """Find the atoms that are not bonded, by however many bonds, to the framework.

    The framework is the largest connected part of the bond graph (all elements, metals included)
    and every other part of the same formula, as in interpenetrated nets.

    Returns
    -------
    np.ndarray
        (atoms,) True for atoms of guests.

    Examples
    --------
    >>> from mofmd.structures.crystals.zif import zif4
    >>> int(guest_atoms(zif4()).sum())
    0
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    bonds = near_pairs(atoms, BOND_FACTOR * covalent_radii[atoms.numbers])
    ones = np.ones(len(bonds.first), dtype=np.int8)
    graph = coo_array((ones, (bonds.first, bonds.second)), shape=(len(atoms), len(atoms)))
    n_parts, part = connected_components(graph, directed=False)
    formulas = [atoms[part == k].get_chemical_formula() for k in range(n_parts)]
    largest = formulas[int(np.bincount(part).argmax())]
    framework = np.array([formula == largest for formula in formulas])
    return np.asarray(~framework[part])


def remove_guests(atoms: Atoms) -> Atoms:
    """Structure without its guests."""
    guests = guest_atoms(atoms)
    if guests.mean() > 0.5:
        raise InputError(
            "keep_guests: most atoms would be taken for guests: the structure's bonds do not make "
            "a framework; remove the guests by hand"
        )
    kept: Atoms = atoms[~guests]
    return kept
