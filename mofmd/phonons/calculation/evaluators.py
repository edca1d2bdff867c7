"""What gives energies and forces of many structures, one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

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
            atoms = structure.copy()
            atoms.calc = self.calculator
            forces = np.array(atoms.get_forces())
            stress = np.full((3, 3), np.nan)
            if np.all(atoms.pbc):
                with suppress(PropertyNotImplementedError):
                    stress = np.array(atoms.get_stress(voigt=False))
            yield Evaluation(
                float(atoms.get_potential_energy()), np.full(len(atoms), np.nan), forces, stress
            )
