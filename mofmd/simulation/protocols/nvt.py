"""NVT: constant temperature and volume."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base import Dynamics, Variable
from mofmd.simulation.protocols.fields import positive
from mofmd.units import FS_TO_PS


@dataclass(frozen=True, kw_only=True)
class NVT(Dynamics):
    """Constant temperature and volume, Nosé-Hoover chain.

    Parameters
    ----------
    thermostat_damping_fs
        100 fs ("MLP-based molecular dynamics").
    """

    thermostat_damping_fs: float = positive(100.0)

    NAME: ClassVar[str] = "nvt"

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of nvt.in."""
        return [
            *super().own_variables(rotation),
            Variable("damping", self.thermostat_damping_fs * FS_TO_PS, "ps, of the thermostat"),
        ]

    def _check_together(self) -> None:
        super()._check_together()
        self._check_damping("thermostat_damping_fs", self.timestep_fs)
