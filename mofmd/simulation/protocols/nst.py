"""NσT: constant temperature and stress tensor, cell fully flexible."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base.couplings import Barostatted
from mofmd.simulation.protocols.base.fields import numbers
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.nvt import NVT
from mofmd.units import BAR_TO_GPA

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
VOIGT_NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")


@dataclass(frozen=True, kw_only=True)
class NST(Barostatted, NVT):
    """Constant temperature and stress, all six components of the cell free (Parrinello-Rahman).

    Parameters
    ----------
    stress_GPa
        Target in the axes of the structure as it was given, tension positive, in the order
        xx yy zz yz xz xy: 0 GPa.
    """

    stress_GPa: tuple[float, float, float, float, float, float] = numbers((0.0,) * 6)

    NAME: ClassVar[str] = "nst"

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of nst.in: the stress as pressures, in LAMMPS's axes."""
        stress_GPa = np.zeros((3, 3))
        for (i, j), value in zip(VOIGT, self.stress_GPa, strict=True):
            stress_GPa[i, j] = stress_GPa[j, i] = value
        pressure_bar = -(rotation.T @ stress_GPa @ rotation) / BAR_TO_GPA
        # a rotation leaves zeros as 1e-13 bar
        pressure_bar[np.abs(pressure_bar) < 1e-6] = 0.0
        components = [
            Variable(f"p_{name}", float(pressure_bar[index]), "bar, minus the stress")
            for name, index in zip(VOIGT_NAMES, VOIGT, strict=True)
        ]
        return [
            *super().own_variables(rotation),
            *components,
            self.barostat,
            Variable("box", "triclinic"),
        ]
