"""Many structures with one model or reference method: processes that stay, each with it loaded.

Examples
--------
>>> from mofmd.calculator.lanes import Lanes
>>> from mofmd.structures.read import read_structure
>>> crystal = read_structure("zif-4")
>>> strained = [crystal.copy() for _ in range(3)]
>>> for scale, atoms in zip((0.99, 1.0, 1.01), strained):
...     atoms.set_cell(scale * crystal.cell.array, scale_atoms=True)
>>> with Lanes("zif4-allegro-s") as lanes:
...     energies = [found.energy_eV for found in lanes.map(strained)]
>>> energies[1] < energies[0]
True
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ase import Atoms

from mofmd.calculator.process import CalculatorProcess
from mofmd.calculator.reference import Reference
from mofmd.calculator.results import evaluation_of
from mofmd.engine.evaluate import LIMIT_S, Evaluation, Patience
from mofmd.errors import InputError, MofmdError, StoppedError
from mofmd.models.dispersion.dispersion import Dispersion, choose_dispersion, parse_dispersion
from mofmd.models.names import find_model
from mofmd.processes.signals import SignalHandlers

FACTORY = "mofmd.calculator:DeployedModel"
AHEAD = 8  # structures a lane that may be done before the one that is waited for


@dataclass(frozen=True)
class LaneOptions:
    """How a model is evaluated.

    Parameters
    ----------
    lanes
        Processes, each with the model in memory, that take one structure after another.
    threads
        Of torch in each of them.
    dispersion
        ``none``; ``d3bj:FUNCTIONAL`` and the like; ``auto``: what the file says is missing.
    dtype
        ``float64`` to run in float64 what was deployed in float32; None: as deployed.
    time_limit_s
        Wall time for a structure [s]; None for as long as it takes.
    """

    lanes: int = 1
    threads: int = 1
    dispersion: str | Dispersion = "none"
    dtype: Literal["float32", "float64"] | None = None
    time_limit_s: float | None = LIMIT_S

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        for name in ("lanes", "threads"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: {value!r}, expected a whole number of at least 1")


class Lanes:
    """A model that evaluates many structures; a context manager: no process outlives the block.

    A result depends on its structure alone: not on the lane, nor on what came before it. A process
    is given its next structure while it is at one, so that it never waits. One that dies costs the
    structure that it was at; the next one is given to a new process.

    Parameters
    ----------
    model
        A file, or the name of a model; or a reference method, to which neither dispersion nor dtype
        applies.
    lanes, threads, dispersion, dtype, time_limit_s
        See ``LaneOptions``.

    Raises
    ------
    InputError, MissingFileError
        If there is no such model, or an option makes no sense.
    """

    def __init__(  # noqa: PLR0913 - one argument per option
        self,
        model: str | Path | Reference,
        *,
        lanes: int = 1,
        threads: int = 1,
        dispersion: str | Dispersion = "none",
        dtype: Literal["float32", "float64"] | None = None,
        time_limit_s: float | None = LIMIT_S,
    ) -> None:
        self.options = LaneOptions(lanes, threads, dispersion, dtype, time_limit_s)
        task = _task(model, self.options)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lanes = [_Lane(task, self._jobs, lanes) for _ in range(lanes)]
        self._stops: set[threading.Event] = set()  # of rows that are not at their ends
        self._signals = SignalHandlers()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Lanes:
        """Get ready; processes start when there is something for them."""
        self._signals.install()
        self._pool = ThreadPoolExecutor(len(self._lanes), thread_name_prefix="mofmd-lane")
        for lane in self._lanes:
            self._pool.submit(lane.run)
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes, and give up what was not waited for."""
        try:
            if self._pool is not None:
                for stop in self._stops:
                    stop.set()
                for _lane in self._lanes:
                    self._jobs.put(None)
                self._pool.shutdown()
        finally:
            for lane in self._lanes:
                lane.end()
            self._signals.restore()

    def map(self, structures: Iterable[Atoms]) -> Iterator[Evaluation]:
        """Evaluate structures; give the results in their order, each as soon as it is there.

        Structures are taken from an iterator a few ahead of the result that is waited for. Leaving
        the loop early gives up what is being evaluated.

        Parameters
        ----------
        structures
            Periodic structures, slabs, molecules: of the latter two the stress is NaN.

        Raises
        ------
        InputError
            If the model cannot evaluate a structure; the message names it.
        RunError
            If an evaluation fails, takes too long, or its process dies.
        """
        for found in self.outcomes(structures):
            if isinstance(found, MofmdError):
                raise found
            yield found

    def outcomes(self, structures: Iterable[Atoms]) -> Iterator[Evaluation | MofmdError]:
        """Evaluate as ``map`` does; what fails is given as its error, and the others go on."""
        if self._pool is None:
            raise RuntimeError("Lanes is a context manager: use it in a with statement")
        stop = threading.Event()
        self._stops.add(stop)
        patience = Patience(limit_s=self.options.time_limit_s, stop=stop)
        waiting: deque[Future[Evaluation | MofmdError]] = deque()
        try:
            for number, atoms in enumerate(structures):
                job = _Job(number, atoms.copy(), patience)
                self._jobs.put(job)
                waiting.append(job.outcome)
                while len(waiting) > AHEAD * len(self._lanes) or (waiting and waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()
            self._stops.discard(stop)
            for outcome in waiting:
                outcome.cancel()
            for outcome in waiting:
                if not outcome.cancelled():
                    outcome.exception()


@dataclass(frozen=True, eq=False)
class _Job:
    """A structure, and its outcome as soon as there is one."""

    number: int
    atoms: Atoms
    patience: Patience
    outcome: Future[Evaluation | MofmdError] = field(default_factory=Future)

    @property
    def is_given_up(self) -> bool:
        """Whether nobody waits for the outcome any more."""
        return self.patience.stop is not None and self.patience.stop.is_set()

    def fail(self, error: BaseException) -> None:
        """Let the error be the outcome, with the structure's name if people are to read it."""
        if not isinstance(error, MofmdError):
            self.outcome.set_exception(error)
            return
        what = f"structure {self.number + 1} ({self.atoms.get_chemical_formula()})"
        told = type(error)(f"{what}: {error}")
        for note in getattr(error, "__notes__", []):
            told.add_note(note)
        self.outcome.set_result(told)


@dataclass(frozen=True)
class _Task:
    """Arguments of ``CalculatorProcess``."""

    factory: str
    options: dict[str, Any]
    threads: int
    name: str


def _task(model: str | Path | Reference, options: LaneOptions) -> _Task:
    if isinstance(model, Reference):
        if options.dtype is not None or options.dispersion != "none":
            raise InputError(f"lanes: dispersion and dtype are for models, not for {model.word}")
        return _Task(model.factory, {}, options.threads, model.word)
    path = find_model(model).resolve()
    given = options.dispersion
    choice = parse_dispersion(given) if isinstance(given, str) else given
    dispersion = choose_dispersion(choice, path)
    arguments = {
        "model": str(path),
        "dispersion": "none" if dispersion is None else str(dispersion),
        "dtype": options.dtype,
        "threads": options.threads,
        "skin_A": 0.0,  # no memory of the structure before
    }
    return _Task(FACTORY, arguments, options.threads, path.name)


class _Lane:
    """Takes jobs, one after another; its process is made when it is needed.

    Parameters
    ----------
    task
        What the process is made of.
    jobs
        Of all lanes; None ends one of them.
    lanes
        How many there are.
    """

    def __init__(self, task: _Task, jobs: queue.SimpleQueue[_Job | None], lanes: int) -> None:
        self._task = task
        self._jobs = jobs
        self._lanes = lanes
        self._process: CalculatorProcess | None = None
        self._given: set[_Job] = set()  # what the process has got and not answered

    def run(self) -> None:
        """Do jobs until there are no more."""
        job = self._jobs.get()
        while job is not None:
            following = None
            if self._give(job):
                following = self._job_ahead()
                self._take(job)
            job = following or self._jobs.get()

    def _job_ahead(self) -> _Job | None:
        """Give the process its next job; not the last ones, which would wait for this lane."""
        if self._jobs.qsize() <= self._lanes:
            return None
        try:
            job = self._jobs.get_nowait()
        except queue.Empty:
            return None
        if job is None:
            self._jobs.put(None)
            return None
        return job if self._give(job) else None

    def _give(self, job: _Job) -> bool:
        """Give the job to the process, if that has not got it; whether it has it now."""
        if job in self._given:
            return True
        if job.is_given_up:
            if not job.outcome.cancel():
                job.fail(StoppedError("given up"))
            return False
        # of a job that was given to a process that died, this was done before
        if not job.outcome.running() and not job.outcome.set_running_or_notify_cancel():
            return False
        try:
            self._running_process().give(job.atoms)
        except BaseException as error:
            job.fail(error)
            return False
        self._given.add(job)
        return True

    def _take(self, job: _Job) -> None:
        process = self._running_process()
        try:
            found = evaluation_of(process.take(job.patience))
        except BaseException as error:
            if not process.answers:
                self.end()
            job.fail(error)
        else:
            job.outcome.set_result(found)
        self._given.discard(job)

    def _running_process(self) -> CalculatorProcess:
        if self._process is None:
            task = self._task
            process = CalculatorProcess(task.factory, task.options, task.threads, task.name)
            self._process = process.__enter__()
        return self._process

    def end(self) -> None:
        """End the process, with whatever it is at."""
        process, self._process = self._process, None
        self._given.clear()
        if process is not None:
            process.__exit__()
