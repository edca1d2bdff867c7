"""Imaginary modes where force constants of a supercell are exact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mofmd.phonons.spectrum.modes import solve, translations

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True)
class Soft:
    """An imaginary mode at a wave vector that fits into the supercell.

    Parameters
    ----------
    q
        Wave vector.
    frequency_THz
        Negative.
    vector
        (atoms of the primitive cell, 3), complex, of the dynamical matrix.
    """

    q: np.ndarray
    frequency_THz: float
    vector: np.ndarray


def exact_points(phonopy: Phonopy) -> int:
    """Count the wave vectors that fit into the supercell: primitive cells in it."""
    return int(np.rint(abs(np.linalg.det(_repetitions(phonopy)))))


def soft_modes(phonopy: Phonopy, tolerance_THz: float) -> list[Soft]:
    """Imaginary modes at all wave vectors that fit into the supercell, the lowest first.

    There force constants of the supercell are the model's own, without interpolation. Of q and −q
    one is given; translations at Γ are none.
    """
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    found: list[Soft] = []
    done: list[np.ndarray] = []
    for q in get_commensurate_points(_repetitions(phonopy)):
        if any(np.allclose((q + other) % 1.0 % 1.0, 0.0, atol=1e-8) for other in done):
            continue
        done.append(q)
        frequencies, vectors = solve(phonopy, q)
        assert vectors is not None
        counted = frequencies < -tolerance_THz
        if np.allclose(q, 0.0):
            counted &= ~translations(vectors, phonopy.primitive.masses)
        found += [
            Soft(np.array(q), float(frequencies[k]), vectors[:, k].reshape(-1, 3))
            for k in np.flatnonzero(counted)
        ]
    return sorted(found, key=lambda mode: mode.frequency_THz)


def _repetitions(phonopy: Phonopy) -> np.ndarray:
    """(3, 3) whole numbers that make the supercell of the primitive cell."""
    found = np.linalg.inv(phonopy.primitive_matrix) @ phonopy.supercell_matrix
    return np.asarray(np.rint(found).astype(int))
