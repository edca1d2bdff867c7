"""Analysing a run, an ensemble or a file, from the disk to results."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

import mofmd
from mofmd.analysis.base.registry import Options, Subject, default_observables
from mofmd.analysis.base.result import Result, write_results
from mofmd.analysis.catalogue import make_observables
from mofmd.analysis.one_pass import analyse, suited
from mofmd.analysis.span import Span
from mofmd.analysis.structure.linkers import Integrity
from mofmd.engine.lammps_log import ThermoTable
from mofmd.errors import InputError, MissingFileError
from mofmd.structures.read import is_structure, read_structure
from mofmd.study.averaging import average_members
from mofmd.study.beside import Beside, check_names
from mofmd.study.linkers import LinkerCount, count_linkers, starting_linkers
from mofmd.study.novelty import Watched, read_watched
from mofmd.study.reference import Reference, check_observables, compare
from mofmd.study.run_results import RunOutput, run_results
from mofmd.study.sources import Run, Window, find_runs, group_runs, is_ensemble
from mofmd.study.verdict import verdicts
from mofmd.topology.check import refuse_overlaps
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.in_memory import Trajectory
from mofmd.trajectory.trajectory import FrameSource, RawFrame, TrajectoryFile, Unwrapped

TEMPERATURE_MARGIN = 0.05  # between the mean of a stage and the temperature it is held at


@dataclass(frozen=True)
class AnalysisSettings:
    """What to analyse, and how.

    Parameters
    ----------
    source
        Directory of a run, of an ensemble (a directory of runs), or a trajectory or structure; one
        of several in a file as FILE#WHICH.
    observables
        By name; all that are measured by default where none is named.
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
    stage
        Stage to analyse of every run; None takes the last of several.
    """

    source: Path
    observables: Sequence[str] = field(default_factory=default_observables)
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
    stage: str | None = None

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


@dataclass(frozen=True)
class Analysis:
    """An analysed run, ensemble or file.

    Parameters
    ----------
    settings
        What was asked for.
    members
        Runs that the results are of; one for a run or a file.
    results
        Means over the members; of one member its own results.
    about
        Where the results come from, as plain values.
    group
        What tells these members from others of the same source; empty if there are none.
    apart
        Members that were analysed but left out of the mean.
    """

    settings: AnalysisSettings
    members: tuple[Member, ...]
    results: tuple[Result, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""
    apart: tuple[Member, ...] = ()

    @property
    def name(self) -> str:
        """What it is called beside others."""
        return self.group or self.settings.name


def run_analysis(
    settings: AnalysisSettings | str | Path, console: Console | None = None
) -> Analysis:
    """Analyse a run, an ensemble of one kind, or a file.

    Parameters
    ----------
    settings
        What to do; a source alone is analysed as the command line does by default.
    console
        Where progress is shown; None shows nothing.

    Raises
    ------
    InputError
        If runs of different kinds are there: ``run_analyses`` keeps them apart.
    """
    if not isinstance(settings, AnalysisSettings):
        settings = AnalysisSettings(Path(settings))
    found = run_analyses(settings, console)
    if len(found) > 1:
        kinds = "; ".join(f"{each.group} ({len(each.members)})" for each in found)
        raise InputError(f"{settings.source}: holds runs of {len(found)} kinds: {kinds}")
    return found[0]


def run_analyses(settings: AnalysisSettings, console: Console | None = None) -> list[Analysis]:
    """Analyse a source; runs that differ in more than their seeds are not averaged together.

    Parameters
    ----------
    settings
        What to do.
    console
        Where progress is shown; None shows nothing.

    Returns
    -------
    list of Analysis
        One for each kind of run: protocol and its fields, composition, potential. Each has the
        others beside it.

    Raises
    ------
    InputError
        If a run cannot be analysed, or no member of an ensemble.
    """
    check_names(settings.beside, settings.name)
    for reference in settings.references:
        check_observables(reference, settings.observables)
    runs = find_runs(settings.source)
    if not is_ensemble(settings.source):
        return [_analyse_run(runs[0], settings, console)]
    found, failed = [], {}
    for group, members in group_runs(runs).items():
        try:
            found.append(_analyse_group(group, members, settings, console))
        except InputError as error:
            failed[group] = str(error)
    if not found:
        told = "\n".join(
            f"{group}: {reason}".removeprefix(": ") for group, reason in failed.items()
        )
        raise InputError(f"{settings.source}: {told}")
    return [_beside_others(analysis, found, failed) for analysis in found]


def _beside_others(
    analysis: Analysis, all_: Sequence[Analysis], failed: Mapping[str, str]
) -> Analysis:
    """Lay the other kinds of run beside one of them."""
    others = tuple(
        Beside(each.group, each.settings.source, {result.name: result for result in each.results})
        for each in all_
        if each is not analysis
    )
    return replace(
        analysis,
        settings=replace(analysis.settings, beside=(*others, *analysis.settings.beside)),
        about={**analysis.about, "kinds_left_out": dict(failed)},
    )


def _analyse_run(run: Run, settings: AnalysisSettings, console: Console | None) -> Analysis:
    """Analyse a run or a file by itself."""
    member = _analyse_one(run, settings, console)
    results = _with_references(member.results, settings)
    unfinished = {run.name: run.unfinished} if run.unfinished else {}
    return Analysis(settings, (member,), results, _about(settings, (member,), unfinished))


def _analyse_group(
    group: str, runs: Sequence[Run], settings: AnalysisSettings, console: Console | None
) -> Analysis:
    """Analyse the members of an ensemble that are of one kind, and average those that can be."""
    analysed: list[Member] = []
    left_out = {run.name: run.unfinished for run in runs if not run.has_frames}
    for run in runs:
        if run.has_frames:
            try:
                analysed.append(_analyse_one(run, settings, console))
            except InputError as error:
                left_out[run.name] = run.unfinished or str(error).removeprefix(f"{run.name}: ")
    mean = average_members(analysed, {run.name: run for run in runs}, left_out)
    unfinished = {run.name: run.unfinished for run in runs if run.unfinished}
    about = {
        **_about(settings, mean.members, unfinished),
        "group": group,
        "members_left_out": dict(sorted(mean.left_out.items())),
        "not_averaged": dict(mean.not_averaged),
        "same_run": [list(names) for names in mean.same_run],
    }
    names = [member.name for member in mean.members]
    apart = tuple(member for member in analysed if member.name not in names)
    results = _with_references(mean.results, settings)
    return Analysis(settings, mean.members, results, about, group, apart)


def _with_references(results: tuple[Result, ...], settings: AnalysisSettings) -> tuple[Result, ...]:
    return results + tuple(compare(results, reference) for reference in settings.references)


def _about(
    settings: AnalysisSettings, members: Sequence[Member], unfinished: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "mofmd": mofmd.__version__,
        "source": str(settings.source),
        "members": [member.name for member in members],
        "incomplete_frame": [member.name for member in members if member.incomplete_frame],
        "unfinished": dict(unfinished),
        "left_out": {member.name: dict(member.left_out) for member in members if member.left_out},
        "start_ps": settings.start_ps,
        "stage": sorted({member.stage for member in members}),
        "stride": settings.stride,
        "beside": {other.name: str(other.path) for other in settings.beside},
    }


def write_analysis(analysis: Analysis, directory: str | Path) -> list[Path]:
    """Write the results, and those of each member of an ensemble in a directory of its own.

    What they are about has the verdicts beside it, and of runs that were watched the novelty.
    """
    directory = Path(directory)
    everyone = (*analysis.members, *analysis.apart)
    about = {**analysis.about, "verdicts": [asdict(verdict) for verdict in verdicts(analysis)]}
    novelty = {m.name: m.watched.as_dict() for m in everyone if m.watched is not None}
    if novelty:
        about["novelty"] = novelty
    written = write_results(analysis.results, directory, about)
    if len(everyone) > 1:
        for member in everyone:
            about = {**analysis.about, "members": [member.name]}
            written += write_results(member.results, directory / "members" / member.name, about)
    return written


def _analyse_one(run: Run, settings: AnalysisSettings, console: Console | None) -> Member:
    source, file = _source(run.path, settings, run.protocol)
    window = run.whole
    if settings.start_ps is None or settings.stage is not None:
        window = run.window(settings.stage)
    keeper = _Within(run.name, source, window)
    # unwrapping would parse every frame of the first look
    span = Span.of(_Within(run.name, file or source, window), settings.start_ps)
    subject = Subject(
        span.first,
        settings.temperature_K or _temperature_K(run.protocol, window, settings),
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
    found = run_results(RunOutput(run.directory, run.protocol, run.thermo, mass))
    if found and settings.stage is not None and run.unfinished:
        raise InputError(
            f"{found[0].name}: is of all stages, but the run did not come to its end "
            f"({run.unfinished})"
        )
    return found


def _temperature_K(
    protocol: Mapping[str, Any], window: Window, settings: AnalysisSettings
) -> float | None:
    """Temperature of the protocol, unless a stage was chosen that has another one."""
    own = protocol.get("temperature_K")
    if own is None or settings.stage is None or window.temperature_K is None:
        return own
    return own if abs(window.temperature_K - own) < TEMPERATURE_MARGIN * own else None


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
