"""Points of relaxation protocols: reading ``points.csv``, and the stiffness matrix from it."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError, MissingFileError
from mofmd.units import BAR_TO_GPA

VOIGT_NAMES = ("xx", "yy", "zz", "yz", "xz", "xy")


@dataclass(frozen=True)
class Stiffness:
    """Stiffness matrix of a crystal; the array is read-only.

    Parameters
    ----------
    stiffness_GPa
        (6, 6) C_ij = ∂σ_i/∂ε_j, rows and columns xx yy zz yz xz xy, shears as engineering strains,
        in LAMMPS's axes (a along x, b in the xy plane).
    asymmetry_GPa
        Largest |C_ij − C_ji| before the matrix was made symmetric: an estimate of its error.
    """

    stiffness_GPa: np.ndarray
    asymmetry_GPa: float

    def __post_init__(self) -> None:
        """Make the array read-only."""
        freeze(self, "stiffness_GPa")


def read_points(path: Path) -> list[dict[str, str]]:
    """Read the lines of a points.csv; values as they are written."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; energy_volume and elastic runs write it")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise InputError(f"{path}: holds no points; has the run begun?")
    return rows


def read_stiffness(path: Path) -> Stiffness:
    """Make the stiffness matrix of the stresses that an elastic run left in points.csv.

    Central differences of the stress over both signs of each strain.

    Raises
    ------
    InputError
        If a direction or a sign is missing.
    """
    rows = read_points(path)
    matrix = np.zeros((6, 6))
    for column, name in enumerate(VOIGT_NAMES):
        points = [row for row in rows if row.get("direction") == name]
        if len(points) != 2:
            raise InputError(f"{path}: {len(points)} points for strain {name}, expected two")
        strains = [float(row["strain"]) for row in points]
        stresses = [
            [-float(row[f"p{each}_bar"]) * BAR_TO_GPA for each in VOIGT_NAMES] for row in points
        ]
        difference = np.subtract(stresses[0], stresses[1])
        matrix[:, column] = difference / (strains[0] - strains[1])
    asymmetry = float(np.abs(matrix - matrix.T).max())
    return Stiffness((matrix + matrix.T) / 2, asymmetry)
