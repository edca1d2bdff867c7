"""What labels frames: a reference method, or a model that stands for one.

A labeller is named by a word: that of a reference method (``mofmd.calculator.reference``), the path
or name of a model, or the same with dispersion (``model.pth+d3bj:pbe``; ``model.pth+auto`` for what
its file says is missing).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ase import Atoms

from mofmd.calculator.process import CalculatorProcess, load_factory
from mofmd.calculator.reference import Reference, find_reference
from mofmd.engine.evaluate import Patience
from mofmd.errors import MissingFileError, absent, choices
from mofmd.learning.data.dataset import Labels
from mofmd.models.dispersion.dispersion import Dispersion, choose_dispersion, parse_dispersion
from mofmd.models.dispersion.theory import GFN1, LevelOfTheory, theory_of
from mofmd.models.files.deployed import find_manifest
from mofmd.models.names import find_model, model_names
from mofmd.models.words import REFERENCE_WORDS, XTB

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

    @property
    def theory(self) -> LevelOfTheory | None:
        """Level of theory of its labels; None where nothing tells."""

    def session(self, patience: Patience | None = None) -> AbstractContextManager[Label]:
        """Start it once for many frames; without patience, each may take as long as it likes."""


def find_labeller(word: str, threads: int = 1) -> Labeller:
    """Find the labeller that a word names.

    Raises
    ------
    InputError, MissingFileError
        If there is none, or a package that it needs is not installed.
    """
    if reference := find_reference(word):
        return CalculatorLabeller(reference, threads)
    name, choice = word, parse_dispersion("none")
    if (match := re.fullmatch(r"(.+)\+(d3[^+/]*|auto)", word)) and not Path(word).is_file():
        name, choice = match[1], parse_dispersion(match[2])
    try:
        path = find_model(name)
    except MissingFileError as error:
        raise MissingFileError(
            f"labeller: {name!r}: {absent(Path(name), 'model file')}"
            f"{choices(name, [*model_names(), XTB])}. A labeller is a model file or name, one with "
            f"dispersion (model.pth+d3bj:pbe, model.pth+auto), {REFERENCE_WORDS}"
        ) from error
    return ModelLabeller(path, threads, choose_dispersion(choice, path))


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

    @property
    def theory(self) -> LevelOfTheory | None:
        """That of the model, with the dispersion."""
        own = theory_of(find_manifest(self.path))
        return None if own is None else own.with_dispersion(self.dispersion)

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
    """A reference method, in a process of its own.

    Parameters
    ----------
    reference
        Which.
    threads
        OMP_NUM_THREADS of the process.
    """

    reference: Reference
    threads: int = 1

    @property
    def word(self) -> str:
        """How the user named it."""
        return self.reference.word

    @property
    def identity(self) -> str:
        """That of the reference method."""
        return self.reference.identity

    @property
    def theory(self) -> LevelOfTheory | None:
        """Known of GFN1-xTB, which has D3 in it; of other calculators nothing tells."""
        return GFN1 if self.reference.word == XTB else None

    def session(self, patience: Patience | None = None) -> AbstractContextManager[Label]:
        """Start a process that holds the calculator."""
        factory = self.reference.factory
        load_factory(factory)  # what is wrong with the name is told before a process starts
        name = f"labeller {self.word}"
        return _Session(CalculatorProcess(factory, {}, self.threads, name), patience)


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
