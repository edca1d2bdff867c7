"""Relaxed structures of two models beside each other: cells, symmetry, positions by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.phonons.ladder import Rung, symmetry_ladder


@dataclass(frozen=True)
class StructureComparison:
    """The first structure beside the second.

    Parameters
    ----------
    lengths_A, angles_deg
        Of the first, then of the second.
    length_deviations_percent
        Of the three edges.
    volume_deviation_percent
        Of the cell.
    ladders
        Symmetry of both at a ladder of tolerances.
    fractional_rmsd
        Root mean square difference of fractional coordinates by element, after both are laid over
        each other; empty where the atoms are not the same.
    """

    lengths_A: tuple[tuple[float, ...], tuple[float, ...]]
    angles_deg: tuple[tuple[float, ...], tuple[float, ...]]
    length_deviations_percent: tuple[float, ...]
    volume_deviation_percent: float
    ladders: tuple[tuple[Rung, ...], tuple[Rung, ...]]
    fractional_rmsd: dict[str, float] = field(default_factory=dict)


def compare_structures(first: Atoms, second: Atoms) -> StructureComparison:
    """Compare two relaxed structures of the same axes.

    Parameters
    ----------
    first, second
        Crystals.
    """
    a, b = (tuple(float(v) for v in atoms.cell.lengths()) for atoms in (first, second))
    angles = tuple(tuple(float(v) for v in atoms.cell.angles()) for atoms in (first, second))
    same = sorted(first.symbols) == sorted(second.symbols)
    return StructureComparison(
        (a, b),
        (angles[0], angles[1]),
        tuple(100.0 * (x / y - 1.0) for x, y in zip(a, b, strict=True)),
        100.0 * (first.get_volume() / second.get_volume() - 1.0),
        (symmetry_ladder(first), symmetry_ladder(second)),
        fractional_rmsd(first, second) if same else {},
    )


def fractional_rmsd(first: Atoms, second: Atoms) -> dict[str, float]:
    """Root mean square difference of fractional coordinates by element.

    Each atom is compared with the nearest one of its element, no two with the same; then both
    structures are laid over each other by their mean difference.

    Raises
    ------
    InputError
        If the atoms are not the same.

    Examples
    --------
    >>> from ase.build import bulk
    >>> crystal = bulk("NaCl", "rocksalt", a=5.6)
    >>> moved = crystal.copy()
    >>> moved.positions += 0.3
    >>> [round(value, 12) for value in fractional_rmsd(crystal, moved).values()]
    [0.0, 0.0]
    """
    if sorted(first.symbols) != sorted(second.symbols):
        raise InputError("compare: the two structures are not of the same atoms")
    a, b = (atoms.get_scaled_positions(wrap=False) for atoms in (first, second))
    order, shift = match_atoms(a, b, first.get_chemical_symbols(), second.get_chemical_symbols())
    apart = a - b[order] - shift
    apart -= np.rint(apart)
    symbols = np.array(first.symbols)
    return {
        str(name): float(np.sqrt((apart[symbols == name] ** 2).sum(axis=1).mean()))
        for name in sorted(set(symbols))
    }


def match_atoms(
    first: np.ndarray, second: np.ndarray, symbols: Sequence[str], others: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Find which atom of a second structure is which of the first, and their mean difference.

    Parameters
    ----------
    first, second
        (atoms, 3) fractional coordinates.
    symbols, others
        Elements of both, the same number of each.

    Returns
    -------
    tuple
        (atoms,) places in the second structure of the atoms of the first; (3,) fractional
        difference that lays the second over the first.
    """
    from scipy.optimize import linear_sum_assignment

    names, their_names = np.array(symbols), np.array(others)
    shift = np.zeros(3)
    order = np.empty(len(first), dtype=int)
    for _ in range(3):  # each time by better pairs
        for name in set(symbols):
            mine, theirs = np.flatnonzero(names == name), np.flatnonzero(their_names == name)
            apart = first[mine][:, None] - second[theirs][None] - shift
            apart -= np.rint(apart)
            rows, columns = linear_sum_assignment((apart**2).sum(axis=2))
            order[mine[rows]] = theirs[columns]
        apart = first - second[order] - shift
        apart -= np.rint(apart)
        shift = shift + apart.mean(axis=0)
    return order, shift
