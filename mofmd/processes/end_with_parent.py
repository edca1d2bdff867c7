"""Ends a process when the one that needs it has gone, also by SIGKILL.

Started beside the other two: ``python -m mofmd.processes.end_with_parent HOLDER PID``. Parsl's
interchange outlives a driver that is killed, and the workers would idle with it until their time
limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from mofmd.processes.alive import find_process, is_alive

INTERVAL_S = 0.5


def end_with_this_process(pid: int) -> subprocess.Popen[bytes]:
    """Let a process end when this one does, however that comes about.

    Parameters
    ----------
    pid
        The process, a child of this one.

    Returns
    -------
    Popen
        The process that watches, in a session of its own; it ends by itself with either of the two.
    """
    command = [sys.executable, "-m", "mofmd.processes.end_with_parent", str(os.getpid()), str(pid)]
    return subprocess.Popen(command, start_new_session=True)


def hold(holder_pid: int, pid: int) -> None:
    """Wait for the end of either process; if it is the holder's, end the other.

    It looks every now and then: process file descriptors, which would wake it, need Linux 5.3, and
    clusters run older kernels.
    """
    holder, other = find_process(holder_pid), find_process(pid)
    if other is None:
        return
    while holder is not None and is_alive(holder):
        if not is_alive(other):
            return
        time.sleep(INTERVAL_S)
    if is_alive(other):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    hold(*map(int, sys.argv[1:3]))
