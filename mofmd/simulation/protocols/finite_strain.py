"""Finite strain: pressure as a function of volume at constant temperature."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base.fields import non_negative, number_list, positive
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.base.table import Isothermal, Row


@dataclass(frozen=True, kw_only=True)
class FiniteStrain(Isothermal):
    """P(V) by (N, V, T) runs at one volume after the other ("Finite strain difference method").

    The cell keeps its shape. An equation of state fitted to the mean pressures gives the bulk
    modulus; the volumes are visited in the order in which they are given.

    Parameters
    ----------
    volume_ratios
        Volumes relative to the structure's: steps of 1.5 %; where the steps end is ours.
    deformation_ps
        Time for a change of the volume by 1.5 %: 100 ps.
    equilibration_ps
        At each volume, before the pressure is measured: 100 ps.
    sampling_ps
        At each volume, in which it is measured: 100 ps (ours).
    """

    volume_ratios: tuple[float, ...] = number_list(
        (1.0, 0.985, 0.97, 0.955, 0.94), positive_only=True
    )
    deformation_ps: float = positive(100.0)
    equilibration_ps: float = non_negative(100.0)
    sampling_ps: float = positive(100.0)

    NAME: ClassVar[str] = "finite_strain"
    NEEDS_STRESS: ClassVar[bool] = True

    @property
    def rows(self) -> list[Row]:
        """Table of stages; its further columns are scale_from and scale_to, of the edges."""
        rows = []
        before = 1.0
        for number, ratio in enumerate(self.volume_ratios, start=1):
            start, end = before ** (1 / 3), ratio ** (1 / 3)
            change_ps = self.deformation_ps * abs(ratio - before) / 0.015
            rows += [
                Row(f"deform_{number}", self.steps(change_ps), (start, end)),
                Row(f"equilibrate_{number}", self.steps(self.equilibration_ps), (end, end)),
                Row(f"sample_{number}", self.steps(self.sampling_ps), (end, end)),
            ]
            before = ratio
        return rows

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of finite_strain.in."""
        del rotation
        return [
            *self.conditions,
            self.thermostat,
            *self.table("scale_from", "scale_to"),
        ]
