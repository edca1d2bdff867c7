"""Coordination numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, require_elements, series_table
from mofmd.analysis.base.registry import Options, Subject, observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import mean_of_series
from mofmd.analysis.option_text import limit_of, limits, pairs
from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs
from mofmd.structures.frame import Frame
from mofmd.topology.metal_donors import longest_bond_A

NUMBERS = 33  # coordination numbers told apart: 0 to 32


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
        numbers = neighbours_of_each(frame, self.pair, self._cutoff_A)
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
                    number=Column(series, label=f"{label} coordination number"),
                ),
                "distribution": Table(
                    {
                        "number": Column(
                            np.arange(top, dtype=np.float64),
                            label=f"{self.neighbour} neighbours of a {self.centre} atom",
                        ),
                        "fraction": Column(
                            fraction[:top],
                            "",
                            error[:top],
                            f"Fraction of {self.centre} atoms",
                        ),
                    },
                    "bars",
                    f"{label} coordination numbers",
                ),
            },
            sampling=sampling,
        )


@observable(
    "coordination",
    title="Coordination",
    interval_ps=0.1,
    frames=200,
    options={"pairs": pairs, "cutoff_A": limits},
    by_default=True,
    place=30,
)
def _of_metals(subject: Subject, options: Options) -> Sequence[Observable]:
    """Make those of metals by their donors, or of chosen pairs."""
    given = options.get("cutoff_A", {})
    chosen = options.get("pairs") or subject.bonded_pairs()
    return [CoordinationNumber(a, b, limit_of(given, (a, b))) for a, b in chosen]


def neighbours_of_each(frame: Frame, pair: tuple[str, str], cutoff_A: float) -> np.ndarray:
    """Count the neighbours of each centre.

    Parameters
    ----------
    frame
        Any periodic cell.
    pair
        Element of the centres, element of the neighbours.
    cutoff_A
        A neighbour is closer than this [Å]; all periodic images count.
    """
    centres, others = (frame.species.atoms_of(element) for element in pair)
    found = find_pairs(frame.positions, frame.cell, cutoff_A, centres=centres, others=others)
    return np.asarray(np.bincount(found.first, minlength=len(frame))[centres])
