"""Phonons of one structure and model with other settings: how far they are converged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mofmd.errors import InputError
from mofmd.phonons.beside.frequencies import Other, compare
from mofmd.phonons.calculation.store import PLAN
from mofmd.phonons.cells import to_atoms
from mofmd.phonons.load import load_phonopy
from mofmd.phonons.run import FORCES
from mofmd.phonons.spectrum.groups import find_groups
from mofmd.phonons.spectrum.mesh import make_mesh
from mofmd.phonons.spectrum.modes import gamma_modes
from mofmd.phonons.spectrum.thermal import TOLERANCE_THZ, thermal_functions

TEMPERATURE_K = 300.0


@dataclass(frozen=True)
class Settings:
    """One calculation beside the last one.

    Parameters
    ----------
    folder
        Where it is.
    supercell
        Its matrix, as text.
    displacements_A
        As text; empty where the folder does not tell.
    mesh
        Of the thermal functions and of the frequencies that are compared.
    drift_eV_per_A2, asymmetry_eV_per_A2
        See ``ForceConstants``.
    lowest_optical_gamma_THz
        None for one atom.
    free_energy_kJ_per_mol, heat_capacity_J_per_K_mol
        At 300 K, per mole of primitive cells.
    rmsd_mesh_THz, rmsd_gamma_THz
        Root mean square difference of the frequencies to those of the last calculation.
    """

    folder: str
    supercell: str
    displacements_A: str
    mesh: str
    drift_eV_per_A2: float
    asymmetry_eV_per_A2: float
    lowest_optical_gamma_THz: float | None
    free_energy_kJ_per_mol: float
    heat_capacity_J_per_K_mol: float
    rmsd_mesh_THz: float
    rmsd_gamma_THz: float


def settings_convergence(
    folders: Sequence[Path],
    mesh: tuple[int, int, int] | None = None,
    tolerance_THz: float = TOLERANCE_THZ,
) -> tuple[Settings, ...]:
    """Compare calculations with the last of them, on one mesh.

    Parameters
    ----------
    folders
        Of ``mofmd phonons run`` or ``forces``, the best settings last.
    mesh
        Of all; None: see ``make_mesh``.
    tolerance_THz
        See ``thermal_functions``.

    Raises
    ------
    InputError
        If there are fewer than two, or they are not of one structure.
    """
    if len(folders) < 2:
        raise InputError("converge: expected two folders or more, the best settings last")
    loaded = [load_phonopy(folder) for folder in folders]
    last = Other(str(folders[-1]), loaded[-1][0])
    numbers = make_mesh(loaded[-1][0], mesh).numbers
    found = []
    for folder, (phonopy, constants) in zip(folders, loaded, strict=True):
        apart = compare(phonopy, last, numbers)
        points = make_mesh(phonopy, numbers)
        thermal = thermal_functions(
            points, np.array([TEMPERATURE_K]), float(phonopy.primitive.masses.sum()), tolerance_THz
        )
        gamma = gamma_modes(phonopy, find_groups(to_atoms(phonopy.primitive)))
        optical = gamma.frequencies_THz[~gamma.acoustic]
        found.append(
            Settings(
                str(folder),
                _matrix(np.asarray(phonopy.supercell_matrix)),
                _displacements(folder),
                "x".join(map(str, numbers)),
                constants.drift_eV_per_A2,
                constants.asymmetry_eV_per_A2,
                float(optical.min()) if len(optical) else None,
                float(thermal.free_energy_kJ_per_mol[0]),
                float(thermal.heat_capacity_J_per_K_mol[0]),
                float(apart.rmsd_mesh_THz or 0.0),
                float(apart.rmsd_gamma_THz or 0.0),
            )
        )
    return tuple(found)


def _matrix(values: np.ndarray) -> str:
    if np.array_equal(values, np.diag(np.diag(values))):
        return "x".join(map(str, np.diag(values)))
    return " ".join(map(str, values.ravel()))


def _displacements(folder: Path) -> str:
    plan = folder / FORCES / PLAN
    if not plan.is_file():
        return ""
    record: dict[str, Any] = json.loads(plan.read_text(encoding="utf-8"))
    return ", ".join(f"{h:g}" for h in record.get("displacements_A", ()))
