"""Running ensembles: workers of this machine or of SLURM jobs through Parsl, or SLURM arrays."""

from __future__ import annotations

import os
import queue
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from mofmd.engine.files import write_atomic
from mofmd.engine.launch import Resources, find_program
from mofmd.errors import InputError, MissingFileError, StoppedError
from mofmd.simulation.ensemble import Ensemble, Member
from mofmd.simulation.leash import put_on_leash
from mofmd.simulation.status import STOP_REQUEST, WATCHED_PID, read_status, write_status

STOPPED_STATUS = 75  # as `mofmd run` exits when it was asked to stop
ATTEMPTS = 3  # of a member that is killed again and again without a word
HEARTBEAT_S = 3
LOST_AFTER_S = 15
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
    """

    count: int = 1
    resources: Resources = Resources()  # noqa: RUF009 - frozen, so that all may share it
    gpus: tuple[str, ...] = ()
    where: Literal["local", "slurm"] = "local"
    nodes: int = 1
    walltime: str = WALLTIME
    options: str = ""

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        if self.count < 1:
            raise InputError(f"workers: {self.count}, expected a whole number of at least 1")
        if self.gpus and len(self.gpus) < self.count:
            raise InputError(
                f"gpus: {len(self.gpus)} for {self.count} workers; name one for each worker"
            )


def run_ensemble(
    ensemble: Ensemble,
    workers: Workers,
    report: Callable[[Member], None],
    *,
    retry_failed: bool = False,
) -> None:
    """Run all members that are not finished; each continues from its last restart file.

    The driver and the members may be killed at any moment: run it again.

    Parameters
    ----------
    ensemble
        What to run.
    workers
        Who runs it.
    report
        Called with each member that has ended.
    retry_failed
        Also members that failed, from their beginning.

    Raises
    ------
    StoppedError
        If the driver was asked to stop (SIGTERM, Ctrl-C); running members have saved their state.
    """
    done = ("finished",) if retry_failed else ("finished", "failed")
    todo = [member for member in ensemble.members if member.state not in done]
    if not todo:
        return
    stop = threading.Event()
    old = {number: signal.signal(number, lambda *_: stop.set()) for number in (
        signal.SIGTERM, signal.SIGINT)}  # fmt: skip
    try:
        _run_with_parsl(ensemble, todo, workers, report, stop)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    if stop.is_set():
        raise StoppedError(
            f"{ensemble.directory}: stopped as asked; go on with "
            f"`mofmd ensemble run {ensemble.directory}`"
        )


def _run_with_parsl(
    ensemble: Ensemble,
    todo: list[Member],
    workers: Workers,
    report: Callable[[Member], None],
    stop: threading.Event,
) -> None:
    import parsl

    # Parsl starts its own programs by name; they lie beside this Python
    os.environ["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    slots = _local_slots(workers) if workers.where == "local" else None
    config = parsl_config(ensemble.directory, workers)
    with parsl.load(config):
        if workers.where == "slurm":
            put_on_leash(config.executors[0].interchange_proc.pid)
        app = parsl.python_app(run_in_slot if slots else run_member)
        futures: dict[Future[int], Member] = {
            app(*((slots,) if slots else ()), _task(member, workers)): member for member in todo
        }
        threading.Thread(target=_stop_members, args=(todo, stop), daemon=True).start()
        for future in as_completed(futures):
            future.result()
            report(futures[future])


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
    """

    directory: str
    resources: Resources
    resume: bool


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


def _task(member: Member, workers: Workers) -> Task:
    return Task(
        directory=str(member.directory.resolve()),
        resources=workers.resources,
        resume=member.state != "failed",
    )


def _local_slots(workers: Workers) -> queue.SimpleQueue[Slot]:
    """Deal out the cores of this machine, and the GPUs, to the workers."""
    slots: queue.SimpleQueue[Slot] = queue.SimpleQueue()
    for slot in share_out(sorted(os.sched_getaffinity(0)), workers):
        slots.put(slot)
    return slots


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


def run_in_slot(slots: queue.SimpleQueue[Slot], task: Task) -> int:
    """Run one member on the cores and the GPU of the next free slot."""
    slot = slots.get()
    try:
        return run_member(task, slot)
    finally:
        slots.put(slot)


def run_member(task: Task, slot: Slot | None = None) -> int:
    """Run one member; return the exit status of its last attempt."""
    directory = Path(task.directory)
    command = [str(find_program("mofmd")), "run", task.directory]
    command += ["--ranks", str(task.resources.ranks), "--threads", str(task.resources.threads)]
    # the driver, or the worker in a SLURM job: the member ends with it
    env = {**os.environ, WATCHED_PID: str(os.getpid())}
    if slot and slot.gpu is not None:
        env["CUDA_VISIBLE_DEVICES"] = slot.gpu
    status = 0
    for attempt in range(ATTEMPTS):
        if (directory / STOP_REQUEST).exists():
            (directory / STOP_REQUEST).unlink()
            return STOPPED_STATUS
        again = ["--resume"] if task.resume or attempt else []
        with (directory / "driver.txt").open("w") as output:
            process = subprocess.Popen([*command, *again], env=env, stdout=output, stderr=output)
            if slot:
                os.sched_setaffinity(process.pid, slot.cores)  # before it starts LAMMPS
            status = process.wait()
        state = read_status(directory).get("state")
        if status != 0 and state is None:  # refused before it began
            words = (directory / "driver.txt").read_text(errors="replace").strip()
            write_status(directory, state="failed", error=words or f"exit status {status}")
        if state != "interrupted":
            break
    return status


def _stop_members(members: list[Member], stop: threading.Event) -> None:
    """Once asked to stop, ask every member; those that have not begun stop as they begin."""
    stop.wait()
    for member in members:
        if member.state not in ("finished", "failed"):
            (member.directory / STOP_REQUEST).touch()


def parsl_config(directory: Path, workers: Workers) -> Any:
    """Parsl's configuration: threads that launch on this machine, or workers in SLURM jobs."""
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.executors.threads import ThreadPoolExecutor
    from parsl.providers import SlurmProvider

    if workers.where == "local":
        # threads of the driver: nothing of Parsl outlives a driver that is killed
        executor: Any = ThreadPoolExecutor(label="members", max_threads=workers.count)
    else:
        executor = HighThroughputExecutor(
            label="members",
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
    """
    wrong = [line for line in options.splitlines() if not line.startswith("#SBATCH ")]
    if wrong:
        raise InputError(f"slurm_options: {wrong[0]!r}, expected lines such as '#SBATCH -p gpu'")
    text = _array_template()
    values = {
        "LAST": str(len(ensemble.members) - 1),
        "RANKS": str(resources_of_member.ranks),
        "THREADS": str(resources_of_member.threads),
        "WALLTIME": walltime,
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


def _array_template() -> str:
    """Text of the script in deploy/: in the package when installed, beside it in a checkout."""
    package = Path(str(resources.files("mofmd")))
    for folder in (package / "slurm", package.parent / "deploy" / "slurm"):
        if (folder / ARRAY_SCRIPT).is_file():
            return (folder / ARRAY_SCRIPT).read_text(encoding="utf-8")
    raise MissingFileError("deploy/slurm/array.sh: missing; install mofmd again")
