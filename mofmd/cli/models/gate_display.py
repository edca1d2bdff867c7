"""What a terminal shows of the physics gate: each finding, and how far the next check is."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mofmd.cli.base.progress import StepBar
from mofmd.cli.base.verbosity import progress_console
from mofmd.models.deploy.audience import Audience
from mofmd.models.gate.gate import Check

_MARKS = {"passed": "[green]ok[/]", "failed": "[red]FAILED[/]", "not done": "[yellow]not done[/]"}


class GateDisplay:
    """Lines for what is done, and on a terminal a bar for what goes on; a context manager.

    Parameters
    ----------
    console
        Where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bar = StepBar(console)
        self._began = time.monotonic()

    def __enter__(self) -> GateDisplay:
        """Start the bar."""
        self._bar.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bar.__exit__(kind, error, trace)

    def report(self, text: str) -> None:
        """Tell what is being done."""
        self._console.print(text, markup=False)
        self._began = time.monotonic()
        self.progress(text, 0, 0)

    def found(self, check: Check) -> None:
        """Tell a finding, and how long it took since the last one."""
        now = time.monotonic()
        text = f"{check.name}: {figures(check)}{check.detail} ({now - self._began:.0f} s)"
        self._console.print(f"{_MARKS[check.state]} {escape(text)}")
        self._began = now

    def progress(self, what: str, done: int, total: int) -> None:
        """Show how far what is going on is."""
        self._bar.show(what, done, total)


def figures(check: Check) -> str:
    """Value and tolerance of a finding, with units; empty where there is no value."""
    if check.value is None:
        return ""
    unit = "" if check.unit == "relative" else f" {check.unit}"
    return f"{check.value:.1e}{unit}, allowed {check.tolerance:.2g}{unit}; "


def table(checks: Sequence[Check]) -> Table:
    """Return findings as a table."""
    result = Table(title="physics gate")
    for heading in ("", "check", "found", "allowed", "unit", "how"):
        result.add_column(heading, justify="right" if heading in ("found", "allowed") else "left")
    for check in checks:
        value = "" if check.value is None else f"{check.value:.1e}"
        row = (check.name, value, f"{check.tolerance:.2g}", check.unit, check.detail)
        result.add_row(_MARKS[check.state], *row)
    return result


@contextmanager
def show_making() -> Iterator[Audience]:
    """Show on standard error how a universal model is made, unless nothing is to be told."""
    console = progress_console(stderr=True)
    if console is None:
        yield Audience(report=lambda _: None)
        return
    with GateDisplay(console) as display:
        yield Audience(display.report, display.found, display.progress)
