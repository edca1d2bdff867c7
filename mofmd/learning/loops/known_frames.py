"""Labelled frames that a round of a distillation knows, and elements that its model must know."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.data.dataset import read_frames
from mofmd.learning.data.split import trajectory_of
from mofmd.learning.sample.conditions import Condition
from mofmd.structures.read import read_structure

LABELLED = "labelled.extxyz"


def frames_until(
    files: Sequence[Path], earlier: Sequence[Path], share: float, *, held_out: bool
) -> list[Atoms]:
    """Frames to train on, or those held out from it, that there are at the begin of a round.

    Parameters
    ----------
    files
        That the loop began with.
    earlier
        Files of what each earlier round has labelled.
    share
        Of the runs of each round, whose frames are held out.
    held_out
        Whether those are wanted that are held out.
    """
    frames = [frame for path in files for frame in read_frames(path)]
    for number, path in enumerate(earlier):
        found = read_frames(path) if path.stat().st_size else []
        runs = held_out_runs(found, share, seed=number)
        frames += [frame for frame in found if (trajectory_of(frame) in runs) == held_out]
    return frames


def held_out_runs(frames: Sequence[Atoms], share: float, seed: int) -> set[str]:
    """Names of the runs whose frames are held out: a share of them, drawn.

    Frames of one run are alike, so that they stay together.
    """
    names = sorted({trajectory_of(frame) for frame in frames})
    drawn = np.random.default_rng(seed).permutation(len(names))[: round(share * len(names))]
    return {names[k] for k in drawn}


def check_elements(
    train_files: Sequence[Path], conditions: Sequence[Condition], test: Sequence[Atoms]
) -> None:
    """Refuse runs and test frames with elements that the first model will not know.

    Raises
    ------
    InputError
        Naming where, and the elements.
    """
    frames = [frame for path in train_files for frame in read_frames(path)]
    known = {str(symbol) for frame in frames for symbol in frame.symbols}
    starts = {each.structure: each.origin for each in conditions}
    needed = [(name, read_structure(source)) for source, name in starts.items()]
    for name, atoms in [*needed, *(("test_files", frame) for frame in test)]:
        unknown = sorted(set(atoms.symbols) - known)
        if unknown:
            raise InputError(
                f"{name}: holds {', '.join(unknown)}, which no frame of train_files holds, so that "
                "the first model could not run it: label a few frames with it first"
            )
