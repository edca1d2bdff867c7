"""Thermal expansion of a crystal with a model: relaxed volumes, phonons at each, their fit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.errors import InputError, InputWarning, RunError
from mofmd.phonons.calculation.collect import Progress
from mofmd.phonons.calculation.evaluators import Evaluator
from mofmd.phonons.calculation.folder import held_folder
from mofmd.phonons.cells import check_crystal
from mofmd.phonons.run import (
    ForceOptions,
    Model,
    check_supercell,
    choose_supercell,
    phonons_in_folder,
)
from mofmd.phonons.spectrum.mesh import make_mesh
from mofmd.phonons.spectrum.soft import soft_modes
from mofmd.phonons.spectrum.spectrum import find_imaginary
from mofmd.phonons.spectrum.thermal import TOLERANCE_THZ, constants, thermal_functions
from mofmd.phonons.temperature.qha import LEAST_VOLUMES, Qha, check_temperatures, quasi_harmonic
from mofmd.relaxation import RelaxOptions, relax_in_folder
from mofmd.relaxation.options import SYMMETRY_TOLERANCE_A
from mofmd.relaxation.relaxation import Relaxation
from mofmd.relaxation.variables import CellFreedom
from mofmd.structures.symmetry import check_tolerance

MADE = (
    "relax",
    "volume-[0-9][0-9]",
    "volumes.csv",
    "beside.csv",
    "qha.json",
    "qha_birch_murnaghan.csv",
    "qha_vinet.csv",
    "report.html",
)
"""What a calculation leaves in its folder, see ``write_expansion`` as well."""


@dataclass(frozen=True, kw_only=True)
class ExpansionOptions:
    """What is computed.

    Parameters
    ----------
    points
        Volumes, evenly between the smallest and the largest.
    strain
        Relative change of the volume to the smallest and to the largest; the middle is the relaxed
        structure's own.
    shape
        ``free``: lengths and angles of the cell are relaxed at each volume; ``scaled``: atoms
        alone.
    mesh
        Of the free energies; None: see ``make_mesh``.
    temperatures_K
        Ascending.
    tolerance_THz
        Frequencies below minus this are imaginary, and there is no free energy.
    fmax_eV_per_A
        Limit of the relaxations.
    keep_symmetry
        Keep the space group, which spares displacements; a crystal that would leave it for a lower
        one at some volume does not.
    symmetry_tolerance_A
        Within which that is found.
    """

    points: int = 9
    strain: tuple[float, float] = (-0.03, 0.03)
    shape: str = "free"
    mesh: tuple[int, int, int] | None = None
    temperatures_K: tuple[float, ...] = tuple(float(t) for t in range(0, 601, 20))
    tolerance_THz: float = TOLERANCE_THZ
    fmax_eV_per_A: float = 1e-5
    keep_symmetry: bool = False
    symmetry_tolerance_A: float = SYMMETRY_TOLERANCE_A

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.points < LEAST_VOLUMES + 1:
            raise InputError(
                f"volumes: {self.points} are too few for an equation of state and its error; take "
                f"{LEAST_VOLUMES + 1} or more"
            )
        low, high = self.strain
        if not -0.5 < low < high < 1.0:
            raise InputError(f"strain: {low} to {high}, expected the smaller one first")
        if not low < 0.0 < high:
            raise InputError(
                f"strain: {low} to {high} is one-sided: the equilibrium must lie between the "
                "volumes; take one below and one above zero, such as -0.03:0.03"
            )
        check_tolerance(self.symmetry_tolerance_A)
        check_temperatures(np.asarray(self.temperatures_K, dtype=float))
        if self.shape not in ("free", "scaled"):
            raise InputError(f"shape: {self.shape!r}, expected free or scaled")


@dataclass(frozen=True)
class Expansion:
    """Thermal expansion by both equations of state; arrays are read-only.

    Parameters
    ----------
    volumes_A3, energies_eV
        (volumes,) of the relaxed cells.
    cells_A
        (volumes, 3, 3).
    heat_capacities_J_per_K_mol
        (volumes, temperatures) at constant volume.
    free_energies_eV
        (volumes, temperatures) of the vibrations.
    birch_murnaghan, vinet
        What follows.
    """

    volumes_A3: np.ndarray
    energies_eV: np.ndarray
    cells_A: np.ndarray
    heat_capacities_J_per_K_mol: np.ndarray
    free_energies_eV: np.ndarray
    birch_murnaghan: Qha
    vinet: Qha

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(
            self,
            "volumes_A3",
            "energies_eV",
            "cells_A",
            "heat_capacities_J_per_K_mol",
            "free_energies_eV",
        )


def expand(  # noqa: PLR0913, PLR0917 - one argument per part
    atoms: Atoms,
    calculator: Any,
    evaluator: Evaluator,
    model: Model,
    folder: Path,
    options: ExpansionOptions | None = None,
    forces: ForceOptions | None = None,
    *,
    overwrite: bool = False,
    on_volume: Callable[[int, int, str], None] = lambda _k, _n, _text: None,
    on_forces: Callable[[Progress], None] = lambda _: None,
) -> Expansion:
    """Relax, make phonons at several volumes, and fit; run again, it goes on.

    Parameters
    ----------
    atoms
        Is relaxed first, cell and atoms.
    calculator
        ASE calculator of the model, with stress.
    evaluator
        Of the same model.
    model
        Tells its forces from others'.
    folder
        Gets ``relax`` and a folder for each volume.
    options, forces
        How.
    overwrite
        Begin anew, whatever is in the folder.
    on_volume
        Called with how many volumes are done, how many there are, and what goes on.
    on_forces
        Called before the first evaluation of each volume, and after each.

    Raises
    ------
    InputError
        If the structure is no crystal, a model gives no stress, a volume has imaginary modes, the
        volumes are one-sided, or the folder holds another calculation.
    RunError
        If a relaxation does not keep its limits, or another calculation goes on in the folder.
    """
    check_crystal(atoms)
    chosen, forces = options or ExpansionOptions(), forces or ForceOptions()
    if "stress" not in calculator.implemented_properties:
        raise InputError(
            "qha: the model gives no stress, which cells at given volumes need: take a model or a "
            "method with stress"
        )
    check_supercell(model, forces)

    def begin() -> Relaxation:
        return Relaxation(atoms, calculator, _limits(chosen, "tri"))

    with held_folder(folder, MADE, overwrite=overwrite, begin=begin):
        ground = _relaxed(atoms, calculator, chosen, "tri", folder / "relax")
        matrix = choose_supercell(ground[0], model, forces)
        volumes = ground[0].get_volume() * np.linspace(
            1.0 + chosen.strain[0], 1.0 + chosen.strain[1], chosen.points
        )
        temperatures = np.array(chosen.temperatures_K)
        cells, energies, free, heat = [], [], [], []
        for k, volume in enumerate(volumes):
            place = folder / f"volume-{k:02d}"
            on_volume(k, chosen.points, f"volume {volume:.2f} Å³: relaxing")
            start = ground[0].copy()
            start.set_cell(
                start.cell.array * np.cbrt(volume / start.get_volume()), scale_atoms=True
            )
            freedom: CellFreedom = "volume" if chosen.shape == "free" else "fixed"
            relaxed, energy = _relaxed(start, calculator, chosen, freedom, place / "relax")
            on_volume(k, chosen.points, f"volume {volume:.2f} Å³: forces")
            phonopy = phonons_in_folder(relaxed, evaluator, model, place, matrix, forces, on_forces)
            mesh = make_mesh(phonopy, chosen.mesh)
            imaginary = find_imaginary(mesh, chosen.tolerance_THz)
            if imaginary:
                repeats = "x".join(map(str, np.abs(np.diag(matrix))))
                mend = (
                    "take smaller strains, or remove the modes first (mofmd phonons imaginary)"
                    if soft_modes(phonopy, chosen.tolerance_THz)
                    else "none is at a wave vector that fits into the supercell, where nothing is "
                    f"interpolated: take a larger supercell, or a mesh that fits (--mesh {repeats})"
                )
                raise InputError(
                    f"{place}: {len(imaginary)} imaginary modes at {volume:.2f} Å³, the lowest "
                    f"{-imaginary[0].frequency_THz:.3f}i THz at q = "
                    f"{tuple(round(v, 3) for v in imaginary[0].q)}: there is no free energy; {mend}"
                )
            found = thermal_functions(
                mesh, temperatures, float(phonopy.primitive.masses.sum()), chosen.tolerance_THz
            )
            # of a primitive cell; energies and volumes are of the given one
            times = len(phonopy.unitcell) / len(phonopy.primitive)
            free.append(times * found.free_energy_kJ_per_mol / constants().eV_to_kJ_per_mol)
            heat.append(times * found.heat_capacity_J_per_K_mol)
            cells.append(relaxed.cell.array)
            energies.append(energy)
            on_volume(k + 1, chosen.points, f"volume {volume:.2f} Å³: done")
    check_one_minimum(volumes, np.array(energies))
    lengths = np.array([np.linalg.norm(cell, axis=1) for cell in cells])
    arguments = (volumes, np.array(energies), np.array(free), temperatures, lengths)
    return Expansion(
        volumes,
        np.array(energies),
        np.array(cells),
        np.array(heat),
        np.array(free),
        quasi_harmonic(*arguments, equation="birch-murnaghan"),
        quasi_harmonic(*arguments, equation="vinet"),
    )


def other_choices(expansion: Expansion) -> dict[str, Qha]:
    """Expansion from fewer of the volumes (Birch-Murnaghan): how much their choice decides.

    Parameters
    ----------
    expansion
        From all of them.

    Returns
    -------
    dict of str to Qha
        By what was left out: the outermost volumes, the two smallest, the two largest; without
        those that leave too few volumes, or volumes on one side.
    """
    n = len(expansion.volumes_A3)
    choices = {
        "without the outermost two": slice(1, n - 1),
        "without the smallest two": slice(2, n),
        "without the largest two": slice(0, n - 2),
    }
    lengths = np.linalg.norm(expansion.cells_A, axis=2)
    temperatures = expansion.birch_murnaghan.temperatures_K
    found = {}
    for name, kept in choices.items():
        with suppress(InputError):
            found[name] = quasi_harmonic(
                expansion.volumes_A3[kept],
                expansion.energies_eV[kept],
                expansion.free_energies_eV[kept, : len(temperatures)],
                temperatures,
                lengths[kept],
            )
    return found


def check_one_minimum(volumes: np.ndarray, energies: np.ndarray) -> None:
    """Warn of a second minimum: an equation of state has one."""
    turns = 1 + np.flatnonzero(np.diff(np.sign(np.diff(energies))))
    if len(turns) > 1:
        where = ", ".join(f"{volume:.1f}" for volume in volumes[turns])
        warnings.warn(
            f"energies: fall and rise more than once over the volumes (they turn at {where} Å³), "
            "as where a framework has two phases; an equation of state has one minimum: take "
            "--strain so that one lies within",
            InputWarning,
            stacklevel=3,
        )


def _relaxed(
    atoms: Atoms, calculator: Any, chosen: ExpansionOptions, freedom: CellFreedom, folder: Path
) -> tuple[Atoms, float]:
    done = relax_in_folder(atoms, calculator, _limits(chosen, freedom), folder, tell_new=False)
    if not done.converged:
        raise RunError(f"{folder}: the limits were not kept: {done}; run again to go on")
    return done.atoms, done.energy_eV


def _limits(chosen: ExpansionOptions, freedom: CellFreedom) -> RelaxOptions:
    return RelaxOptions(
        fmax_eV_per_A=chosen.fmax_eV_per_A,
        cell=freedom,
        keep_symmetry=chosen.keep_symmetry,
        symmetry_tolerance_A=chosen.symmetry_tolerance_A,
        calls_max=2000,
    )
