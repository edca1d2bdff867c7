"""Runs: one execution of a deck, from its beginning or from where it was broken off."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from mofmd.disk.lock import lock_run
from mofmd.disk.stop_request import ASKED_EARLY, ask_to_stop, asked_within, take_back_request
from mofmd.engine.lammps_log import LogParser, ThermoTable, read_log
from mofmd.engine.launch import Launch, Resources, environment, how_it_ended, python_command
from mofmd.engine.plugin_path import reasons_of_mofmd
from mofmd.errors import MofmdError, RunError, StoppedError, WriteError, in_command
from mofmd.processes.signals import SignalHandlers
from mofmd.simulation.deck.deck import Deck, read_deck
from mofmd.simulation.deck.novelty_watch import NOVELTY_FRAMES
from mofmd.simulation.run.gpus import tell_unused_gpus
from mofmd.simulation.run.newest import Newest, NewestFollower
from mofmd.simulation.run.progress import BEAT, Progress, Reporter, choose_reporter
from mofmd.simulation.run.restart import (
    ANEW,
    FAILED,
    STOPPED,
    has_restart,
    must_begin_anew,
    refuse_other_ranks,
    refuse_to_replace,
    require_stopped,
)
from mofmd.simulation.run.status import GOING_ON, now_utc, read_status, write_status
from mofmd.simulation.run.watch import NOVELTY

WORKER = "mofmd.simulation.run.rank"
# environment variable: id of a process without which a run shall not go on
WATCHED_PID = "MOFMD_STOP_WITH_PID"
LOCK_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Run:
    """A run that is complete.

    Parameters
    ----------
    deck
        What was run.
    tables
        Thermo output, one table per stage.
    steps
        Steps of dynamics.
    wall_s
        Wall time from the launch of LAMMPS to its end [s], of the last launch if there were more.
    ms_per_step
        Wall time of a step of dynamics, from LAMMPS's own timing; None if there was no step.
    warnings
        LAMMPS's warnings.
    newest
        The atom that was newest to the model; None where the run was not watched.
    """

    deck: Deck
    tables: tuple[ThermoTable, ...]
    steps: int
    wall_s: float
    ms_per_step: float | None
    warnings: tuple[str, ...]
    newest: Newest | None = None


def run_deck(  # noqa: PLR0913 - what is run, on what, and five options
    directory: str | Path,
    resources: Resources | None = None,
    console: Console | None = None,
    *,
    allow_edited: bool = False,
    resume: bool | Literal["from_stop"] = False,
    begun_s_ago: float = 0.0,
    replaces: bool = True,
) -> Run:
    """Run a deck to its end; however this function is left, no process of the run stays behind.

    ``status.json`` says at any time how far the run is, ``output.txt`` keeps all output.

    Parameters
    ----------
    directory
        Deck; what an earlier run left there is overwritten, unless it is resumed.
    resources
        One rank with one thread by default.
    console
        Shows progress, if given: a bar on a terminal, lines elsewhere.
    allow_edited
        Run a deck that was changed by hand.
    resume
        Continue from the last restart file: on the same ranks of the same machine the result is
        the unbroken run's, to the last bit. Starts from the beginning where there is none; a
        finished run is returned as it is. ``from_stop`` continues from the very step at which the
        run was asked to stop: it loses no step, but the trajectory is not the unbroken run's to
        the last bit.
    begun_s_ago
        When the launch was begun, of which this is part [s]: a request to stop that was made since
        then is meant for this run, an older one for an earlier run.
    replaces
        Begin anew also where an earlier run left something to go on from.

    Raises
    ------
    InputError
        If it would replace such a run, and is not to.
    RunError
        If LAMMPS stops early, with its own message, or an integrity check fails.
    StoppedError
        If the run was asked to stop (SIGTERM, Ctrl-C, a file ``stop.request`` in the deck).
    """
    begun, directory = time.monotonic(), Path(directory)
    resources = resources or Resources()
    tell_unused_gpus(resources.gpus)
    deck = read_deck(directory, allow_edited=allow_edited)
    if resume and read_status(directory).get("state") == "finished":
        return _result(deck, 0.0, ())
    with lock_run(directory, LOCK_PATIENCE_S):
        if not (resume or replaces):  # another run may have ended while this one waited
            refuse_to_replace(directory, keeps_each_step=False)
        if must_begin_anew(directory):
            resume = False
        if resume:
            refuse_other_ranks(directory, resources.ranks)
        if resume == "from_stop":
            require_stopped(directory)
        if asked_within(directory, begun_s_ago + time.monotonic() - begun):
            take_back_request(directory)
            raise StoppedError(ASKED_EARLY.format(directory=directory))
        take_back_request(directory)
        return _run_locked(deck, resources, console, resume)


def _run_locked(
    deck: Deck,
    resources: Resources,
    console: Console | None,
    resume: bool | Literal["from_stop"],
) -> Run:
    """Launch the worker and wait for it; ``status.json`` is true before, meanwhile and after."""
    directory = deck.directory
    watched = [str(os.getpid()), *os.environ.get(WATCHED_PID, "").split()]
    arguments = ["--watch", *watched, "--threads", str(resources.threads)]
    if resume:
        arguments += ["--resume"] + ["--from-stop"] * (resume == "from_stop")
    command = python_command(WORKER, arguments, resources)
    watch = _Follower(deck)
    try:
        with SignalHandlers(watch.hear):  # from the first state on, before LAMMPS is there
            # from here on an older state holds no more, whatever becomes of the worker
            write_status(
                directory,
                state="starting",
                ranks=resources.ranks,
                threads=resources.threads,
                started_utc=now_utc(),
                **{ANEW: not resume},
            )
            with choose_reporter(console) as reporter:
                _follow(command, resources, watch, reporter)
    except BaseException as error:
        _record_end(watch, error)
        if isinstance(error, WriteError) or (
            isinstance(error, OSError) and not isinstance(error, MofmdError)
        ):
            raise RunError(
                f"{directory}: cannot write there or start a process ({error}); mend that, then "
                f"continue with `mofmd run {in_command(directory)} --resume`"
            ) from error
        raise
    finally:
        take_back_request(directory)
    return _result(deck, time.monotonic() - watch.began, tuple(watch.parser.warnings))


def _record_end(watch: _Follower, error: BaseException) -> None:
    """Write how a run ended that was not completed, unless the worker has."""
    directory = watch.deck.directory
    left = read_status(directory)
    foreseen = isinstance(error, RunError | StoppedError | SystemExit | KeyboardInterrupt)
    # otherwise something failed here, for which the worker was stopped
    if left.get("state") not in GOING_ON and (foreseen or left.get("state") != "stopped"):
        return
    if isinstance(error, SystemExit | KeyboardInterrupt):
        state, message = "stopped", "ended at once by a second signal; no state was saved"
    elif isinstance(error, StoppedError):
        state, message = "stopped", "asked to stop before LAMMPS could save a state"
    elif isinstance(error, RunError):
        state = "failed" if watch.parser.errors or watch.violation else "interrupted"
        message = str(error)
    else:
        state, message = "interrupted", f"{type(error).__name__}: {error}"
    with contextlib.suppress(OSError):  # unwritten, a run that nobody is at work on is interrupted
        write_status(directory, **{**left, "state": state, "error": message})


@dataclass
class _Follower:
    """What is known of a running LAMMPS from its output."""

    deck: Deck
    parser: LogParser = field(default_factory=LogParser)
    began: float = field(default_factory=time.monotonic)
    step: int = 0
    violation: str | None = None
    asked_to_stop: bool = False
    reasons: list[str] = field(default_factory=list)
    _first: tuple[float, int] | None = None
    _newest: NewestFollower = field(init=False)

    def __post_init__(self) -> None:
        """Begin to follow the newest atom, which only runs that are watched have."""
        self._newest = NewestFollower(self.deck.directory, self.deck.manifest)

    @property
    def log(self) -> Path:
        return self.deck.directory / "log.lammps"

    def hear(self, _: int) -> None:
        """Have the run stop in good order, at a signal."""
        self.asked_to_stop = True
        ask_to_stop(self.deck.directory)

    def feed(self, line: str) -> Progress | None:
        """Take a line of output; news if it was a line of thermo output."""
        if line.startswith(BEAT):
            return self._beat(line)
        if line.startswith("mofmd violation "):
            self.violation = line.removeprefix("mofmd violation ")
        self.reasons += reasons_of_mofmd([line])  # a plugin that does not fit says so itself
        row = self.parser.feed(line)
        if row is None:
            return None
        total_steps = 0  # of a minimisation nobody knows
        if self.parser.stage != "minimise":
            self.step = int(row["Step"])
            self._first = self._first or (time.monotonic(), self.step)
            # protocols with a table of stages print no plan
            total_steps = sum(self.parser.plan.values()) or self.deck.manifest["total_steps"]
        return Progress(
            stage=self.parser.stage,
            step=int(row["Step"]),
            total_steps=total_steps,
            temperature_K=row["Temp"],
            pressure_bar=row["Press"],
            energy_eV=row["PotEng"],
            ms_per_step=self._mean_ms_per_step(),
            timestep_fs=self.deck.manifest["protocol"]["timestep_fs"],
            newest=self._newest.read(),
        )

    def _beat(self, line: str) -> Progress | None:
        """News of a minimisation, between two lines of thermo output."""
        match line.removeprefix(BEAT).split():
            case [stage, step, wall_s]:
                return Progress(
                    stage=stage,
                    step=int(step),
                    total_steps=0,
                    temperature_K=0.0,
                    ms_per_step=None,
                    timestep_fs=self.deck.manifest["protocol"]["timestep_fs"],
                    elapsed_s=float(wall_s),
                )
        return None  # before the first stage

    def _mean_ms_per_step(self) -> float | None:
        if self._first is None or self.step <= self._first[1]:
            return None
        begun, first_step = self._first
        return 1e3 * (time.monotonic() - begun) / (self.step - first_step)


def _follow(command: list[str], resources: Resources, watch: _Follower, reporter: Reporter) -> None:
    """Launch LAMMPS and follow its output to the end."""
    directory = watch.deck.directory
    last = ""
    with (
        (directory / "output.txt").open("w", encoding="utf-8") as output,
        Launch(command, directory, environment(resources), watch.hear) as launch,
    ):
        for line in launch.lines():
            if not line.startswith(BEAT):
                output.write(line + "\n")
                last = line.strip() or last
            progress = watch.feed(line)
            if progress is not None:
                reporter.show(progress)
        status = launch.wait()
    left = read_status(directory)
    state = left.get("state")
    if state == "finished" and watch.parser.finished:
        if status != 0:  # nothing of the run was left to be done
            watch.parser.warnings.append(f"LAMMPS {how_it_ended(status)} after the run's end")
        return
    if watch.violation:
        raise RunError(_violated(watch, str(left.get("violation", ""))))
    killed_while_asked = watch.asked_to_stop and not watch.parser.errors
    if state == "stopped" or killed_while_asked:
        raise StoppedError(_how_to_go_on(directory, left))
    if state == "interrupted":
        raise RunError(_how_to_go_on(directory, left))
    raise RunError(_failure(watch, status, last))


def _violated(watch: _Follower, kind: str) -> str:
    """Say what the watch has stopped a run for, and what to do next."""
    directory = watch.deck.directory
    told = f"{watch.violation}. The state is in {directory / FAILED} and failed.data"
    newest = NewestFollower(directory, watch.deck.manifest).read()
    if kind == NOVELTY:
        return (
            f"{told}, the atoms in {NOVELTY_FRAMES}: `mofmd report {in_command(directory)}` shows "
            "them. The watch stopped the run where the model does not know what it sees: train it "
            "on surroundings like these (docs/density.md), or write a deck with a higher "
            "stop_above to go further"
        )
    known = "" if newest is None else f". Newest atom: {newest}"
    return (
        f"{told}{known}. The model was driven beyond what it describes, or the timestep is too long"
    )


def _how_to_go_on(directory: Path, left: dict[str, Any]) -> str:
    """Say where a run has stopped, and how it is continued."""
    what = (
        left.get("state") not in GOING_ON and left.get("error")
    ) or "asked to stop before LAMMPS could save a state"
    again = f"`mofmd run {in_command(directory)} --resume`"
    if left.get("saved") != STOPPED:
        found = has_restart(directory)
        where = f"which {'goes on from the last restart file' if found else 'begins anew'}"
        return f"{directory}: {what}; continue with {again}, {where}"
    return (
        f"{directory}: {what}; continue with {again} (from the last regular restart file: the "
        "unbroken run to the last bit), or with --from-stop (from this step)"
    )


def _failure(watch: _Follower, status: int, last: str) -> str:
    """Say why LAMMPS stopped, in its own words where it left any."""
    where = f"in stage {watch.parser.stage} at step {watch.step}" if watch.parser.stage else ""
    files = (
        f"(log: {watch.log}, all output: {watch.log.with_name('output.txt')}). Once that is "
        f"mended, continue with `mofmd run {in_command(watch.deck.directory)} --resume`"
    )
    if watch.parser.errors:
        said = "; ".join([watch.parser.errors[0], *watch.reasons])
        return f"LAMMPS stopped {where or 'before the first stage'}: {said} {files}"
    return (
        f"LAMMPS {how_it_ended(status)} {where or 'before the first stage'}; its last words: "
        f"{last!r} {files}"
    )


def _result(deck: Deck, wall_s: float, warnings: tuple[str, ...]) -> Run:
    parts = read_log(deck.directory / "log.lammps")
    dynamics = [t for t in parts if t.stage != "minimise" and t.loop_seconds is not None]
    timed = sum(int(t.columns["Step"][-1] - t.columns["Step"][0]) for t in dynamics)
    seconds = sum(t.loop_seconds or 0.0 for t in dynamics)
    tables = join_parts(parts)
    return Run(
        deck=deck,
        tables=tables,
        steps=sum(
            int(t.columns["Step"][-1] - t.columns["Step"][0])
            for t in tables
            if t.stage != "minimise"
        ),
        wall_s=wall_s,
        ms_per_step=1e3 * seconds / timed if timed else None,
        warnings=warnings,
        newest=NewestFollower(deck.directory, deck.manifest).read(),
    )


def join_parts(parts: Sequence[ThermoTable]) -> tuple[ThermoTable, ...]:
    """Join the tables of the parts of each stage, each step once.

    A part begins with the line that the one before it ended with; a run that was killed left lines
    of a part that was then run again, with the same values.
    """
    stages: dict[str, list[ThermoTable]] = {}
    for part in parts:
        stages.setdefault(part.stage, []).append(part)
    return tuple(_join(name, tables) for name, tables in stages.items())


def _join(stage: str, tables: Iterable[ThermoTable]) -> ThermoTable:
    rows: dict[float, tuple[float, ...]] = {}
    names: tuple[str, ...] = ()
    seconds = 0.0
    for table in tables:
        names = tuple(table.columns)
        seconds += table.loop_seconds or 0.0
        for row in zip(*table.columns.values(), strict=True):
            rows[row[names.index("Step")]] = row  # the last one is of the run that went on
    values = np.array([rows[step] for step in sorted(rows)]).reshape(len(rows), len(names))
    columns = {name: values[:, k].copy() for k, name in enumerate(names)}
    for column in columns.values():
        column.setflags(write=False)
    return ThermoTable(stage, columns, seconds)
