"""The state of a run on disk: status.json, the lock, the request to stop."""

from __future__ import annotations

import fcntl
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from mofmd.engine.files import write_atomic
from mofmd.errors import RunError

STATUS = "status.json"
LOCK = "run.lock"
STOP_REQUEST = "stop.request"
# environment variable: id of a process without which a run shall not go on
WATCHED_PID = "MOFMD_STOP_WITH_PID"


def read_status(directory: Path) -> dict[str, Any]:
    """Read status.json; empty where no run has begun."""
    path = directory / STATUS
    if not path.is_file():
        return {}
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    return dict(found)


def run_state(directory: Path) -> str:
    """Return ``waiting``, ``running``, ``finished``, ``failed``, ``stopped`` or ``interrupted``."""
    state = str(read_status(directory).get("state", "waiting"))
    if state == "running" and not is_locked(directory):
        return "interrupted"  # killed before it could say anything
    return state


def write_status(directory: Path, **values: Any) -> None:
    """Write status.json in one step, with the time of writing."""
    status = {**values, "updated_utc": now_utc()}
    write_atomic(directory / STATUS, json.dumps(status, indent=2) + "\n")


def now_utc() -> str:
    """Time of day, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def take_lock(directory: Path, patience_s: float = 0.0) -> IO[str]:
    """Lock a deck for a run; see `lock_folder`."""
    how = f" by `touch {directory / STOP_REQUEST}`"
    return lock_folder(directory, "run of this deck", how, patience_s)


def lock_folder(
    directory: Path, what: str, how_to_stop: str = "", patience_s: float = 0.0
) -> IO[str]:
    """Lock a folder for as long as the returned file is open and its process lives.

    Parameters
    ----------
    directory
        The folder.
    what
        For messages: what must not go on twice there.
    how_to_stop
        For messages, after "stop it".
    patience_s
        To wait for another process [s].

    Raises
    ------
    RunError
        If another process holds it longer than ``patience_s``.
    """
    file = (directory / LOCK).open("a+", encoding="utf-8")
    end = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= end:
                file.close()
                raise RunError(
                    f"{directory}: another {what} is going on (it holds {LOCK}); wait for it, or "
                    f"stop it{how_to_stop}"
                ) from None
            time.sleep(0.1)
        else:
            return file


def is_locked(directory: Path) -> bool:
    """Whether a run of a deck is going on."""
    path = directory / LOCK
    if not path.exists():
        return False
    with path.open(encoding="utf-8") as file:  # a shared lock: nothing needs to be writable
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def is_alive(pid: int) -> bool:
    """Whether a process of this machine exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
