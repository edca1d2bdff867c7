"""Minimise: the nearest minimum, at constant cell or with the cell."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from mofmd.simulation.protocols.base import Protocol, Variable
from mofmd.simulation.protocols.fields import choice, non_negative, number

Cell = Literal["fixed", "iso", "aniso", "tri"]


@dataclass(frozen=True, kw_only=True)
class Minimise(Protocol):
    """Relax atoms, and the cell if asked, to the nearest minimum of energy or enthalpy.

    Parameters
    ----------
    cell
        ``fixed``; or what of it is relaxed: ``iso`` its size, ``aniso`` its edges, ``tri`` all.
    pressure_bar
        Target for a cell that is relaxed: 0 bar.
    force_tolerance_eV_per_A
        Ends the relaxation: norm of the vector of all forces, 1e-4 eV/Å (ours).
    energy_tolerance
        Ends it too: relative change of the energy in a step; 0 never does (ours).
    """

    cell: Cell = choice("fixed", get_args(Cell))
    pressure_bar: float = number(0.0)
    force_tolerance_eV_per_A: float = non_negative(1e-4)
    energy_tolerance: float = non_negative(0.0)

    NAME: ClassVar[str] = "minimise"

    @property
    def stage_steps(self) -> dict[str, int]:
        """There is no dynamics."""
        return {}

    @property
    def hottest_kelvin(self) -> float:
        """Atoms are at rest [K]."""
        return 0.0

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of minimise.in."""
        del rotation
        return [
            Variable("cell", self.cell),
            Variable("pressure", self.pressure_bar, "bar"),
            Variable("force_tolerance", self.force_tolerance_eV_per_A, "eV/A"),
            Variable("energy_tolerance", self.energy_tolerance),
        ]
