"""A model or a reference method for phonons: what it is, and what evaluates many structures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ase import Atoms

from mofmd.calculator import DeployedModel
from mofmd.calculator.lanes import Lanes
from mofmd.calculator.options import CalculatorOptions
from mofmd.calculator.reference import Reference
from mofmd.calculator.separate import SeparateCalculator
from mofmd.disk.digest import file_sha256
from mofmd.errors import InputError
from mofmd.phonons.calculation.evaluators import Evaluator, InProcess
from mofmd.phonons.cells import model_reach_A
from mofmd.phonons.run import Model


@dataclass(frozen=True, kw_only=True)
class ModelOptions(CalculatorOptions):
    """A model or a reference method, and how it is run; see ``CalculatorOptions``.

    Parameters
    ----------
    lanes
        Processes that evaluate structures at the same time.
    """

    lanes: int = 1

    def __post_init__(self) -> None:
        """Refuse lanes that cannot be, before anything is computed."""
        super().__post_init__()
        if self.lanes < 1:
            raise InputError(f"lanes: {self.lanes}, expected a whole number of at least 1")
        if self.lanes > 1 and self.device != "cpu":
            raise InputError("lanes: several are for the device cpu; a GPU takes one")


def describe(options: CalculatorOptions, calculator: DeployedModel | SeparateCalculator) -> Model:
    """Say what tells the forces of a model or a reference method from others'."""
    if isinstance(calculator, SeparateCalculator):
        return _describe_reference(calculator.reference)
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


def _describe_reference(reference: Reference) -> Model:
    facts = reference.facts
    return Model(
        identity=facts["identity"],
        facts={"model": reference.word, **facts, "precision": "float64", "reach_known": False},
    )


@contextmanager
def opened(
    options: ModelOptions, atoms: Atoms
) -> Iterator[tuple[DeployedModel | SeparateCalculator, Model, Evaluator]]:
    """Open it: its calculator, what tells it from others, and what evaluates many structures.

    Parameters
    ----------
    options
        Of what, and how it is run.
    atoms
        Of the elements that it is to know.
    """
    with options.opened(atoms) as calculator, evaluator(options, calculator) as evaluates:
        yield calculator, describe(options, calculator), evaluates


@contextmanager
def evaluator(
    options: ModelOptions, calculator: DeployedModel | SeparateCalculator
) -> Iterator[Evaluator]:
    """Evaluate many structures, in as many processes as were asked for.

    One lane on a CPU, and any GPU, is the calculator itself, which is in memory already.
    """
    if options.lanes == 1:
        yield InProcess(calculator)
        return
    if options.reference is not None:
        lanes = Lanes(
            options.reference, lanes=options.lanes, threads=options.threads, time_limit_s=None
        )
    else:
        lanes = Lanes(
            options.model,
            lanes=options.lanes,
            threads=options.threads,
            dispersion=options.dispersion,
            dtype="float64" if options.dtype == "float64" else None,
        )
    with lanes:
        yield lanes
