"""Displaced supercells: what must be evaluated for the force constants."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.phonons.calculation.least_squares import ForceConstantFit
from mofmd.phonons.cells import to_atoms

if TYPE_CHECKING:
    from phonopy import Phonopy

Method = Literal["differences", "random", "fewest"]
Precision = Literal["float32", "float64"]
DISPLACEMENT_A: dict[str, float] = {"float64": 0.001, "float32": 0.005}
RANDOM_DISPLACEMENT_A: dict[str, float] = {"float64": 0.001, "float32": 0.01}
LARGEST_A = 0.2
LEAST_A: dict[str, float] = {"float64": 1e-5, "float32": 1e-3}
"""Below it the rounding of forces is more than a percent of what a displacement changes."""
SEED = 1


@dataclass(frozen=True, kw_only=True)
class DisplacementOptions:
    """How atoms are displaced.

    Parameters
    ----------
    distances_A
        How far; empty: by the precision. Several: differences at each of them, and the limit of
        small distances from a fit, see ``limit_of_small_distances``.
    method
        ``differences``: one atom at a time, both ways, those alone that symmetry does not give;
        ``random``: all atoms at once, force constants by a fit within the symmetry;
        ``fewest``: of the two what needs fewer evaluations.
    seed
        Of the random ones.
    """

    distances_A: tuple[float, ...] = ()
    method: Method = "differences"
    seed: int = SEED

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.method not in get_args(Method):
            raise InputError(
                f"method: {self.method!r}, expected one of {', '.join(get_args(Method))}"
            )
        for distance in self.distances_A:
            if not (math.isfinite(distance) and 0.0 < distance <= LARGEST_A):
                raise InputError(
                    f"displacement: {distance} Å, expected more than 0 and at most {LARGEST_A} Å: "
                    "of larger ones the forces are not linear"
                )
        if len(set(self.distances_A)) < len(self.distances_A):
            raise InputError("displacement: a distance is given twice")
        if len(self.distances_A) > 1 and self.method != "differences":
            raise InputError("displacement: several distances are for the method differences alone")


@dataclass(frozen=True)
class Displacements:
    """All displacements of a supercell; arrays are read-only.

    Parameters
    ----------
    supercell
        Undisplaced [Å].
    vectors_A
        (displacements, atoms, 3) of each evaluation, or where one atom moves at a time
        (displacements, 3).
    movers
        (displacements,) atom that moves; None where all do.
    distances_A
        See ``DisplacementOptions``.
    method
        ``differences`` or ``random``.
    """

    supercell: Atoms
    vectors_A: np.ndarray
    movers: np.ndarray | None
    distances_A: tuple[float, ...]
    method: str

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "vectors_A", "movers")

    def __len__(self) -> int:
        """Count the evaluations, without that of the undisplaced supercell."""
        return len(self.vectors_A)

    def structure(self, number: int) -> Atoms:
        """Displaced supercell; number −1 is the undisplaced one."""
        atoms = self.supercell.copy()
        if number < 0:
            return atoms
        if self.movers is None:
            atoms.positions += self.vectors_A[number]
        else:
            atoms.positions[self.movers[number]] += self.vectors_A[number]
        return atoms

    def structures(self, numbers: list[int]) -> Iterator[Atoms]:
        """Displaced supercells of some numbers, made one by one."""
        return (self.structure(number) for number in numbers)

    @property
    def digest(self) -> str:
        """Hash of all displacements."""
        found = hashlib.sha256(np.ascontiguousarray(self.vectors_A).tobytes())
        if self.movers is not None:
            found.update(np.ascontiguousarray(self.movers).tobytes())
        return found.hexdigest()


def choose_displacements(
    phonopy: Phonopy, options: DisplacementOptions, precision: Precision = "float64"
) -> Displacements:
    """Choose the displacements of a supercell; phonopy's object is told of them.

    Parameters
    ----------
    phonopy
        Of the supercell.
    options
        How far and how.
    precision
        Of the forces: how far atoms move where it is not said, and what is too little.

    Raises
    ------
    InputError
        If a displacement is too small for the precision.
    """
    for distance in options.distances_A:
        if distance < LEAST_A[precision]:
            raise InputError(
                f"displacement: {distance} Å is too small for forces in {precision}: their "
                f"rounding would be a large part of what changes; take {LEAST_A[precision]} Å or "
                f"more (default {DISPLACEMENT_A[precision]} Å)"
                + (", or the precision float64" if precision == "float32" else "")
            )
    method = options.method
    distances = options.distances_A or (DISPLACEMENT_A[precision],)
    if method != "differences":
        fit = ForceConstantFit(phonopy)
        snapshots = fit.least
        phonopy.generate_displacements(distance=distances[0])
        n_differences = len(phonopy.displacements)
        method = "random" if method == "random" or snapshots < n_differences else "differences"
        if method == "random":
            distance = (options.distances_A or (RANDOM_DISPLACEMENT_A[precision],))[0]
            while True:
                phonopy.generate_displacements(
                    distance=distance, number_of_snapshots=snapshots, random_seed=options.seed
                )
                drawn = np.array(phonopy.displacements)
                if fit.determines(drawn):
                    break
                snapshots += 1 + snapshots // 20  # atoms at special places may need a few more
            return Displacements(
                to_atoms(phonopy.supercell),
                drawn,
                None,
                (distance,),
                "random",
            )
    phonopy.generate_displacements(
        distance=distances[0], is_plusminus=True if len(distances) > 1 else "auto"
    )
    first = phonopy.displacements
    movers = np.array([int(row[0]) for row in first])
    vectors = np.array([row[1:4] for row in first], dtype=np.float64)
    return Displacements(
        to_atoms(phonopy.supercell),
        np.concatenate([vectors * (distance / distances[0]) for distance in distances]),
        np.tile(movers, len(distances)),
        tuple(distances),
        "differences",
    )


def limit_of_small_distances(forces: np.ndarray, distances_A: tuple[float, ...]) -> np.ndarray:
    """Find the forces that are linear in the displacement, from several distances.

    Of a pair of opposite displacements ±h half the difference of the forces is a·h + b·h³ + ….
    Least squares of a and b over the distances, where each force has the same error, leaves a
    without the cubic term, and with less noise than one distance gives.

    Parameters
    ----------
    forces
        (distances, pairs, 2, atoms, 3) of +h and −h [eV/Å].
    distances_A
        (distances,) [Å].

    Returns
    -------
    np.ndarray
        (pairs, 2, atoms, 3): what ±h of the first distance would give without higher terms.

    Examples
    --------
    >>> h = (0.01, 0.02)
    >>> odd = np.array([[3.0 * x + 50.0 * x**3] for x in h])
    >>> forces = np.stack([odd, -odd], axis=2)[..., None, None] * np.ones((1, 1, 1, 1, 3))
    >>> round(float(limit_of_small_distances(forces, h)[0, 0, 0, 0]), 9)
    0.03
    """
    h = np.asarray(distances_A)
    odd = 0.5 * (forces[:, :, 0] - forces[:, :, 1])
    design = np.stack([h, h**3], axis=1) if len(h) > 1 else h[:, None]
    scale = np.abs(design).max(axis=0)
    solution = np.linalg.pinv(design / scale)[0] / scale[0]
    linear = h[0] * np.tensordot(solution, odd, axes=(0, 0))
    return np.stack([linear, -linear], axis=1)
