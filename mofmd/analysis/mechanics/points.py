"""Points of relaxation protocols: reading ``points.csv``, and the stiffness matrix from it."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
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
    """Read the lines of a points.csv; values as they are written.

    Raises
    ------
    MissingFileError, InputError
        If there is no such file, it holds no points, or a line has more or fewer values than the
        first has names.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; energy_volume and elastic runs write it")
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        reader = csv.DictReader(file)
        rows = []
        for row in reader:
            if None in row or None in row.values():
                raise InputError(
                    f"{path}: line {reader.line_num} has not as many values as the first line has "
                    "names; it was cut or changed: run the point again"
                )
            rows.append(row)
    if not rows:
        raise InputError(f"{path}: holds no points; has the run begun?")
    return rows


def numbers_of(rows: Sequence[dict[str, str]], name: str, path: Path) -> np.ndarray:
    """(points,) numbers of a column of a points.csv.

    Raises
    ------
    InputError
        If there is no such column, or a value is no number.
    """
    found = []
    for number, row in enumerate(rows, start=2):
        if name not in row:
            raise InputError(f"{path}: has no column {name}; columns are {', '.join(row)}")
        try:
            found.append(float(row[name]))
        except ValueError:
            found.append(math.nan)
        if not math.isfinite(found[-1]):
            raise InputError(f"{path}: line {number}: {name} is {row[name]!r}, expected a number")
    return np.array(found)


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
        strains = numbers_of(points, "strain", path)
        if strains[0] == strains[1]:
            raise InputError(f"{path}: both points for strain {name} are at {strains[0]:g}")
        pressures = np.array([numbers_of(points, f"p{each}_bar", path) for each in VOIGT_NAMES])
        difference = -BAR_TO_GPA * (pressures[:, 0] - pressures[:, 1])
        matrix[:, column] = difference / (strains[0] - strains[1])
    asymmetry = float(np.abs(matrix - matrix.T).max())
    return Stiffness((matrix + matrix.T) / 2, asymmetry)
