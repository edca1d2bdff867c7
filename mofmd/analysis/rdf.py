"""Partial radial distribution functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.analysis.neighbours import find_pairs
from mofmd.errors import InputError
from mofmd.trajectory.dump import Trajectory


@dataclass(frozen=True)
class RadialDistribution:
    """A partial radial distribution function; arrays are read-only.

    g_AB(r) = ⟨ n_AB(r) / (N_A N_B / V · 4π/3 (r₊³ − r₋³)) ⟩ over frames, n_AB(r) being the number
    of ordered pairs (an atom A, an image of an atom B) at a distance in the bin [r₋, r₊). It tends
    to 1 at large r; for A = B to 1 − 1/N_A in a large cell, as an atom is no pair with itself.

    Parameters
    ----------
    pair
        The elements A and B.
    r_A
        (bins,) bin centres [Å].
    g
        (bins,) values, without unit.
    counts
        (bins,) ordered pairs in each bin, all frames together.
    frames_used
        Number of frames.
    """

    pair: tuple[str, str]
    r_A: np.ndarray
    g: np.ndarray
    counts: np.ndarray
    frames_used: int

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.r_A, self.g, self.counts):
            array.setflags(write=False)


def radial_distribution(
    trajectory: Trajectory,
    pair: tuple[str, str],
    r_max_A: float = 8.0,
    bin_width_A: float = 0.05,
) -> RadialDistribution:
    """Compute g(r) of a pair of elements over all frames.

    Parameters
    ----------
    trajectory
        Frames, at least one; the cell may change and be triclinic.
    pair
        Two elements of the trajectory.
    r_max_A
        Upper end [Å], a multiple of the bin width. It may exceed half the cell.
    bin_width_A
        Width of a bin [Å].
    """
    edges = _edges(r_max_A, bin_width_A)
    first, second = (trajectory.atoms_of(element) for element in pair)
    for element, atoms in zip(pair, (first, second), strict=True):
        if len(atoms) == 0:
            raise InputError(
                f"pair: no {element} among the species {sorted(set(trajectory.species))}"
            )
    if len(trajectory) == 0:
        raise InputError("trajectory: no frames to average over")
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    counts = np.zeros(len(shells), dtype=np.int64)
    g = np.zeros(len(shells))
    for positions, cell in zip(trajectory.positions, trajectory.cells, strict=True):
        found = find_pairs(positions[first], positions[second], cell, edges[-1])
        frame, _ = np.histogram(found.distances, bins=edges)
        counts += frame
        g += frame * abs(np.linalg.det(cell)) / (len(first) * len(second) * shells)
    g /= len(trajectory)
    centres = (edges[1:] + edges[:-1]) / 2
    return RadialDistribution(pair, centres, g, counts, len(trajectory))


def _edges(r_max_A: float, bin_width_A: float) -> np.ndarray:
    if bin_width_A <= 0:
        raise InputError(f"bin_width_A: {bin_width_A}, expected a positive width")
    bins = round(r_max_A / bin_width_A)
    if bins < 1 or abs(bins * bin_width_A - r_max_A) > 1e-9:
        raise InputError(f"r_max_A: {r_max_A} is not a multiple of bin_width_A {bin_width_A}")
    return np.linspace(0.0, r_max_A, bins + 1)
