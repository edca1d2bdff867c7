"""Strain fluctuation: the cell matrix of a flexible cell, for elastic constants."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base.fields import non_negative, positive
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.base.table import Row, Tabulated
from mofmd.simulation.protocols.nst import NST


@dataclass(frozen=True, kw_only=True)
class StrainFluctuation(Tabulated, NST):
    """Long (N, σ, T) run whose log holds the cell matrix ("Strain-fluctuation method").

    Parameters
    ----------
    equilibration_ps
        Before the fluctuations are measured: 500 ps (ours).
    time_ps
        In which they are: 5000 ps ("long equilibration times (~5-10 ns)").
    frame_interval_fs
        Between frames: 1000 fs (ours; what is measured is in the log).
    """

    equilibration_ps: float = non_negative(500.0)
    time_ps: float = positive(5000.0)
    frame_interval_fs: float = positive(1000.0)

    NAME: ClassVar[str] = "strain_fluctuation"

    @property
    def rows(self) -> list[Row]:
        """Table of stages."""
        return [
            Row("equilibrate", self.steps(self.equilibration_ps)),
            Row("sample", self.steps(self.time_ps)),
        ]

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of strain_fluctuation.in."""
        renamed = {"timestep": "timestep_md"}
        return [
            *(
                each._replace(name=renamed.get(each.name, each.name))
                for each in super().own_variables(rotation)
                if each.name != "time"
            ),
            *self.table(),
        ]
