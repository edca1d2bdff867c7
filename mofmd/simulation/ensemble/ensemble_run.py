"""Running ensembles: on this machine, in SLURM jobs through Parsl, or as a SLURM array."""

from __future__ import annotations

import importlib.util
import os
import queue
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mofmd.disk.atomic import write_atomic
from mofmd.disk.lock import lock_folder
from mofmd.disk.package_files import packaged_file
from mofmd.disk.stop_request import ask_to_stop, take_back_request
from mofmd.engine.launch import Resources, find_program
from mofmd.errors import InputError, RunError, StoppedError, in_command
from mofmd.processes.end_with_parent import end_with_this_process
from mofmd.simulation.ensemble.ensemble import MISSING, Ensemble, Member
from mofmd.simulation.ensemble.member import Slot, Task, run_in_slot, run_member
from mofmd.simulation.run.gpus import tell_unused_gpus
from mofmd.simulation.run.status import GOING_ON, read_status

HEARTBEAT_S = 3
LOST_AFTER_S = 15
POLL_S = 0.5
INTERCHANGE = "parsl.executors.high_throughput.interchange"
ARRAY_SCRIPT = "array.sh"
WALLTIME = "24:00:00"


@dataclass(frozen=True)
class Workers:
    """Who runs the members.

    Parameters
    ----------
    count
        Members at a time; on SLURM, in each job.
    resources
        Ranks and threads of each member.
    gpus
        GPUs to deal out, one to a worker; empty: workers share the CPUs, each with its own.
    where
        ``local``: this machine. ``slurm``: jobs that Parsl submits.
    nodes, walltime, options
        Of each SLURM job: nodes, time limit, further ``#SBATCH`` lines.
    allow_edited
        Run members whose decks were changed by hand.
    """

    count: int = 1
    resources: Resources = Resources()  # noqa: RUF009 - frozen, so that all may share it
    gpus: tuple[str, ...] = ()
    where: Literal["local", "slurm"] = "local"
    nodes: int = 1
    walltime: str = WALLTIME
    options: str = ""
    allow_edited: bool = False

    def __post_init__(self) -> None:
        """Refuse counts below one, and SLURM jobs without Parsl."""
        if self.where == "slurm" and importlib.util.find_spec("parsl") is None:
            raise InputError(
                "SLURM jobs are submitted through Parsl, which is not installed: "
                "pip install 'mofmd[slurm]', or have a script for sbatch written, which does "
                "without it (--slurm-array)"
            )
        if self.count < 1:
            raise InputError(f"workers: {self.count}, expected a whole number of at least 1")
        if self.gpus and len(self.gpus) < self.count:
            raise InputError(
                f"gpus: {len(self.gpus)} for {self.count} workers; name one for each worker"
            )


class MembersError(RunError):
    """Members of an ensemble could not be begun; ``reasons`` says why, by their names."""

    def __init__(self, reasons: Mapping[str, str], message: str) -> None:
        super().__init__(message)
        self.reasons = reasons


