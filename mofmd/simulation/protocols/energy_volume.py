"""EV: energy as a function of volume at 0 K."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from mofmd.simulation.protocols.base.fields import choice, non_negative, number_list
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.base.relaxation import AtRest
from mofmd.units import BAR_TO_GPA

Shape = Literal["fixed", "free"]


@dataclass(frozen=True, kw_only=True)
class EnergyVolume(AtRest):
    """E(V) by relaxations at one volume after the other.

    Parameters
    ----------
    volume_ratios
        Volumes relative to the structure's (ours).
    shape
        ``free``: edges and angles relax too at each volume, until no stress but a pressure is
        left; ``fixed``: the cell keeps its shape.
    volume_tolerance
        With a free shape: how well the volume is met, relative, 1e-6 (ours).
    bulk_modulus_guess_GPa
        With a free shape: for the first guess of the pressure, 10 GPa (ours).
    """

    volume_ratios: tuple[float, ...] = number_list(
        (0.97, 0.98, 0.99, 1.0, 1.01, 1.02, 1.03), positive_only=True
    )
    shape: Shape = choice("free", get_args(Shape))
    volume_tolerance: float = non_negative(1e-6)
    bulk_modulus_guess_GPa: float = non_negative(10.0)

    NAME: ClassVar[str] = "energy_volume"
    NEEDS_STRESS: ClassVar[bool] = True

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of energy_volume.in."""
        del rotation
        guess_bar = self.bulk_modulus_guess_GPa / BAR_TO_GPA
        return [
            Variable("volume_ratio", self.volume_ratios),
            Variable("shape", self.shape),
            Variable("force_tolerance", self.force_tolerance_eV_per_A, "eV/A"),
            Variable("volume_tolerance", self.volume_tolerance, "relative"),
            Variable("bulk_modulus", guess_bar, "bar, a first guess"),
            Variable("box", "triclinic" if self.shape == "free" else "as_it_is"),
        ]
