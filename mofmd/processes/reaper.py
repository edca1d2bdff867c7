"""Finds and ends the processes of a launch, wherever they are.

Beside each launch runs ``python -I -S reaper.py MARK PATIENCE_S GRACE_S``. Its standard input is a
pipe whose other end only the launcher holds: at end-of-file the launcher is gone, however it ended,
and what it launched is ended as well.

The processes are known by a mark in their environment. Neither their parent nor their group would
do: MPI puts each rank into a session of its own, and a process whose parent is gone has another.
Only the standard library is imported, so that the reaper starts in hundredths of a second.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

VARIABLE = "MOFMD_LAUNCHES"  # the marks of a process, its launcher's own first, with colons
KILL_S = 5.0  # for a process in the middle of a system call


def marked(mark: str) -> list[int]:
    """Return the ids of the running processes that carry a mark."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # another user's, or gone
                entries = (folder / "environ").read_bytes().split(b"\0")
                values = [e for e in entries if e.startswith(VARIABLE.encode() + b"=")]
                if any(mark.encode() in value for value in values):
                    found.append(int(folder.name))
    return found


def signal_marked(mark: str, number: signal.Signals) -> None:
    """Send a signal to all that carry a mark."""
    for pid in marked(mark):
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_marked(mark: str) -> None:
    """End at once all that carry a mark, and what they start meanwhile."""
    _wait(mark, KILL_S, lambda: signal_marked(mark, signal.SIGKILL))


def _wait(mark: str, seconds: float, again: Callable[[], None] = lambda: None) -> None:
    """Wait until none is left that carries a mark, but not longer."""
    end = time.monotonic() + seconds
    again()
    while marked(mark) and time.monotonic() < end:
        time.sleep(0.02)
        again()


def main(mark: str, patience_s: str, grace_s: str) -> None:
    """Wait for the end of the launcher, then for that of its processes, then end them."""
    sys.stdin.buffer.read()
    _wait(mark, float(patience_s))
    signal_marked(mark, signal.SIGTERM)
    _wait(mark, float(grace_s))
    kill_marked(mark)


if __name__ == "__main__":
    main(*sys.argv[1:])
