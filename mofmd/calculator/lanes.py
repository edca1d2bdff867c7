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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from ase import Atoms

from mofmd.calculator.process import CalculatorProcess
from mofmd.calculator.reference import Reference
from mofmd.engine.evaluate import LIMIT_S, Evaluation, Patience
from mofmd.errors import InputError, MofmdError
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
    that dies costs the structure that it was at; the next one is given to a new process.

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
        self._free: queue.SimpleQueue[_Lane] = queue.SimpleQueue()
        self._lanes = [_Lane(task) for _ in range(lanes)]
        self._signals = SignalHandlers()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Lanes:
        """Get ready; processes start when there is something for them."""
        self._signals.install()
        self._pool = ThreadPoolExecutor(len(self._lanes), thread_name_prefix="mofmd-lane")
        for lane in self._lanes:
            self._free.put(lane)
        return self

    def __exit__(self, *_: object) -> None:
        """End the processes."""
        try:
            if self._pool is not None:
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
        waiting: deque[Future[Evaluation | MofmdError]] = deque()
        try:
            for number, atoms in enumerate(structures):
                waiting.append(self._pool.submit(self._one, number, atoms.copy(), stop))
                while len(waiting) > AHEAD * len(self._lanes) or (waiting and waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()
            for future in waiting:
                if not future.cancelled():
                    future.exception()

    def _one(self, number: int, atoms: Atoms, stop: threading.Event) -> Evaluation | MofmdError:
        lane = self._free.get()
        try:
            return lane.evaluate(atoms, Patience(limit_s=self.options.time_limit_s, stop=stop))
        except MofmdError as error:
            told = type(error)(f"structure {number + 1} ({atoms.get_chemical_formula()}): {error}")
            for note in getattr(error, "__notes__", []):
                told.add_note(note)
            return told
        finally:
            self._free.put(lane)


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
    """A process, made when it is needed, and again when it has died."""

    def __init__(self, task: _Task) -> None:
        self._task = task
        self._process: CalculatorProcess | None = None

    def evaluate(self, atoms: Atoms, patience: Patience) -> Evaluation:
        if self._process is None:
            task = self._task
            process = CalculatorProcess(task.factory, task.options, task.threads, task.name)
            self._process = process.__enter__()
        try:
            return _evaluation(self._process.evaluate(atoms, patience))
        except BaseException:
            if not self._process.answers:
                self.end()
            raise

    def end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.__exit__()


def _evaluation(found: dict[str, np.ndarray]) -> Evaluation:
    forces = found["forces"]
    return Evaluation(
        float(found["energy"]),
        found.get("energies", np.full(len(forces), np.nan)),
        forces,
        found.get("stress", np.full((3, 3), np.nan)),
    )
