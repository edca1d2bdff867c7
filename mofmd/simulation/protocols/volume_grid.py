"""PV at constant volume: pressure as a function of volume while the shape of the cell is free."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.errors import InputError
from mofmd.simulation.protocols.base.fields import positive
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.base.table import Row
from mofmd.simulation.protocols.finite_strain import FiniteStrain
from mofmd.units import BAR_TO_GPA, FS_TO_PS

SHAPE_STEPS_LEAST = 50


@dataclass(frozen=True, kw_only=True)
class VolumeGrid(FiniteStrain):
    """P(V) by (N, V, σ_a = 0, T) runs at one volume after the other.

    The volume is constant and the shape of the cell free, so that no stress but a pressure is left:
    also where the material is not stable at constant pressure (Rogge et al., J. Chem. Theory
    Comput. 2015, 11, 5583, doi:10.1021/acs.jctc.5b00748). From volume to volume the cell keeps its
    shape. The shape moves by stochastic cell rescaling (Bernetti and Bussi, J. Chem. Phys. 2020,
    153, 114107, doi:10.1063/5.0020514) at constant volume.

    Parameters
    ----------
    shape_damping_fs
        Time in which a change of the shape decays, if the shear modulus is the guess: 1000 fs, as
        the barostat's.
    shear_modulus_guess_GPa
        With it, sets only how fast the shape moves, not how far: 5 GPa (ours).
    """

    shape_damping_fs: float = positive(1000.0)
    shear_modulus_guess_GPa: float = positive(5.0)

    NAME: ClassVar[str] = "volume_grid"

    @property
    def rows(self) -> list[Row]:
        """Table of stages; its further columns are ensemble, scale_from and scale_to."""
        return [row._replace(values=(_ensemble(row.stage), *row.values)) for row in super().rows]

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of volume_grid.in."""
        del rotation
        guess_bar = self.shear_modulus_guess_GPa / BAR_TO_GPA
        return [
            *self.conditions,
            self.thermostat,
            Variable("shape_damping", self.shape_damping_fs * FS_TO_PS, "ps"),
            Variable("shear_modulus", guess_bar, "bar, a guess"),
            Variable("box", "triclinic"),
            *self.table("ensemble", "scale_from", "scale_to"),
        ]

    def _check_together(self) -> None:
        super()._check_together()
        if self.shape_damping_fs < SHAPE_STEPS_LEAST * self.timestep_fs:
            raise InputError(
                f"shape_damping_fs: {self.shape_damping_fs:g} fs is below {SHAPE_STEPS_LEAST} "
                f"timesteps of {self.timestep_fs:g} fs, so that the shape would jump: take a "
                "longer one"
            )


def _ensemble(stage: str) -> str:
    return "nvt_scale" if stage.startswith("deform") else "nvt_shape"
