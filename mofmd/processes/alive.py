"""Processes of this machine, from Linux's ``/proc``: whether they live, and since when."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_ZOMBIES = "ZX"  # ended; a parent that never waits keeps the entry in the table for ever


@dataclass(frozen=True)
class Process:
    """A process, told apart from a later one of the same number by its start.

    Parameters
    ----------
    pid
        Its number.
    start_ticks
        When it was started, in ticks of the kernel's clock since the machine was.
    """

    pid: int
    start_ticks: int


def find_process(pid: int) -> Process | None:
    """Find a process by its number; None where there is none, or it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()  # the name in brackets may hold anything
    return None if state in _ZOMBIES else Process(pid, int(fields[18]))


def is_alive(process: Process) -> bool:
    """Whether a process has not ended."""
    return find_process(process.pid) == process


def own_age_s() -> float:
    """Seconds since this process was started, to a hundredth, by a clock that nobody sets."""
    own = find_process(os.getpid())
    assert own is not None  # it is the one that asks
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    return now - own.start_ticks / os.sysconf("SC_CLK_TCK")
