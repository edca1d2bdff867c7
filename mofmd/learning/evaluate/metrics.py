"""How far a model is from its reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels
from mofmd.units import EV_PER_A3_TO_GPA

EV_TO_MEV = 1e3


@dataclass(frozen=True)
class Errors:
    """Errors of a model on a set of frames: model minus reference.

    Parameters
    ----------
    frames
        Number of frames.
    energy_mae, energy_rmse
        Of the energy per atom [meV/atom].
    energy_average, energy_deviation
        Mean and standard deviation of the error of the energy per atom [meV/atom]: ΔE_avg, the
        offset, which does not matter within one composition, and ΔE_std (Dobbelaere et al. 2025,
        Eq. 5).
    force_mae, force_rmse
        Over all components [meV/Å].
    force_mae_p95
        Mean of the absolute errors of components above their 95th percentile [meV/Å]: MAE_p95
        (Dobbelaere et al. 2025).
    force_label_rms
        Size of the reference forces, for comparison [meV/Å].
    stress_mae, stress_rmse
        Over the nine components [GPa]; NaN where frames have no stress.
    """

    frames: int
    energy_mae: float
    energy_rmse: float
    energy_average: float
    energy_deviation: float
    force_mae: float
    force_rmse: float
    force_mae_p95: float
    force_label_rms: float
    stress_mae: float
    stress_rmse: float

    def as_dict(self) -> dict[str, float | None]:
        """Fields; null where there is no number."""
        return {
            name: None if isinstance(value, float) and np.isnan(value) else value
            for name, value in asdict(self).items()
        }


UNITS = {
    "frames": "",
    "energy_mae": "meV/atom",
    "energy_rmse": "meV/atom",
    "energy_average": "meV/atom",
    "energy_deviation": "meV/atom",
    "force_mae": "meV/Å",
    "force_rmse": "meV/Å",
    "force_mae_p95": "meV/Å",
    "force_label_rms": "meV/Å",
    "stress_mae": "GPa",
    "stress_rmse": "GPa",
}


def mae(errors: np.ndarray) -> float:
    """Mean absolute error."""
    return float(np.abs(errors).mean())


def rmse(errors: np.ndarray) -> float:
    """Root mean square error."""
    return float(np.sqrt(np.square(errors).mean()))


def mae_above_percentile(errors: np.ndarray, percentile: float = 95.0) -> float:
    """Mean absolute error over the errors that are at or above a percentile of their size.

    0 gives the mean absolute error, 100 the largest error.

    Examples
    --------
    >>> mae_above_percentile(np.array([1.0, -2.0, 3.0, -4.0]), 100.0)
    4.0
    """
    sizes = np.abs(errors).ravel()
    return float(sizes[sizes >= np.percentile(sizes, percentile)].mean())


def compare(
    frames: Sequence[Atoms], references: Sequence[Labels], predictions: Sequence[Labels]
) -> Errors:
    """Compare what a model says with the reference.

    Raises
    ------
    InputError
        If there are no frames.
    """
    if not frames:
        raise InputError("evaluate: no frames")
    pairs = list(zip(references, predictions, strict=True))
    energy = EV_TO_MEV * np.array(
        [(p.energy_eV - r.energy_eV) / len(f) for f, (r, p) in zip(frames, pairs, strict=True)]
    )
    force = force_errors(references, predictions)
    labels = np.concatenate([r.forces_eV_per_A.ravel() for r, _ in pairs])
    stress = [
        (p.stress_eV_per_A3 - r.stress_eV_per_A3) * EV_PER_A3_TO_GPA
        for r, p in pairs
        if r.stress_eV_per_A3 is not None and p.stress_eV_per_A3 is not None
    ]
    return Errors(
        frames=len(frames),
        energy_mae=mae(energy),
        energy_rmse=rmse(energy),
        energy_average=float(energy.mean()),
        energy_deviation=float(energy.std()),
        force_mae=mae(force),
        force_rmse=rmse(force),
        force_mae_p95=mae_above_percentile(force),
        force_label_rms=rmse(EV_TO_MEV * labels),
        stress_mae=mae(np.array(stress)) if stress else float("nan"),
        stress_rmse=rmse(np.array(stress)) if stress else float("nan"),
    )


def force_errors(references: Sequence[Labels], predictions: Sequence[Labels]) -> np.ndarray:
    """(atoms of all frames, 3) errors of the forces [meV/Å]."""
    return EV_TO_MEV * np.concatenate(
        [
            p.forces_eV_per_A - r.forces_eV_per_A
            for r, p in zip(references, predictions, strict=True)
        ]
    )


def force_errors_per_element(
    frames: Sequence[Atoms], references: Sequence[Labels], predictions: Sequence[Labels]
) -> dict[str, dict[str, float]]:
    """MAE, RMSE and MAE_p95 of the forces on each element [meV/Å]."""
    errors = force_errors(references, predictions)
    symbols = np.concatenate([np.array(frame.get_chemical_symbols()) for frame in frames])
    return {
        str(element): force_summary(errors[symbols == element]) for element in np.unique(symbols)
    }


def force_summary(errors: np.ndarray) -> dict[str, float]:
    """MAE, RMSE and MAE_p95 of errors of forces, in their unit."""
    return {
        "force_mae": mae(errors),
        "force_rmse": rmse(errors),
        "force_mae_p95": mae_above_percentile(errors),
    }


def committee_disagreement(predictions: Sequence[Sequence[Labels]]) -> np.ndarray:
    """(frames,) largest disagreement of several models about the force on an atom [eV/Å].

    The root mean square deviation of an atom's force vector from the committee's mean, and of its
    atoms the largest of each frame.

    Parameters
    ----------
    predictions
        Of each model, for the same frames.

    Raises
    ------
    InputError
        With fewer than two models.
    """
    if len(predictions) < 2:
        raise InputError("committee: needs two models or more")
    worst = []
    for members in zip(*predictions, strict=True):
        forces = np.array([each.forces_eV_per_A for each in members])
        deviations = np.square(forces - forces.mean(axis=0)).sum(axis=2).mean(axis=0)
        worst.append(float(np.sqrt(deviations.max())))
    return np.array(worst)
