"""Displacements of a supercell in thermal equilibrium of harmonic phonons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mofmd.arrays import freeze
from mofmd.phonons.spectrum.modes import solve, translations

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.phonon.random_displacements import RandomDisplacements

STILL_THZ = 0.01
"""Real modes slower than this have no thermal displacement that a supercell could hold."""
LEAST_THZ = 0.5
"""These and imaginary modes are sampled as real ones of their own size, and of this at least."""


@dataclass(frozen=True)
class Drawn:
    """Displacements and the modes they were drawn of; arrays are read-only.

    Parameters
    ----------
    displacements_A
        (supercells, atoms, 3), the second half those of the first with the other sign.
    replaced
        How many modes are imaginary or as good as zero, and were sampled as others.
    """

    displacements_A: np.ndarray
    replaced: int

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "displacements_A")


def draw(
    phonopy: Phonopy, values: np.ndarray, temperature_K: float, supercells: int, seed: int
) -> Drawn:
    """Draw displacements, quantum statistics, in pairs of opposite ones.

    In pairs the terms of odd order in a displacement cancel in energies, those of even order in
    what force constants see: less noise. The random numbers depend on the seed alone, so that
    nearly the same force constants give nearly the same displacements.

    Parameters
    ----------
    phonopy
        Of the supercell.
    values
        Compact force constants [eV/Å²].
    temperature_K
        0 or more.
    supercells
        Even.
    seed
        Of the random numbers.
    """
    modes = _modes(phonopy, values)
    frequencies = modes.frequencies
    soft = (frequencies < STILL_THZ) & ~_translations(phonopy, values, modes.qpoints)
    if soft.any():
        modes.frequencies = np.where(soft, np.maximum(np.abs(frequencies), LEAST_THZ), frequencies)
    modes.run(temperature_K, number_of_snapshots=supercells // 2, random_seed=seed)
    half = np.asarray(modes.u)
    return Drawn(np.concatenate([half, -half]), int(soft.sum()))


def optical_THz(phonopy: Phonopy, values: np.ndarray) -> np.ndarray:
    """Frequencies at the wave vectors that fit into the supercell, of q and −q one.

    The translations at Γ are left out; modes are in order of frequency at each wave vector.
    """
    modes = _modes(phonopy, values)
    return np.asarray(modes.frequencies[~_translations(phonopy, values, modes.qpoints)])


def rms(first: np.ndarray, second: np.ndarray) -> float:
    """Root mean square difference of two sets of frequencies."""
    return float(np.sqrt(np.mean((first - second) ** 2)))


def _translations(phonopy: Phonopy, values: np.ndarray, q: np.ndarray) -> np.ndarray:
    """(wave vectors, modes) which modes are the three translations at Γ."""
    phonopy.force_constants = values
    found = np.zeros((len(q), 3 * len(phonopy.primitive)), dtype=bool)
    for k in np.flatnonzero((np.abs(q) < 1e-9).all(axis=1)):
        _, vectors = solve(phonopy, q[k])
        assert vectors is not None
        found[k] = translations(vectors, phonopy.primitive.masses)
    return found


def _modes(phonopy: Phonopy, values: np.ndarray) -> RandomDisplacements:
    from phonopy.phonon.random_displacements import RandomDisplacements

    return RandomDisplacements(
        phonopy.supercell,
        phonopy.primitive,
        values,
        cutoff_frequency=STILL_THZ,
        factor=phonopy.unit_conversion_factor,
    )
