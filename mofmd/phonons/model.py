"""A deployed model for phonons: what it is, and what evaluates many structures with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ase import Atoms

from mofmd.calculator import DeployedModel
from mofmd.calculator.lanes import Lanes
from mofmd.disk.digest import file_sha256
from mofmd.errors import InputError
from mofmd.models.files.validity import check_suits
from mofmd.models.names import find_model
from mofmd.phonons.calculation.evaluators import Evaluator, InProcess
from mofmd.phonons.cells import model_reach_A
from mofmd.phonons.run import Model


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """A model file and how it is run.

    Parameters
    ----------
    model
        A file, or the name of an embedded model.
    dispersion
        ``none``, ``d3bj:FUNCTIONAL`` and the like, or ``auto``: what the file says is missing.
    dtype
        ``float64`` to run the network in float64 though it was deployed in float32; ``file``: as it
        was deployed.
    device
        ``cpu``, ``cuda``, ``cuda:N`` or ``auto``.
    lanes
        Processes that evaluate structures at the same time.
    threads
        Of each.
    """

    model: Path
    dispersion: str = "auto"
    dtype: Literal["float64", "file"] = "float64"
    device: str = "cpu"
    lanes: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse lanes that cannot be, before anything is computed."""
        if self.lanes < 1:
            raise InputError(f"lanes: {self.lanes}, expected a whole number of at least 1")
        if self.lanes > 1 and self.device != "cpu":
            raise InputError("lanes: several are for the device cpu; a GPU takes one")

    def calculator(self, atoms: Atoms) -> DeployedModel:
        """Open it in this process; no result depends on what was evaluated before it.

        Parameters
        ----------
        atoms
            Of the elements that it is to know.
        """
        check_suits(find_model(self.model), atoms)
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


def describe(options: ModelOptions, calculator: DeployedModel) -> Model:
    """Say what tells the forces of a model from others'."""
    reach, known = model_reach_A(calculator.path)
    sha256 = file_sha256(calculator.path)
    dispersion = "none" if calculator.dispersion is None else str(calculator.dispersion)
    precision = "float64" if calculator.dtype == "float64" else "float32"
    return Model(
        identity=f"{sha256} {precision} {dispersion}",
        precision=precision,  # type: ignore[arg-type] # one of the two words
        reach_A=reach,
        facts={
            "model": str(options.model),
            "model_sha256": sha256,
            "precision": precision,
            "dispersion": dispersion,
            "reach_A": reach,
            "reach_known": known,
        },
    )


@contextmanager
def opened(options: ModelOptions, atoms: Atoms) -> Iterator[tuple[DeployedModel, Model, Evaluator]]:
    """Open a model: its calculator, what tells it from others, and what evaluates many structures.

    Parameters
    ----------
    options
        Of what, and how it is run.
    atoms
        Of the elements that it is to know.
    """
    calculator = options.calculator(atoms)
    with evaluator(options, calculator) as evaluates:
        yield calculator, describe(options, calculator), evaluates


@contextmanager
def evaluator(options: ModelOptions, calculator: DeployedModel) -> Iterator[Evaluator]:
    """Evaluate many structures, in as many processes as were asked for.

    One lane on a CPU, and any GPU, is this process itself, which has the model in memory already.
    """
    if options.lanes == 1:
        yield InProcess(calculator)
        return
    with Lanes(
        options.model,
        lanes=options.lanes,
        threads=options.threads,
        dispersion=options.dispersion,
        dtype="float64" if options.dtype == "float64" else None,
    ) as lanes:
        yield lanes
