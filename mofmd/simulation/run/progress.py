"""Progress of a run: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from mofmd.simulation.run.newest import Newest
from mofmd.units import FS_TO_PS, PS_TO_NS

SECONDS_PER_DAY = 86400
MINIMISE_INTERVAL_S = 10.0
BEAT = "mofmd working"  # begins a line of a run that minimises: stage, step, wall time [s]
WIDE_COLUMNS = 140  # of a terminal in which the bar and all figures stand in a line


@dataclass(frozen=True)
class Progress:
    """Where a run stands.

    Parameters
    ----------
    stage
        Name of the stage.
    step, total_steps
        Steps of dynamics done and planned; of a minimisation, whose end is not known, steps done
        and 0.
    temperature_K, pressure_bar, energy_eV
        Instantaneous temperature, pressure and potential energy.
    ms_per_step
        Mean wall time of a step so far; None before the first.
    timestep_fs
        Simulated time of a step.
    elapsed_s
        Wall time since the launch, of a minimisation, whose steps may take long.
    newest
        Newest atom so far, of a run that is watched.
    """

    stage: str
    step: int
    total_steps: int
    temperature_K: float
    ms_per_step: float | None
    timestep_fs: float
    pressure_bar: float = math.nan
    energy_eV: float = math.nan
    elapsed_s: float | None = None
    newest: Newest | None = None

    @property
    def ns_per_day(self) -> float | None:
        """Simulated time in a day of wall time [ns]."""
        if not self.ms_per_step:
            return None
        steps = SECONDS_PER_DAY * 1e3 / self.ms_per_step
        return steps * self.timestep_fs * FS_TO_PS * PS_TO_NS

    @property
    def seconds_left(self) -> float | None:
        """Estimated wall time to the end [s]."""
        if self.ms_per_step is None:
            return None
        return (self.total_steps - self.step) * self.ms_per_step / 1e3

    @property
    def figures(self) -> str:
        """Temperature, pressure, energy, speed, time left and newest atom, as text."""
        words = [*self._temperature]
        if math.isfinite(self.pressure_bar):
            words.append(f"P {self.pressure_bar:7.0f} bar")
        if math.isfinite(self.energy_eV):
            words.append(f"E {self.energy_eV:.2f} eV")
        if self.ms_per_step is not None:
            words.append(f"{self.ms_per_step:.1f} ms/step")
        words += [*self._elapsed, *self._speed]
        if self.newest is not None:
            words.append(self.newest.figures)
        return "  ".join(words)

    @property
    def brief_figures(self) -> str:
        """The most important of them, for narrow terminals; of a minimisation its energy."""
        energy = f"E {self.energy_eV:.2f} eV" if math.isfinite(self.energy_eV) else ""
        speed = self._speed
        if self.newest is not None:  # takes the place of the speed
            speed = (*speed[1:], self.newest.brief)
        return "  ".join((*(self._temperature or (energy,)), *self._elapsed, *speed)).strip()

    @property
    def count(self) -> str:
        """Steps done of those planned, as text."""
        return f"{self.step}/{self.total_steps}" if self.total_steps else f"{self.step}"

    @property
    def _temperature(self) -> tuple[str, ...]:
        """Temperature; of a minimisation, where nothing moves, none."""
        return (f"T {self.temperature_K:4.0f} K",) if self.total_steps else ()

    @property
    def _elapsed(self) -> tuple[str, ...]:
        if self.elapsed_s is None:
            return ()
        minutes, seconds = divmod(round(self.elapsed_s), 60)
        return (f"at work for {minutes}:{seconds:02d}",)

    @property
    def _speed(self) -> tuple[str, ...]:
        if self.ns_per_day is None or self.seconds_left is None:
            return ()
        minutes, seconds = divmod(round(self.seconds_left), 60)
        hours, minutes = divmod(minutes, 60)
        left = f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
        return f"{self.ns_per_day:.2f} ns/day", f"{left} left"


class Reporter(Protocol):
    """Shows progress; a context manager."""

    def __enter__(self) -> Reporter:
        """Begin."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""

    def show(self, progress: Progress) -> None:
        """Show where the run stands."""


class Silent:
    """Shows nothing."""

    def __enter__(self) -> Silent:
        """Begin."""
        return self

    def __exit__(self, *_: object) -> None:
        """End."""

    def show(self, progress: Progress) -> None:
        """Show nothing."""


class Lines(Silent):
    """A line at every new stage and every 5 % of the steps, for files and pipes.

    Of a minimisation: every ten seconds.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._last = ("", -1)
        self._shown = 0.0

    def show(self, progress: Progress) -> None:
        """Print a line if there is news."""
        total = progress.total_steps
        twentieth = 20 * progress.step // total if total else -1
        now = time.monotonic()
        is_due = total == 0 and now - self._shown > MINIMISE_INTERVAL_S
        if (progress.stage, twentieth) == self._last and not is_due:
            return
        self._last, self._shown = (progress.stage, twentieth), now
        of_all = f" of {total}" if total else ""
        self._console.print(
            f"{progress.stage:12} step {progress.step:>8}{of_all}  {progress.figures}",
            highlight=False,
            soft_wrap=True,
        )


class LiveBar(Silent):
    """A bar that fills, for terminals."""

    def __init__(self, console: Console) -> None:
        self._is_narrow = console.width < WIDE_COLUMNS
        self._bar = Bar(
            TextColumn("{task.description:12}"),
            BarColumn(bar_width=10 if self._is_narrow else 30),
            TextColumn("{task.fields[count]:>6}"),
            TextColumn("{task.fields[figures]}"),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=None, figures="", count="")

    def __enter__(self) -> LiveBar:
        """Draw the bar."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the bar as it is and give the terminal back."""
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            description=progress.stage,
            completed=progress.step,
            total=progress.total_steps or None,
            count=progress.count,
            figures=progress.brief_figures if self._is_narrow else progress.figures,
        )


def choose_reporter(console: Console | None) -> Reporter:
    """Pick a bar for a terminal, lines for anything else, silence for None."""
    if console is None:
        return Silent()
    return LiveBar(console) if console.is_terminal else Lines(console)
