"""Trajectories in files, read frame after frame."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.binary_dump import binary_frames
from mofmd.trajectory.extxyz import xyz_frames
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.raw_frame import ParsedFrame
from mofmd.trajectory.streams import Window, open_stream, plain_suffix
from mofmd.trajectory.text_dump import text_frames
from mofmd.units import FS_TO_PS


class RawFrame(Protocol):
    """A frame that is not parsed yet."""

    @property
    def step(self) -> int:
        """Step of the frame."""

    @property
    def time_ps(self) -> float | None:
        """Time of the frame [ps]; None where nothing tells it."""

    def decode(self) -> Frame:
        """Parse it."""


class FrameSource(Protocol):
    """What observables are computed on: frames of one system, again and again from the start."""

    def raw_frames(self) -> Generator[RawFrame]:
        """Frames in order, not parsed yet; whoever stops early closes the generator."""


class TrajectoryFile:
    """Frames of a file, parsed when they are reached; memory does not grow with their number.

    Takes LAMMPS text dumps and extended XYZ, each also as ``.gz`` and ``.zst``, and LAMMPS binary
    dumps (``.bin``).

    Parameters
    ----------
    path
        The file.
    type_names
        Element of each LAMMPS type, for dumps without a column ``element``.
    timestep_fs
        Makes times of steps, for frames without times; those that a file has count.
    stride
        Every how many frames to take one.
    one_run
        Refuse frames that are not of one run, in order: steps must rise.

    Examples
    --------
    >>> import tempfile
    >>> from mofmd.structures.crystals.zif import zif4
    >>> path = Path(tempfile.mkdtemp()) / "crystal.extxyz"
    >>> zif4().write(path)
    >>> [len(frame) for frame in TrajectoryFile(path)]
    [272]
    """

    def __init__(
        self,
        path: Path,
        *,
        type_names: Mapping[int, str] | None = None,
        timestep_fs: float | None = None,
        stride: int = 1,
        one_run: bool = True,
    ) -> None:
        if stride < 1:
            raise InputError(f"stride: {stride}, expected 1 or more")
        if timestep_fs is not None and not timestep_fs > 0:
            raise InputError(f"timestep_fs: {timestep_fs}, expected more than zero")
        self.path = Path(path)
        self.type_names = type_names
        self.timestep_fs = timestep_fs
        self.stride = stride
        self.one_run = one_run
        # the file ended within a frame, which was left out; known after the last frame
        self.incomplete_frame = False

    def raw_frames(self) -> Generator[RawFrame]:
        """Frames in order, not parsed yet.

        Raises
        ------
        InputError
            If the file holds no complete frame, or steps do not rise.
        """
        last: int | None = None
        self.incomplete_frame = False
        with open_stream(self.path) as stream:
            for number, raw in enumerate(self._raw(Window(self.path, stream))):
                if raw is None:
                    self.incomplete_frame = True
                    break
                if self.one_run and last is not None and raw.step <= last:
                    raise InputError(
                        f"{self.path}: step {raw.step} follows step {last}; it seems to hold two "
                        "runs, or a run that was resumed without cutting the file"
                    )
                last = raw.step
                if number % self.stride == 0:
                    yield raw if self.timestep_fs is None else _Timed(raw, self.timestep_fs)
        if last is None:
            raise InputError(f"{self.path}: holds no complete frame")

    def __iter__(self) -> Iterator[Frame]:
        """Parse frame after frame."""
        with closing(self.raw_frames()) as frames:
            for raw in frames:
                yield raw.decode()

    def first(self) -> Frame:
        """Parse the first frame."""
        with closing(self.raw_frames()) as frames:
            return next(frames).decode()

    @property
    def says_times(self) -> bool:
        """Whether its first frame has a time of its own."""
        with open_stream(self.path) as stream:
            raw = next(self._raw(Window(self.path, stream)), None)
        return raw is not None and raw.time_ps is not None

    def _raw(self, window: Window) -> Iterator[RawFrame | None]:
        suffix = plain_suffix(self.path)
        if suffix == ".bin":
            return binary_frames(window, self.type_names)
        if suffix in (".xyz", ".extxyz"):
            return xyz_frames(window)
        return text_frames(window, self.type_names)


@dataclass(frozen=True)
class _Timed:
    """A raw frame whose time comes from its step, where its file does not say one.

    A time in the file is right where the timestep changed on the way, too.
    """

    raw: RawFrame
    timestep_fs: float

    @property
    def step(self) -> int:
        return self.raw.step

    @property
    def time_ps(self) -> float | None:
        own = self.raw.time_ps
        return self.raw.step * self.timestep_fs * FS_TO_PS if own is None else own

    def decode(self) -> Frame:
        return replace(self.raw.decode(), time_ps=self.time_ps)


class Unwrapped:
    """Frames of a source whose positions are wrapped, unwrapped by continuity.

    Each atom is put at the image nearest to where it was in the frame before, in fractional
    coordinates: right as long as no atom moves by half a cell between two frames.

    Parameters
    ----------
    source
        Frames of one system, close in time.
    """

    def __init__(self, source: FrameSource) -> None:
        self.source = source

    def raw_frames(self) -> Generator[RawFrame]:
        """Frames in order, unwrapped."""
        before: np.ndarray | None = None
        with closing(self.source.raw_frames()) as frames:
            for raw in frames:
                frame = raw.decode()
                fractional = frame.positions @ np.linalg.inv(frame.cell)
                if before is not None:
                    fractional -= np.round(fractional - before)
                before = fractional
                yield ParsedFrame(replace(frame, positions=fractional @ frame.cell, unwrapped=True))

    def __iter__(self) -> Iterator[Frame]:
        """Go through the frames."""
        with closing(self.raw_frames()) as frames:
            for raw in frames:
                yield raw.decode()
