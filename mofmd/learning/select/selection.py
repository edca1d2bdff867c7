"""From many frames to the few worth a label: energies or features by a model, then a pick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.evaluate.metrics import committee_disagreement
from mofmd.learning.evaluate.prediction import predict
from mofmd.learning.select.features import ModelFeatures, descriptor_features
from mofmd.learning.select.picking import (
    Features,
    Method,
    Novelty,
    pick_farthest,
    pick_flat,
    pick_random,
    standardised,
)
from mofmd.learning.select.structures import crystal_system, mean_features, pick_structures


@dataclass(frozen=True)
class Selection:
    """How to pick.

    Parameters
    ----------
    method
        ``flat`` (energy), ``fps`` (features of atoms), ``structures`` (their means) or ``random``.
    count
        Frames wanted; there may be fewer.
    model
        Model file that gives energies and features; without it ``flat`` takes the labels of the
        frames, ``fps`` and ``structures`` a descriptor of distances and angles.
    seed
        Of random choices.
    systems
        Whether ``structures`` begins with one of each crystal system that there is.
    """

    method: Method
    count: int
    model: Path | None = None
    seed: int = 0
    systems: bool = False

    def __post_init__(self) -> None:
        """Refuse methods that do not exist."""
        if self.method not in get_args(Method):
            raise InputError(f"method: {self.method!r}, expected {', '.join(get_args(Method))}")
        if self.systems and self.method != "structures":
            raise InputError("crystal systems: are for whole structures (--method structures)")


def select_frames(
    frames: Sequence[Atoms], selection: Selection, known: Sequence[Atoms] = ()
) -> list[Atoms]:
    """Pick frames; by features those least like the known ones and each other, the first first."""
    if selection.method == "random":
        rows = pick_random(len(frames), selection.count, selection.seed)
    elif selection.method == "flat":
        energies = energies_per_atom(frames, selection.model)
        rows = pick_flat(energies, selection.count, selection.seed)
    elif selection.method == "structures":
        means = mean_features([*frames, *known], selection.model)
        groups = [crystal_system(frame) for frame in frames] if selection.systems else ()
        part, taken_means = means[: len(frames)], means[len(frames) :]
        rows = pick_structures(part, selection.count, taken_means, groups)
    else:
        pool, taken = atom_features(frames, known, selection.model)
        rows = pick_farthest(pool, selection.count, taken)
    return [frames[k] for k in rows]


def energies_per_atom(frames: Sequence[Atoms], model: Path | None) -> np.ndarray:
    """(frames,) energies per atom [eV]: by the model, or as labelled."""
    if model is not None:
        energies = [labels.energy_eV for labels in predict(model, frames)]
    else:
        results = [frame.calc.results if frame.calc is not None else {} for frame in frames]
        if not all("energy" in each for each in results):
            raise InputError(
                "flat: frames without energy; give a model that computes them (--model)"
            )
        energies = [float(each["energy"]) for each in results]
    return np.asarray(np.array(energies) / np.array([len(frame) for frame in frames]))


def atom_features(
    frames: Sequence[Atoms], known: Sequence[Atoms], model: Path | None
) -> tuple[list[Features], list[Features]]:
    """Features of the atoms of frames and of known frames, each on the scale of its spread."""
    everything = [*frames, *known]
    if model is not None:
        features = ModelFeatures(model).of_frames(everything)
    else:
        features = descriptor_features(everything)
    return standardised(features[: len(frames)], features[len(frames) :])


def novelty(frames: Sequence[Atoms], known: Sequence[Atoms], model: Path | None) -> np.ndarray:
    """(frames,) distance of each frame's most unusual atom from the nearest atom of known frames.

    In units of the spread of the features.
    """
    return Novelty(*atom_features(frames, known, model)).of_frames()


def disagreement(frames: Sequence[Atoms], models: Sequence[Path]) -> np.ndarray:
    """(frames,) largest disagreement of a committee of models about an atom's force [eV/Å]."""
    return committee_disagreement([predict(model, frames) for model in models])
