"""What a relaxation gives."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms

import mofmd
from mofmd.arrays import freeze
from mofmd.errors import InputWarning
from mofmd.relaxation.relaxation import Relaxation
from mofmd.units import EV_PER_A3_TO_GPA


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
    asymmetric_force_eV_per_A
        Largest part of a force that this space group forbids and that was left out; the model
        lacks the symmetry where it is more than noise. None where no group was kept.
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
    asymmetric_force_eV_per_A: float | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "forces_eV_per_A", "stress_GPa")

    def as_dict(self) -> dict[str, Any]:
        """Give all but structure and forces, units in the names."""
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
            "asymmetric_force_eV_per_A": self.asymmetric_force_eV_per_A,
            "mofmd_version": mofmd.__version__,
        }

    def __str__(self) -> str:
        """Say it in a line."""
        verdict = "relaxed" if self.converged else "NOT relaxed"
        volume = "" if self.volume_A3 is None else f", volume {self.volume_A3:.3f} Å³"
        return (
            f"{verdict} in {self.calls} force calls: energy {self.energy_eV:.6f} eV, largest force "
            f"{self.force_max_eV_per_A:.2e} eV/Å, largest stress {self.stress_max_GPa:.2e} GPa"
            f"{volume}"
        )


def result_of(relaxation: Relaxation) -> Relaxed:
    """Take the result of a relaxation as it is now."""
    here = relaxation.state.here
    symmetry = relaxation.symmetry
    atoms = relaxation.structure()
    asymmetric = None
    if symmetry is not None:
        left = here.forces - symmetry.of_vectors(here.forces, atoms.cell.array)
        asymmetric = float(np.sqrt((left**2).sum(axis=1).max()))
        if asymmetric > relaxation.options.fmax_eV_per_A:
            warnings.warn(
                f"symmetry: the model lacks {symmetry.symbol}: {asymmetric:.2g} eV/Å of a force "
                "were left out to keep it, and the structure is no minimum of the model (SevenNet "
                "knows rotations, but no reflections); without --symmetry it becomes one",
                InputWarning,
                stacklevel=2,
            )
    return Relaxed(
        atoms=atoms,
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
        space_group=None if symmetry is None else f"{symmetry.symbol} ({symmetry.number})",
        asymmetric_force_eV_per_A=asymmetric,
    )
