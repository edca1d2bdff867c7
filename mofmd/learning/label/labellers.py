"""Reference methods that label frames: an ASE calculator, a model in LAMMPS, GFN1-xTB.

A labeller is named by a word: ``package.module:factory`` (a function without arguments that returns
an ASE calculator), the path or name of a model, the same with dispersion (``model.pth+d3bj:pbe``;
``model.pth+auto`` for what its file says is missing), or ``gfn1-xtb``.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

from ase import Atoms

from mofmd.calculator.process import CalculatorProcess, load_factory
from mofmd.engine.evaluate import Patience
from mofmd.errors import InputError, MissingFileError, absent, choices
from mofmd.learning.data.dataset import Labels
from mofmd.models.dispersion.dispersion import Dispersion, choose_dispersion, parse_dispersion
from mofmd.models.names import find_model, model_names

XTB = "gfn1-xtb"
XTB_FACTORY = "mofmd.learning.label.labellers:gfn1_xtb"
MODEL_FACTORY = "mofmd.calculator:DeployedModel"

Label = Callable[[Sequence[Atoms]], list[Labels]]


class Labeller(Protocol):
    """A reference method."""

    @property
    def word(self) -> str:
        """How the user named it."""

    @property
    def identity(self) -> str:
        """Changes whenever its labels may change: what is cached belongs to it."""

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
    name, choice = word, parse_dispersion("none")
    if (match := re.fullmatch(r"(.+)\+(d3[^+/]*|auto)", word)) and not Path(word).is_file():
        name, choice = match[1], parse_dispersion(match[2])
    try:
        path = find_model(name)
    except MissingFileError as error:
        raise MissingFileError(
            f"labeller: {name!r}: {absent(Path(name), 'model file')}"
            f"{choices(name, [*model_names(), XTB])}. A labeller is a model file or name, one with "
            "dispersion (model.pth+d3bj:pbe, model.pth+auto), an ASE calculator as "
            f"package.module:factory, or {XTB}"
        ) from error
    return ModelLabeller(path, threads, choose_dispersion(choice, path))


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
    """A model file that a pair style of mofmd runs, evaluated without LAMMPS.

    Parameters
    ----------
    path
        NequIP, Allegro or MACE model, deployed or legacy.
    threads
        Of its process.
    dispersion
        Added to the model.
    """

    path: Path
    threads: int = 1
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
        """Start a process that holds the model."""
        options = {
            "model": str(self.path.resolve()),
            "dispersion": "none" if self.dispersion is None else str(self.dispersion),
            "threads": self.threads,
            "skin_A": 0.0,  # a label depends on nothing before it
        }
        name = f"labeller {self.word}"
        return _Session(CalculatorProcess(MODEL_FACTORY, options, self.threads, name), patience)


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
        name = f"labeller {self.factory}"
        return _Session(CalculatorProcess(self.factory, {}, self.threads, name), patience)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


class _Session:
    """A process with a calculator, as a function that labels."""

    def __init__(self, process: CalculatorProcess, patience: Patience | None) -> None:
        self._process = process
        self._patience = patience or Patience(limit_s=None)

    def __enter__(self) -> Label:
        self._process.__enter__()
        return self._label

    def __exit__(self, *_: object) -> None:
        self._process.__exit__()

    def _label(self, frames: Sequence[Atoms]) -> list[Labels]:
        found = [self._process.evaluate(frame, self._patience) for frame in frames]
        return [Labels(float(each["energy"]), each["forces"], each.get("stress")) for each in found]
