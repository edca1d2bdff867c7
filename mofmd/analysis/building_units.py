"""Building units of a framework: the organic linkers, and whether they stay whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.analysis.neighbours import cell_heights
from mofmd.errors import InputError
from mofmd.structures.bonds import Bonds, covalent_bonds
from mofmd.trajectory.dump import Trajectory

BROKEN_FACTOR = 1.4


@dataclass(frozen=True)
class Linkers:
    """Organic linkers of a structure: connected parts of its covalent bonds that hold carbon.

    Parameters
    ----------
    members
        Indices of the atoms of each linker, ascending.
    bonds
        All bonds within linkers.
    linker_of_bond
        (bonds,) linker of each bond.
    """

    members: tuple[tuple[int, ...], ...]
    bonds: Bonds
    linker_of_bond: np.ndarray

    def __len__(self) -> int:
        """Count the linkers."""
        return len(self.members)


@dataclass(frozen=True)
class LinkerIntegrity:
    """How many linkers are intact in each frame; arrays are read-only.

    A linker is intact while each bond it had in the starting structure is shorter than
    ``broken_factor`` times the sum of the covalent radii (C-H 1.50, C-N 2.06, C-C 2.13 Å at 1.4).
    New bonds are not looked for.

    Parameters
    ----------
    n_linkers
        Linkers of the starting structure.
    broken_factor
        See above.
    timesteps
        (frames,) step of each frame.
    intact
        (frames,) number of intact linkers.
    """

    n_linkers: int
    broken_factor: float
    timesteps: np.ndarray
    intact: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.timesteps, self.intact):
            array.setflags(write=False)


def find_linkers(atoms: Atoms) -> Linkers:
    """Find the organic linkers of a crystal or relaxed structure.

    Examples
    --------
    >>> from mofmd.structures.zif import zif4
    >>> len(find_linkers(zif4()))
    32
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    bonds = covalent_bonds(atoms)
    ones = np.ones(len(bonds), dtype=np.int8)
    graph = coo_array((ones, (bonds.first, bonds.second)), shape=(len(atoms), len(atoms)))
    _, part = connected_components(graph, directed=False)
    carbon = np.array([symbol == "C" for symbol in atoms.symbols])
    organic = np.unique(part[carbon])
    inside = np.isin(part[bonds.first], organic)
    return Linkers(
        members=tuple(tuple(np.flatnonzero(part == k).tolist()) for k in organic),
        bonds=Bonds(bonds.first[inside], bonds.second[inside], bonds.radii_sum[inside]),
        linker_of_bond=np.searchsorted(organic, part[bonds.first[inside]]),
    )


def linkers_intact(
    trajectory: Trajectory, linkers: Linkers, broken_factor: float = BROKEN_FACTOR
) -> LinkerIntegrity:
    """Count the intact linkers of each frame.

    Parameters
    ----------
    trajectory
        Frames of the structure that ``linkers`` was found in, atoms in the same order.
    linkers
        Linkers of the starting structure.
    broken_factor
        A bond is broken from this multiple of the sum of the covalent radii on.
    """
    bonds = linkers.bonds
    limits = broken_factor * bonds.radii_sum
    intact = np.zeros(len(trajectory), dtype=np.int64)
    for frame, (positions, cell) in enumerate(
        zip(trajectory.positions, trajectory.cells, strict=True)
    ):
        # rounding finds the nearest image of any pair closer than half the smallest height
        if len(bonds) and limits.max() >= cell_heights(cell).min() / 2:
            raise InputError(
                f"trajectory: the cell is thinner than {2 * limits.max():.2f} Å; use a supercell"
            )
        fractional = (positions[bonds.second] - positions[bonds.first]) @ np.linalg.inv(cell)
        lengths = np.linalg.norm((fractional - np.round(fractional)) @ cell, axis=1)
        broken = np.unique(linkers.linker_of_bond[lengths >= limits])
        intact[frame] = len(linkers) - len(broken)
    return LinkerIntegrity(len(linkers), broken_factor, trajectory.timesteps, intact)
