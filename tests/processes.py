"""Processes of one test: marked by their environment, so that none of them can hide."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil

MARK = "MOFMD_TEST_MARK"
MOFMD = str(Path(sys.prefix) / "bin" / "mofmd")
PATIENCE_S = 30.0  # within which everything must have ended


class Marked:
    """Commands that are started with a mark, which all their descendants inherit."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str, **variables: str) -> subprocess.Popen[bytes]:
        """Start ``mofmd`` with these arguments."""
        env = {**os.environ, MARK: self.mark, **variables}
        process = subprocess.Popen([MOFMD, *command], env=env, stdout=subprocess.DEVNULL)
        self._started.append(process)
        return process

    def processes(self, words: str = "") -> list[psutil.Process]:
        """Those that live, and hold these words in their command line."""
        return [
            process for process in psutil.process_iter() if self._is_marked(process, words)
        ]  # fmt: skip

    def _is_marked(self, process: psutil.Process, words: str) -> bool:
        try:
            return (
                process.environ().get(MARK) == self.mark
                and process.status() != psutil.STATUS_ZOMBIE
                and words in " ".join(process.cmdline())
            )
        except psutil.Error:
            return False

    def check_none_is_left(self, patience_s: float = PATIENCE_S) -> None:
        """Fail if one lives on."""
        assert wait_until(lambda: not self.processes(), patience_s), self.processes()

    def kill_all(self) -> None:
        """End those of a test that has failed."""
        for process in self.processes():
            process.kill()
        for started in self._started:
            started.wait()


def wait_until(condition: Callable[[], bool], patience_s: float = 120.0) -> bool:
    """Wait for a condition; False if it does not come true."""
    end = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
