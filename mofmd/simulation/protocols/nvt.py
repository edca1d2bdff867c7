"""NVT: constant temperature and volume."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base.couplings import Thermostatted
from mofmd.simulation.protocols.base.protocol import Dynamics, Variable


@dataclass(frozen=True, kw_only=True)
class NVT(Thermostatted, Dynamics):
    """Constant temperature and volume, Nosé-Hoover chain."""

    NAME: ClassVar[str] = "nvt"

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of nvt.in."""
        return [
            *super().own_variables(rotation),
            self.thermostat,
        ]
