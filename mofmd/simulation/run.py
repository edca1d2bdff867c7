"""Runs: one execution of a deck."""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from mofmd.engine.files import write_atomic
from mofmd.engine.lammps_log import LogParser, Row, ThermoTable
from mofmd.engine.launch import Launch, Resources, environment, lammps_command
from mofmd.errors import RunError
from mofmd.simulation.deck import Deck, read_deck
from mofmd.simulation.progress import Progress, Reporter, choose_reporter

STATUS_INTERVAL_S = 2.0
RUNAWAY_FACTOR = 10  # times the protocol's highest temperature


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
        Wall time from the launch of LAMMPS to its end [s].
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
) -> Run:
    """Run a deck to its end; however this function is left, no process of the run stays behind.

    ``status.json`` says at any time how far the run is, ``output.txt`` keeps all output.

    Parameters
    ----------
    directory
        Deck; what an earlier run left there is overwritten.
    resources
        One rank with one thread by default.
    console
        Shows progress, if given: a bar on a terminal, lines elsewhere.
    allow_edited
        Run a deck that was changed by hand.

    Raises
    ------
    RunError
        If LAMMPS stops early, with its own message, or a quantity is no longer a number.
    """
    resources = resources or Resources()
    watch = _Watch(read_deck(directory, allow_edited=allow_edited), resources)
    command = lammps_command("in.lammps", resources)
    watch.write_status("running")
    try:
        with choose_reporter(console) as reporter:
            _follow(command, watch, reporter)
    except BaseException as error:
        state = "failed" if isinstance(error, RunError) else "stopped"
        watch.write_status(state, error=str(error) or type(error).__name__)
        raise
    watch.write_status("finished")
    return watch.result()


@dataclass
class _Watch:
    """State of a running LAMMPS, gathered from its output."""

    deck: Deck
    resources: Resources
    clock: Callable[[], float] = time.monotonic
    parser: LogParser = field(default_factory=LogParser)
    step: int = 0
    temperature_K: float = 0.0

    def __post_init__(self) -> None:
        self.started = self.clock()
        self.started_utc = _now_utc()
        self._status_written = self.started
        self._first: tuple[float, int] | None = None

    @property
    def log(self) -> Path:
        return self.deck.directory / "log.lammps"

    def feed(self, line: str) -> Progress | None:
        """Take a line of output; news if it was a line of thermo output of the dynamics."""
        row = self.parser.feed(line)
        if row is None:
            return None
        self._check_sane(row)
        self.temperature_K = row["Temp"]
        if self.parser.stage != "minimise":
            self.step = int(row["Step"])
            self._first = self._first or (self.clock(), self.step)
        if self.clock() - self._status_written > STATUS_INTERVAL_S:
            self.write_status("running")
        return self.progress()

    def progress(self) -> Progress:
        return Progress(
            stage=self.parser.stage,
            step=self.step,
            total_steps=sum(self.parser.plan.values()),
            temperature_K=self.temperature_K,
            ms_per_step=self._mean_ms_per_step(),
            timestep_fs=self.deck.manifest["protocol"]["timestep_fs"],
        )

    def write_status(self, state: str, error: str | None = None) -> None:
        self._status_written = self.clock()
        status = {
            "state": state,
            "stage": self.parser.stage,
            "step": self.step,
            "total_steps": sum(self.parser.plan.values()) or self.deck.manifest["total_steps"],
            "temperature_K": self.temperature_K if math.isfinite(self.temperature_K) else None,
            "ms_per_step": self._mean_ms_per_step(),
            "wall_s": round(self.clock() - self.started, 3),
            "ranks": self.resources.ranks,
            "threads": self.resources.threads,
            "started_utc": self.started_utc,
            "updated_utc": _now_utc(),
            "error": error,
        }
        write_atomic(self.deck.directory / "status.json", json.dumps(status, indent=2) + "\n")

    def result(self) -> Run:
        tables = tuple(self.parser.close())
        dynamics = [t for t in tables if t.stage != "minimise" and t.loop_seconds is not None]
        steps = sum(int(t.columns["Step"][-1] - t.columns["Step"][0]) for t in dynamics)
        seconds = sum(t.loop_seconds or 0.0 for t in dynamics)
        return Run(
            deck=self.deck,
            tables=tables,
            steps=steps,
            wall_s=self.clock() - self.started,
            ms_per_step=1e3 * seconds / steps if steps else None,
            warnings=tuple(self.parser.warnings),
        )

    def _mean_ms_per_step(self) -> float | None:
        if self._first is None or self.step <= self._first[1]:
            return None
        begun, first_step = self._first
        return 1e3 * (self.clock() - begun) / (self.step - first_step)

    def _check_sane(self, row: Row) -> None:
        """Stop a simulation that has blown up: LAMMPS itself would go on for hours."""
        bad = next((name for name, value in row.items() if not math.isfinite(value)), None)
        hottest = RUNAWAY_FACTOR * self.deck.manifest["protocol"]["temperature_max_K"]
        if bad is None and row["Temp"] > hottest:
            bad = "Temp"
        if bad is not None:
            raise RunError(
                f"{bad} is {row[bad]:g} in stage {self.parser.stage} at step {row['Step']:.0f}: "
                "the simulation is unstable; try a smaller timestep_fs, or a model trained for "
                f"these temperatures (log: {self.log})"
            )


def _follow(command: list[str], watch: _Watch, reporter: Reporter) -> None:
    """Launch LAMMPS and follow its output to the end."""
    directory = watch.deck.directory
    last = ""
    with (
        (directory / "output.txt").open("w", encoding="utf-8") as output,
        Launch(command, directory, environment(watch.resources)) as launch,
    ):
        for line in launch.lines():
            output.write(line + "\n")
            last = line.strip() or last
            progress = watch.feed(line)
            if progress is not None:
                reporter.show(progress)
        status = launch.wait()
    if status != 0 or not watch.parser.finished:
        raise RunError(_failure(watch, status, last))


def _failure(watch: _Watch, status: int, last: str) -> str:
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


def _now_utc() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
