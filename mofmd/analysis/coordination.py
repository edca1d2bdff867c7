"""Coordination numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.analysis.neighbours import find_pairs
from mofmd.errors import InputError
from mofmd.trajectory.dump import Trajectory

# First minimum of the Zn-N potential of mean force: Castel et al., Digital Discovery 2024, 3, 355.
ZN_N_CUTOFF_A = 2.5


@dataclass(frozen=True)
class Coordination:
    """Coordination number of every centre in every frame; arrays are read-only.

    Parameters
    ----------
    pair
        Element of the centres and of the neighbours counted.
    cutoff_A
        A neighbour is closer than this [Å]; all periodic images count.
    timesteps
        (frames,) step of each frame.
    numbers
        (frames, centres) neighbours of each centre.
    """

    pair: tuple[str, str]
    cutoff_A: float
    timesteps: np.ndarray
    numbers: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.timesteps, self.numbers):
            array.setflags(write=False)

    @property
    def mean_per_frame(self) -> np.ndarray:
        """(frames,) mean over the centres."""
        return np.asarray(self.numbers.mean(axis=1))


def coordination_numbers(
    trajectory: Trajectory, pair: tuple[str, str] = ("Zn", "N"), cutoff_A: float = ZN_N_CUTOFF_A
) -> Coordination:
    """Count the neighbours of each centre in each frame.

    Parameters
    ----------
    trajectory
        Frames; the cell may change and be triclinic.
    pair
        Element of the centres, element of the neighbours.
    cutoff_A
        Neighbours are closer than this [Å].
    """
    centres, others = (trajectory.atoms_of(element) for element in pair)
    if len(centres) == 0:
        raise InputError(f"pair: no {pair[0]} among the species {sorted(set(trajectory.species))}")
    numbers = np.zeros((len(trajectory), len(centres)), dtype=np.int64)
    for row, positions, cell in zip(numbers, trajectory.positions, trajectory.cells, strict=True):
        found = find_pairs(positions[centres], positions[others], cell, cutoff_A)
        row[:] = np.bincount(found.first, minlength=len(centres))
    return Coordination(pair, cutoff_A, trajectory.timesteps, numbers)
