"""Force constants, and what says how good they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.arrays import freeze
from mofmd.phonons.calculation.displacements import Displacements, limit_of_small_distances
from mofmd.phonons.calculation.least_squares import ForceConstantFit

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True)
class ForceConstants:
    """Second derivatives of the energy; arrays are read-only.

    Parameters
    ----------
    values_eV_per_A2
        (atoms of the primitive cell, atoms of the supercell, 3, 3).
    drift_eV_per_A2
        Largest sum over the second atom, before any sum rule: zero for a model whose energy does
        not change when all atoms move together.
    asymmetry_eV_per_A2
        Root mean square of Φ(ia, jb) − Φ(jb, ia), before any symmetrisation: zero but for noise of
        the forces and anharmonic terms.
    asymmetry_max_eV_per_A2
        The largest of these differences.
    sum_rule
        Whether sum rule and symmetry of the pairs were put in.
    distances_A, differences_eV_per_A2
        Where displacements have several distances: these, and the root mean square difference of
        the force constants of each alone to those of all.
    mirror_share
        What forces of a displaced supercell and of its mirror image differ by, of what the
        displacement changes; None where the crystal has neither inversion nor reflection, so that
        it does not matter.
    """

    values_eV_per_A2: np.ndarray
    drift_eV_per_A2: float
    asymmetry_eV_per_A2: float
    asymmetry_max_eV_per_A2: float
    sum_rule: bool
    distances_A: tuple[float, ...] = ()
    differences_eV_per_A2: tuple[float, ...] = ()
    mirror_share: float | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "values_eV_per_A2")

    def as_dict(self) -> dict[str, Any]:
        """Give all but the values, units in the names."""
        return {
            "drift_eV_per_A2": self.drift_eV_per_A2,
            "asymmetry_rms_eV_per_A2": self.asymmetry_eV_per_A2,
            "asymmetry_max_eV_per_A2": self.asymmetry_max_eV_per_A2,
            "mirror_share": self.mirror_share,
            "sum_rule": self.sum_rule,
            "by_distance": [
                {"displacement_A": h, "difference_rms_eV_per_A2": d}
                for h, d in zip(self.distances_A, self.differences_eV_per_A2, strict=True)
            ],
        }


def make_force_constants(
    phonopy: Phonopy,
    displacements: Displacements,
    forces_eV_per_A: np.ndarray,
    *,
    sum_rule: bool = True,
) -> ForceConstants:
    """Make force constants of forces; phonopy's object gets them.

    Parameters
    ----------
    phonopy
        That the displacements were chosen with.
    displacements
        What was evaluated.
    forces_eV_per_A
        (displacements, atoms, 3).
    sum_rule
        Make the sums over atoms zero and the pairs symmetric; the fit of random displacements has
        both in it already.
    """
    distances = displacements.distances_A
    if len(distances) < 2:
        if displacements.method == "random":
            phonopy.forces = forces_eV_per_A
            phonopy.force_constants = ForceConstantFit(phonopy)(
                displacements.vectors_A, forces_eV_per_A
            )
        else:
            _produce(phonopy, forces_eV_per_A)
        return finish_force_constants(phonopy, sum_rule=sum_rule)
    parts = forces_eV_per_A.reshape(len(distances), -1, *forces_eV_per_A.shape[1:])
    alone = []
    for h, part in zip(distances, parts, strict=True):
        # phonopy knows the displacements of the first distance
        _produce(phonopy, part * (distances[0] / h))
        alone.append(compact(phonopy))
    pairs = parts.reshape(len(distances), -1, 2, *forces_eV_per_A.shape[1:])
    linear = limit_of_small_distances(pairs, distances)
    _produce(phonopy, linear.reshape(-1, *forces_eV_per_A.shape[1:]))
    limit = compact(phonopy)
    found = finish_force_constants(phonopy, sum_rule=sum_rule)
    differences = tuple(float(np.sqrt(np.mean((each - limit) ** 2))) for each in alone)
    return replace(found, distances_A=distances, differences_eV_per_A2=differences)


def _produce(phonopy: Phonopy, forces_eV_per_A: np.ndarray) -> None:
    phonopy.forces = forces_eV_per_A
    phonopy.produce_force_constants(calculate_full_force_constants=False, show_drift=False)


def finish_force_constants(phonopy: Phonopy, *, sum_rule: bool = True) -> ForceConstants:
    """Measure the force constants that phonopy's object has, and put the sum rule in if asked."""
    raw = compact(phonopy)
    drift = float(np.abs(raw.sum(axis=1)).max())
    differences = raw - transposed(phonopy, raw)
    if sum_rule:
        phonopy.symmetrize_force_constants(show_drift=False)
    return ForceConstants(
        compact(phonopy),
        drift,
        float(np.sqrt(np.mean(differences**2))),
        float(np.abs(differences).max()),
        sum_rule,
    )


def compact(phonopy: Phonopy) -> np.ndarray:
    """(primitive atoms, supercell atoms, 3, 3) force constants, of whichever form phonopy has."""
    values = phonopy.force_constants
    assert values is not None
    if values.shape[0] == values.shape[1] and len(phonopy.primitive) != len(phonopy.supercell):
        values = values[phonopy.primitive.p2s_map]
    return np.array(values)


def transposed(phonopy: Phonopy, values: np.ndarray) -> np.ndarray:
    """Φ(jb, ia) in the place of Φ(ia, jb), by the translations of the supercell."""
    primitive = phonopy.primitive
    first = np.asarray(primitive.p2s_map)
    row = np.full(len(phonopy.supercell), -1)
    row[first] = np.arange(len(first))
    found = np.empty_like(values)
    for moved in np.asarray(primitive.atomic_permutations):
        # atoms j that this translation takes to the primitive cell, and where it takes atoms i
        j = np.flatnonzero(row[moved] >= 0)
        found[:, j] = values[row[moved[j]]][:, moved[first]].transpose(1, 0, 3, 2)
    return found
