"""What is asked of a relaxation."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, get_args

from mofmd.errors import InputError
from mofmd.relaxation.variables import CellFreedom
from mofmd.structures.symmetry import check_tolerance
from mofmd.units import EV_PER_A3_TO_GPA

STRESS_PER_FORCE_GPA = 10.0
"""Limit of the stress [GPa] per limit of the forces [eV/Å], where only the latter is given."""
SYMMETRY_TOLERANCE_A = 1e-2
"""Within which the space group that is kept is found: structures of files are rounded."""


@dataclass(frozen=True, kw_only=True)
class RelaxOptions:
    """Limits, freedoms and conditions of a relaxation.

    Parameters
    ----------
    fmax_eV_per_A
        The largest force (norm, of an atom that is free) is below it at the end.
    stress_GPa
        The largest component of stress plus target pressure, of what the cell may do, is below it;
        None: ``STRESS_PER_FORCE_GPA`` times ``fmax_eV_per_A``.
    cell
        What of the cell is relaxed: ``tri`` all, ``aniso`` the three lengths along x, y and z,
        ``iso`` the size, ``volume`` the shape at constant volume, ``fixed`` nothing.
    pressure_GPa
        Target, compression positive.
    fixed
        Atoms, counted from zero, whose fractional coordinates are kept.
    keep_symmetry
        Keep the space group that is found within ``symmetry_tolerance_A``; atoms are first moved to
        where it has them exactly.
    symmetry_tolerance_A
        See there.
    calls_max
        Force calls after which a relaxation ends without having reached its limits.
    max_move_A
        Longest move of an atom in a step.

    Raises
    ------
    InputError
        If one of them makes no sense, by its name.
    """

    fmax_eV_per_A: float = 1e-4
    stress_GPa: float | None = None
    cell: CellFreedom = "tri"
    pressure_GPa: float = 0.0
    fixed: tuple[int, ...] = ()
    keep_symmetry: bool = False
    symmetry_tolerance_A: float = SYMMETRY_TOLERANCE_A
    calls_max: int = 1000
    max_move_A: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.cell not in get_args(CellFreedom):
            raise InputError(
                f"cell: {self.cell!r}, expected one of {', '.join(get_args(CellFreedom))}"
            )
        positive = ("fmax_eV_per_A", "stress_limit_GPa", "max_move_A")
        for name in positive:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise InputError(f"{name}: {value}, expected a number of more than zero")
        check_tolerance(self.symmetry_tolerance_A)
        if not math.isfinite(self.pressure_GPa):
            raise InputError(f"pressure_GPa: {self.pressure_GPa}, expected a number")
        if self.pressure_GPa and self.cell in ("fixed", "volume"):
            raise InputError(
                f"pressure_GPa: has no meaning for a cell whose volume is kept (cell {self.cell})"
            )
        if self.calls_max < 1:
            raise InputError(f"calls_max: {self.calls_max}, expected 1 or more")

    @property
    def stress_limit_GPa(self) -> float:
        """Limit of the stress [GPa]."""
        if self.stress_GPa is not None:
            return self.stress_GPa
        return STRESS_PER_FORCE_GPA * self.fmax_eV_per_A

    @property
    def pressure_eV_per_A3(self) -> float:
        """Target pressure [eV/Å³]."""
        return self.pressure_GPa / EV_PER_A3_TO_GPA

    def as_dict(self) -> dict[str, Any]:
        """Give the values by name, the limit of the stress as it is applied."""
        return {**asdict(self), "stress_GPa": self.stress_limit_GPa}
