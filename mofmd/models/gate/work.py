"""Do forces and stress belong to the energy? Work along short paths, against energy differences.

Along a path x(s), s from -1 to 1, the energy changes by minus the work of the forces. The work is
integrated by Gauss's and Lobatto's rule of five points (Abramowitz and Stegun, 25.4.32), exact for
polynomials of the seventh degree, so that the path can be long: the difference of the energies at
its ends then stands well above their rounding, and the forces of all five points count. Energies
are subtracted atom by atom, before they are summed: a constant of each atom, however large (an
all-electron E0 of -5e4 eV), costs digits of that atom alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from mofmd.engine.evaluate import Evaluation

_INNER = np.sqrt(3.0 / 7.0)
# The centre is the structure itself, which all paths share.
NODES = np.array([-1.0, -_INNER, _INNER, 1.0])
_WEIGHTS = np.array([1.0 / 10.0, 49.0 / 90.0, 49.0 / 90.0, 1.0 / 10.0])
_CENTRE_WEIGHT = 32.0 / 45.0
# Derivative at the centre of a function given at the nodes, exact for the fourth degree.
_SLOPE_INNER = 1.0 / (2.0 * _INNER * (1.0 - _INNER**2))
SLOPE = np.array([1.0, 0.0, 0.0, -1.0]) * _SLOPE_INNER * _INNER**3
SLOPE += np.array([0.0, -1.0, 1.0, 0.0]) * _SLOPE_INNER


_DIFFERENCES_LEAST = 8  # fewer may be multiples of a step by chance
_GRID_TOLERANCE = 1e-2  # of a step


@dataclass(frozen=True)
class Noise:
    """Rounding of the model's own arithmetic: largest deviations that were found.

    Parameters
    ----------
    energy_eV
        Of the energy without its constant.
    force_eV_per_A
        Of a component of a force.
    virial_eV
        Of a component of the stress times the volume.
    """

    energy_eV: float
    force_eV_per_A: float
    virial_eV: float

    def with_grid(self, found: Sequence[Evaluation]) -> Noise:
        """Return the noise that has at least the rounding of energies to the grid they lie on.

        In a symmetric structure all orientations may be rounded to the same number, which says
        nothing; but the energies of other structures differ by whole steps.

        Parameters
        ----------
        found
            Evaluations of the same atoms in different places.
        """
        energies = np.array([each.atomic_energies_eV for each in found])
        steps = [_grid(of_atom) for of_atom in energies.T]
        rounding = float(np.linalg.norm(steps)) / np.sqrt(12.0)
        return replace(self, energy_eV=max(self.energy_eV, rounding))


@dataclass(frozen=True)
class Balance:
    """Energy and work of a path.

    Parameters
    ----------
    deviation
        Of the energy difference from the work, relative to ``scale_eV``.
    rounding
        What of it the noise explains, likewise.
    """

    deviation: float
    rounding: float


def measure_noise(base: Evaluation, others: Sequence[Evaluation], volume_A3: float) -> Noise:
    """Compare evaluations of one structure in other orientations, where all bits differ."""
    differences = np.array([other.atomic_energies_eV for other in others])
    differences -= base.atomic_energies_eV
    steps = np.maximum(_steps(np.abs(differences)), np.spacing(np.abs(base.atomic_energies_eV)))
    return Noise(
        max(_largest(differences.sum(axis=1)), float(np.linalg.norm(steps)) / np.sqrt(12.0)),
        max(_largest(other.forces_eV_per_A - base.forces_eV_per_A) for other in others),
        volume_A3
        * max(_largest(other.stress_eV_per_A3 - base.stress_eV_per_A3) for other in others),
    )


def _steps(differences: np.ndarray) -> np.ndarray:
    """Least difference of each atom (orientations, N) that is not zero.

    Where a model adds a large constant in its own precision, atomic energies lie on a coarse grid:
    most orientations are rounded to the same number, the others to the next. Along a path all are
    rounded by up to half a step.
    """
    least = np.where(differences > 0.0, differences, np.inf).min(axis=0)
    seen = np.isfinite(least)
    return np.where(seen, least, np.median(least[seen]) if seen.any() else 0.0)


def _grid(energies: np.ndarray) -> float:
    """Largest power of two of which all differences of energies (n,) are multiples; 0 if none is.

    Energies in float64 that were rounded to float32 before a constant was added differ by such
    steps. Float64's own rounding hides steps that are not much larger.
    """
    differences = energies - energies[0]
    differences = differences[differences != 0.0]
    hidden = 2.0 * float(np.spacing(np.abs(energies).max()))
    if differences.size < _DIFFERENCES_LEAST:
        return 0.0
    for power in range(0, -1075, -1):
        step = 2.0**power
        if hidden > _GRID_TOLERANCE * step:
            return 0.0
        if np.all(np.abs(differences - step * np.round(differences / step)) <= hidden):
            return step
    return 0.0


def displaced(atoms: Atoms, displacement: np.ndarray) -> Atoms:
    """Return the structure with atoms moved by (N, 3) Å."""
    moved = atoms.copy()
    moved.positions += displacement
    return moved


@dataclass(frozen=True)
class Ledger:
    """Books energy and work of paths through one structure.

    Parameters
    ----------
    base
        What the model says of the structure, the centre of all paths.
    volume_A3
        Of the structure.
    noise
        Of the model's arithmetic.
    """

    base: Evaluation
    volume_A3: float
    noise: Noise

    def displacement(
        self, direction: np.ndarray, half_A: float, nodes: Sequence[Evaluation]
    ) -> Balance:
        """Balance displacements of up to ``half_A`` times ``direction`` (N, 3)."""

        def power(found: Evaluation) -> float:
            return -float(np.sum(found.forces_eV_per_A * direction))

        def size(found: Evaluation) -> float:
            forces = np.abs(found.forces_eV_per_A)
            return max(float(np.sum(forces * np.abs(direction))), float(forces.max()))

        change = half_A * _integral([power(found) for found in nodes], power(self.base))
        scale = half_A * _integral([size(found) for found in nodes], size(self.base))
        jitter = 2.0 * half_A * self.noise.force_eV_per_A * float(np.linalg.norm(direction))
        return self._balance(nodes, change, scale, jitter)

    def strain(self, strain: np.ndarray, half: float, nodes: Sequence[Evaluation]) -> Balance:
        """Balance strains of up to ``half`` times ``strain`` (3, 3).

        With r = A r0 and A = 1 + s e the energy changes by V stress : (e A^-1) ds.
        """

        def virial(found: Evaluation, s: float) -> np.ndarray:
            volume = self.volume_A3 * np.linalg.det(np.eye(3) + s * half * strain)
            return np.asarray(volume * found.stress_eV_per_A3)

        def power(found: Evaluation, s: float) -> float:
            rate = strain @ np.linalg.inv(np.eye(3) + s * half * strain)
            return float(np.sum(virial(found, s) * rate))

        pairs = list(zip(nodes, NODES, strict=True))
        change = half * _integral([power(*pair) for pair in pairs], power(self.base, 0.0))
        sizes = [_largest(virial(*pair)) for pair in pairs]
        scale = half * _integral(sizes, _largest(virial(self.base, 0.0)))
        return self._balance(nodes, change, scale, 2.0 * half * self.noise.virial_eV)

    def _balance(
        self, nodes: Sequence[Evaluation], change_eV: float, scale_eV: float, jitter_eV: float
    ) -> Balance:
        ends = nodes[-1].atomic_energies_eV - nodes[0].atomic_energies_eV
        scale_eV = max(scale_eV, np.finfo(float).tiny)
        rounding = 2.0 * self.noise.energy_eV + jitter_eV
        return Balance(abs(float(np.sum(ends)) - change_eV) / scale_eV, rounding / scale_eV)


def _integral(at_nodes: Sequence[float], at_centre: float) -> float:
    return float(_WEIGHTS @ np.array(at_nodes)) + _CENTRE_WEIGHT * at_centre


def _largest(values: np.ndarray) -> float:
    return float(np.abs(values).max())
