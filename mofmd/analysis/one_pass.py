"""One pass over a trajectory for many observables."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from mofmd.analysis.base.observable import Observable, Stamp
from mofmd.analysis.base.result import Result
from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import FrameSource, RawFrame

T = TypeVar("T")
Measured = tuple[Stamp, list[tuple[int, Any]]]  # observables by number
Refused = Callable[[str, InputError], None]  # told the name of an observable, and why


def analyse(  # noqa: PLR0913 - options, all named
    trajectory: FrameSource,
    observables: Sequence[Observable],
    *,
    workers: int = 1,
    start_ps: float | None = None,
    report: Callable[[int], None] | None = None,
    refused: Refused | None = None,
) -> list[Result]:
    """Measure many observables in one pass, and evaluate them.

    Frames are read one after another and parsed and measured in threads: the work is compiled code
    that runs beside the interpreter. Only a few frames are in memory at any time.

    Parameters
    ----------
    trajectory
        A file, or frames in memory.
    observables
        What to measure. They are left as they are: copies measure, so that the same ones can be
        used again.
    workers
        Threads.
    start_ps
        Time from which the frames count as in equilibrium; None finds it, for each observable by
        its own series.
    report
        Told the number of frames done, after each.
    refused
        Told of an observable that the trajectory does not suit, which is left out then; None makes
        it an error.

    Returns
    -------
    list of Result
        In the order of the observables. Their settings say how many frames were measured, and of
        how many; a note does where they were not all.

    Raises
    ------
    InputError
        If the trajectory holds no frames, or suits none of the observables.

    Examples
    --------
    >>> from mofmd.analysis.structure.coordination import CoordinationNumber
    >>> from mofmd.structures.crystals.zif import zif4
    >>> from mofmd.trajectory.in_memory import Trajectory
    >>> (found,) = analyse(Trajectory.from_ase([zif4()]), [CoordinationNumber("Zn", "N")])
    >>> found.scalars["coordination number"].value
    4.0
    """
    if workers < 1:
        raise InputError(f"workers: {workers}, expected 1 or more")
    _check_names(observables)
    changes = {} if start_ps is None else {"cut": 0}
    active = _Active([observable.fresh(**changes) for observable in observables], refused)
    done = 0
    for stamp, values in _measured(trajectory, active, workers, start_ps):
        for k, value in values:
            if isinstance(value, InputError):
                active.refuse(k, value)
            elif k in active.alive:
                active.attempt(k, partial(active.observables[k].add, stamp, value))
                active.frames[k] += 1
        done += 1
        if report is not None:
            report(done)
    if done == 0:
        raise InputError("trajectory: no frames to average over")
    found = [(k, active.attempt(k, active.observables[k].result)) for k in sorted(active.alive)]
    return [
        _with_frames(result, active.observables[k].interval_ps, active.frames[k], done)
        for k, result in found
        if result is not None
    ]


def suited(observables: Sequence[Observable], frame: Frame, refused: Refused) -> list[Observable]:
    """Those of some observables that suit a trajectory by its first frame, before any is measured.

    Parameters
    ----------
    observables
        What is to be measured; copies look at the frame.
    frame
        The first one.
    refused
        Told of one that is left out.

    Raises
    ------
    InputError
        If the cell is not periodic.
    """
    looking = _Active([observable.fresh() for observable in observables], refused, empty=True)
    _check(frame, looking)
    return [observables[k] for k in sorted(looking.alive)]


class _Active:
    """Observables that still measure; with ``empty`` all of them may be left out."""

    def __init__(
        self, observables: Sequence[Observable], refused: Refused | None, *, empty: bool = False
    ) -> None:
        self.observables = observables
        self._empty = empty
        self.alive = set(range(len(observables)))
        self.frames = [0] * len(observables)
        self._refused = refused

    def attempt(self, k: int, work: Callable[[], T]) -> T | None:
        """Do something for an observable, which is left out if it refuses."""
        try:
            return work()
        except InputError as error:
            self.refuse(k, error)
            return None

    def refuse(self, k: int, error: InputError) -> None:
        """Leave an observable out; an error if none would be left."""
        if k not in self.alive:
            return
        if self._refused is None:
            raise error
        self._refused(self.observables[k].name, error)
        self.alive.discard(k)
        if not self.alive and not self._empty:
            raise error


def _with_frames(result: Result, interval_ps: float | None, measured: int, of: int) -> Result:
    """Say in a result how many frames stand behind it."""
    settings = {
        **result.settings,
        "interval_ps": interval_ps,
        "frames_measured": measured,
        "frames_analysed": of,
    }
    notes = result.notes
    if measured < of:
        notes = (
            *notes,
            f"Measured in {measured} of {of} frames, one each {interval_ps:g} ps; interval_ps = "
            "None takes every one (command line: --interval 0).",
        )
    return replace(result, settings=settings, notes=notes)


class _Schedule:
    """Which observables take a frame: those whose interval has passed."""

    def __init__(self, observables: Sequence[Observable]) -> None:
        self._observables = observables
        self._next: list[float | None] = [None] * len(observables)

    def due(self, alive: Iterable[int], time_ps: float | None) -> list[int]:
        return [k for k in sorted(alive) if self._is_due(k, time_ps)]

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
    trajectory: FrameSource, active: _Active, workers: int, start_ps: float | None
) -> Iterator[Measured]:
    """Measurements of the frames, in order: what those observables that took one found in it."""
    schedule = _Schedule(active.observables)
    first: Frame | None = None

    def measure(frame: Frame, due: list[int]) -> Measured:
        return Stamp.of(frame), [(k, _value(active.observables[k], frame)) for k in due]

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
                    _check(frame, active)
                if start_ps is None or _after(frame, start_ps):
                    due = schedule.due(active.alive, frame.time_ps)
                    measuring.append(pool.submit(measure, frame, due))
            if measuring and (not (more or loading) or len(measuring) > workers):
                yield measuring.popleft().result()


def _value(observable: Observable, frame: Frame) -> Any:
    """Measure a frame, or give the reason why the observable refuses it."""
    try:
        return observable.measure(frame)
    except InputError as error:
        return error


def _check(frame: Frame, active: _Active) -> None:
    if not all(frame.pbc):
        raise InputError(
            "trajectory: the cell is not periodic in all directions; the observables are those of "
            "a bulk framework"
        )
    for k in sorted(active.alive):
        active.attempt(k, partial(active.observables[k].check, frame))


def _after(frame: Frame, start_ps: float) -> bool:
    if frame.time_ps is None:
        raise InputError("start_ps: the frames have no times; give the timestep in fs")
    return frame.time_ps >= start_ps
