"""Runs: one execution of a deck, from its beginning or from where it was broken off."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from mofmd.engine.lammps_log import LogParser, ThermoTable, read_log
from mofmd.engine.launch import Launch, Resources, environment, python_command
from mofmd.errors import RunError, StoppedError
from mofmd.simulation.deck import Deck, read_deck
from mofmd.simulation.progress import Progress, Reporter, choose_reporter
from mofmd.simulation.status import (
    STOP_REQUEST,
    WATCHED_PID,
    read_status,
    take_lock,
    write_status,
)

WORKER = "mofmd.simulation.conduct"
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
    """

    deck: Deck
    tables: tuple[ThermoTable, ...]
    steps: int
    wall_s: float
    ms_per_step: float | None
    warnings: tuple[str, ...]


def run_deck(
    directory: Path,
    resources: Resources | None = None,
    console: Console | None = None,
    *,
    allow_edited: bool = False,
    resume: bool | Literal["from_stop"] = False,
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

    Raises
    ------
    RunError
        If LAMMPS stops early, with its own message, or an integrity check fails.
    StoppedError
        If the run was asked to stop (SIGTERM, Ctrl-C, a file ``stop.request`` in the deck).
    """
    resources = resources or Resources()
    deck = read_deck(directory, allow_edited=allow_edited)
    if resume and read_status(directory).get("state") == "finished":
        return _result(deck, 0.0, ())
    take_lock(directory, LOCK_PATIENCE_S).close()
    (directory / STOP_REQUEST).unlink(missing_ok=True)
    if resume:
        _refuse_other_ranks(directory, resources)
    watched = [str(os.getpid()), *os.environ.get(WATCHED_PID, "").split()]
    arguments = ["--watch", *watched, "--threads", str(resources.threads)]
    if resume:
        arguments += ["--resume"] + ["--from-stop"] * (resume == "from_stop")
    command = python_command(WORKER, arguments, resources)
    watch = _Follower(deck)
    try:
        with choose_reporter(console) as reporter:
            _follow(command, resources, watch, reporter)
    except StoppedError:
        raise
    except BaseException as error:
        state = "stopped"
        if isinstance(error, RunError):
            state = "failed" if watch.parser.errors or watch.violation else "interrupted"
        left = read_status(directory)
        if left.get("state") not in ("failed", "finished"):  # the worker had no time to say so
            message = str(error) or type(error).__name__
            if isinstance(error, SystemExit):
                message = "ended at once by a second signal; no state was saved"
            write_status(directory, **{**left, "state": state, "error": message})
        raise
    return _result(deck, time.monotonic() - watch.began, tuple(watch.parser.warnings))


@dataclass
class _Follower:
    """What is known of a running LAMMPS from its output."""

    deck: Deck
    parser: LogParser = field(default_factory=LogParser)
    began: float = field(default_factory=time.monotonic)
    step: int = 0
    violation: str | None = None
    _first: tuple[float, int] | None = None

    @property
    def log(self) -> Path:
        return self.deck.directory / "log.lammps"

    def feed(self, line: str) -> Progress | None:
        """Take a line of output; news if it was a line of thermo output."""
        if line.startswith("mofmd violation "):
            self.violation = line.removeprefix("mofmd violation ")
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
        )

    def _mean_ms_per_step(self) -> float | None:
        if self._first is None or self.step <= self._first[1]:
            return None
        begun, first_step = self._first
        return 1e3 * (time.monotonic() - begun) / (self.step - first_step)


def _follow(command: list[str], resources: Resources, watch: _Follower, reporter: Reporter) -> None:
    """Launch LAMMPS and follow its output to the end."""
    directory = watch.deck.directory
    last = ""

    def ask_to_stop(_: int) -> None:
        (directory / STOP_REQUEST).touch()

    with (
        (directory / "output.txt").open("w", encoding="utf-8") as output,
        Launch(command, directory, environment(resources), ask_to_stop) as launch,
    ):
        for line in launch.lines():
            output.write(line + "\n")
            last = line.strip() or last
            progress = watch.feed(line)
            if progress is not None:
                reporter.show(progress)
        status = launch.wait()
    if read_status(directory).get("state") == "stopped":
        (directory / STOP_REQUEST).unlink(missing_ok=True)
        raise StoppedError(
            f"{directory}: stopped at step {read_status(directory)['step']} as asked, state saved; "
            f"continue with `mofmd run {directory} --resume` (from the last regular restart file: "
            "the unbroken run to the last bit), or with --from-stop (from this step)"
        )
    if watch.violation:
        raise RunError(
            f"{watch.violation}. The state is in {directory / 'restart.failed'} and failed.data. "
            "The model was driven beyond what it describes, or the timestep is too long"
        )
    if status != 0 or not watch.parser.finished:
        raise RunError(_failure(watch, status, last))


def _failure(watch: _Follower, status: int, last: str) -> str:
    """Say why LAMMPS stopped, in its own words where it left any."""
    where = f"in stage {watch.parser.stage} at step {watch.step}" if watch.parser.stage else ""
    files = f"(log: {watch.log}, all output: {watch.log.with_name('output.txt')})"
    if watch.parser.errors:
        return (
            f"LAMMPS stopped {where or 'before the first stage'}: {watch.parser.errors[0]} {files}"
        )
    how = f"ended with status {status}"
    if status < 0:
        how = f"was killed by {signal.Signals(-status).name}"
    return f"LAMMPS {how} {where or 'before the first stage'}; its last words: {last!r} {files}"


def _refuse_other_ranks(directory: Path, resources: Resources) -> None:
    """Another number of ranks sums forces in another order: no longer the same run."""
    before = read_status(directory).get("ranks")
    if before is not None and before != resources.ranks:
        raise RunError(
            f"{directory}: was begun on {before} ranks and cannot be the same run on "
            f"{resources.ranks}; resume it with --ranks {before}, or start it again"
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
