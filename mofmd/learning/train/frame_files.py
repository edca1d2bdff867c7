"""Frames of a training as nequip and sevenn read them: extended XYZ with ASE's names of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.learning.data.dataset import labels_of, write_frames


def write_data(folder: Path, train: Sequence[Atoms], val: Sequence[Atoms]) -> None:
    """Write the frames, ``train.extxyz`` and ``val.extxyz``."""
    write_frames(folder / "train.extxyz", train)
    write_frames(folder / "val.extxyz", val)


def forces(frame: Atoms) -> np.ndarray:
    """Return the forces (N, 3) [eV/Å] of a frame that `write_data` wrote."""
    return labels_of(frame).forces_eV_per_A
