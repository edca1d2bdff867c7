"""Ends a process when the one that needs it has gone, also by SIGKILL.

Started beside the other two: ``python -m mofmd.simulation.leash HOLDER PID``. Parsl's interchange
outlives a driver that is killed, and the workers would idle with it until their time limit.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress


def put_on_leash(pid: int) -> subprocess.Popen[bytes]:
    """Let a process end when this one does, however that comes about.

    Parameters
    ----------
    pid
        The process, a child of this one.

    Returns
    -------
    Popen
        The leash, in a session of its own; it ends by itself with either of the two.
    """
    command = [sys.executable, "-m", "mofmd.simulation.leash", str(os.getpid()), str(pid)]
    return subprocess.Popen(command, start_new_session=True)


def hold(holder: int, pid: int) -> None:
    """Wait for the end of either process; if it is the holder's, end the other."""
    with suppress(ProcessLookupError):  # either may have ended before this has begun
        other = os.pidfd_open(pid)
        with suppress(ProcessLookupError):
            ended, _, _ = select.select([os.pidfd_open(holder), other], [], [])
            if other in ended:
                return
        signal.pidfd_send_signal(other, signal.SIGTERM)


if __name__ == "__main__":
    hold(*map(int, sys.argv[1:3]))
