"""An ASE calculator in a process of its own, which stays and is given one structure after another.

What breaks there, memory and crashes included, does not reach this process, and several of them
work at the same time: ``mofmd.calculator.lanes``.
"""

from __future__ import annotations

import importlib
import json
import pickle
import sys
import tempfile
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.disk.atomic import writing
from mofmd.engine.evaluate import Patience
from mofmd.engine.launch import Conversation, Resources, environment, how_it_ended
from mofmd.errors import InputError, RunError

ANSWER = "mofmd calculator "  # begins the lines in which the worker answers
DESCRIBE = "describe"  # in the place of a structure: what the calculator is
ERROR = "error "
REFUSED = "refused "  # an error that is the input's
READY, READY_WITH_STRESS = "ready", "ready, with stress"
TRACEBACK = "mofmd traceback "  # begins the lines of a traceback of the calculator
SAID_LINES = 200
GIVEN = 2
"""Structures that a process may be given before their results are taken."""
_HERE = Path(__file__).parent
START_LIMIT_S = 600.0  # imports on a slow disk; a calculator that reads large files


def load_factory(word: str) -> Callable[..., Any]:
    """Import ``package.module:factory``, a function that returns an ASE calculator.

    Raises
    ------
    InputError
        If the module cannot be imported, is wrong, or has no such function.
    """
    module_name, _, name = word.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"calculator: {word}: cannot import {module_name} ({error}); install it, or run from "
            "the folder that holds it"
        ) from error
    except (Exception, SystemExit) as error:
        raise InputError(
            f"calculator: {word}: {module_name} is wrong: {said_by(error)}; mend the module"
        ) from error
    factory = getattr(module, name, None)
    if not callable(factory):
        raise InputError(f"calculator: {word}: {module_name} has no function {name!r}")
    return factory  # type: ignore[no-any-return]


def said_by(error: BaseException) -> str:
    """Put an exception of the user's code into a line: ``ValueError: too short (own.py, line 3)``.

    Parameters
    ----------
    error
        What was raised.
    """
    if isinstance(error, SyntaxError):
        file, line, what = error.filename, error.lineno, error.msg
    else:
        frames = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if not frame.filename.startswith("<") and Path(frame.filename).parent != _HERE
        ]
        file, line = (frames[-1].filename, frames[-1].lineno) if frames else (None, None)
        what = " ".join(str(error).split())
    place = f" ({Path(file).name}, line {line})" if file and line else ""
    return f"{type(error).__name__}: {what}{place}" if what else f"{type(error).__name__}{place}"


def write_exchanged(path: Path, arrays: Mapping[str, np.ndarray | float]) -> None:
    """Write arrays over what the file holds; only mofmd's own processes may read it.

    In place: ext4 brings a file to the disk at once that was truncated or replaced, which takes
    longer than a small model. What is left of longer arrays at the end is not read. ``pickle``
    takes a tenth of the time of numpy's formats.

    Raises
    ------
    WriteError
        If there is no room.
    """
    with writing(path):
        path.touch()
        with path.open("r+b") as file:
            pickle.dump(dict(arrays), file, pickle.HIGHEST_PROTOCOL)


def read_exchanged(path: Path) -> dict[str, np.ndarray]:
    """Read what ``write_exchanged`` wrote, in a folder that is ours alone."""
    with path.open("rb") as file:
        return pickle.load(file)  # type: ignore[no-any-return]


