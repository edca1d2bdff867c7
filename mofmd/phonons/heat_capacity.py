"""Heat capacity of a relaxed structure, from its harmonic phonons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.calculator import DeployedModel
from mofmd.phonons.calculation.collect import FORCE_LIMIT_EV_PER_A, Progress
from mofmd.phonons.calculation.evaluators import InProcess
from mofmd.phonons.cells import widths
from mofmd.phonons.model import ModelOptions, describe
from mofmd.phonons.run import ForceOptions, forces_in_folder
from mofmd.phonons.spectrum.mesh import make_mesh
from mofmd.phonons.spectrum.spectrum import ImaginaryMode, find_imaginary
from mofmd.phonons.spectrum.thermal import thermal_functions
from mofmd.simulation.statics.task import HeatCapacityTask

FOLDER = "phonons"


def repeats_for_width(cell_A: np.ndarray, width_A: float) -> tuple[int, int, int]:
    """Fewest repetitions of a cell whose opposite faces lie at least this far apart.

    Examples
    --------
    >>> repeats_for_width(np.diag([3.0, 10.0, 25.0]), 10.0)
    (4, 1, 1)
    """
    a, b, c = np.maximum(1, np.ceil(width_A / widths(cell_A) - 1e-6).astype(int))
    return int(a), int(b), int(c)


def heat_capacity(  # noqa: PLR0913 - two of them are how it is carried out
    atoms: Atoms,
    calculator: DeployedModel,
    task: HeatCapacityTask,
    directory: Path,
    *,
    overwrite: bool,
    on_forces: Callable[[Progress], None],
) -> dict[str, Any]:
    """Evaluate displacements of a relaxed structure; they are kept in ``phonons/``.

    Parameters
    ----------
    atoms
        Relaxed for the model.
    calculator
        The model, without a skin.
    task
        Temperature, width of the supercell, tolerance.
    directory
        Of the task.
    overwrite
        Begin anew.
    on_forces
        Called after each evaluation; what it raises ends the work, which goes on from there.

    Returns
    -------
    dict
        ``heat_capacity_J_per_K_g`` at constant volume, its error (half the distance between the
        bounds that imaginary modes leave; zero without any), and what is known of those modes.
    """
    repeats = repeats_for_width(atoms.cell.array, task.supercell_width_A)
    described = describe(ModelOptions(model=calculator.path), calculator)
    phonopy, constants = forces_in_folder(
        atoms,
        InProcess(calculator),
        described,
        directory / FOLDER,
        ForceOptions(
            supercell=repeats,
            force_limit_eV_per_A=max(FORCE_LIMIT_EV_PER_A, 2.0 * task.fmax_eV_per_A),
        ),
        overwrite=overwrite,
        on_progress=on_forces,
    )
    mesh = make_mesh(phonopy)
    mass = float(phonopy.primitive.masses.sum())
    temperature = np.array([task.temperature_K])
    thermal = thermal_functions(mesh, temperature, mass, task.tolerance_THz)
    imaginary = find_imaginary(mesh, task.tolerance_THz)
    low, high = (float(bound[2, 0]) / mass for bound in (thermal.low, thermal.high))
    return {
        "heat_capacity_J_per_K_g": thermal.heat_capacity_J_per_K_g(task.temperature_K),
        "heat_capacity_error_J_per_K_g": 0.5 * (high - low),
        "temperature_K": task.temperature_K,
        "imaginary_share": thermal.imaginary_share,
        "imaginary_modes": _name(imaginary),
        "supercell": "x".join(map(str, repeats)),
        "drift_eV_per_A2": constants.drift_eV_per_A2,
    }


def _name(modes: Sequence[ImaginaryMode]) -> str:
    """Say how many modes of a mesh are imaginary, and which is the lowest."""
    if not modes:
        return ""
    lowest = modes[0]
    q = ", ".join(f"{x:.3g}" for x in lowest.q)
    return f"{len(modes)} on the mesh, the lowest {-lowest.frequency_THz:.3f}i THz at ({q})"
