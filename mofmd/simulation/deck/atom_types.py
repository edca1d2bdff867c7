"""LAMMPS types of atoms: one for each element, and others for the guests if asked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.topology.guests import guest_atoms


@dataclass(frozen=True)
class AtomTypes:
    """Types of the atoms of a structure; the array is read-only.

    Parameters
    ----------
    names
        Element of each type, in order; an element of framework and guests occurs twice.
    of_atoms
        (atoms,) type of each atom, from 1.
    guest_types
        Types that guests have.
    """

    names: tuple[str, ...]
    of_atoms: np.ndarray
    guest_types: tuple[int, ...]

    def __post_init__(self) -> None:
        """Make the array read-only."""
        freeze(self, "of_atoms")

    def repeated(self, times: int) -> AtomTypes:
        """Types of a supercell in which all atoms follow each other so many times."""
        return AtomTypes(self.names, np.tile(self.of_atoms, times), self.guest_types)


def framework_and_guest_types(atoms: Atoms) -> AtomTypes:
    """Give framework and guest atoms types of their own, by element: framework first.

    Raises
    ------
    InputError
        If there are no guests, or no framework to tell them from.

    Examples
    --------
    >>> from ase import Atoms
    >>> from mofmd.structures.crystals.zif import zif4
    >>> framework_and_guest_types(zif4() + Atoms("He", [[0, 0, 0]])).names
    ('C', 'H', 'N', 'Zn', 'He')
    """
    guests = guest_atoms(atoms)
    if not guests.any():
        raise InputError(
            "guest_types: the structure holds no molecules in its pores, so that there is nothing "
            "to tell apart; leave the option out"
        )
    if guests.mean() > 0.5:
        raise InputError(
            "guest_types: most atoms would be taken for guests: the structure's bonds do not make "
            "a framework; leave the option out"
        )
    symbols = np.array(atoms.get_chemical_symbols())
    kinds = [
        (name, part) for part in (False, True) for name in sorted(set(symbols[guests == part]))
    ]
    of_atoms = np.zeros(len(atoms), dtype=np.int64)
    for number, (name, part) in enumerate(kinds, start=1):
        of_atoms[(symbols == name) & (guests == part)] = number
    return AtomTypes(
        names=tuple(str(name) for name, _ in kinds),
        of_atoms=of_atoms,
        guest_types=tuple(k for k, (_, part) in enumerate(kinds, start=1) if part),
    )
