"""Ends a run that should stop where LAMMPS does not call the watch.

That is: while the plugin is loaded and compiled, in minimisations, in protocols without dynamics,
and up to the first step of a part. There is nothing to be saved then beyond the last restart file.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from mofmd.errors import STOPPED_STATUS
from mofmd.simulation.run.restart import has_restart
from mofmd.simulation.run.watch import StopReason, Watch

POLL_S = 1.0
PATIENCE = 3  # looks in a row: between two parts the watch is away for a moment


class WriteStatus(Protocol):
    """Writes status.json."""

    def __call__(self, state: str, error: str | None = None, **more: Any) -> None:
        """Write a state and the reason for it."""


class Lifeline:
    """A thread of rank 0 that ends it, whose launcher then ends the others; a context manager.

    Parameters
    ----------
    watch
        Tells why the run should stop, and whether it looks after that itself.
    write_status
        Writes the last state.
    beat
        Tells how far the run is, called every second while the watch does not.
    """

    def __init__(
        self, watch: Watch, write_status: WriteStatus, beat: Callable[[], None] = lambda: None
    ) -> None:
        self._watch = watch
        self._beat = beat
        self._write_status = write_status
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hold, daemon=True)

    def __enter__(self) -> Lifeline:
        """Begin to look."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def _hold(self) -> None:
        looks = 0
        while not self._over.wait(POLL_S):
            reason = self._watch.reason_to_stop()
            is_left_to_watch = self._watch.is_called or self._watch.stop_reason
            looks = 0 if reason is None or is_left_to_watch else looks + 1
            if reason is not None and looks == PATIENCE:
                self._end(reason)
            if not is_left_to_watch:
                with suppress(OSError):  # a disk that is full for a moment: the next one tells
                    self._beat()

    def _end(self, reason: StopReason) -> None:
        """End at once."""
        kept = (
            "; the last restart file is kept"
            if has_restart(Path())
            else " before the first restart file; there was nothing to save"
        )
        self._write_status(reason.state, reason.value.rstrip(",") + kept)
        sys.stdout.flush()
        os._exit(STOPPED_STATUS)
