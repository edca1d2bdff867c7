"""What a relaxation gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

import mofmd
from mofmd.arrays import freeze
from mofmd.relaxation.relaxation import Relaxation
from mofmd.units import EV_PER_A3_TO_GPA

UNSYMMETRIC_EV_PER_A = 1e-3


@dataclass(frozen=True)
class Relaxed:
    """The end of a relaxation; arrays are read-only.

    Parameters
    ----------
    atoms
        The structure, positions and cell [Å].
    converged
        Whether all limits are kept.
    energy_eV
        Potential energy.
    enthalpy_eV
        Energy plus target pressure times volume.
    volume_A3
        Of the cell; None without one.
    force_max_eV_per_A
        Largest norm of the force on a free atom.
    stress_max_GPa
        Largest component of stress plus target pressure, of what the cell may do; 0 for a cell that
        is fixed.
    forces_eV_per_A
        (atoms, 3) of the model.
    stress_GPa
        (3, 3) of the model, tension positive; None where it gives none.
    calls
        Force calls.
    steps
        Steps taken.
    space_group
        Symbol and number of the space group that was kept; None where none was.
    without_mirrors
        Whether inversions and reflections of the structure were not kept, since the model gives
        other forces to a mirror image.
    unsymmetric_eV_per_A
        Largest force that the symmetry takes from those of the model: it is no part of
        ``force_max_eV_per_A``.
    was_there
        Force calls of earlier runs among ``calls``, which were not made again; not kept on disk.
    """

    atoms: Atoms
    converged: bool
    energy_eV: float
    enthalpy_eV: float
    volume_A3: float | None
    force_max_eV_per_A: float
    stress_max_GPa: float
    forces_eV_per_A: np.ndarray
    stress_GPa: np.ndarray | None
    calls: int
    steps: int
    space_group: str | None
    without_mirrors: bool = False
    unsymmetric_eV_per_A: float = 0.0
    was_there: int = 0

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "forces_eV_per_A", "stress_GPa")

    def as_dict(self) -> dict[str, Any]:
        """Give all of the relaxation but structure and forces, units in the names."""
        return {
            "converged": self.converged,
            "energy_eV": self.energy_eV,
            "enthalpy_eV": self.enthalpy_eV,
            "volume_A3": self.volume_A3,
            "force_max_eV_per_A": self.force_max_eV_per_A,
            "stress_max_GPa": self.stress_max_GPa,
            "stress_GPa": None if self.stress_GPa is None else self.stress_GPa.tolist(),
            "cell_A": self.atoms.cell.array.tolist(),
            "calls": self.calls,
            "steps": self.steps,
            "space_group": self.space_group,
            "without_mirrors": self.without_mirrors,
            "unsymmetric_eV_per_A": self.unsymmetric_eV_per_A,
            "mofmd_version": mofmd.__version__,
        }

    def __str__(self) -> str:
        """Say it in a line."""
        verdict = "relaxed" if self.converged else "NOT relaxed"
        volume = "" if self.volume_A3 is None else f", volume {self.volume_A3:.3f} Å³"
        before = ""
        if self.was_there:
            of_all = "which" if self.was_there == self.calls else f"{self.was_there} of which"
            before = f", {of_all} were there already"
        text = (
            f"{verdict} in {self.calls} force calls{before}: energy {self.energy_eV:.6f} eV, "
            f"largest force {self.force_max_eV_per_A:.2e} eV/Å, largest stress "
            f"{self.stress_max_GPa:.2e} GPa{volume}"
        )
        if self.without_mirrors:
            text += (
                f"; {self.space_group} was kept, without inversions and reflections: to a mirror "
                "image the model gives other forces"
            )
        if self.unsymmetric_eV_per_A > self.force_max_eV_per_A + UNSYMMETRIC_EV_PER_A:
            text += (
                f"; forces of up to {self.unsymmetric_eV_per_A:.1e} eV/Å are not of the symmetry "
                "that was kept, and not relaxed"
            )
        return text


def result_of(relaxation: Relaxation) -> Relaxed:
    """Take the result of a relaxation as it is now."""
    here = relaxation.state.here
    symmetry = relaxation.symmetry
    return Relaxed(
        atoms=relaxation.structure(),
        converged=relaxation.converged,
        energy_eV=here.energy_eV,
        enthalpy_eV=here.value,
        volume_A3=here.volume_A3 if np.isfinite(here.volume_A3) else None,
        force_max_eV_per_A=here.force_max_eV_per_A,
        stress_max_GPa=here.stress_max_GPa,
        forces_eV_per_A=here.forces,
        stress_GPa=None if here.stress is None else EV_PER_A3_TO_GPA * here.stress,
        calls=relaxation.state.calls,
        steps=len(relaxation.state.rows) - 1,
        space_group=None if symmetry is None else symmetry.name,
        without_mirrors=relaxation.state.proper,
        unsymmetric_eV_per_A=relaxation.unsymmetric_eV_per_A,
        was_there=relaxation.was_there,
    )
