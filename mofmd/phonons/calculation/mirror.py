"""Whether a model knows the reflections that spare displacements."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from mofmd.errors import InputWarning
from mofmd.phonons.calculation.displacements import Displacements, Precision
from mofmd.phonons.calculation.evaluators import Evaluator
from mofmd.phonons.calculation.store import MIRRORED, UNDISPLACED, ForceStore

if TYPE_CHECKING:
    from phonopy import Phonopy

LARGEST_SHARE: dict[str, float] = {"float64": 1e-3, "float32": 2e-2}
"""Above it forces of mirror images differ by more than their rounding."""


def mirror_share(
    phonopy: Phonopy,
    displacements: Displacements,
    evaluator: Evaluator,
    store: ForceStore,
    precision: Precision,
) -> float | None:
    """Compare the first displaced supercell with its mirror image: one more evaluation.

    The image is that by an inversion or reflection of the crystal, with the same atoms displaced
    elsewhere.

    A network of which the features turn with the atoms but do not change sign under inversion
    (those of SevenNet) gives other forces to a mirror image. Force constants that are completed
    by inversions and reflections are then averages over both.

    Parameters
    ----------
    phonopy
        Whose symmetry spared displacements.
    displacements
        All of them are in the store.
    evaluator
        Of the model.
    store
        Keeps the evaluation.
    precision
        Of the forces.

    Returns
    -------
    float or None
        Largest difference of the forces, of what the displacement changes; None where the crystal
        has neither inversion nor reflection.

    Warns
    -----
    InputWarning
        If it is more than rounding.
    """
    rotations = phonopy.symmetry.symmetry_operations["rotations"]
    mirrors = np.flatnonzero(np.linalg.det(rotations) < 0.0)
    if not len(mirrors):
        return None
    images = phonopy.symmetry.atomic_permutations[mirrors[0]]
    cell = phonopy.supercell.cell.T
    rotation = cell @ rotations[mirrors[0]] @ np.linalg.inv(cell)
    if not store.path(MIRRORED).exists():
        displaced, mirrored = displacements.structure(0), displacements.structure(UNDISPLACED)
        moves = displaced.positions - mirrored.positions
        mirrored.positions[images] += moves @ rotation.T
        for found in evaluator.map([mirrored]):
            store.keep(MIRRORED, found)
    before = store.undisplaced()[1]
    changes = store.forces(0) - before
    difference = (store.forces(MIRRORED) - before)[images] - changes @ rotation.T
    share = float(np.linalg.norm(difference, axis=1).max() / np.linalg.norm(changes, axis=1).max())
    if share > LARGEST_SHARE[precision]:
        warnings.warn(
            f"model: gives other forces to a mirror image, by {100.0 * share:.2g} % of what a "
            "displacement changes, while the crystal has inversions or reflections: force "
            "constants are averages over mirror images. Relax with --symmetry or with a smaller "
            "--symmetry-tolerance to have those of the model itself",
            InputWarning,
            stacklevel=2,
        )
    return share
