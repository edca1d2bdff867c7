"""Reference methods that label frames: an ASE calculator, a model in LAMMPS, GFN1-xTB.

A labeller is named by a word: ``package.module:factory`` (a function without arguments that returns
an ASE calculator), the path of a model file, the same with dispersion (``model.pth+d3bj:pbe``), or
``gfn1-xtb``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import re
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from ase import Atoms

from mofmd.engine.evaluate import Patience
from mofmd.engine.launch import Conversation, Resources, environment, how_it_ended
from mofmd.errors import InputError, MissingFileError, RunError, absent, did_you_mean
from mofmd.learning.data.dataset import Labels
from mofmd.learning.evaluate.prediction import predict
from mofmd.models.dispersion.dispersion import Dispersion, parse_d3
from mofmd.models.files.embedded import embedded_models

XTB = "gfn1-xtb"
XTB_FACTORY = "mofmd.learning.label.labellers:gfn1_xtb"
ANSWER = "mofmd label "  # begins the lines in which the worker answers
SAID_LINES = 200
START_LIMIT_S = 600.0  # imports on a slow disk; a calculator that reads large files

Label = Callable[[Sequence[Atoms]], list[Labels]]


class Labeller(Protocol):
    """A reference method."""

    @property
    def word(self) -> str:
        """How the user named it."""

    @property
    def identity(self) -> str:
        """Changes whenever its labels may change: what is cached belongs to it."""

    @property
    def batch(self) -> int:
        """How many frames to give at a time."""

    def session(self, patience: Patience | None = None) -> AbstractContextManager[Label]:
        """Start it once for many frames; without patience, each may take as long as it likes."""


def find_labeller(word: str, threads: int = 1) -> Labeller:
    """Find the labeller that a word names.

    Raises
    ------
    InputError, MissingFileError
        If there is none, or a package that it needs is not installed.
    """
    if word == XTB:
        _require_tblite()
        return CalculatorLabeller(word, XTB_FACTORY, threads)
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", word):
        return CalculatorLabeller(word, word, threads)
    name, dispersion = word, None
    if (match := re.fullmatch(r"(.+)\+(d3[^+/]*)", word)) and not Path(word).is_file():
        name, dispersion = match[1], parse_d3(match[2])
    path = embedded_models().get(name, Path(name)) if not Path(name).exists() else Path(name)
    if not path.is_file():
        raise MissingFileError(
            f"labeller: {name!r}: {absent(path, 'model file')}"
            f"{did_you_mean(name, embedded_models())}; it can be a model file or one of the "
            "package, one with dispersion (model.pth+d3bj:pbe), an ASE calculator as "
            f"package.module:factory, or {XTB}"
        )
    return ModelLabeller(path, threads, dispersion=dispersion)


def gfn1_xtb() -> Any:
    """Make the ASE calculator of GFN1-xTB (tblite)."""
    _require_tblite()
    tblite = importlib.import_module("tblite.ase")
    return tblite.TBLite(method="GFN1-xTB", verbosity=0)


def _require_tblite() -> None:
    if importlib.util.find_spec("tblite") is None:
        raise InputError(
            "labeller: gfn1-xtb needs the package tblite, which is not installed: pip install "
            "tblite (LGPL-3.0-or-later)"
        )


@dataclass(frozen=True)
class ModelLabeller:
    """A model file that a pair style of mofmd runs, in LAMMPS.

    Parameters
    ----------
    path
        NequIP, Allegro or MACE model, deployed or legacy.
    threads
        Of each LAMMPS.
    batch
        Frames that one LAMMPS evaluates.
    dispersion
        Added to the model.
    """

    path: Path
    threads: int = 1
    batch: int = 16
    dispersion: Dispersion | None = None

    @property
    def word(self) -> str:
        """Path of the file, and the dispersion."""
        return str(self.path) if self.dispersion is None else f"{self.path}+{self.dispersion}"

    @property
    def identity(self) -> str:
        """Hash of the file, and the dispersion."""
        model = f"model-{hashlib.sha256(self.path.read_bytes()).hexdigest()[:24]}"
        if self.dispersion is None:
            return model
        return f"{model}-{self.dispersion}".replace(":", "-")

    def session(self, patience: Patience | None = None) -> AbstractContextManager[Label]:
        """LAMMPS is started for each batch: nothing is kept."""

        def label(frames: Sequence[Atoms]) -> list[Labels]:
            return predict(self.path, frames, self.threads, patience, self.dispersion)

        return nullcontext(label)


@dataclass(frozen=True)
class CalculatorLabeller:
    """An ASE calculator, in a process of its own.

    Parameters
    ----------
    word
        How the user named it.
    factory
        ``package.module:factory``; the current folder is searched too.
    threads
        OMP_NUM_THREADS of the process.
    """

    word: str
    factory: str
    threads: int = 1
    batch: int = 1

    @property
    def identity(self) -> str:
        """Hash of the factory's module, with the versions of its package and of ASE."""
        module = load_factory(self.factory).__module__
        package = module.partition(".")[0]
        versions = {name: _version(name) for name in ("ase", package, "tblite")}
        if self.factory == XTB_FACTORY:
            text = json.dumps([self.factory, versions["ase"], versions["tblite"]])
        else:
            try:
                source = inspect.getsource(sys.modules[module])
            except (OSError, TypeError) as error:
                raise InputError(
                    f"labeller: {self.factory}: the source of {module} cannot be read, so that its "
                    "labels could not be told from another version's: put a function that returns "
                    "the calculator into a module of your own"
                ) from error
            text = json.dumps([self.factory, versions["ase"], versions[package], source])
        return f"calculator-{hashlib.sha256(text.encode()).hexdigest()[:24]}"

    def session(self, patience: Patience | None = None) -> AbstractContextManager[Label]:
        """Start a process that holds the calculator."""
        load_factory(self.factory)  # what is wrong with the name is told before a process starts
        return _WorkerSession(self.factory, self.threads, patience or Patience(limit_s=None))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def load_factory(word: str) -> Callable[[], Any]:
    """Import ``package.module:factory``.

    Raises
    ------
    InputError
        If the module cannot be imported or has no such function.
    """
    module_name, _, name = word.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise InputError(
            f"labeller: {word}: cannot import {module_name} ({error}); install it, or run from the "
            "folder that holds it"
        ) from error
    factory = getattr(module, name, None)
    if not callable(factory):
        raise InputError(f"labeller: {word}: {module_name} has no function {name!r}")
    return factory  # type: ignore[no-any-return]


