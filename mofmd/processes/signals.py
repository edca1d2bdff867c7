"""Signals that end a program, turned into exceptions: ``with`` and ``finally`` blocks are left."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

IMPORT_MACHINERY = "<frozen importlib"  # file names of its frames begin with this
_put_off: list[int] = []  # signals that came during the import that is going on


def after_imports(handler: Callable[[int, FrameType | None], object]) -> Callable[..., None]:
    """Wrap a handler of a signal that raises: while a module is imported it waits.

    An exception in the middle of an import of compiled modules ends the process with an abort, or
    leaves half a module behind, and other errors than the signal's. The signal is raised again as
    soon as the code that asked for the outermost import reaches its next line or returns; of
    several different ones each is, Ctrl-C last. Python takes away whatever traces the program, a
    debugger or a measurement of coverage, where a handler that was put off raises.

    Parameters
    ----------
    handler
        Of the signal's number and the frame.
    """

    def wrapped(number: int, frame: FrameType | None) -> None:
        importer = _outermost_importer(frame)
        if importer is None:
            handler(number, frame)
        else:
            _raise_in(importer, number)

    return wrapped


def _outermost_importer(frame: FrameType | None) -> FrameType | None:
    importer = None
    while frame is not None:
        if frame.f_code.co_filename.startswith(IMPORT_MACHINERY):
            importer = frame.f_back
        frame = frame.f_back
    return importer


def _raise_in(frame: FrameType, number: int) -> None:
    """Raise the signal again when the frame goes on: Python tells its next line or its return.

    A timer would do it only if it happened to end between two imports, and could outlive Python.
    """
    _put_off.append(number)
    if len(_put_off) > 1:  # one is being waited for
        return
    traced, traced_frame = sys.gettrace(), frame.f_trace

    def on_event(*_: object) -> None:
        frame.f_trace = traced_frame
        sys.settrace(traced)
        numbers = sorted(set(_put_off), key=lambda each: each == signal.SIGINT)
        _put_off.clear()
        for each in numbers:
            signal.raise_signal(signal.Signals(each))

    frame.f_trace = on_event
    sys.settrace(lambda *_: None)  # without one of these no frame is traced


def interrupt_after_imports() -> None:
    """Let Ctrl-C raise ``KeyboardInterrupt`` as usual, but not in the middle of an import."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, after_imports(signal.default_int_handler))


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
        handler = after_imports(self._signalled)
        for number in numbers:
            self._old_handlers[number] = signal.signal(number, handler)  # type: ignore[assignment]

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
