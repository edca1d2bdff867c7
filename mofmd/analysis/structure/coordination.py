"""Coordination numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, require_elements, series_table
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import mean_of_series
from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs
from mofmd.structures.frame import Frame
from mofmd.topology.metal_donors import longest_bond_A
from mofmd.trajectory.in_memory import Trajectory

NUMBERS = 33  # coordination numbers told apart: 0 to 32


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
        freeze(self, "timesteps", "numbers")

    @property
    def mean_per_frame(self) -> np.ndarray:
        """(frames,) mean over the centres."""
        return np.asarray(self.numbers.mean(axis=1))


def coordination_numbers(
    trajectory: Trajectory, pair: tuple[str, str] = ("Zn", "N"), cutoff_A: float | None = None
) -> Coordination:
    """Count the neighbours of each centre in each frame.

    Parameters
    ----------
    trajectory
        Frames; the cell may change and be triclinic.
    pair
        Element of the centres, element of the neighbours.
    cutoff_A
        Neighbours are closer than this [Å]; None takes ``longest_bond_A``.
    """
    if cutoff_A is None:
        cutoff_A = longest_bond_A(*pair)
    numbers = np.array([_numbers(frame, pair, cutoff_A) for frame in trajectory])
    return Coordination(pair, cutoff_A, trajectory.timesteps, numbers)


@dataclass(eq=False)
class CoordinationNumber(Observable):
    """Coordination number over time, and how often each number occurs.

    Parameters
    ----------
    centre, neighbour
        Elements.
    cutoff_A
        A neighbour is closer than this [Å], all periodic images counted; None takes
        ``longest_bond_A``: 2.5 Å for Zn-N (Castel et al., Digital Discovery 2024, 3, 355,
        "Structural properties").
    interval_ps, cut
        As for every observable; the paper's interval is 0.1 ps.
    """

    centre: str = "Zn"
    neighbour: str = "N"
    cutoff_A: float | None = None

    def __post_init__(self) -> None:
        """Find the cutoff where it was left open; begin with no frame."""
        self.pair = (self.centre, self.neighbour)
        self._cutoff_A = longest_bond_A(*self.pair) if self.cutoff_A is None else self.cutoff_A
        self._record = Record()

    @property
    def name(self) -> str:
        """Short name for people."""
        return f"coordination {'-'.join(self.pair)}"

    def check(self, frame: Frame) -> None:
        """Refuse absent elements."""
        require_elements(frame, self.pair, self.name)

    def measure(self, frame: Frame) -> tuple[float, np.ndarray]:
        """Mean number, and the fraction of centres with 0, 1, ... neighbours."""
        numbers = _numbers(frame, self.pair, self._cutoff_A)
        if numbers.max() >= NUMBERS:
            raise InputError(
                f"{self.name}: a centre has {numbers.max()} neighbours within "
                f"{self._cutoff_A:g} Å; fewer than {NUMBERS} expected: give a smaller cutoff_A "
                "(command line: --set coordination.cutoff_A=)"
            )
        return float(numbers.mean()), np.bincount(numbers, minlength=NUMBERS) / len(numbers)

    def add(self, stamp: Stamp, value: tuple[float, np.ndarray]) -> None:
        """Take the measurement of the next frame."""
        self._record.add(stamp, *value)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        fraction, error = self._record.average.mean(sampling)
        top = int(np.flatnonzero(fraction)[-1]) + 2
        label = "-".join(self.pair)
        series = np.array(self._record.series)
        return Result(
            name=self.name,
            definition="neighbours closer than the cutoff, periodic images included "
            "(Castel et al. 2024, Structural properties)",
            settings={"pair": list(self.pair), "cutoff_A": self._cutoff_A},
            scalars={"coordination number": mean_of_series(series, sampling)},
            tables={
                "series": series_table(
                    self._record.stamps,
                    f"{label} coordination number over time",
                    number=Column(series),
                ),
                "distribution": Table(
                    {
                        "number": Column(np.arange(top, dtype=np.float64)),
                        "fraction": Column(fraction[:top], "", error[:top]),
                    },
                    "bars",
                    f"{label} coordination numbers",
                ),
            },
            sampling=sampling,
        )


def _numbers(frame: Frame, pair: tuple[str, str], cutoff_A: float) -> np.ndarray:
    centres, others = (frame.species.atoms_of(element) for element in pair)
    found = find_pairs(frame.positions, frame.cell, cutoff_A, centres=centres, others=others)
    return np.asarray(np.bincount(found.first, minlength=len(frame))[centres])
