"""A bar on a terminal for what goes on: what it is, how far, for how long already."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)


class StepBar:
    """The bar; a context manager. Nothing is shown elsewhere than on a terminal.

    Parameters
    ----------
    console
        Where to; None for nowhere.
    """

    def __init__(self, console: Console | None) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            disable=console is None or not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._what = ""

    def __enter__(self) -> StepBar:
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def begin(self, what: str, done: int, total: int) -> None:
        """Show that something begins; its time counts from here.

        Parameters
        ----------
        what
            What it is.
        done, total
            How far it is; zero where the end is not known.
        """
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._what = what
        self._task = self._bar.add_task(what, total=total or None, completed=done)

    def show(self, what: str, done: int, total: int) -> None:
        """Show how far something is.

        Parameters
        ----------
        what
            What it is; a new one begins a new count of time.
        done, total
            How far it is; zero where the end is not known.
        """
        if self._task is None or what != self._what:
            self.begin(what, done, total)
        elif self._task is not None:
            self._bar.update(self._task, completed=done, total=total or None)

    def describe(self, text: str, done: int, total: int) -> None:
        """Show how far it is under a text that changes while its time goes on.

        Parameters
        ----------
        text
            What goes on at this moment.
        done, total
            How far it is.
        """
        if self._task is None:
            self.begin(text, done, total)
        elif self._task is not None:
            self._bar.update(self._task, description=text, completed=done, total=total or None)
