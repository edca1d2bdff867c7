"""A process ends with the one that holds it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

HOLDER = """
import subprocess, sys, time
from mofmd.processes.end_with_parent import end_with_this_process
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
watcher = end_with_this_process(other.pid)
print(other.pid, watcher.pid, flush=True)
if "end" in sys.argv:
    other.kill(); other.wait(); watcher.wait(); print("alone", flush=True)
time.sleep(100)
"""


def is_running(pid: int) -> bool:
    """Whether it exists and is no zombie that waits to be reaped."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# before Linux 5.3, as in RHEL 8, there are no file descriptors of processes
OLD_KERNEL = """
import os, signal
def missing(*_): raise OSError(38, "Function not implemented")
os.pidfd_open = signal.pidfd_send_signal = missing
"""


@pytest.mark.parametrize(
    ("number", "kernel"),
    [(signal.SIGKILL, ""), (signal.SIGTERM, ""), (signal.SIGKILL, OLD_KERNEL)],
)
def test_ends_with_its_holder(tmp_path: Path, number: signal.Signals, kernel: str) -> None:
    (tmp_path / "sitecustomize.py").write_text(kernel)
    paths = filter(None, (str(tmp_path), os.environ.get("PYTHONPATH")))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        pids = [int(word) for word in holder.stdout.readline().split()]
        time.sleep(2)  # the watcher starts
        assert all(map(is_running, pids))
        os.kill(holder.pid, number)
    end = time.monotonic() + 30
    while any(map(is_running, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(is_running, pids))


def test_watcher_ends_with_what_it_watches() -> None:
    command = [sys.executable, "-c", HOLDER, "end"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert holder.stdout.readline() == "alone\n"
        holder.kill()
