"""Files of phonopy that other programs wrote: units of their calculators, and what is wrong."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.errors import InputError, InputWarning

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.interface.phonopy_yaml import PhonopyYamlData
    from phonopy.physical_units import CalculatorPhysicalUnits

SHORTEST_A = 1e-10
"""A shorter displacement is none."""


def check_content(content: PhonopyYamlData, path: Path) -> None:
    """Check the cells of a file, and tell of what it holds that is not used.

    Raises
    ------
    InputError
        If there is no unit cell or no supercell.

    Warns
    -----
    InputWarning
        If there are Born charges.
    """
    if content.unitcell is None or content.supercell_matrix is None:
        raise InputError(f"{path}: has no unit cell and supercell matrix of phonopy")
    matrix = np.asarray(content.supercell_matrix)
    if matrix.shape != (3, 3) or round(float(np.linalg.det(matrix))) == 0:
        raise InputError(
            f"{path}: the supercell matrix {matrix.tolist()} is singular, expected one of three "
            "independent rows"
        )
    if content.nac_params is not None:
        warnings.warn(
            f"{path}: Born charges and dielectric constant are left out: there is no "
            "non-analytical correction, so that longitudinal optical frequencies near Γ of a polar "
            "crystal are too low",
            InputWarning,
            stacklevel=3,
        )


def units_of(content: PhonopyYamlData, path: Path) -> CalculatorPhysicalUnits:
    """Units of the file's calculator, by phonopy's table; eV and Å where it names none.

    Raises
    ------
    InputError
        If phonopy does not know the calculator.
    """
    from phonopy.physical_units import get_calculator_physical_units

    try:
        return get_calculator_physical_units(content.calculator)
    except (ValueError, RuntimeError, KeyError, NotImplementedError) as error:
        raise InputError(
            f"{path}: calculator {content.calculator!r}: its units are not known; convert the file "
            "to eV and Å, without a calculator"
        ) from error


def convert(content: PhonopyYamlData, units: CalculatorPhysicalUnits) -> None:
    """Convert cell, displacements, forces, energies and force constants to eV and Å, in place."""
    length, force, energy = units.distance_to_A, units.force_to_eVperA, units.energy_to_eV
    if length == force == energy == 1.0:
        return
    assert content.unitcell is not None  # of check_content
    cell = content.unitcell.copy()
    cell.cell = cell.cell * length
    content.unitcell = cell
    factors = {
        "displacement": length,
        "displacements": length,
        "forces": force,
        "supercell_energy": energy,
        "supercell_energies": energy,
    }
    dataset: Any = content.dataset or {}
    for part in (dataset, *dataset.get("first_atoms", ())):
        for name in factors.keys() & part.keys():
            part[name] = part[name] * factors[name]
    if content.force_constants is not None:
        # phonopy's own are forces over displacements, in these units
        content.force_constants = content.force_constants * (force / length)


def check_force_constants(values: np.ndarray, phonopy: Phonopy, path: Path) -> None:
    """Refuse force constants of another supercell, or that are no numbers.

    Raises
    ------
    InputError
        If they are.
    """
    n, few = len(phonopy.supercell), len(phonopy.primitive)
    if values.shape not in ((n, n, 3, 3), (few, n, 3, 3)):
        raise InputError(
            f"{path}: force constants of {values.shape[0]} x {values.shape[1]} atoms, expected "
            f"{few} x {n} or {n} x {n} of this supercell"
        )
    if not np.isfinite(values).all():
        raise InputError(f"{path}: force constants that are not finite numbers")


def check_dataset(dataset: Any, n_atoms: int, path: Path) -> None:
    """Refuse displacements and forces that cannot be of a supercell.

    Parameters
    ----------
    dataset
        Of phonopy, either form, in Å and eV/Å.
    n_atoms
        Of the supercell.
    path
        For messages.

    Raises
    ------
    InputError
        If forces lack, are of another number of atoms or not finite, or a displacement is none.
    """
    if "first_atoms" in dataset:
        parts = dataset["first_atoms"]
        shape: tuple[int, ...] = (3,)
        for k, part in enumerate(parts, start=1):
            if not 0 <= part["number"] < n_atoms:
                raise InputError(
                    f"{path}: displacement {k}: atom {part['number'] + 1}, expected 1 to {n_atoms}"
                )
    else:
        moves = np.asarray(dataset["displacements"])
        forces = np.asarray(dataset["forces"])
        if len(moves) != len(forces):
            raise InputError(
                f"{path}: {len(moves)} displaced supercells, but forces of {len(forces)}"
            )
        parts = [{"displacement": d, "forces": f} for d, f in zip(moves, forces, strict=True)]
        shape = (n_atoms, 3)
    for k, part in enumerate(parts, start=1):
        where = f"{path}: displacement {k}"
        move = np.asarray(part["displacement"])
        if move.shape != shape or not np.isfinite(move).all():
            raise InputError(f"{where}: expected {shape} finite numbers, found {move.shape}")
        if np.abs(move).max() < SHORTEST_A:
            raise InputError(f"{where}: is zero, which tells nothing of force constants")
        if "forces" not in part:
            raise InputError(f"{where}: has no forces, others have")
        forces = np.asarray(part["forces"])
        if forces.shape != (n_atoms, 3):
            raise InputError(f"{where}: forces of {len(forces)} atoms, the supercell has {n_atoms}")
        if not np.isfinite(forces).all():
            raise InputError(f"{where}: forces that are not finite numbers")
