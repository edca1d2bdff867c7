"""NPT: constant temperature and hydrostatic pressure."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from mofmd.simulation.protocols.base.couplings import Barostatted
from mofmd.simulation.protocols.base.fields import choice, number
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.nvt import NVT

Coupling = Literal["iso", "aniso", "tri"]


@dataclass(frozen=True, kw_only=True)
class NPT(Barostatted, NVT):
    """Constant temperature and pressure, Nosé-Hoover chains.

    Parameters
    ----------
    pressure_bar
        Target, compression positive: 0 bar.
    coupling
        What the cell may change: ``iso`` its size, ``aniso`` its three edges each, ``tri`` edges
        and angles ("Strain-fluctuation method": keyword tri).
    """

    pressure_bar: float = number(0.0)
    coupling: Coupling = choice("tri", get_args(Coupling))

    NAME: ClassVar[str] = "npt"

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of npt.in."""
        return [
            *super().own_variables(rotation),
            Variable("pressure", self.pressure_bar, "bar, compression positive"),
            Variable("coupling", self.coupling),
            self.barostat,
            Variable("box", "triclinic" if self.coupling == "tri" else "as_it_is"),
        ]
