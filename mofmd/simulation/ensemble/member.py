"""Running one member of an ensemble: on this machine, or by a worker in a SLURM job."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mofmd.disk.stop_request import (
    ask_to_stop,
    is_asked_to_stop,
    take_back_request,
)
from mofmd.engine.launch import Resources, find_program
from mofmd.errors import STOPPED_STATUS
from mofmd.simulation.run.run import WATCHED_PID
from mofmd.simulation.run.status import GOING_ON, STATUS, read_status, run_state, write_status

ENDED_BY_SIGNAL = (128 + signal.SIGINT, 128 + signal.SIGTERM, 128 + signal.SIGHUP)
ATTEMPTS = 3  # of a member that is killed again and again without a word
DRIVER_OUTPUT = "driver.txt"
POLL_S = 0.2
PATIENCE_S = 60.0  # for a worker whose driver was killed to save its state
WORDS_MAX = 2000


@dataclass(frozen=True)
class Task:
    """One member to run.

    Parameters
    ----------
    directory
        Its deck.
    resources
        Ranks and threads.
    resume
        Whether it continues from its last restart file.
    allow_edited
        Whether its deck may have been changed by hand.
    """

    directory: str
    resources: Resources
    resume: bool
    allow_edited: bool = False


@dataclass(frozen=True)
class Slot:
    """What one worker of this machine may use.

    Parameters
    ----------
    cores
        Numbers of its cores.
    gpu
        Its GPU; None leaves what the environment says.
    """

    cores: tuple[int, ...]
    gpu: str | None


def run_in_slot(slots: queue.SimpleQueue[Slot], task: Task) -> str:
    """Run one member on the cores and the GPU of the next free slot."""
    slot = slots.get()
    try:
        return run_member(task, slot)
    finally:
        slots.put(slot)


def run_member(task: Task, slot: Slot | None = None) -> str:
    """Run one member, again if it is killed; how it went stands in its folder.

    Returns
    -------
    str
        Why it could not be begun, empty if it could.
    """
    directory = Path(task.directory)
    for attempt in range(ATTEMPTS):
        if is_asked_to_stop(directory):
            take_back_request(directory)
            return ""
        before = _status_text(directory)
        status = _launch(task, slot, resume=task.resume or attempt > 0)
        state = _wait_for_worker(directory)
        if status in ENDED_BY_SIGNAL and _status_text(directory) == before:
            return ""  # before it had begun; what it is to do is as it was
        if status > 0 and status != STOPPED_STATUS and _status_text(directory) == before:
            return _refused(directory, status, is_new=before is None)
        if state != "interrupted":
            return ""
    return ""


def _launch(task: Task, slot: Slot | None, *, resume: bool) -> int:
    """Start ``mofmd run`` and wait for it; return its exit status."""
    directory = Path(task.directory)
    command = [str(find_program("mofmd")), "run", task.directory]
    command += ["--ranks", str(task.resources.ranks), "--threads", str(task.resources.threads)]
    command += ["--resume"] if resume else ["--anew"]
    command += ["--allow-edited"] if task.allow_edited else []
    # the driver, or the worker in a SLURM job: the member ends with it
    env = {**os.environ, WATCHED_PID: str(os.getpid())}
    if slot and slot.gpu is not None:
        env["CUDA_VISIBLE_DEVICES"] = slot.gpu
    with (
        (directory / DRIVER_OUTPUT).open("w", encoding="utf-8") as output,
        subprocess.Popen(command, env=env, stdout=output, stderr=output) as process,
    ):
        if slot:
            with suppress(OSError):  # it has ended already, or cores were taken away meanwhile
                os.sched_setaffinity(process.pid, slot.cores)  # before it starts LAMMPS
        if is_asked_to_stop(directory):
            ask_to_stop(directory)  # made before the launch, and meant for it
        return process.wait()


def _wait_for_worker(directory: Path) -> str:
    """State of a member, once no worker is left that has survived its driver."""
    end = time.monotonic() + PATIENCE_S
    while (state := run_state(directory)) in GOING_ON and time.monotonic() < end:
        time.sleep(POLL_S)
    return state


def _status_text(directory: Path) -> bytes | None:
    path = directory / STATUS
    return path.read_bytes() if path.is_file() else None


def _refused(directory: Path, status: int, *, is_new: bool) -> str:
    """Say why ``mofmd run`` did nothing, and keep it as the reason of the state that it is in.

    A member that never ran has failed with that; one that stopped can still be gone on with.
    """
    text = (directory / DRIVER_OUTPUT).read_text(encoding="utf-8", errors="replace")
    words = text.strip()[-WORDS_MAX:] or f"exit status {status}"
    words = words.removeprefix("mofmd: error: ")
    if is_new:
        write_status(directory, state="failed", error=words)
    elif run_state(directory) not in GOING_ON:  # otherwise it is another's
        left = {**read_status(directory), "state": run_state(directory)}
        write_status(directory, **{**left, "error": words})
    return words
