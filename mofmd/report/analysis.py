"""Analysing a run, an ensemble or a file, from the disk to results."""

from __future__ import annotations

import json
import math
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

import mofmd
from mofmd.analysis.analyse import analyse
from mofmd.analysis.catalogue import DEFAULT, Options, Subject, make_observables
from mofmd.analysis.ensemble import ensemble_results
from mofmd.analysis.result import Result, write_results
from mofmd.analysis.span import Span
from mofmd.engine.lammps_log import ThermoTable, read_log
from mofmd.errors import InputError, MissingFileError
from mofmd.report.beside import Beside, check_names
from mofmd.report.reference import Reference, check_observables, compare
from mofmd.report.run_results import POINTS, RunOutput, run_results
from mofmd.simulation.deck import MANIFEST
from mofmd.simulation.status import STATUS, read_status, run_state
from mofmd.structures.check import refuse_overlaps
from mofmd.structures.read import is_structure, read_structure, split_choice
from mofmd.trajectory.dump import Trajectory
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import FrameSource, RawFrame, TrajectoryFile, Unwrapped

DUMP = "trajectory.dump"
SUFFIXES = ("", ".gz", ".zst")


@dataclass(frozen=True)
class AnalysisSettings:
    """What to analyse, and how.

    Parameters
    ----------
    source
        Directory of a run, of an ensemble (a directory of runs), or a trajectory or structure; one
        of several in a file as FILE#WHICH.
    observables
        Names of the catalogue.
    temperature_K
        Temperature; None takes the protocol's, where there is one.
    start_ps
        Time from which frames count as in equilibrium; None takes the last stage of a run with
        several, and within it finds where equilibrium begins.
    stride
        Every how many frames to take one.
    timestep_fs
        For dumps without times; None takes the protocol's, where there is one.
    type_names
        Elements of LAMMPS types 1, 2, ..., for dumps without elements.
    unwrap
        Unwrap wrapped positions by continuity.
    workers
        Threads.
    references
        Measured curves to lay over the results.
    beside
        Other analyses, whose numbers and curves stand beside these.
    intervals_ps, options
        Time between measured frames, and settings of observables: as ``Subject`` has them.
    """

    source: Path
    observables: Sequence[str] = DEFAULT
    temperature_K: float | None = None
    start_ps: float | None = None
    stride: int = 1
    timestep_fs: float | None = None
    type_names: Sequence[str] = ()
    unwrap: bool = False
    workers: int = 1
    references: Sequence[Reference] = ()
    beside: Sequence[Beside] = ()
    intervals_ps: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Options] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the source is called."""
        return self.source.resolve().name


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
        Thermo output of its log; empty without one.
    stage
        Stage that was measured, the last of several; empty if all frames were.
    last
        Last frame analysed.
    incomplete_frame
        Whether the trajectory ended within a frame.
    state
        Of its run: ``finished``, ``failed``, ...; empty where no status tells.
    left_out
        Observables that do not suit it, and why.
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


@dataclass(frozen=True)
class Analysis:
    """An analysed run, ensemble or file.

    Parameters
    ----------
    settings
        What was asked for.
    members
        Runs; one for a run or a file.
    results
        Means over the members; of one member its own results.
    about
        Where the results come from, as plain values.
    """

    settings: AnalysisSettings
    members: tuple[Member, ...]
    results: tuple[Result, ...]
    about: Mapping[str, Any] = field(default_factory=dict)


def run_analysis(settings: AnalysisSettings, console: Console | None = None) -> Analysis:
    """Analyse a run, an ensemble or a file.

    Parameters
    ----------
    settings
        What to do.
    console
        Where progress is shown; None shows nothing.
    """
    check_names(settings.beside, settings.name)
    for reference in settings.references:
        check_observables(reference, settings.observables)
    paths = _trajectories(settings.source)
    members = tuple(_analyse_one(name, path, settings, console) for name, path in paths.items())
    results = members[0].results
    if len(members) > 1:
        results = tuple(ensemble_results(_shared(members)))
    results += tuple(compare(results, reference) for reference in settings.references)
    about = {
        "mofmd": mofmd.__version__,
        "source": str(settings.source),
        "members": [member.name for member in members],
        "incomplete_frame": [member.name for member in members if member.incomplete_frame],
        "unfinished": _unfinished(settings.source),
        "left_out": {member.name: dict(member.left_out) for member in members if member.left_out},
        "start_ps": settings.start_ps,
        "stage": sorted({member.stage for member in members}),
        "stride": settings.stride,
        "beside": {other.name: str(other.path) for other in settings.beside},
    }
    return Analysis(settings, members, results, about)


def _shared(members: Sequence[Member]) -> list[list[Result]]:
    """Results of each member that no other one lacks: an observable may not suit them all."""
    names = set.intersection(*({result.name for result in m.results} for m in members))
    return [[result for result in m.results if result.name in names] for m in members]


def write_analysis(analysis: Analysis, directory: Path) -> list[Path]:
    """Write the results, and those of each member of an ensemble in a directory of its own."""
    written = write_results(analysis.results, directory, analysis.about)
    if len(analysis.members) > 1:
        for member in analysis.members:
            about = {**analysis.about, "members": [member.name]}
            written += write_results(member.results, directory / "members" / member.name, about)
    return written


def _trajectories(source: Path) -> dict[str, Path]:
    """Trajectories of a source, by the names of the members."""
    if split_choice(source)[0].is_file():
        return {source.name: source}
    if not source.is_dir():
        raise MissingFileError(f"{source}: no such run, ensemble or trajectory")
    own = _frames_of(source)
    if own is not None:
        return {source.resolve().name: own}
    directories = sorted(path for path in source.rglob("*") if path.is_dir())
    members = {
        _member_name(directory, source): path
        for directory in directories
        if (path := _frames_of(directory)) is not None
    }
    if not members:
        raise MissingFileError(
            f"{source}: neither it nor a directory below it holds a {DUMP} or a {POINTS}; a run "
            "writes one"
        )
    return members


def _member_name(directory: Path, source: Path) -> str:
    return str(directory.relative_to(source)).replace("/", "-")


def _unfinished(source: Path) -> dict[str, str]:
    """Tell which runs of a source did not come to their end, those without frames too, and why.

    A run that broke has whole frames only, as it is stopped at once: its numbers alone look well.
    """
    if (source / STATUS).is_file():
        runs = {source.resolve().name: source}
    else:
        runs = {_member_name(p.parent, source): p.parent for p in sorted(source.rglob(MANIFEST))}
    found = {}
    for name, directory in runs.items():
        state = run_state(directory)
        if state == "waiting" and _frames_of(directory) is not None:
            continue  # run by hand: nothing says how it ended
        if state != "finished":
            reason = read_status(directory).get("error")
            found[name] = f"{state}: {reason}" if reason else state
    return found


def _frames_of(directory: Path) -> Path | None:
    """Trajectory of a run; of one without dynamics the structure that it starts from."""
    files = [directory / f"{DUMP}{suffix}" for suffix in SUFFIXES]
    if (directory / POINTS).is_file():
        files.append(directory / "structure.data")
    return next((file for file in files if file.is_file()), None)


def _analyse_one(
    name: str, path: Path, settings: AnalysisSettings, console: Console | None
) -> Member:
    manifest = _manifest(path.parent)
    protocol = manifest.get("protocol", {})
    source, file = _source(path, settings, protocol)
    log = path.parent / "log.lammps"
    thermo = tuple(read_log(log)) if manifest and log.is_file() else ()
    stage, first_step = _last_stage(thermo) if settings.start_ps is None else ("", -math.inf)
    keeper = _AfterStep(name, source, first_step)
    # unwrapping would parse every frame of the first look
    span = Span.of(_AfterStep(name, file or source, first_step), settings.start_ps)
    subject = Subject(
        span.first,
        settings.temperature_K or protocol.get("temperature_K"),
        span,
        settings.intervals_ps,
        settings.options,
    )
    left_out: dict[str, str] = {}

    def refused(observable: str, error: InputError) -> None:
        left_out[observable] = str(error)

    observables = make_observables(settings.observables, subject, refused)
    if not observables:
        raise InputError("; ".join(dict.fromkeys(left_out.values())))
    with _Progress(console, name, span.frames) as report:
        results = analyse(
            keeper,
            observables,
            workers=settings.workers,
            start_ps=settings.start_ps,
            report=report,
            refused=refused,
        )
    if keeper.last is None:
        raise InputError(f"{path}: holds no frames")
    last = keeper.last.decode()
    mass = float(last.species.masses.sum())
    try:
        own = run_results(RunOutput(path.parent, protocol, thermo, mass))
    except InputError as error:
        refused(str(protocol["name"]), error)
    else:
        names = {result.name for result in own}
        results = [result for result in results if result.name not in names] + own
    return Member(
        name,
        tuple(results),
        manifest,
        thermo,
        stage,
        last,
        file.incomplete_frame if file is not None else False,
        run_state(path.parent) if (path.parent / STATUS).is_file() else "",
        left_out,
    )


def _source(
    path: Path, settings: AnalysisSettings, protocol: Mapping[str, Any]
) -> tuple[FrameSource, TrajectoryFile | None]:
    if is_structure(path):
        structure = read_structure(path)
        refuse_overlaps(structure)
        return Trajectory.from_ase([structure], unwrapped=False), None
    file = TrajectoryFile(
        path,
        type_names=dict(enumerate(settings.type_names, start=1)) or None,
        timestep_fs=settings.timestep_fs or protocol.get("timestep_fs"),
        stride=settings.stride,
    )
    return (Unwrapped(file) if settings.unwrap else file), file


class _AfterStep:
    """Frames of a source after a step; it remembers the last one."""

    def __init__(self, name: str, source: FrameSource, step: float) -> None:
        self._name = name
        self._source = source
        self._step = step
        self.last: RawFrame | None = None

    def raw_frames(self) -> Generator[RawFrame]:
        with closing(self._source.raw_frames()) as frames:
            for raw in frames:
                if raw.step > self._step:
                    self.last = raw
                    yield raw
        if self.last is None:
            raise InputError(
                f"{self._name}: no frame after step {self._step:.0f}, where its last stage begins; "
                "let it run on, or give --start-ps to take earlier stages"
            )


def _last_stage(thermo: Sequence[ThermoTable]) -> tuple[str, float]:
    """Name of the last of several stages and the step it begins after: a glass is made by then.

    A stage has a table for each part that a run was cut into.
    """
    stages = [table for table in thermo if table.stage != "minimise"]
    if len({table.stage for table in stages}) < 2:
        return "", -math.inf
    name = stages[-1].stage
    first = next(table for table in stages if table.stage == name)
    return name, float(first.columns["Step"][0])


def _manifest(directory: Path) -> Mapping[str, Any]:
    """Manifest of a deck, without a check of its files: results may outlive the model."""
    path = directory / MANIFEST
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}: is not JSON ({error}); is it a deck's manifest?") from error
    return found if isinstance(found, dict) else {}


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
