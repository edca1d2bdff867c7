"""What the watch of runs has kept: how new atoms were to the model, and the newest frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError, MissingFileError
from mofmd.simulation.deck.novelty_watch import (
    NOVELTY_FRAMES,
    NOVELTY_TABLE,
    Look,
    read_novelty,
)
from mofmd.study.sources import Run
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import TrajectoryFile

COLUMN = "f_novelty"


@dataclass(frozen=True)
class Watched:
    """A run that was watched; the array is read-only.

    Parameters
    ----------
    name
        Of the run.
    looks
        Lines of its table.
    keep_above
        Novelty above which frames were kept.
    frame
        Of those that were kept, the one with the newest atom; None where none was.
    scores
        (atoms,) novelty of its atoms, in the order of the frame; empty where there is none.
    """

    name: str
    looks: tuple[Look, ...]
    keep_above: float
    frame: Frame | None
    scores: np.ndarray

    def __post_init__(self) -> None:
        """Make the array read-only."""
        freeze(self, "scores")

    @property
    def largest(self) -> float:
        """Novelty of the newest atom of all looks."""
        return max((look.largest for look in self.looks), default=0.0)


def read_watched(runs: Sequence[Run]) -> list[Watched]:
    """Read the tables and newest frames of those runs that were watched."""
    return [_read(run) for run in runs if (run.directory / NOVELTY_TABLE).is_file()]


def _read(run: Run) -> Watched:
    looks = tuple(read_novelty(run.directory))
    keep_above = float(run.manifest.get("watch", {}).get("keep_above", 1.0))
    dump = run.directory / NOVELTY_FRAMES
    kept = [look for look in looks if look.largest > keep_above]
    if not kept or not dump.is_file():
        return Watched(run.name, looks, keep_above, None, np.zeros(0))
    newest = max(kept, key=lambda look: look.largest)
    frame = next((each for each in TrajectoryFile(dump) if each.step == newest.step), None)
    if frame is None:
        raise MissingFileError(f"{dump}: lacks step {newest.step}, which {NOVELTY_TABLE} says")
    return Watched(run.name, looks, keep_above, frame, scores_of(dump, newest.step, len(frame)))


def scores_of(dump: Path, step: int, atoms: int) -> np.ndarray:
    """(atoms,) novelty in a frame of a dump of the watch, atoms in the order of their ids.

    Raises
    ------
    InputError
        If there is no such frame, or it is cut off.
    """
    with dump.open(encoding="utf-8") as file:
        for line in file:
            if not line.startswith("ITEM: TIMESTEP") or next(file).strip() != str(step):
                continue
            names: list[str] = []
            for text in file:
                if text.startswith("ITEM: ATOMS"):
                    names = text.split()[2:]
                    break
            rows = [next(file, "").split() for _ in range(atoms)]
            if COLUMN not in names or any(len(row) != len(names) for row in rows):
                raise InputError(f"{dump}: step {step} is not whole, or has no column {COLUMN}")
            place, number = names.index(COLUMN), names.index("id")
            rows.sort(key=lambda row: int(row[number]))
            return np.array([float(row[place]) for row in rows])
    raise InputError(f"{dump}: has no step {step}")
