"""Which frames to take: flat histogram in energy, farthest points in features, or at random."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from mofmd.errors import InputError

Method = Literal["flat", "fps", "structures", "random"]
# Features of one frame: element to (atoms of it, features).
Features = Mapping[str, np.ndarray]
_ROWS_AT_ONCE = 2000


def pick_random(count: int, wanted: int, seed: int = 0) -> list[int]:
    """Pick frames at random, without replacement, in ascending order."""
    _check_wanted(count, wanted)
    rng = np.random.default_rng(seed)
    return sorted(int(k) for k in rng.choice(count, wanted, replace=False))


def pick_flat(energies: np.ndarray, wanted: int, seed: int = 0) -> list[int]:
    """Pick frames whose energies are spread evenly: flat histogram sampling.

    The range of energies is cut into as many bins as frames are wanted, and one frame is drawn at
    random from each bin. Empty bins give none, so that fewer frames may be picked than wanted
    (Castel et al., Digital Discovery 2024, 3, 355: 2357 of 2500).

    Parameters
    ----------
    energies
        (frames,) comparable energies: of one composition, or per atom [eV].
    wanted
        Number of bins.
    seed
        Of the draw.

    Examples
    --------
    >>> pick_flat(np.array([0.0, 1.5, 4.0]), 3)
    [0, 1, 2]
    """
    energies = np.asarray(energies, dtype=np.float64)
    _check_wanted(len(energies), wanted)
    if not np.isfinite(energies).all():
        raise InputError("energies: not all are numbers; leave failed frames out first")
    low, high = energies.min(), energies.max()
    if high == low:
        return pick_random(len(energies), 1, seed)
    bins = np.minimum((wanted * (energies - low) / (high - low)).astype(int), wanted - 1)
    rng = np.random.default_rng(seed)
    return sorted(int(rng.choice(np.flatnonzero(bins == each))) for each in np.unique(bins))


def pick_farthest(
    pool: Sequence[Features],
    wanted: int,
    known: Sequence[Features] = (),
) -> list[int]:
    """Pick, one after the other, the frame with the atom that is least like any atom taken so far.

    Farthest-point sampling of frames: the distance of a frame from those taken is that of its most
    distant atom to the nearest atom of the same element (directed Hausdorff distance). Without
    ``known`` the first frame is the one whose mean features lie farthest from those of the pool.

    Parameters
    ----------
    pool
        Features of the frames to pick from.
    wanted
        Number of frames.
    known
        Features of frames that are labelled already.

    Returns
    -------
    list of int
        Frames in the order in which they were picked; a frame that adds nothing (distance zero) is
        never picked, so that fewer may come back than wanted.
    """
    _check_wanted(len(pool), wanted)
    novelty = Novelty(pool, known)
    picked: list[int] = []
    if not known:
        first = _most_unusual(pool)
        picked.append(first)
        novelty.take(pool[first])
    while len(picked) < wanted:
        distances = novelty.of_frames()
        best = int(np.argmax(distances))
        if not distances[best] > 0:
            break
        picked.append(best)
        novelty.take(pool[best])
    return picked


class Novelty:
    """Distances of the atoms of a pool of frames to the nearest atom of the frames taken.

    Parameters
    ----------
    pool
        Features of the frames.
    known
        Features of frames that are taken from the beginning.
    """

    def __init__(self, pool: Sequence[Features], known: Sequence[Features] = ()) -> None:
        elements = sorted({element for features in pool for element in features})
        self._count = len(pool)
        self._atoms: dict[str, np.ndarray] = {}
        self._frames: dict[str, np.ndarray] = {}
        self._nearest: dict[str, np.ndarray] = {}
        for element in elements:
            tables = [(k, f[element]) for k, f in enumerate(pool) if element in f]
            self._atoms[element] = np.concatenate([table for _, table in tables])
            self._frames[element] = np.concatenate([np.full(len(t), k) for k, t in tables])
            self._nearest[element] = np.full(len(self._frames[element]), np.inf)
        for features in known:
            self.take(features)

    def take(self, features: Features) -> None:
        """Count the atoms of a frame among those taken."""
        for element, table in features.items():
            if element in self._atoms:
                nearest = self._nearest[element]
                np.minimum(nearest, nearest_distances(self._atoms[element], table), out=nearest)

    def of_frames(self) -> np.ndarray:
        """(frames,) largest distance of an atom of each frame; infinite where none was taken."""
        worst = np.zeros(self._count)
        for element, nearest in self._nearest.items():
            np.maximum.at(worst, self._frames[element], nearest)
        return worst


def nearest_distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(points,) Euclidean distance of each point to the nearest of the others."""
    result = np.empty(len(points))
    for start in range(0, len(points), _ROWS_AT_ONCE):
        block = points[start : start + _ROWS_AT_ONCE]
        squares = (
            np.square(block).sum(1)[:, None] + np.square(others).sum(1) - 2.0 * block @ others.T
        ).min(axis=1)
        result[start : start + len(block)] = np.sqrt(np.maximum(squares, 0.0))
    # the formula above loses half the digits where points (nearly) coincide
    for k in np.flatnonzero(result < 1e-5 * (1.0 + np.abs(points).max(initial=0.0))):
        result[k] = np.linalg.norm(others - points[k], axis=1).min()
    return result


def standardised(
    pool: Sequence[Features], known: Sequence[Features] = ()
) -> tuple[list[Features], list[Features]]:
    """Divide each feature by its standard deviation over all atoms of an element.

    A feature that does not vary is left as it is.
    """
    scales: dict[str, np.ndarray] = {}
    for element in sorted({e for features in (*pool, *known) for e in features}):
        table = np.concatenate([f[element] for f in (*pool, *known) if element in f])
        spread = table.std(axis=0)
        scales[element] = np.where(spread > 1e-12, spread, 1.0)

    def scale(features: Features) -> Features:
        return {element: table / scales[element] for element, table in features.items()}

    return [scale(f) for f in pool], [scale(f) for f in known]


def _most_unusual(pool: Sequence[Features]) -> int:
    elements = sorted({element for features in pool for element in features})
    distances = np.zeros(len(pool))
    for element in elements:
        tables = [(k, f[element].mean(axis=0)) for k, f in enumerate(pool) if element in f]
        centre = np.mean([mean for _, mean in tables], axis=0)
        for k, mean in tables:
            distances[k] += float(np.square(mean - centre).sum())
    return int(np.argmax(distances))


def _check_wanted(count: int, wanted: int) -> None:
    if not 1 <= wanted <= count:
        raise InputError(f"count: {wanted} frames wanted, there are {count}; ask for 1 to {count}")
