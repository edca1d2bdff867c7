"""What gives energies and forces of many structures, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from ase import Atoms

from mofmd.calculator.results import evaluation_of, results_of
from mofmd.engine.evaluate import Evaluation


class Evaluator(Protocol):
    """Evaluates structures and gives the results in their order, each as soon as it is there.

    ``mofmd.calculator.lanes.Lanes`` is one, in processes of its own; ``InProcess`` another.
    """

    def map(self, structures: Iterable[Atoms]) -> Iterator[Evaluation]:
        """Evaluate structures."""
        ...


class InProcess:
    """Any ASE calculator, one structure after another.

    Parameters
    ----------
    calculator
        Gives energy and forces; for ``DeployedModel`` take ``skin_A=0``, so that a result does not
        depend on what was evaluated before it.
    """

    def __init__(self, calculator: Any) -> None:
        self.calculator = calculator

    def map(self, structures: Iterable[Atoms]) -> Iterator[Evaluation]:
        """Evaluate structures; the stress is NaN where the calculator gives none."""
        for structure in structures:
            yield evaluation_of(results_of(self.calculator, structure.copy()))
