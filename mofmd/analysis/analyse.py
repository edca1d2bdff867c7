"""One pass over a trajectory for many observables."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from mofmd.analysis.observable import Observable, Stamp
from mofmd.analysis.result import Result
from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import FrameSource, RawFrame

Measured = tuple[Stamp, list[Any]]


def analyse(
    trajectory: FrameSource,
    observables: Sequence[Observable],
    *,
    workers: int = 1,
    start_ps: float | None = None,
    report: Callable[[int], None] | None = None,
) -> list[Result]:
    """Measure many observables in one pass, and evaluate them.

    Frames are read one after another and parsed and measured in threads: the work is compiled code
    that runs beside the interpreter. Only a few frames are in memory at any time.

    Parameters
    ----------
    trajectory
        A file, or frames in memory.
    observables
        What to measure; each is used for one trajectory.
    workers
        Threads.
    start_ps
        Time from which the frames count as in equilibrium; None finds it, for each observable by
        its own series.
    report
        Told the number of frames done, after each.

    Returns
    -------
    list of Result
        In the order of the observables.

    Raises
    ------
    InputError
        If the trajectory holds no frames, or does not suit an observable.

    Examples
    --------
    >>> from mofmd.analysis.coordination import CoordinationNumber
    >>> from mofmd.structures.zif import zif4
    >>> from mofmd.trajectory.dump import Trajectory
    >>> (found,) = analyse(Trajectory.from_ase([zif4()]), [CoordinationNumber("Zn", "N")])
    >>> found.scalars["coordination number"].value
    4.0
    """
    if workers < 1:
        raise InputError(f"workers: {workers}, expected 1 or more")
    _check_names(observables)
    done = 0
    for stamp, values in _measured(trajectory, observables, workers, start_ps):
        for observable, value in zip(observables, values, strict=True):
            if value is not _SKIPPED:
                observable.add(stamp, value)
        done += 1
        if report is not None:
            report(done)
    if done == 0:
        raise InputError("trajectory: no frames to average over")
    if start_ps is not None:
        for observable in observables:
            observable.cut = 0
    return [observable.result() for observable in observables]


_SKIPPED = object()


class _Schedule:
    """Which observables take a frame: those whose interval has passed."""

    def __init__(self, observables: Sequence[Observable]) -> None:
        self._observables = observables
        self._next: list[float | None] = [None] * len(observables)

    def due(self, time_ps: float | None) -> list[bool]:
        return [self._is_due(k, time_ps) for k in range(len(self._observables))]

    def _is_due(self, k: int, time_ps: float | None) -> bool:
        observable = self._observables[k]
        if observable.interval_ps is None:
            return True
        if time_ps is None:
            raise InputError(
                f"{observable.name}: interval_ps is set but the frames have no times; give the "
                "timestep in fs"
            )
        after = self._next[k]
        # times come from the file with few digits
        tolerance = 1e-6 * max(1.0, abs(time_ps))
        if after is not None and time_ps < after - tolerance:
            return False
        following = (time_ps if after is None else after) + observable.interval_ps
        if time_ps > following + tolerance:
            following = time_ps + observable.interval_ps
        self._next[k] = following
        return True


def _check_names(observables: Sequence[Observable]) -> None:
    if not observables:
        raise InputError("observables: none given")
    names = [observable.name for observable in observables]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise InputError(f"observables: {twice[0]!r} is there twice")


def _measured(
    trajectory: FrameSource,
    observables: Sequence[Observable],
    workers: int,
    start_ps: float | None,
) -> Iterator[Measured]:
    """Measurements of the frames, in order."""
    schedule = _Schedule(observables)
    first: Frame | None = None

    def measure(frame: Frame, due: list[bool]) -> Measured:
        values = [
            observable.measure(frame) if wanted else _SKIPPED
            for observable, wanted in zip(observables, due, strict=True)
        ]
        return Stamp.of(frame), values

    def load(raw: RawFrame) -> Frame:
        return raw.decode()

    with (
        closing(trajectory.raw_frames()) as frames,
        ThreadPoolExecutor(max_workers=workers) as pool,
    ):
        loading: deque[Future[Frame]] = deque()
        measuring: deque[Future[Measured]] = deque()
        more = True
        while more or loading or measuring:
            raw = next(frames, None) if more else None
            more = raw is not None
            if raw is not None:
                loading.append(pool.submit(load, raw))
            if loading and (not more or len(loading) > workers):
                frame = loading.popleft().result()
                if first is None:
                    first = frame
                    _check(frame, observables)
                if start_ps is None or _after(frame, start_ps):
                    due = schedule.due(frame.time_ps)
                    measuring.append(pool.submit(measure, frame, due))
            if measuring and (not (more or loading) or len(measuring) > workers):
                yield measuring.popleft().result()


def _check(frame: Frame, observables: Sequence[Observable]) -> None:
    if not all(frame.pbc):
        raise InputError(
            "trajectory: the cell is not periodic in all directions; the observables are those of "
            "a bulk framework"
        )
    for observable in observables:
        observable.check(frame)


def _after(frame: Frame, start_ps: float) -> bool:
    if frame.time_ps is None:
        raise InputError("start_ps: the frames have no times; give the timestep in fs")
    return frame.time_ps >= start_ps
