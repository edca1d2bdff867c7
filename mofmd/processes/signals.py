"""Signals that end a program, turned into exceptions: ``with`` and ``finally`` blocks are left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


class SignalHandlers:
    """Has SIGTERM and SIGHUP end a program through its ``with`` and ``finally`` blocks.

    Parameters
    ----------
    on_signal
        Called at the first of them, or at Ctrl-C, instead; at the second the program ends.
    """

    def __init__(self, on_signal: Callable[[int], None] | None = None) -> None:
        self._on_signal = on_signal
        self._old_handlers: dict[signal.Signals, signal.Handlers] = {}

    def __enter__(self) -> None:
        """Install the handlers."""
        self.install()

    def __exit__(self, *_: object) -> None:
        """Give back those that were there."""
        self.restore()

    def install(self) -> None:
        """Take the signals, in the main thread: Python delivers them to no other."""
        if threading.current_thread() is not threading.main_thread():
            return
        numbers = [signal.SIGTERM, signal.SIGHUP]
        if self._on_signal is not None:
            numbers.append(signal.SIGINT)
        for number in numbers:
            self._old_handlers[number] = signal.signal(number, self._signalled)  # type: ignore[assignment]

    def restore(self) -> None:
        """Give back the handlers that were there."""
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers.clear()

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if self._on_signal is None:
            raise SystemExit(128 + number)
        callback, self._on_signal = self._on_signal, None
        callback(number)
