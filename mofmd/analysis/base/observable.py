"""Observables: what is measured on each frame, and how it becomes a result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import BlockAverage, Sampling, sample
from mofmd.errors import InputError
from mofmd.structures.frame import Frame


@dataclass(frozen=True)
class Stamp:
    """When a frame was taken.

    Parameters
    ----------
    step
        Step of the simulation.
    time_ps
        Time, where it is known.
    """

    step: int
    time_ps: float | None

    @classmethod
    def of(cls, frame: Frame) -> Stamp:
        """Take it from a frame."""
        return cls(frame.step, frame.time_ps)


@dataclass(kw_only=True, eq=False)
class Observable(ABC):
    """A quantity that is measured frame by frame.

    ``measure`` is the work: it changes nothing in the observable, so that frames can be measured in
    any order and in several threads. ``add`` takes what it returned, in the order of time.

    A new observable is one file with a dataclass derived from this one: ``name``, ``measure``,
    ``add`` and ``result``. Its fields are its settings; what it gathers begins in
    ``__post_init__``.

    Parameters
    ----------
    interval_ps
        Shortest time between frames to measure; None measures every one.
    cut
        Measured frames to leave out at the start; None finds out.
    """

    interval_ps: float | None = None
    cut: int | None = None

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name for people."""

    def fresh(self, **changes: Any) -> Self:
        """Make one of the same settings, or with some changed, that has seen no frame.

        Parameters
        ----------
        changes
            Fields, by name.
        """
        return replace(self, **changes)

    def check(self, frame: Frame) -> None:  # noqa: B027 - most need no check
        """Refuse a trajectory that does not suit, by its first frame."""

    @abstractmethod
    def measure(self, frame: Frame) -> Any:
        """Measure one frame."""

    @abstractmethod
    def add(self, stamp: Stamp, value: Any) -> None:
        """Take the measurement of the next frame."""

    @abstractmethod
    def result(self) -> Result:
        """Evaluate all frames taken so far."""

    def update(self, frame: Frame) -> None:
        """Measure a frame and take it."""
        self.add(Stamp.of(frame), self.measure(frame))


class Record:
    """Series and average of an observable, as most of them need them."""

    def __init__(self) -> None:
        self.stamps: list[Stamp] = []
        self.series: list[float] = []
        self.average = BlockAverage()

    def add(self, stamp: Stamp, scalar: float, array: np.ndarray | None = None) -> None:
        """Take a frame: the scalar that equilibrium is judged by, and an array to average."""
        self.stamps.append(stamp)
        self.series.append(scalar)
        if array is not None:
            self.average.add(array)

    def sampling(self, cut: int | None) -> Sampling:
        """Frames to use."""
        return sample(np.array(self.series), cut)

    def abscissa(self) -> dict[str, Column]:
        """Column of times, or of steps where times are not known."""
        return time_column(self.stamps)


def time_column(stamps: list[Stamp]) -> dict[str, Column]:
    """Column of times, or of steps where times are not known."""
    times = [stamp.time_ps for stamp in stamps if stamp.time_ps is not None]
    if len(times) == len(stamps):
        return {"time": Column(np.array(times), "ps", label="Time")}
    steps = np.array([stamp.step for stamp in stamps], dtype=np.float64)
    return {"step": Column(steps, label="Step")}


def series_table(stamps: list[Stamp], title: str, **columns: Column) -> Table:
    """Table of quantities over time."""
    return Table({**time_column(stamps), **columns}, "series", title)


def spacing_ps(stamps: list[Stamp], name: str) -> float:
    """Time between frames, which must be even.

    Raises
    ------
    InputError
        If times are not known or not even, or there are fewer than two frames.
    """
    times = [stamp.time_ps for stamp in stamps if stamp.time_ps is not None]
    if len(stamps) < 2:
        raise InputError(f"{name}: needs at least two frames, found {len(stamps)}")
    if len(times) < len(stamps):
        raise InputError(f"{name}: the frames have no times; give the timestep in fs")
    steps = np.diff(times)
    if steps.max() - steps.min() > 1e-3 * steps.mean():
        raise InputError(
            f"{name}: frames are {steps.min():g} to {steps.max():g} ps apart; it needs even times"
        )
    return float(steps.mean())


def refuse_much_memory(name: str, frames: int, value: np.ndarray, memory_max_GB: float) -> None:
    """Refuse to keep arrays of so many frames where they take too much memory."""
    if frames * value.nbytes > memory_max_GB * 1e9:
        raise InputError(
            f"{name}: {frames} frames take more than {memory_max_GB:g} GB; measure fewer frames "
            f"(interval_ps; command line: --interval {name}=PS), or allow more memory_max_GB "
            f"(--set {name}.memory_max_GB=)"
        )


def require_elements(frame: Frame, elements: Iterable[str], name: str) -> None:
    """Refuse elements that a structure lacks."""
    for element in elements:
        try:
            frame.species.atoms_of(element)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None


def require_unwrapped(frame: Frame, name: str) -> None:
    """Refuse wrapped positions where atoms must be followed through the boundaries."""
    if not frame.unwrapped:
        raise InputError(
            f"{name}: positions are wrapped and lack image flags; dump xu yu zu, or unwrap by "
            "continuity (mofmd.trajectory.file.Unwrapped, --unwrap) if frames are close"
        )
