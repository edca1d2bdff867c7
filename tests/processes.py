"""Finding the processes that a test has started, and those of them that are left."""

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

MOFMD = str(Path(sys.prefix) / "bin" / "mofmd")


class Token:
    """A mark in the environment of a process, which all that it starts inherit."""

    def __init__(self) -> None:
        self._entry = f"MOFMD_TEST_TOKEN={uuid.uuid4().hex}"

    @property
    def environment(self) -> dict[str, str]:
        """This process's own, with the mark."""
        name, _, value = self._entry.partition("=")
        return {**os.environ, name: value}

    def holders(self, words: str = "") -> list[int]:
        """Ids of the processes that carry the mark and have the words in their command line."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                carries = self._entry.encode() in (folder / "environ").read_bytes().split(b"\0")
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:  # another user's, or gone
                continue
            if carries and words in line:
                found.append(int(folder.name))
        return sorted(found)

    def wait_for(self, words: str, count: int = 1, seconds: float = 120.0) -> list[int]:
        """Wait until so many processes have the words in their command line; their ids."""
        end = time.monotonic() + seconds
        while len(found := self.holders(words)) < count:
            assert time.monotonic() < end, f"no {count} processes {words!r} in {seconds} s"
            time.sleep(0.05)
        return found

    def wait_until_gone(self, seconds: float = 30.0) -> None:
        """Wait until no process carries the mark."""
        end = time.monotonic() + seconds
        while left := self.holders():
            assert time.monotonic() < end, [command_line(pid) for pid in left]
            time.sleep(0.05)

    def signal(self, words: str, number: signal.Signals) -> None:
        """Send a signal to the processes that have the words in their command line."""
        for pid in self.wait_for(words):
            try:
                os.kill(pid, number)
            except ProcessLookupError:  # it went with one before it
                continue

    def kill(self) -> None:
        """End what a test that has failed left."""
        for pid in self.holders():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Commands(Token):
    """``mofmd`` commands that carry a mark, with all that they start."""

    def __init__(self) -> None:
        super().__init__()
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start ``mofmd`` with these arguments."""
        env = {**self.environment, **variables}
        process = subprocess.Popen([MOFMD, *command], env=env, stdout=subprocess.DEVNULL)
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what a test that has failed left."""
        self.kill()
        for process in self._started:
            process.wait()


def wait_until(condition: Callable[[], bool], seconds: float = 120.0) -> bool:
    """Wait for a condition; False if it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def command_line(pid: int) -> str:
    """Command line of a process; empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""
