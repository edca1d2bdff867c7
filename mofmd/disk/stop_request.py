"""Requests to stop a run: a file in its folder.

A request is honoured if it was made after the launch of the run had begun, also within the seconds
that Python needs to start. One that is older was made to an earlier run, which was killed before it
could take it back.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

STOP_REQUEST = "stop.request"
TIME_GRAIN_S = 1.0  # file systems such as Lustre's keep whole seconds


def ask_to_stop(directory: Path) -> None:
    """Ask the run of a deck to save its state and stop; a request that is there becomes new."""
    (directory / STOP_REQUEST).touch()


def is_asked_to_stop(directory: Path) -> bool:
    """Whether a request is there."""
    return (directory / STOP_REQUEST).exists()


ASKED_EARLY = (
    "{directory}: asked to stop before it began; nothing was done, and the request is taken back: "
    "start it again"
)


def take_back_request(directory: Path) -> None:
    """Remove a request, if one is there."""
    (directory / STOP_REQUEST).unlink(missing_ok=True)


def asked_within(directory: Path, seconds: float) -> bool:
    """Whether a request is there that was made in the last seconds.

    Both times are the file system's: its clock may be that of another machine.
    """
    try:
        made = (directory / STOP_REQUEST).stat().st_mtime
    except FileNotFoundError:
        return False
    with tempfile.NamedTemporaryFile(dir=directory, prefix=f".{STOP_REQUEST}.") as probe:
        now = Path(probe.name).stat().st_mtime
    return now - made <= seconds + TIME_GRAIN_S