def run_ensemble(
    ensemble: Ensemble,
    workers: Workers,
    report: Callable[[Member], None],
    *,
    retry_failed: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Run all members that are not finished; each continues from its last restart file.

    The driver and the members may be killed at any moment: run it again. Each member ends by
    itself, whatever becomes of the others.

    Parameters
    ----------
    ensemble
        What to run.
    workers
        Who runs it.
    report
        Called with each member that has ended, but not with one that could not be begun.
    retry_failed
        Also members that failed; those that broke an integrity check from their beginning.
    progress
        Called now and then with the number of members that have ended, and of all to run.

    Raises
    ------
    StoppedError
        If the driver was asked to stop (SIGTERM, Ctrl-C); running members have saved their state.
    RunError
        If another driver runs this ensemble.
    MembersError
        If members could not be begun: their names, and why.
    """
    if workers.where == "local":
        tell_unused_gpus(",".join(workers.gpus))
    done = ("finished",) if retry_failed else ("finished", "failed")
    how = " by SIGTERM or Ctrl-C to its process"
    with lock_folder(ensemble.directory, "driver of this ensemble", how), _stop_on_signal() as stop:
        states = {member.name: member.state for member in ensemble.members}
        todo = [each for each in ensemble.members if states[each.name] not in (*done, MISSING)]
        errors = {m.name: m.reason for m in ensemble.members if states[m.name] == MISSING}
        for member in todo:
            if states[member.name] not in GOING_ON:
                take_back_request(member.directory)  # of a driver that was killed
        errors |= _run(ensemble, todo, workers, (report, progress), stop)
    if errors:
        told = "\n".join(f"{name}: {error}" for name, error in sorted(errors.items()))
        raise MembersError(
            errors,
            f"{ensemble.directory}: {len(errors)} of {len(ensemble.members)} members could not be "
            f"run:\n{told}",
        )
    if stop.is_set():
        raise StoppedError(
            f"{ensemble.directory}: stopped as asked; go on with "
            f"`mofmd ensemble run {in_command(ensemble.directory)}`"
        )


@contextmanager
def _stop_on_signal() -> Iterator[threading.Event]:
    """Give an event that the signals to stop set; outside the main thread none arrive."""
    stop = threading.Event()
    hears = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if hears else ()
    old = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _run(
    ensemble: Ensemble,
    todo: Sequence[Member],
    workers: Workers,
    tell: tuple[Callable[[Member], None], Callable[[int, int], None] | None],
    stop: threading.Event,
) -> dict[str, str]:
    """Run members; return why some could not be, by their names."""
    errors: dict[str, str] = {}
    report, progress = tell
    if not todo:
        return errors
    with _pool(ensemble, workers) as submit:
        waiting = {submit(_task(member, workers)): member for member in todo}
        try:
            is_asked = False
            while waiting:
                if progress is not None:
                    progress(len(todo) - len(waiting), len(todo))
                ended, _ = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
                for future in ended:
                    member = waiting.pop(future)
                    if error := _why_not(future):
                        errors[member.name] = error  # told at the end
                    else:
                        report(member)
                if stop.is_set() and not is_asked:
                    is_asked = True
                    _stop_members(waiting.values())
        except BaseException:
            _stop_members(waiting.values())  # leaving the pool waits for them
            raise
    return errors


def _why_not(future: Future[str]) -> str:
    """Why a member could not be run; empty if it could."""
    error = future.exception()
    return future.result() if error is None else f"{type(error).__name__}: {error}"


def _stop_members(members: Iterable[Member]) -> None:
    """Ask members to stop; those that have not begun stop as they begin."""
    for member in members:
        with suppress(OSError):  # its folder may be gone
            ask_to_stop(member.directory)


@contextmanager
def _pool(ensemble: Ensemble, workers: Workers) -> Iterator[Callable[[Task], Future[str]]]:
    """Workers that take tasks: threads that launch on this machine, or Parsl's in SLURM jobs."""
    if workers.where == "local":
        slots: queue.SimpleQueue[Slot] = queue.SimpleQueue()
        for slot in share_out(sorted(os.sched_getaffinity(0)), workers):
            slots.put(slot)
        with ThreadPoolExecutor(workers.count) as pool:
            yield lambda task: pool.submit(run_in_slot, slots, task)
        return
    from parsl import python_app
    from parsl.dataflow.dflow import DataFlowKernel

    config = parsl_config(ensemble.directory, workers)
    with DataFlowKernel(config) as kernel:
        end_with_this_process(config.executors[0].interchange_proc.pid)
        yield python_app(run_member, data_flow_kernel=kernel)


def _task(member: Member, workers: Workers) -> Task:
    broke = member.state == "failed" and "violation" in read_status(member.directory)
    return Task(
        directory=str(member.directory.resolve()),
        resources=workers.resources,
        resume=not broke,
        allow_edited=workers.allow_edited,
    )


def share_out(cores: Sequence[int], workers: Workers) -> list[Slot]:
    """Divide cores into blocks, one for each worker; workers share them where there are too few."""
    size = len(cores) // workers.count
    return [
        Slot(
            cores=tuple(cores[k * size : (k + 1) * size] if size else cores),
            gpu=workers.gpus[k] if workers.gpus else None,
        )
        for k in range(workers.count)
    ]


def parsl_config(directory: Path, workers: Workers) -> Any:
    """Parsl's configuration: workers in SLURM jobs."""
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import SlurmProvider

    executor = HighThroughputExecutor(
        label="members",
        # by its module: the program of that name is found on PATH only in an active environment
        interchange_launch_cmd=[sys.executable, "-m", INTERCHANGE],
        max_workers_per_node=workers.count,
        # block: each worker, and the member it runs, keeps to its own share of the cores
        cpu_affinity="block" if workers.count > 1 else "none",
        available_accelerators=list(workers.gpus),
        heartbeat_period=HEARTBEAT_S,
        heartbeat_threshold=LOST_AFTER_S,
        provider=SlurmProvider(
            nodes_per_block=workers.nodes,
            walltime=workers.walltime,
            scheduler_options=workers.options,
            worker_init=f"export PATH={shlex.quote(str(Path(sys.prefix) / 'bin'))}:$PATH",
        ),
    )
    return Config(
        run_dir=str(directory / "parsl"), executors=[executor], initialize_logging=False, retries=0
    )


def write_slurm_array(
    ensemble: Ensemble,
    resources_of_member: Resources,
    walltime: str = WALLTIME,
    options: str = "",
    *,
    allow_edited: bool = False,
) -> Path:
    """Write ``array.sh``: a SLURM array with one task for each member, that resumes by itself.

    Parameters
    ----------
    ensemble
        What to run.
    resources_of_member
        Ranks and threads.
    walltime, options
        Time limit of a task, and further ``#SBATCH`` lines.
    allow_edited
        Run members whose decks were changed by hand.
    """
    wrong = [line for line in options.splitlines() if not line.startswith("#SBATCH ")]
    if wrong:
        raise InputError(f"slurm_options: {wrong[0]!r}, expected lines such as '#SBATCH -p gpu'")
    text = packaged_file("slurm", "deploy/slurm", ARRAY_SCRIPT).read_text(encoding="utf-8")
    values = {
        "LAST": str(len(ensemble.members) - 1),
        "RANKS": str(resources_of_member.ranks),
        "THREADS": str(resources_of_member.threads),
        "WALLTIME": walltime,
        "EDITED": " --allow-edited" if allow_edited else "",
        "OPTIONS": options or "# (no further options)",
        "DIRECTORY": shlex.quote(str(ensemble.directory.resolve())),
        "MEMBERS": " ".join(member.name for member in ensemble.members),
        "MOFMD": shlex.quote(str(find_program("mofmd"))),
    }
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    path = ensemble.directory / ARRAY_SCRIPT
    write_atomic(path, text)
    path.chmod(0o755)
    return path