class CalculatorProcess:
    """One process with one calculator; a context manager: the process ends with the block.

    Parameters
    ----------
    factory
        ``package.module:factory``; the current folder is searched too.
    options
        Arguments of the factory that JSON can hold.
    threads
        OMP_NUM_THREADS of the process.
    name
        What messages call it; the factory by default.
    """

    def __init__(
        self,
        factory: str,
        options: Mapping[str, Any] | None = None,
        threads: int = 1,
        name: str = "",
    ) -> None:
        self._name = name or f"calculator {factory}"
        self.has_stress: bool | None = None
        """Whether the calculator says that it gives stress; None until it is ready."""
        self.answers = False  # whether the last thing of the process was an answer
        self._ready = False
        self._asked = 0
        self._given = 0
        # of structures given and not taken: number of the request, file of the results
        self._results: deque[tuple[int, Path]] = deque()
        self._said: deque[str] = deque(maxlen=SAID_LINES)
        self._traceback: list[str] = []
        worker = [sys.executable, "-m", "mofmd.calculator.worker", factory]
        self._launch = Conversation(
            [*worker, json.dumps(dict(options or {}))],
            Path.cwd(),
            environment(Resources(threads=threads)),
        )

    def __enter__(self) -> CalculatorProcess:
        """Start the process; it loads while this one goes on."""
        self._folder = tempfile.TemporaryDirectory(prefix="mofmd-calculator-")
        try:
            self._launch.__enter__()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End the process with whatever it started."""
        try:
            self._launch.__exit__()
        finally:
            self._folder.cleanup()

    def wait(self, patience: Patience) -> None:
        """Wait until the calculator is there.

        Parameters
        ----------
        patience
            Its event gives the start up; its time limit is of evaluations.

        Raises
        ------
        InputError
            If there is no such calculator, or its factory cannot be called or returns none.
        RunError
            If the factory raises, the process ends, or takes too long.
        StoppedError
            If ``patience.stop`` was set.
        """
        if self._ready:
            return
        answer = self._expect((READY, READY_WITH_STRESS), START_LIMIT_S, patience)
        self.has_stress = answer == READY_WITH_STRESS
        self._ready = True

    def evaluate(self, atoms: Atoms, patience: Patience) -> dict[str, np.ndarray]:
        """Evaluate a structure.

        Parameters
        ----------
        atoms
            The structure; of its charges the calculator is told nothing.
        patience
            Time limit, and the event that gives the evaluation up.

        Returns
        -------
        dict
            ``energy`` [eV], ``forces`` (atoms, 3) [eV/Å]; where the calculator has them,
            ``energies`` (atoms,) [eV] and, of structures that are periodic in some direction,
            ``stress`` (3, 3) [eV/Å³], tension positive.

        Raises
        ------
        InputError
            If the calculator refuses the structure, or its own options.
        RunError
            If it fails, ends, or takes too long. Only after an error of the calculator itself
            (``answers`` is true) can the process be used again.
        StoppedError
            If ``patience.stop`` was set.
        """
        self.give(atoms)
        return self.take(patience)

    def give(self, atoms: Atoms) -> None:
        """Give a structure, also while the calculator is at the one before; ``take`` its results.

        At most ``GIVEN`` may wait for ``take``.

        Parameters
        ----------
        atoms
            As of ``evaluate``.

        Raises
        ------
        WriteError
            If the structure cannot be written.
        """
        slot = self._given % GIVEN
        structure, results = (
            Path(self._folder.name) / f"{what}{slot}" for what in ("structure", "results")
        )
        arrays = {name: getattr(atoms, name) for name in ("numbers", "positions", "pbc")}
        write_exchanged(structure, arrays | {"cell": atoms.cell.array})
        self._given += 1
        self._results.append((self._tell(str(structure), results), results))

    def take(self, patience: Patience) -> dict[str, np.ndarray]:
        """Wait for the results of the first structure given that was not taken yet.

        Parameters
        ----------
        patience
            As of ``evaluate``; the time limit counts from here.

        Raises
        ------
        InputError, RunError, StoppedError
            As ``evaluate``.
        """
        number, results = self._results.popleft()
        self._wait_for_answer(number, patience)
        return read_exchanged(results)

    def describe(self) -> dict[str, Any]:
        """Class and parameters of the calculator, as the factory made it.

        Raises
        ------
        InputError, RunError
            As ``evaluate``.
        """
        found = Path(self._folder.name) / "described.json"
        self._wait_for_answer(self._tell(DESCRIBE, found), Patience(START_LIMIT_S))
        return json.loads(found.read_text())  # type: ignore[no-any-return]

    def _tell(self, source: str, target: Path) -> int:
        """Send a request; return its number, with which it will be answered."""
        self._asked += 1
        with suppress(BrokenPipeError):  # it has ended: what it said last is told with its answer
            self._launch.tell(f"{self._asked}\t{source}\t{target}")
        return self._asked

    def _wait_for_answer(self, number: int, patience: Patience) -> None:
        self.wait(patience)
        self._said.clear()
        self._traceback.clear()
        self.answers = False
        self._expect(("done",), patience.limit_s, patience, number)

    def _expect(
        self,
        words: tuple[str, ...],
        limit_s: float | None,
        patience: Patience,
        number: int | None = None,
    ) -> str:
        """Wait for one of these answers, to a request; what else happens is an error."""
        self._launch.limit(limit_s, patience.stop)
        try:
            answer = self._answer()
        except TimeoutError as error:
            raise self._failure(f"not {words[0]} within the time limit of {limit_s:g} s") from error
        if answer is None:
            raise self._failure(how_it_ended(self._launch.wait()))
        if number is not None:
            given, _, answer = answer.partition(" ")
            if given != str(number):  # what the calculator printed, or a request that was lost
                raise self._failure(f"gave an answer that was not asked for: {given} {answer}")
        self.answers = self._ready
        if answer.startswith(REFUSED):
            raise InputError(f"{self._name}: {answer.removeprefix(REFUSED)}")
        if answer not in words:
            raise self._failure(answer.removeprefix(ERROR))
        return answer

    def _answer(self) -> str | None:
        """Next answer of the worker; None where it ended without one."""
        while (line := self._launch.next_line()) is not None:
            if line.startswith(ANSWER):
                return line.removeprefix(ANSWER)
            if line.startswith(TRACEBACK):
                self._traceback.append(line.removeprefix(TRACEBACK))
            elif line.strip():
                self._said.append(line)
        return None

    def _failure(self, reason: str) -> RunError:
        """Make the error; what the worker printed, its traceback included, is a note of it."""
        error = RunError(f"{self._name}: {reason}{self._last_words()}")
        error.add_note("\n".join([*self._said, *self._traceback]))
        return error

    def _last_words(self) -> str:
        words = " ".join(" ".join(self._said).split()[-60:])
        return f"; its last words: {words}" if words else ""
