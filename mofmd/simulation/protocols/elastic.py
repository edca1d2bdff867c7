"""Elastic: stresses of strained and relaxed cells at 0 K."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base.fields import positive
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.base.relaxation import AtRest


@dataclass(frozen=True, kw_only=True)
class Elastic(AtRest):
    """Elastic constants at 0 K: six strains, both signs, atoms relaxed in each strained cell.

    The stresses stand in ``points.csv``; ``mofmd.simulation.elastic`` makes the stiffness matrix
    of them.

    Parameters
    ----------
    strain
        Size of each strain: 0.005 (ours).
    """

    strain: float = positive(0.005)

    NAME: ClassVar[str] = "elastic"
    NEEDS_STRESS: ClassVar[bool] = True

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of elastic.in."""
        del rotation
        return [
            Variable("strain", self.strain),
            Variable("force_tolerance", self.force_tolerance_eV_per_A, "eV/A"),
        ]
