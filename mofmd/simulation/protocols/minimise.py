"""Minimise: the nearest minimum, at constant cell or with the cell."""

from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np

from mofmd.simulation.protocols.base.fields import choice, non_negative, number, wholes
from mofmd.simulation.protocols.base.protocol import Variable
from mofmd.simulation.protocols.base.relaxation import AtRest

Cell = Literal["fixed", "iso", "aniso", "tri"]


@dataclass(frozen=True, kw_only=True)
class Minimise(AtRest):
    """Relax atoms, and the cell if asked, to the nearest minimum of energy or enthalpy.

    Conjugate gradients of LAMMPS, which a flat minimum (a soft framework, a free cell) makes slow
    or stops early: what was reached is in the log and is read by
    ``mofmd.simulation.minimised.read_minimised``. ``mofmd relax`` goes to tight limits.

    Parameters
    ----------
    supercell
        The structure as it is: 1 × 1 × 1 (ours); a minimum is the same in any multiple.
    force_tolerance_eV_per_A
        Ends a relaxation: the norm of the vector of all 3N force components, 1e-4 eV/Å (ours). It
        grows with the square root of the number of atoms; the largest component is below it.
    cell
        ``fixed``; or what of it is relaxed: ``iso`` its size, ``aniso`` its edges, ``tri`` all.
    pressure_bar
        Target for a cell that is relaxed: 0 bar.
    energy_tolerance
        Ends the relaxation too: relative change of the energy in a step; 0 never does (ours).
    """

    supercell: tuple[int, int, int] = wholes((1, 1, 1))
    cell: Cell = choice("fixed", get_args(Cell))
    pressure_bar: float = number(0.0)
    energy_tolerance: float = non_negative(0.0)

    NAME: ClassVar[str] = "minimise"

    @property
    def needs_stress(self) -> bool:
        """A cell that is relaxed does."""
        return self.cell != "fixed"

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of minimise.in."""
        del rotation
        return [
            Variable("cell", self.cell),
            Variable("pressure", self.pressure_bar, "bar"),
            Variable("force_tolerance", self.force_tolerance_eV_per_A, "eV/A"),
            Variable("energy_tolerance", self.energy_tolerance),
        ]
