"""Elastic: stresses of strained and relaxed cells at 0 K."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base import Protocol, Variable
from mofmd.simulation.protocols.fields import non_negative, positive


@dataclass(frozen=True, kw_only=True)
class Elastic(Protocol):
    """Elastic constants at 0 K: six strains, both signs, atoms relaxed in each strained cell.

    The stresses stand in ``points.csv``; ``mofmd.simulation.elastic`` makes the stiffness matrix
    of them.

    Parameters
    ----------
    strain
        Size of each strain: 0.005 (ours).
    force_tolerance_eV_per_A
        Ends a relaxation: norm of the vector of all forces, 1e-4 eV/Å (ours).
    """

    strain: float = positive(0.005)
    force_tolerance_eV_per_A: float = non_negative(1e-4)

    NAME: ClassVar[str] = "elastic"
    NEEDS_STRESS: ClassVar[bool] = True

    @property
    def stage_steps(self) -> dict[str, int]:
        """There is no dynamics."""
        return {}

    @property
    def hottest_kelvin(self) -> float:
        """Atoms are at rest [K]."""
        return 0.0

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of elastic.in."""
        del rotation
        return [
            Variable("strain", self.strain),
            Variable("force_tolerance", self.force_tolerance_eV_per_A, "eV/A"),
        ]