class _WorkerSession:
    """One process with one calculator, fed through its standard input."""

    def __init__(self, factory: str, threads: int, patience: Patience) -> None:
        self._factory = factory
        self._patience = patience
        self._ready = False
        self._said: deque[str] = deque(maxlen=SAID_LINES)
        self._launch = Conversation(
            [sys.executable, "-m", "mofmd.learning.label.worker", factory],
            Path.cwd(),
            environment(Resources(threads=threads)),
        )

    def __enter__(self) -> Label:
        self._folder = tempfile.TemporaryDirectory(prefix="mofmd-label-")
        try:
            self._launch.__enter__()
        except BaseException:
            self._folder.cleanup()
            raise
        return self._label

    def __exit__(self, *_: object) -> None:
        try:
            self._launch.__exit__()
        finally:
            self._folder.cleanup()

    def _label(self, frames: Sequence[Atoms]) -> list[Labels]:
        return [self._label_one(frame) for frame in frames]

    def _label_one(self, frame: Atoms) -> Labels:
        folder = Path(self._folder.name)
        np.savez(
            folder / "frame.npz",
            numbers=frame.numbers,
            positions=frame.positions,
            cell=frame.cell.array,
            pbc=frame.pbc,
        )
        if not self._ready:
            self._expect("ready", START_LIMIT_S)
            self._ready = True
        self._said.clear()
        with suppress(BrokenPipeError):  # it has ended: what it said last is told below
            self._launch.tell(f"{folder / 'frame.npz'}\t{folder / 'labels.npz'}")
        self._expect("done", self._patience.limit_s)
        with np.load(folder / "labels.npz") as file:
            stress = file.get("stress", None)
            return Labels(float(file["energy"]), file["forces"], stress)

    def _expect(self, word: str, limit_s: float | None) -> None:
        """Wait for this answer; what else happens is an error."""
        self._launch.limit(limit_s, self._patience.stop)
        try:
            answer = self._answer()
        except TimeoutError as error:
            raise self._failure(f"not {word} within the time limit of {limit_s:g} s") from error
        if answer is None:
            raise self._failure(how_it_ended(self._launch.wait()))
        if answer != word:
            raise self._failure(answer.removeprefix("error "))

    def _answer(self) -> str | None:
        """Next answer of the worker; None where it ended without one."""
        while (line := self._launch.next_line()) is not None:
            if line.startswith(ANSWER):
                return line.removeprefix(ANSWER)
            if line.strip():
                self._said.append(line)
        return None

    def _failure(self, reason: str) -> RunError:
        """Make the error; what the worker printed, its traceback included, is a note of it."""
        error = RunError(f"labeller {self._factory}: {reason}{self._last_words()}")
        error.add_note("\n".join(self._said))
        return error

    def _last_words(self) -> str:
        words = " ".join(" ".join(self._said).split()[-60:])
        return f"; its last words: {words}" if words else ""
