"""What a calculation is made with, a model or a reference method by its word, and how it is run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from ase import Atoms

from mofmd.calculator.model import DeployedModel
from mofmd.calculator.reference import Reference, find_reference
from mofmd.calculator.separate import SeparateCalculator
from mofmd.errors import InputError, MissingFileError
from mofmd.models.dispersion.dispersion import dispersion_hints, parse_dispersion
from mofmd.models.files.validity import check_suits
from mofmd.models.names import find_model
from mofmd.models.words import REFERENCE_WORDS

OF_MODELS = {"dispersion": "auto", "dtype": "float64", "device": "cpu"}
"""Options that mean nothing for a reference method, and their defaults."""


@dataclass(frozen=True, kw_only=True)
class CalculatorOptions:
    """A model or a reference method, and how it is run.

    Parameters
    ----------
    model
        A file, the name of a model, or the word of a reference method.
    dispersion
        ``none``, ``d3bj:FUNCTIONAL`` and the like, or ``auto``: what the file says is missing.
    dtype
        ``float64`` to run the network in float64 though it was deployed in float32; ``file``: as it
        was deployed.
    device
        ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.
    threads
        Of the process.

    Raises
    ------
    InputError
        If a reference method is given options of models, or lacks a package.
    """

    model: Path
    dispersion: str = "auto"
    dtype: Literal["float64", "file"] = "float64"
    device: str = "cpu"
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what makes no sense, before anything is computed."""
        if self.threads < 1:
            raise InputError(f"threads: {self.threads}, expected a whole number of at least 1")
        if self.reference is None:
            return
        for name, default in OF_MODELS.items():
            if (value := getattr(self, name)) != default:
                raise InputError(
                    f"{name}: {value} is for models; {self.model} is a reference method, which is "
                    f"run as it is: leave --{name} out"
                )

    @cached_property
    def reference(self) -> Reference | None:
        """The reference method; None where it is a model."""
        return find_reference(str(self.model))

    @contextmanager
    def opened(self, atoms: Atoms) -> Iterator[DeployedModel | SeparateCalculator]:
        """Open it; no result depends on what was evaluated before it.

        A model is in this process, a reference method in one of its own, which ends with the block.

        Parameters
        ----------
        atoms
            Of the elements that it is to know.
        """
        if self.reference is None:
            yield self._deployed(atoms)
            return
        with SeparateCalculator(self.reference, self.threads) as calculator:
            yield calculator

    def hints(self, calculator: DeployedModel | SeparateCalculator) -> list[str]:
        """Sentences for the user: what ``auto`` added, and what would be counted twice."""
        if isinstance(calculator, SeparateCalculator):
            return []
        choice = parse_dispersion(self.dispersion)
        return dispersion_hints(choice, calculator.dispersion, calculator.path)

    def _deployed(self, atoms: Atoms) -> DeployedModel:
        try:
            path = find_model(self.model)
        except MissingFileError as error:
            raise MissingFileError(f"{error}; a reference method is {REFERENCE_WORDS}") from error
        check_suits(path, atoms)  # before torch is loaded
        calculator = DeployedModel(
            self.model,
            dispersion=self.dispersion,
            device=self.device,
            threads=self.threads,
            dtype="float64" if self.dtype == "float64" else None,
            skin_A=0.0,
        )
        calculator.check(atoms)
        return calculator
