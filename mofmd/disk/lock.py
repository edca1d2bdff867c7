"""Locks of folders: one run of a deck, one driver of an ensemble, one training at a time.

A lock is ``flock``'s: it is gone with the process that holds it, however that ends. File systems
without ``flock`` (some mounts of Lustre, NFS without its lock service) get a file that names its
owner instead, and counts for as long as that process lives.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from mofmd.disk.stop_request import STOP_REQUEST
from mofmd.errors import RunError
from mofmd.processes.alive import Process, find_process, is_alive

LOCK = "run.lock"
WORKER_LOCK = "worker.lock"
RUN = "run of this deck"
OWNER_SUFFIX = ".owner"
POLL_S = 0.1
_NOT_SUPPORTED = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOLCK)


class Lock:
    """A lock that is held until it is closed or its process ends; a context manager."""

    def __init__(self, path: Path, handle: int, *, has_owner: bool) -> None:
        self._path = path
        self._handle = handle
        self._has_owner = has_owner

    def __enter__(self) -> Lock:
        """Hold it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let it go."""
        self.close()

    def close(self) -> None:
        """Let it go."""
        if self._has_owner:
            _owner_file(self._path).unlink(missing_ok=True)
            self._has_owner = False
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def lock_folder(
    directory: Path,
    what: str,
    how_to_stop: str = "",
    patience_s: float = 0.0,
    *,
    name: str = LOCK,
) -> Lock:
    """Lock a folder for as long as the lock is not closed and its process lives.

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
    name
        File of the lock.

    Raises
    ------
    RunError
        If another process holds it longer than ``patience_s``, or the folder cannot be written to.
    """
    path = directory / name
    end = time.monotonic() + patience_s
    while True:
        lock = _try_lock(path)
        if lock is not None:
            return lock
        if time.monotonic() >= end:
            raise RunError(
                f"{directory}: another {what} is going on (it holds {name}{_tell_owner(path)}); "
                f"wait for it, or stop it{how_to_stop}"
            )
        time.sleep(POLL_S)


def lock_run(directory: Path, patience_s: float = 0.0) -> Lock:
    """Lock a deck for the driver of a run, once no worker of an earlier one is left."""
    lock = lock_folder(directory, RUN, _how_to_stop(directory), patience_s)
    try:
        lock_worker(directory, patience_s).close()
    except BaseException:
        lock.close()
        raise
    return lock


def lock_worker(directory: Path, patience_s: float = 0.0) -> Lock:
    """Lock a deck for the worker that a driver has started; it may outlive the driver."""
    return lock_folder(directory, RUN, _how_to_stop(directory), patience_s, name=WORKER_LOCK)


def is_going_on(directory: Path) -> bool:
    """Whether a process is at work on the run of a deck: its driver, or its worker."""
    return is_locked(directory) or is_locked(directory, name=WORKER_LOCK)


def is_locked(directory: Path, *, name: str = LOCK) -> bool:
    """Whether a process holds the lock of a folder; of an owner on another machine, as it says."""
    path = directory / name
    if _is_owned(path):
        return True
    try:
        with path.open(encoding="utf-8") as file:  # a shared lock: nothing needs to be writable
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    return False


def _how_to_stop(directory: Path) -> str:
    return f" by `touch {directory / STOP_REQUEST}`"


def _try_lock(path: Path) -> Lock | None:
    """Take a lock; None if another process holds it."""
    if _is_owned(path):
        return None
    _remove_ended_owner(path)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); a run writes into its folder: make "
            "room and allow it, or take another folder"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError as error:
        os.close(handle)
        if error.errno not in _NOT_SUPPORTED:
            raise
        return Lock(path, -1, has_owner=True) if _become_owner(path) else None
    return Lock(path, handle, has_owner=False)


def _owner_file(path: Path) -> Path:
    return path.with_name(path.name + OWNER_SUFFIX)


def _become_owner(path: Path) -> bool:
    """Write the owner's file; False if another process was faster."""
    own = find_process(os.getpid())
    assert own is not None  # it is the one that asks
    text = json.dumps({"host": socket.gethostname(), "pid": own.pid, "start": own.start_ticks})
    try:
        with _owner_file(path).open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def _read_owner(path: Path) -> dict[str, Any] | None:
    """Read the owner's file; None where there is none, empty where it is being written."""
    return _owner_in(_owner_file(path))


def _owner_in(file: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {"host": found["host"], "pid": found["pid"], "start": found["start"]}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        return {}


def _is_owned(path: Path) -> bool:
    """Whether the owner's file counts: its process lives, or nobody here can tell."""
    owner = _read_owner(path)
    if owner is None:
        return False
    if owner.get("host") != socket.gethostname():
        return True
    return is_alive(Process(owner["pid"], owner["start"]))


def _remove_ended_owner(path: Path) -> None:
    """Remove the file of an owner that has ended, and no other, whoever does the same."""
    owner = _read_owner(path)
    if owner is None:
        return
    aside = path.with_name(f"{path.name}.{os.getpid()}.ended")
    with suppress(FileNotFoundError):
        _owner_file(path).rename(aside)  # of two that try, one can
        if _owner_in(aside) == owner:
            aside.unlink()
        else:
            aside.rename(_owner_file(path))


def _tell_owner(path: Path) -> str:
    owner = _read_owner(path)
    if owner is None:
        return ""
    who = f"process {owner['pid']} on {owner['host']}" if owner else "nobody knows who"
    return (
        f": {who}; its file system cannot lock files, so if that has ended, remove "
        f"{_owner_file(path)}"
    )
