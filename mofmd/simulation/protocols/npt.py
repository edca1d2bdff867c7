"""NPT: constant temperature and hydrostatic pressure."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from mofmd.simulation.protocols.base import Variable
from mofmd.simulation.protocols.fields import choice, number, positive
from mofmd.simulation.protocols.nvt import NVT
from mofmd.units import FS_TO_PS

Coupling = Literal["iso", "aniso", "tri"]


@dataclass(frozen=True, kw_only=True)
class NPT(NVT):
    """Constant temperature and pressure, Nosé-Hoover chains.

    Parameters
    ----------
    pressure_bar
        Target, compression positive: 0 bar.
    coupling
        What the cell may change: ``iso`` its size, ``aniso`` its three edges each, ``tri`` edges
        and angles ("Strain-fluctuation method": keyword tri).
    pressure_damping_fs
        Of the barostat: 1000 fs ("MLP-based molecular dynamics").
    """

    pressure_bar: float = number(0.0)
    coupling: Coupling = choice("tri", get_args(Coupling))
    pressure_damping_fs: float = positive(1000.0)

    NAME: ClassVar[str] = "npt"
    NEEDS_STRESS: ClassVar[bool] = True

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of npt.in."""
        return [
            *super().own_variables(rotation),
            Variable("pressure", self.pressure_bar, "bar, compression positive"),
            Variable("coupling", self.coupling),
            Variable("pressure_damping", self.pressure_damping_fs * FS_TO_PS, "ps"),
            Variable("box", "triclinic" if self.coupling == "tri" else "as_it_is"),
        ]

    def _check_together(self) -> None:
        super()._check_together()
        self._check_damping("pressure_damping_fs", self.timestep_fs)
