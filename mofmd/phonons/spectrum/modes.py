"""Frequencies and eigenvectors at wave vectors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mofmd.arrays import freeze
from mofmd.phonons.spectrum.groups import Groups, participation_ratio

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True)
class Sample:
    """Frequencies at wave vectors; arrays are read-only.

    Parameters
    ----------
    q
        (points, 3), in units of the reciprocal vectors.
    frequencies_THz
        (points, modes), ascending; imaginary ones are negative.
    shares
        (points, modes, groups) share of each group of atoms in a mode; None where not asked for.
    """

    q: np.ndarray
    frequencies_THz: np.ndarray
    shares: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "q", "frequencies_THz", "shares")


@dataclass(frozen=True)
class GammaModes:
    """Modes at Γ; arrays are read-only.

    Parameters
    ----------
    frequencies_THz
        (modes,) ascending; imaginary ones are negative.
    eigenvectors
        (3 atoms, modes), real, of the dynamical matrix: displacements times the roots of masses.
    acoustic
        (modes,) whether the mode is one of the three translations.
    shares
        (modes, groups) share of each group of atoms.
    participation
        (modes,) participation ratio.
    """

    frequencies_THz: np.ndarray
    eigenvectors: np.ndarray
    acoustic: np.ndarray
    shares: np.ndarray
    participation: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "frequencies_THz", "eigenvectors", "acoustic", "shares", "participation")


def solve(
    phonopy: Phonopy, q: np.ndarray, *, vectors: bool = True
) -> tuple[np.ndarray, np.ndarray | None]:
    """Frequencies [THz], imaginary ones negative, and eigenvectors (3 atoms, modes) at one q."""
    matrix = phonopy.dynamical_matrix
    assert matrix is not None
    matrix.run(np.asarray(q, dtype=float))
    values = matrix.dynamical_matrix
    assert values is not None
    found = None
    if vectors:
        squares, found = np.linalg.eigh(values)
    else:
        squares = np.linalg.eigvalsh(values)
    return np.sign(squares) * np.sqrt(np.abs(squares)) * phonopy.unit_conversion_factor, found


def sample(
    phonopy: Phonopy,
    q: np.ndarray,
    groups: Groups | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Sample:
    """Solve at many wave vectors; of the eigenvectors only the shares of groups are kept.

    Parameters
    ----------
    phonopy
        With force constants.
    q
        (points, 3).
    groups
        Whose shares are wanted.
    on_progress
        Called with the number done and the number of all.
    """
    frequencies, shares = [], []
    for k, point in enumerate(q):
        values, vectors = solve(phonopy, point, vectors=groups is not None)
        frequencies.append(values)
        if groups is not None and vectors is not None:
            shares.append(groups.shares(vectors))
        on_progress(k + 1, len(q))
    return Sample(np.array(q), np.array(frequencies), np.array(shares) if shares else None)


def gamma_modes(phonopy: Phonopy, groups: Groups) -> GammaModes:
    """Solve at Γ, and tell the translations from the optical modes by their eigenvectors."""
    frequencies, vectors = solve(phonopy, np.zeros(3))
    assert vectors is not None
    vectors = np.real(vectors)
    return GammaModes(
        frequencies,
        vectors,
        translations(vectors, phonopy.primitive.masses),
        groups.shares(vectors),
        participation_ratio(vectors),
    )


def translations(vectors: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """(modes,) whether a mode at Γ is one of the three translations.

    Not the three lowest frequencies: a soft or imaginary optical mode may lie below zero.
    """
    roots = np.sqrt(masses / masses.sum())
    uniform = np.kron(roots[:, None], np.eye(3))
    overlap = (np.abs(uniform.T @ vectors) ** 2).sum(axis=0)
    found = np.zeros(vectors.shape[1], dtype=bool)
    found[np.argsort(overlap)[-3:]] = True
    return found
