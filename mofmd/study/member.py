"""One analysed run: what was measured in it, in one pass over its frames."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from mofmd.analysis.base.registry import Subject
from mofmd.analysis.base.result import Result
from mofmd.analysis.catalogue import make_observables
from mofmd.analysis.one_pass import analyse, suited
from mofmd.analysis.span import Span
from mofmd.analysis.structure.linkers import Integrity
from mofmd.engine.lammps_log import ThermoTable, lines_from
from mofmd.errors import InputError, MissingFileError
from mofmd.structures.read import is_structure, read_structure
from mofmd.study.linkers import LinkerCount, count_linkers, starting_linkers
from mofmd.study.novelty import Watched, read_watched
from mofmd.study.run_results import RunOutput, run_results
from mofmd.study.settings import AnalysisSettings
from mofmd.study.sources import Run, Window
from mofmd.topology.check import refuse_overlaps
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.in_memory import Trajectory
from mofmd.trajectory.trajectory import FrameSource, RawFrame, TrajectoryFile, Unwrapped

TEMPERATURE_MARGIN = 0.05  # between the mean of a stage and the temperature it is held at


@dataclass(frozen=True)
class Member:
    """One analysed run.

    Parameters
    ----------
    name
        Name of its directory or file.
    results
        What was found.
    manifest
        Manifest of its deck; empty for a bare file.
    thermo
        Thermo output of its log, one table a stage; empty without one.
    stage
        Stage that was measured; empty if all were.
    last
        Last frame analysed.
    incomplete_frame
        Whether the trajectory ended within a frame.
    state
        Of its run: ``finished``, ``failed``, ...; empty where no status tells.
    left_out
        Observables that do not suit it, and why.
    frames
        Frames analysed.
    linkers
        How many linkers of the structure that it starts from are whole; None without any.
    watched
        How new its atoms were to the model; None where it was not watched.
    start_ps
        Time from which frames counted, if that was asked for [ps].
    """

    name: str
    results: tuple[Result, ...]
    manifest: Mapping[str, Any]
    thermo: tuple[ThermoTable, ...]
    stage: str
    last: Frame
    incomplete_frame: bool
    state: str
    left_out: Mapping[str, str] = field(default_factory=dict)
    frames: int = 1
    linkers: LinkerCount | None = None
    watched: Watched | None = None
    start_ps: float | None = None


def analyse_member(run: Run, settings: AnalysisSettings, console: Console | None = None) -> Member:
    """Measure the observables of one run in one pass over its frames.

    Parameters
    ----------
    run
        A run, or a file.
    settings
        What to do.
    console
        Where progress is shown; None shows nothing.

    Raises
    ------
    InputError
        If it holds no frames of the stage that is asked for, or no observable suits it.
    """
    source, file = _source(run.path, settings, run.protocol)
    window = run.whole
    if settings.start_ps is None or settings.stage is not None:
        window = run.window(settings.stage)
    keeper = _Within(run.name, source, window)
    # unwrapping would parse every frame of the first look
    span = Span.of(_Within(run.name, file or source, window), settings.start_ps)
    temperature_K, why_none = settings.temperature_K, ""
    if temperature_K is None:
        temperature_K, why_none = _temperature_K(run, window, settings.start_ps)
    subject = Subject(
        span.first,
        temperature_K,
        span,
        settings.intervals_ps,
        settings.options,
    )
    left_out: dict[str, str] = {}

    def refused(observable: str, error: InputError) -> None:
        left_out[observable] = str(error)

    observables = make_observables(settings.observables, subject, refused)
    linkers = starting_linkers(run, span.first)
    observables = [
        each.fresh(linkers=linkers) if isinstance(each, Integrity) else each for each in observables
    ]
    observables = suited(observables, span.first, refused)
    if not observables:
        raise InputError(_why_none(left_out))
    if why_none and any(hasattr(each, "temperature_K") for each in observables):
        left_out["free energies"] = why_none
    with _Progress(console, run.name, span.frames) as report:
        try:
            results = analyse(
                keeper,
                observables,
                workers=settings.workers,
                start_ps=settings.start_ps,
                report=report,
                refused=refused,
            )
        except InputError as error:
            if str(error) not in left_out.values():
                raise
            raise InputError(_why_none(left_out)) from error  # the last of several
    if keeper.last is None:
        raise InputError(f"{run.path}: holds no frames")
    last = keeper.last.decode()
    mass = float(last.species.masses.sum())
    try:
        own = _results_of_whole_run(run, settings, mass)
    except InputError as error:
        refused(str(run.protocol["name"]), error)
    else:
        names = {result.name for result in own}
        results = [result for result in results if result.name not in names] + own
    watched = None
    try:
        watched = read_watched(run)
    except (InputError, MissingFileError) as error:
        left_out["novelty"] = str(error)
    return Member(
        run.name,
        tuple(results),
        run.manifest,
        run.thermo,
        window.stage,
        last,
        file is not None and file.incomplete_frame and not run.is_going_on,
        run.state,
        left_out,
        span.frames,
        count_linkers(linkers, last),
        watched,
        settings.start_ps,
    )


def _why_none(left_out: Mapping[str, str]) -> str:
    """Say of each observable why it is left out, where all are."""
    names: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        names.setdefault(reason.removeprefix(f"{name}: "), []).append(name)
    if len(names) == 1:
        return next(iter(left_out.values()))
    return "; ".join(f"{', '.join(owners)}: {reason}" for reason, owners in names.items())


def _results_of_whole_run(run: Run, settings: AnalysisSettings, mass: float) -> list[Result]:
    """Results of the protocol; of a stage that was chosen they would tell nothing."""
    found = run_results(
        RunOutput(
            run.directory,
            run.protocol,
            run.thermo,
            mass,
            settings.start_ps,
            settings.temperature_K,
        )
    )
    if found and settings.stage is not None and run.unfinished:
        raise InputError(
            f"{found[0].name}: is of all stages, but the run did not come to its end "
            f"({run.unfinished})"
        )
    return found


def _temperature_K(run: Run, window: Window, start_ps: float | None) -> tuple[float | None, str]:
    """Temperature of the protocol [K], unless what is measured had another one, and then why."""
    own = run.protocol.get("temperature_K")
    measured = window.temperature_K
    if measured is None and start_ps is not None and len(run.stages) > 1:
        tables = [t.columns for t in run.stages if {"Time", "Temp"} <= t.columns.keys()]
        lines = [lines_from(columns, start_ps)["Temp"] for columns in tables]
        measured = float(np.concatenate(lines).mean()) if sum(map(len, lines)) else None
    if own is None or measured is None or abs(measured - own) < TEMPERATURE_MARGIN * own:
        return own, ""
    return None, (
        f"what is measured was at {measured:.0f} K on average, the protocol's temperature is "
        f"{own:g} K; say which one with --temperature"
    )


def _source(
    path: Path, settings: AnalysisSettings, protocol: Mapping[str, Any]
) -> tuple[FrameSource, TrajectoryFile | None]:
    if is_structure(path):
        structure = read_structure(path)
        refuse_overlaps(structure)
        return Trajectory.from_ase([structure], unwrapped=False), None
    asked = settings.timestep_fs
    file = TrajectoryFile(
        path,
        type_names=dict(enumerate(settings.type_names, start=1)) or None,
        timestep_fs=protocol.get("timestep_fs") if asked is None else asked,
        stride=settings.stride,
    )
    if asked is not None and file.says_times:
        raise InputError(f"timestep: the frames of {path} have times; leave --timestep-fs out")
    return (Unwrapped(file) if settings.unwrap else file), file


class _Within:
    """Frames of a source within a window; it remembers the last one."""

    def __init__(self, name: str, source: FrameSource, window: Window) -> None:
        self._name = name
        self._source = source
        self._window = window
        self.last: RawFrame | None = None

    def raw_frames(self) -> Generator[RawFrame]:
        window = self._window
        with closing(self._source.raw_frames()) as frames:
            for raw in frames:
                if window.after < raw.step <= window.last:
                    self.last = raw
                    yield raw
        if self.last is None:
            raise InputError(
                f"{self._name}: no frame after step {window.after:.0f}, where its stage "
                f"{window.stage} begins; let it run on, or give --start-ps to take earlier stages, "
                "or --stage one of them"
            )


class _Progress:
    """Count of frames on a console."""

    def __init__(self, console: Console | None, name: str, frames: int) -> None:
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        self._bar = (
            None
            if console is None
            else Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                TextColumn("{task.completed} of {task.total} frames"),
                TimeElapsedColumn(),
                console=console,
            )
        )
        self._name = name
        self._frames = frames

    def __enter__(self) -> Any:
        if self._bar is None:
            return None
        self._bar.start()
        task = self._bar.add_task(self._name, total=self._frames)
        bar = self._bar
        return lambda done: bar.update(task, completed=done)

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
