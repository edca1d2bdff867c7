"""Running ensembles: workers of this machine or of SLURM jobs through Parsl, or SLURM arrays."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from mofmd.engine.files import write_atomic
from mofmd.engine.launch import Resources, find_program
from mofmd.errors import InputError, MissingFileError, StoppedError
from mofmd.simulation.ensemble import Ensemble, Member
from mofmd.simulation.status import STOP_REQUEST, WATCHED_PID, is_alive, read_status, write_status

ATTEMPTS = 3  # of a member that is killed again and again without a word
HEARTBEAT_S = 3
LOST_AFTER_S = 15
ARRAY_SCRIPT = "array.sh"


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
    resources: Resources = Resources()  # noqa: RUF009  frozen
    gpus: tuple[str, ...] = ()
    where: Literal["local", "slurm"] = "local"
    nodes: int = 1
    walltime: str = "24:00:00"
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
    with parsl.load(parsl_config(ensemble.directory, workers)):
        app = parsl.python_app(run_member)
        pid = os.getpid() if workers.where == "local" else 0
        futures: dict[Future[int], Member] = {
            app(
                str(member.directory.resolve()),
                workers.resources.ranks,
                workers.resources.threads,
                pid,
                resume=member.state != "failed",
            ): member
            for member in todo
        }
        asker = threading.Thread(target=_stop_members, args=(todo, stop), daemon=True)
        asker.start()
        for future in as_completed(futures):
            if not stop.is_set():
                future.result()
            report(futures[future])
            if stop.is_set() and not any(member.state == "running" for member in todo):
                break


def _stop_members(members: list[Member], stop: threading.Event) -> None:
    """Once asked to stop, ask every member; those that have not begun stop as they begin."""
    stop.wait()
    for member in members:
        if member.state in ("running", "waiting", "interrupted", "stopped"):
            (member.directory / STOP_REQUEST).touch()


def run_member(directory: str, ranks: int, threads: int, pid: int, resume: bool) -> int:
    """Run one member in a Parsl worker; return the exit status of its last attempt."""
    command = [str(find_program("mofmd")), "run", directory]
    command += ["--ranks", str(ranks), "--threads", str(threads)]
    env = {**os.environ, WATCHED_PID: str(pid)} if pid else dict(os.environ)
    status = 0
    for attempt in range(ATTEMPTS):
        if (Path(directory) / STOP_REQUEST).exists() or (pid and not is_alive(pid)):
            return 75
        again = ["--resume"] if resume or attempt else []
        with (Path(directory) / "driver.txt").open("w") as output:
            done = subprocess.run(
                [*command, *again], env=env, stdout=output, stderr=output, check=False
            )
        status = done.returncode
        state = read_status(Path(directory)).get("state")
        if status != 0 and state is None:  # refused before it began
            words = (Path(directory) / "driver.txt").read_text(errors="replace").strip()
            write_status(Path(directory), state="failed", error=words or f"exit status {status}")
        if state != "interrupted":
            break
    return status


def parsl_config(directory: Path, workers: Workers) -> Any:
    """Parsl's configuration: pinned workers of this machine, or in SLURM jobs."""
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider, SlurmProvider

    local = workers.where == "local"
    provider = (
        LocalProvider(init_blocks=1, max_blocks=1)
        if local
        else SlurmProvider(
            nodes_per_block=workers.nodes,
            walltime=workers.walltime,
            scheduler_options=workers.options,
            worker_init=f"export PATH={shlex.quote(str(Path(sys.prefix) / 'bin'))}:$PATH",
        )
    )
    options: dict[str, Any] = {"address": "127.0.0.1"} if local else {}
    if workers.gpus:
        options["available_accelerators"] = list(workers.gpus)
    return Config(
        run_dir=str(directory / "parsl"),
        executors=[
            HighThroughputExecutor(
                label="members",
                max_workers_per_node=workers.count,
                # block: each worker, and the member it runs, keeps to its own share of the cores
                cpu_affinity="block" if workers.count > 1 else "none",
                heartbeat_period=HEARTBEAT_S,
                heartbeat_threshold=LOST_AFTER_S,
                provider=provider,
                **options,
            )
        ],
        initialize_logging=False,
        retries=1,
    )


def write_slurm_array(ensemble: Ensemble, resources_of_member: Resources) -> Path:
    """Write ``array.sh``: a SLURM array with one task for each member, that resumes by itself."""
    text = _array_template()
    values = {
        "LAST": str(len(ensemble.members) - 1),
        "RANKS": str(resources_of_member.ranks),
        "THREADS": str(resources_of_member.threads),
        "DIRECTORY": str(ensemble.directory.resolve()),
        "MEMBERS": " ".join(member.name for member in ensemble.members),
        "MOFMD": str(find_program("mofmd")),
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
