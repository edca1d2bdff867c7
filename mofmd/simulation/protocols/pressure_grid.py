"""PV: volume as a function of pressure at constant temperature."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base.couplings import Barostatted
from mofmd.simulation.protocols.base.fields import choice, non_negative, number_list, positive
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.base.table import Isothermal, Row


@dataclass(frozen=True, kw_only=True)
class PressureGrid(Barostatted, Isothermal):
    """V(P) by (N, P, T) runs at one pressure after the other.

    Parameters
    ----------
    pressures_bar
        Compression positive, in the order in which they are visited (ours).
    equilibration_ps, sampling_ps
        At each pressure, before and while the volume is measured: 100 ps each (ours).
    coupling
        What the cell may change: ``iso``, ``aniso`` or ``tri``.
    """

    pressures_bar: tuple[float, ...] = number_list((0.0, 250.0, 500.0, 750.0, 1000.0))
    equilibration_ps: float = non_negative(100.0)
    sampling_ps: float = positive(100.0)
    coupling: str = choice("tri", ("iso", "aniso", "tri"))

    NAME: ClassVar[str] = "pressure_grid"

    @property
    def rows(self) -> list[Row]:
        """Table of stages; its further column is pressure."""
        rows = []
        for number, pressure_bar in enumerate(self.pressures_bar, start=1):
            rows += [
                Row(f"equilibrate_{number}", self.steps(self.equilibration_ps), (pressure_bar,)),
                Row(f"sample_{number}", self.steps(self.sampling_ps), (pressure_bar,)),
            ]
        return rows

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of pressure_grid.in."""
        del rotation
        return [
            *self.conditions,
            Variable("coupling", self.coupling),
            Variable("box", "triclinic" if self.coupling == "tri" else "as_it_is"),
            self.thermostat,
            self.barostat,
            *self.table("pressure"),
        ]
