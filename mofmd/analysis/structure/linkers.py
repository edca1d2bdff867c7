"""Whether organic linkers stay whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Stamp, series_table
from mofmd.analysis.base.result import Column, Result
from mofmd.analysis.base.statistics import Estimate
from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.topology.bond_graph import nearest_images
from mofmd.topology.building_units import BROKEN_FACTOR, Linkers, find_linkers
from mofmd.trajectory.in_memory import Trajectory


@dataclass(frozen=True)
class LinkerIntegrity:
    """How many linkers are intact in each frame; arrays are read-only.

    A linker is intact while each bond it had in the starting structure is shorter than
    ``broken_factor`` times the sum of the covalent radii (C-H 1.50, C-N 2.06, C-C 2.13 Å at 1.4).
    New bonds are not looked for.

    Parameters
    ----------
    n_linkers
        Linkers of the starting structure.
    broken_factor
        See above.
    timesteps
        (frames,) step of each frame.
    intact
        (frames,) number of intact linkers.
    """

    n_linkers: int
    broken_factor: float
    timesteps: np.ndarray
    intact: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "timesteps", "intact")


def linkers_intact(
    trajectory: Trajectory, linkers: Linkers, broken_factor: float = BROKEN_FACTOR
) -> LinkerIntegrity:
    """Count the intact linkers of each frame.

    Parameters
    ----------
    trajectory
        Frames of the structure that ``linkers`` was found in, atoms in the same order.
    linkers
        Linkers of the starting structure.
    broken_factor
        A bond is broken from this multiple of the sum of the covalent radii on.
    """
    intact = [len(linkers) - len(broken_linkers(f, linkers, broken_factor)) for f in trajectory]
    return LinkerIntegrity(
        len(linkers), broken_factor, trajectory.timesteps, np.array(intact, dtype=np.int64)
    )


def broken_linkers(
    frame: Frame, linkers: Linkers, broken_factor: float = BROKEN_FACTOR
) -> np.ndarray:
    """Numbers of the linkers with a bond that is too long."""
    bonds = linkers.bonds
    vectors = frame.positions[bonds.second] - frame.positions[bonds.first]
    vectors = vectors + nearest_images(vectors, frame.cell) @ frame.cell
    lengths = np.linalg.norm(vectors, axis=1)
    return np.unique(linkers.linker_of_bond[lengths >= broken_factor * bonds.radii_sum])


@dataclass(eq=False)
class Integrity(Observable):
    """Intact linkers over time; ``LinkerIntegrity`` says what that means.

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
        self._intact: list[int] = []

    @property
    def name(self) -> str:
        """Short name for people."""
        return "integrity"

    def check(self, frame: Frame) -> None:
        """Find the linkers where none were given."""
        self.linkers = self.linkers or find_linkers(frame)
        if len(self.linkers) == 0:
            raise InputError("integrity: no organic linkers (parts with carbon) in the first frame")

    def measure(self, frame: Frame) -> int:
        """Count the intact linkers."""
        if self.linkers is None:
            raise InputError("integrity: give the linkers, or let analyse find them")
        return len(self.linkers) - len(broken_linkers(frame, self.linkers, self.broken_factor))

    def add(self, stamp: Stamp, value: int) -> None:
        """Take the measurement of the next frame."""
        self._stamps.append(stamp)
        self._intact.append(value)

    def result(self) -> Result:
        """Count over time."""
        intact = np.array(self._intact, dtype=np.float64)
        total = len(self.linkers or ())
        return Result(
            name=self.name,
            definition=f"linkers whose every initial bond is shorter than {self.broken_factor} "
            "times the sum of the covalent radii",
            settings={"broken_factor": self.broken_factor},
            scalars={
                "linkers": _exact(total),
                "intact, fewest": _exact(intact.min()),
                "intact, last frame": _exact(intact[-1]),
            },
            tables={"series": series_table(self._stamps, "Intact linkers", intact=Column(intact))},
        )


def _exact(count: float) -> Estimate:
    """Give a count, which has no statistical error."""
    return Estimate(float(count), 0.0, float("inf"))
