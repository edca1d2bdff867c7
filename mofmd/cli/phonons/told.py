"""What the commands of ``mofmd phonons`` tell while they work."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from mofmd.cli.base.verbosity import quiet

if TYPE_CHECKING:
    from mofmd.phonons.calculation.collect import Progress

LINES_EVERY_S = 15.0
ESTIMATED_AFTER_S = 5.0
"""Evaluations of so long tell how long the rest takes."""


def tell(text: str) -> None:
    """Tell a line, unless results alone are asked for."""
    if not quiet():
        typer.echo(text)


@contextmanager
def shown_progress() -> Iterator[Callable[[str, int, int], None]]:
    """Show what is made, how much is done, and of how much: a bar, or lines off a terminal."""
    from rich.console import Console

    from mofmd.cli.base.progress import StepBar

    console = Console(stderr=True)
    if not quiet() and not console.is_terminal:
        yield _lines_now_and_then()
        return
    with StepBar(None if quiet() else console) as bar:
        yield bar.show


def _lines_now_and_then() -> Callable[[str, int, int], None]:
    told: dict[str, float] = {}

    def show(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if what in told and now - told[what] < LINES_EVERY_S:
            return
        told[what] = now
        typer.echo(f"{what} {done}/{total}", err=True)

    return show


def forces_told() -> Callable[[Progress], None]:
    """Make what tells of forces in lines, where no bar can be shown.

    How many there are beforehand, the time left as soon as it is known, then every tenth of them.
    """
    begun = 0.0
    is_estimated = False

    def show(progress: Progress) -> None:
        nonlocal begun, is_estimated
        now = time.monotonic()
        if progress.done == progress.was_there:
            begun, is_estimated = now, False
        is_due = not is_estimated and now - begun > ESTIMATED_AFTER_S
        is_tenth = progress.done % max(1, progress.total // 10) == 0
        if is_due or is_tenth or progress.done in (progress.was_there, progress.total):
            is_estimated = is_estimated or progress.done > progress.was_there
            tell(str(progress))

    return show


def parts_told() -> Callable[[int, int, str], None]:
    """Make what tells of parts, one after the other, and of the time that the rest of them takes.

    A part that was there before takes no time, and tells of none.
    """
    begun = time.monotonic()
    parts_done = 0

    def show(done: int, total: int, text: str) -> None:
        nonlocal begun, parts_done
        from mofmd.phonons.calculation.collect import TOLD_S, wall_time

        left = ""
        if done > parts_done:
            took_s, begun, parts_done = time.monotonic() - begun, time.monotonic(), done
            if done < total and took_s > TOLD_S:
                left = f", about {wall_time((total - done) * took_s)} left"
        tell(f"{done}/{total} {text}{left}")

    return show
