"""Whether organic linkers stay whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mofmd.analysis.base.observable import Observable, Stamp, series_table
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result
from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.option_text import number
from mofmd.errors import InputError
from mofmd.geometry.minimum_image import nearest_images
from mofmd.topology.building_units import BROKEN_FACTOR, Linkers, find_linkers
from mofmd.trajectory.frame import Frame


def broken_linkers(
    frame: Frame, linkers: Linkers, broken_factor: float = BROKEN_FACTOR
) -> np.ndarray:
    """Numbers of the linkers with a bond that is too long."""
    bonds = linkers.bonds
    vectors = frame.positions[bonds.second] - frame.positions[bonds.first]
    vectors = vectors + nearest_images(vectors, frame.cell) @ frame.cell
    lengths = np.linalg.norm(vectors, axis=1)
    return np.unique(linkers.linker_of_bond[lengths >= broken_factor * bonds.radii_sum])


class Whole(NamedTuple):
    """How many linkers, and how many caps, are whole."""

    linkers: int
    caps: int


def count_whole(frame: Frame, linkers: Linkers, broken_factor: float = BROKEN_FACTOR) -> Whole:
    """Count the linkers and the caps without a bond that is too long."""
    is_whole = np.ones(len(linkers), dtype=bool)
    is_whole[broken_linkers(frame, linkers, broken_factor)] = False
    return Whole(int(is_whole[~linkers.is_cap].sum()), int(is_whole[linkers.is_cap].sum()))


@observable(
    "integrity",
    title="Linkers",
    interval_ps=0.1,
    frames=200,
    options={"broken_factor": number},
    by_default=True,
    place=50,
)
@dataclass(eq=False)
class Integrity(Observable):
    """Intact linkers over time.

    A linker is intact while each bond it had in the starting structure is shorter than
    ``broken_factor`` times the sum of the covalent radii (C-H 1.50, C-N 2.06, C-C 2.13 Å at 1.4).
    New bonds are not looked for. Caps (formates in the place of missing linkers) are counted apart.

    Parameters
    ----------
    linkers
        Linkers of the starting structure; None takes those of the first frame.
    broken_factor
        A bond is broken from this multiple of the sum of the covalent radii on.
    interval_ps, cut
        As for every observable.
    """

    linkers: Linkers | None = None
    broken_factor: float = BROKEN_FACTOR

    def __post_init__(self) -> None:
        """Begin with no frame."""
        self._stamps: list[Stamp] = []
        self._whole: list[Whole] = []

    @property
    def name(self) -> str:
        """Short name for people."""
        return "integrity"

    def check(self, frame: Frame) -> None:
        """Find the linkers where none were given."""
        self.linkers = self.linkers or find_linkers(frame)
        if len(self.linkers) == 0:
            raise InputError("integrity: no organic linkers (parts with carbon) in the first frame")

    def measure(self, frame: Frame) -> Whole:
        """Count the intact linkers and caps."""
        if self.linkers is None:
            raise InputError("integrity: give the linkers, or let analyse find them")
        return count_whole(frame, self.linkers, self.broken_factor)

    def add(self, stamp: Stamp, value: Whole) -> None:
        """Take the measurement of the next frame."""
        self._stamps.append(stamp)
        self._whole.append(value)

    def result(self) -> Result:
        """Count over time."""
        intact = np.array([each.linkers for each in self._whole], dtype=np.float64)
        caps = np.array([each.caps for each in self._whole], dtype=np.float64)
        total = 0 if self.linkers is None else self.linkers.n_linkers
        n_caps = 0 if self.linkers is None else self.linkers.n_caps
        of_caps = {
            "caps": _exact(n_caps),
            "caps intact, fewest": _exact(caps.min()),
            "caps intact, last frame": _exact(caps[-1]),
        }
        return Result(
            name=self.name,
            definition=f"linkers whose every initial bond is shorter than {self.broken_factor} "
            "times the sum of the covalent radii",
            settings={"broken_factor": self.broken_factor},
            scalars={
                "linkers": _exact(total),
                "intact, fewest": _exact(intact.min()),
                "intact, last frame": _exact(intact[-1]),
                **(of_caps if n_caps else {}),
            },
            tables={
                "series": series_table(
                    self._stamps,
                    "Intact linkers",
                    intact=Column(intact, label=f"Intact linkers of {total}"),
                )
            },
        )


def _exact(count: float) -> Estimate:
    """Give a count, which has no statistical error."""
    return Estimate(float(count), 0.0, float("inf"))
