"""Minimise: the nearest minimum, at constant cell or with the cell."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from mofmd.simulation.protocols.base.fields import choice, non_negative, number
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.base.relaxation import AtRest

Cell = Literal["fixed", "iso", "aniso", "tri"]


@dataclass(frozen=True, kw_only=True)
class Minimise(AtRest):
    """Relax atoms, and the cell if asked, to the nearest minimum of energy or enthalpy.

    Parameters
    ----------
    cell
        ``fixed``; or what of it is relaxed: ``iso`` its size, ``aniso`` its edges, ``tri`` all.
    pressure_bar
        Target for a cell that is relaxed: 0 bar.
    energy_tolerance
        Ends the relaxation too: relative change of the energy in a step; 0 never does (ours).
    """

    cell: Cell = choice("fixed", get_args(Cell))
    pressure_bar: float = number(0.0)
    energy_tolerance: float = non_negative(0.0)

    NAME: ClassVar[str] = "minimise"

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of minimise.in."""
        del rotation
        return [
            Variable("cell", self.cell),
            Variable("pressure", self.pressure_bar, "bar"),
            Variable("force_tolerance", self.force_tolerance_eV_per_A, "eV/A"),
            Variable("energy_tolerance", self.energy_tolerance),
        ]
