"""Speeds of sound and group velocities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mofmd.arrays import freeze
from mofmd.phonons.spectrum.modes import solve

if TYPE_CHECKING:
    from phonopy import Phonopy

THZ_A_TO_KM_PER_S = 0.1
SMALL_PER_A = 1e-3  # wave vector at which the slope at Γ is taken, without 2π
DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))


@dataclass(frozen=True)
class SoundSpeeds:
    """Speeds of the three acoustic waves; arrays are read-only.

    Parameters
    ----------
    directions
        (directions, 3) unit vectors, Cartesian.
    speeds_km_per_s
        (directions, 3) ascending: two waves that are mostly transverse, one mostly longitudinal;
        negative where a wave is unstable.
    """

    directions: np.ndarray
    speeds_km_per_s: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "directions", "speeds_km_per_s")


def sound_directions(
    directions: tuple[tuple[int, int, int], ...] = DIRECTIONS,
) -> np.ndarray:
    """(directions, 3) unit vectors, Cartesian."""
    units = np.array(directions, dtype=float)
    return np.asarray(units / np.linalg.norm(units, axis=1)[:, None])


def sound_speeds(
    phonopy: Phonopy, directions: tuple[tuple[int, int, int], ...] = DIRECTIONS
) -> SoundSpeeds:
    """Slopes of the acoustic branches at Γ, along Cartesian directions.

    Parameters
    ----------
    phonopy
        With force constants that keep the sum rule: otherwise the branches do not begin at zero.
    directions
        Of the wave vector.
    """
    units = sound_directions(directions)
    speeds = []
    for unit in units:
        q = phonopy.primitive.cell @ (SMALL_PER_A * unit)
        frequencies, vectors = solve(phonopy, q)
        assert vectors is not None
        masses = phonopy.primitive.masses
        uniform = np.kron(np.sqrt(masses / masses.sum())[:, None], np.eye(3))
        # acoustic branches by their eigenvectors: a soft optical one may be as low
        chosen = np.argsort((np.abs(uniform.T @ vectors) ** 2).sum(axis=0))[-3:]
        speeds.append(np.sort(frequencies[chosen]) / SMALL_PER_A * THZ_A_TO_KM_PER_S)
    return SoundSpeeds(units, np.array(speeds))


def group_velocities(phonopy: Phonopy, q: np.ndarray) -> np.ndarray:
    """(points, modes, 3) group velocities dω/dk [km/s], Cartesian.

    Parameters
    ----------
    phonopy
        With force constants.
    q
        (points, 3) wave vectors.
    """
    found = phonopy.run_qpoints(q, with_group_velocities=True)
    return np.asarray(found.group_velocities) * THZ_A_TO_KM_PER_S
