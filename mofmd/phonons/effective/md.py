"""Effective phonons of frames of dynamics, the force constants that describe their forces best."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mofmd.arrays import freeze
from mofmd.disk.output import check_output
from mofmd.errors import InputError
from mofmd.phonons.calculation.collect import Progress, collect_forces
from mofmd.phonons.calculation.displacements import Displacements
from mofmd.phonons.calculation.evaluators import Evaluator
from mofmd.phonons.calculation.folder import held_folder
from mofmd.phonons.calculation.least_squares import ForceConstantFit
from mofmd.phonons.calculation.store import ForceStore, Identity, structure_digest
from mofmd.phonons.cells import replicate, to_atoms
from mofmd.phonons.effective.fit import (
    anharmonicity,
    harmonic_forces,
    symmetrised,
)
from mofmd.phonons.effective.frames import Snapshots
from mofmd.phonons.effective.sampling import optical_THz, rms
from mofmd.phonons.run import FORCES, Model

SHARES = (0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Step:
    """A fit to some of the frames.

    Parameters
    ----------
    frames
        The first ones, as many as these.
    difference_THz
        Root mean square difference of the frequencies to those of all frames.
    lowest_THz
        Lowest frequency at the wave vectors of the supercell, without translations.
    """

    frames: int
    difference_THz: float
    lowest_THz: float


@dataclass(frozen=True)
class FrameFit:
    """Effective phonons of dynamics; arrays are read-only.

    Parameters
    ----------
    values_eV_per_A2
        (primitive atoms, supercell atoms, 3, 3).
    shifts_A
        (supercell atoms, 3) of the mean positions from the structure, as symmetry allows.
    steps
        Fits to more and more frames, of which the last one is this.
    noise_THz
        Root mean square error of the frequencies from sampling: half the difference of two halves
        of the frames.
    anharmonicity
        Share of the forces that the force constants do not describe.
    parameters
        Free ones of the fit.
    temperature_K
        Of the frames or their run; None where nobody knows.
    """

    values_eV_per_A2: np.ndarray
    shifts_A: np.ndarray
    steps: tuple[Step, ...]
    noise_THz: float
    anharmonicity: float
    parameters: int
    temperature_K: float | None

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "values_eV_per_A2", "shifts_A")


def fit_frames(  # noqa: PLR0913 - one argument per part
    snapshots: Snapshots,
    evaluator: Evaluator,
    model: Model,
    folder: Path,
    *,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> FrameFit:
    """Evaluate frames and fit force constants; run again, it goes on with what lacks.

    Mean positions and force constants that describe the forces best: Hellman, Steneteg, Abrikosov
    and Simak, Phys. Rev. B 87, 104111 (2013). Forces are the model's own at the frames' positions.

    Parameters
    ----------
    snapshots
        Of dynamics in equilibrium, in a fixed cell.
    evaluator
        Of the model.
    model
        Tells its forces from others'.
    folder
        Gets ``forces``.
    overwrite
        Remove forces that are there.
    tell
        Called with how much is to be done, before it.
    on_progress
        Called after each evaluation.

    Raises
    ------
    InputError
        If the frames are too few, or the folder holds forces of something else.
    """
    check_output(folder)
    phonopy, u = replicate(snapshots.phonopy), snapshots.displacements_A
    fit = ForceConstantFit(phonopy)
    if not all(map(fit.determines, _halves(u))):  # they tell the error of sampling
        raise InputError(
            f"frames: {len(u)} are too few: half of them do not determine the {fit.parameters} "
            f"parameters that symmetry leaves; take {2 * fit.least} or more (--frames), from a "
            "longer run"
        )
    tell(
        f"{len(u) + 1} evaluations of {len(phonopy.supercell)} atoms, and fits of "
        f"{fit.parameters} force constants"
    )
    atoms = to_atoms(phonopy.supercell)
    displaced = Displacements(atoms, u, None, (), "dynamics")
    with held_folder(folder):
        store = ForceStore(
            folder / FORCES,
            Identity(structure_digest(atoms), model.identity, displaced.digest),
            len(atoms),
            {"frames": len(u), "model_facts": model.facts},
            overwrite=overwrite,
        )
        forces = collect_forces(
            displaced, evaluator, store, force_limit_eV_per_A=math.inf, on_progress=on_progress
        )
    shifts = symmetrised(phonopy, u.mean(axis=0))
    forces = forces - symmetrised(phonopy, forces.mean(axis=0))
    u = u - shifts
    values = fit(u, forces)
    whole = optical_THz(phonopy, values)
    steps = []
    for share in SHARES:
        some = round(share * len(u))
        if fit.determines(u[:some]):
            found = optical_THz(phonopy, fit(u[:some], forces[:some])) if share < 1.0 else whole
            steps.append(Step(some, rms(found, whole), float(found.min())))
    halves = [
        optical_THz(phonopy, fit(*both)) for both in zip(_halves(u), _halves(forces), strict=True)
    ]
    return FrameFit(
        values,
        shifts,
        tuple(steps),
        0.5 * rms(*halves),
        anharmonicity(forces, harmonic_forces(phonopy, values, u)),
        fit.parameters,
        snapshots.temperature_K,
    )


def _halves(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half = len(frames) // 2
    return frames[:half], frames[half:]
