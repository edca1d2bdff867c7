"""The search for symmetry: which tolerances it can have, and what is wrong where it fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.topology.bonds import near_pairs
from mofmd.topology.check import refuse_overlaps

LARGEST_TOLERANCE_A = 1.0
"""Shorter than any bond of two heavy atoms: beyond it neighbours count as one atom."""


def check_tolerance(tolerance_A: float, name: str = "symmetry_tolerance_A") -> None:
    """Refuse a tolerance that spglib cannot search with: it crashes, or does not end.

    Parameters
    ----------
    tolerance_A
        Within which atoms are to coincide [Å].
    name
        Of the option, for messages.

    Raises
    ------
    InputError
        If it is no number above zero, or above ``LARGEST_TOLERANCE_A``.
    """
    if not 0.0 < tolerance_A <= LARGEST_TOLERANCE_A:
        raise InputError(
            f"{name}: {tolerance_A:g} Å, expected more than zero and at most "
            f"{LARGEST_TOLERANCE_A:g} Å, such as 1e-3"
        )


def _refuse_nearer_atoms(atoms: Atoms, tolerance_A: float) -> None:
    """Refuse atoms that are nearer to each other, or to their own images, than the tolerance."""
    pairs = near_pairs(atoms, np.full(len(atoms), LARGEST_TOLERANCE_A / 2))
    shortest_A = float(np.min(pairs.distances, initial=np.inf))
    if shortest_A <= tolerance_A:
        refuse_overlaps(atoms)
        raise InputError(
            f"symmetry_tolerance_A: {tolerance_A:g} Å, but atoms are {shortest_A:.3g} Å apart: "
            "take a tolerance well below that"
        )


@contextmanager
def symmetry_search(atoms: Atoms, tolerance_A: float) -> Iterator[None]:
    """Put into words what spglib refuses within the block.

    Parameters
    ----------
    atoms
        Whose symmetry is searched.
    tolerance_A
        Within which atoms coincide [Å].

    Raises
    ------
    InputError
        If the tolerance makes no sense, naming atoms at one place, or with spglib's own words.
    """
    from spglib.error import SpglibError

    check_tolerance(tolerance_A)
    _refuse_nearer_atoms(atoms, tolerance_A)  # spglib may crash on them
    try:
        yield
    except SpglibError as error:
        refuse_overlaps(atoms)
        raise InputError(
            f"symmetry: none is found within {tolerance_A:g} Å (spglib: {error}); take another "
            "tolerance, well below the shortest distance of two atoms"
        ) from error
