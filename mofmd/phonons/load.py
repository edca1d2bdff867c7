"""Phonon calculations from files: phonopy's YAML, of mofmd or of others."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.errors import InputError, MissingFileError
from mofmd.phonons.calculation.force_constants import ForceConstants, finish_force_constants
from mofmd.phonons.calculation.least_squares import ForceConstantFit
from mofmd.phonons.cells import SYMMETRY_TOLERANCE_A, check_modes, make_phonopy
from mofmd.phonons.extra import need_packages
from mofmd.phonons.foreign import (
    check_content,
    check_dataset,
    check_force_constants,
    convert,
    units_of,
)
from mofmd.structures.symmetry import check_tolerance

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.interface.phonopy_yaml import PhonopyYamlData

PHONOPY_FILE = "phonopy.yaml"
HEAD_LINES = 40


def find_phonopy_file(source: Path) -> Path:
    """Find phonopy's file: itself, or the one in a folder of ``mofmd phonons run``.

    Raises
    ------
    MissingFileError
        If there is none.
    """
    path = source / PHONOPY_FILE if source.is_dir() else source
    if not path.is_file():
        raise MissingFileError(
            f"{path}: no such file; give a folder of mofmd phonons run, or a phonopy.yaml with "
            "forces or force constants"
        )
    return path


def load_phonopy(
    source: Path, *, sum_rule: bool = True, symmetry_tolerance_A: float | None = None
) -> tuple[Phonopy, ForceConstants]:
    """Read cells, displacements and forces (or force constants), and make force constants.

    Units of the calculator that the file names are converted to eV and Å by phonopy's tables.

    Parameters
    ----------
    source
        ``phonopy.yaml``, also compressed (.xz, .gz), or a folder that holds it.
    sum_rule
        See ``make_force_constants``.
    symmetry_tolerance_A
        Within which symmetry is found; None: what the file says.

    Raises
    ------
    InputError
        If the file is none of phonopy's, holds no forces, or what it holds cannot be used.

    Warns
    -----
    InputWarning
        If it holds Born charges, which are not used.
    """
    need_packages()
    if symmetry_tolerance_A is not None:
        check_tolerance(symmetry_tolerance_A)
    from phonopy.interface.phonopy_yaml import read_phonopy_yaml

    path = find_phonopy_file(source)
    if path.suffix == ".npz":
        raise InputError(
            f"{path}: holds no forces: an npz of bands or of states can be the second of `mofmd "
            "phonons compare`, beside a calculation"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = read_phonopy_yaml(path)
    except Exception as error:
        raise InputError(
            f"{path}: cannot be read as a file of phonopy: {type(error).__name__}: {error}; give a "
            "folder of mofmd phonons run, or a phonopy.yaml"
        ) from error
    check_content(content, path)
    units = units_of(content, path)
    convert(content, units)
    phonopy = _new_phonopy(
        content, path, symmetry_tolerance_A or _recorded_tolerance(path) * units.distance_to_A
    )
    check_modes(phonopy, f"{path}: the supercell")
    if content.force_constants is not None:
        check_force_constants(content.force_constants, phonopy, path)
        phonopy.force_constants = content.force_constants
    elif has_forces(content.dataset):
        check_dataset(content.dataset, len(phonopy.supercell), path)
        _use_forces(phonopy, content.dataset, path)
    else:
        raise InputError(f"{path}: holds neither forces nor force constants")
    return phonopy, finish_force_constants(phonopy, sum_rule=sum_rule)


def has_forces(dataset: object) -> bool:
    """Whether a data set of phonopy holds forces, be it of some displacements alone."""
    if not isinstance(dataset, dict):
        return False
    if "first_atoms" in dataset:
        return any("forces" in each for each in dataset["first_atoms"])
    return "forces" in dataset


def _new_phonopy(content: PhonopyYamlData, path: Path, tolerance_A: float) -> Phonopy:
    matrix = content.primitive_matrix
    try:
        return make_phonopy(
            content.unitcell,
            content.supercell_matrix,
            np.eye(3) if matrix is None else matrix,
            tolerance_A,
        )
    except Exception as error:
        raise InputError(
            f"{path}: phonopy cannot make the cells: {type(error).__name__}: {error}"
        ) from error


def _use_forces(phonopy: Phonopy, dataset: Any, path: Path) -> None:
    try:
        phonopy.dataset = dataset
        if "displacements" in dataset:
            phonopy.force_constants = ForceConstantFit(phonopy)(
                np.asarray(dataset["displacements"]), np.asarray(dataset["forces"])
            )
        else:
            phonopy.produce_force_constants(calculate_full_force_constants=False, show_drift=False)
    except (ValueError, RuntimeError, np.linalg.LinAlgError) as error:
        raise InputError(
            f"{path}: the displacements do not give all force constants, some of them may lack: "
            f"{error}"
        ) from error


def _recorded_tolerance(path: Path) -> float:
    """Tolerance of the symmetry [Å] in the head of a file of phonopy, whose reader skips it."""
    from phonopy.file_IO import get_io_module_to_decompress

    with get_io_module_to_decompress(path).open(path, "rt") as file:
        for _, line in zip(range(HEAD_LINES), file, strict=False):
            if line.strip().startswith("symmetry_tolerance:"):
                tolerance_A = float(line.split(":")[1])
                check_tolerance(tolerance_A, f"{path}: symmetry_tolerance")
                return tolerance_A
    return SYMMETRY_TOLERANCE_A
