"""Strained copies of structures: what a model must know of cells that are not its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.data.dataset import bare
from mofmd.learning.sample.conditions import deformed

LARGEST_LINEAR = 0.15
ISOTROPIC = (-0.10, -0.06, -0.02, 0.02, 0.06, 0.10)
"""Linear strains of Elena et al., npj Comput. Mater. 11, 125 (2025): six, to ±10 %."""


def strain_frames(
    frames: Sequence[Atoms],
    linear: Sequence[float] = ISOTROPIC,
    shear: float = 0.0,
    random: int = 0,
    seed: int = 0,
) -> list[Atoms]:
    """Make strained copies of each frame; fractional coordinates stay as they are.

    Parameters
    ----------
    frames
        Periodic; their labels are left out.
    linear
        Isotropic strains: changes of all lengths of the cell.
    shear
        Largest element of the deformations at random.
    random
        Copies of each frame that are deformed at random, at its own volume.
    seed
        Of these.

    Returns
    -------
    list of Atoms
        Those of a frame one after the other, of its trajectory, so that no split parts them.

    Raises
    ------
    InputError
        If a frame is not periodic or a strain out of range.
    """
    if bad := [each for each in linear if not 0 < abs(each) <= LARGEST_LINEAR]:
        raise InputError(
            f"strain: {bad[0]}, expected a share of the lengths up to ±{LARGEST_LINEAR}, not 0"
        )
    if random and not 0 < shear <= LARGEST_LINEAR:
        raise InputError(f"shear: {shear}, expected more than 0, up to {LARGEST_LINEAR}")
    rng = np.random.default_rng(seed)
    made = []
    for number, frame in enumerate(frames):
        if not frame.pbc.all():
            raise InputError(f"frame {number}: is not periodic: has no cell to strain")
        made += [deformed(bare(frame), (1.0 + each) ** 3 - 1.0, 0.0, rng) for each in linear]
        made += [deformed(bare(frame), 0.0, shear, rng) for _ in range(random)]
    return made
