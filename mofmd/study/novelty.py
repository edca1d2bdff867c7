"""What the watch of runs has kept: how new atoms were to the model, and the newest frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError, MissingFileError
from mofmd.simulation.deck.novelty_watch import (
    NOVELTY_FRAMES,
    NOVELTY_TABLE,
    Look,
    read_novelty,
)
from mofmd.simulation.run.newest import Newest, newest_of
from mofmd.study.sources import Run
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import TrajectoryFile

COLUMN = "f_novelty"
QUANTILE = 0.999  # of decks that do not say it: the strictest judgement


@dataclass(frozen=True)
class Watched:
    """A run that was watched; the array is read-only.

    Parameters
    ----------
    name
        Of the run.
    looks
        Lines of its table, at least one.
    newest
        The newest atom of all looks.
    frame
        Of those that were kept, the one with the newest atom; None where none was.
    scores
        (atoms,) novelty of its atoms, in the order of the frame; empty where there is none.
    quantile
        Of the model's density: of atoms that the model knows this share has a novelty below 1.
    """

    name: str
    looks: tuple[Look, ...]
    newest: Newest
    frame: Frame | None
    scores: np.ndarray
    quantile: float = QUANTILE

    def __post_init__(self) -> None:
        """Make the array read-only."""
        freeze(self, "scores")

    @property
    def keep_above(self) -> float:
        """Novelty above which frames were kept."""
        return self.newest.bound

    @property
    def largest(self) -> float:
        """Novelty of the newest atom of all looks."""
        return self.newest.novelty

    @property
    def ordinary_share(self) -> float:
        """Share of scores above 1 among atoms that the model knows."""
        return 1.0 - self.quantile

    @property
    def ordinary_max(self) -> float:
        """Novelty that atoms which the model knows do not reach by chance.

        Twice that of one atom in a thousand. Of a scale whose 1 is another quantile it is another
        number: rarity is −ln p, which in the tail grows with the logarithm of how rare an atom is.
        """
        return 2.0 * math.log(0.001 / 0.5) / math.log(self.ordinary_share / 0.5)

    @property
    def above(self) -> int:
        """Scores above ``keep_above``, of all looks."""
        return sum(look.new_atoms for look in self.looks)

    def as_dict(self) -> dict[str, Any]:
        """Give the newest atom and the counts as plain values, an infinite novelty as None."""
        return {
            "newest_atom": self.newest.atom,
            "novelty": self.largest if np.isfinite(self.largest) else None,
            "step": self.newest.step,
            "time_ps": self.newest.time_ps,
            "keep_above": self.keep_above,
            "atoms_above_at_once": self.newest.most_above,
            "scores_above": self.above,
            "looks": len(self.looks),
            "quantile": self.quantile,
        }


def read_watched(run: Run) -> Watched | None:
    """Read the table and the newest frame of a run; None where no look was taken at it."""
    if run.is_lone or not (run.directory / NOVELTY_TABLE).is_file():
        return None
    looks = tuple(look for look in read_novelty(run.directory) if look.step <= run.last_step)
    newest = newest_of(looks, run.manifest)
    if newest is None:
        return None
    quantile = float(run.manifest.get("watch", {}).get("quantile", QUANTILE))
    dump = run.directory / NOVELTY_FRAMES
    if not newest.novelty > newest.bound or not dump.is_file():
        return Watched(run.name, looks, newest, None, np.zeros(0), quantile)
    frame = next((each for each in TrajectoryFile(dump) if each.step == newest.step), None)
    if frame is None:
        raise MissingFileError(f"{dump}: lacks step {newest.step}, which {NOVELTY_TABLE} says")
    scores = scores_of(dump, newest.step, len(frame))
    return Watched(run.name, looks, newest, frame, scores, quantile)


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
