"""Atoms and those of their periodic images that lie near the cell, as explicit points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase.geometry import complete_cell


@dataclass(frozen=True)
class Images:
    """The atoms themselves, inside the cell, then the images.

    Parameters
    ----------
    owners
        (points,) atom that each is an image of.
    shifts
        (points, 3) cells by which each is moved: point = positions[owner] + shift · cell.
    """

    owners: np.ndarray
    shifts: np.ndarray

    def points(self, positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """(points, 3) where they are [Å], of atoms that have moved, too."""
        return np.ascontiguousarray(positions[self.owners] + self.shifts @ cell)


def find_images(positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, reach_A: float) -> Images:
    """Find every image that may lie within a distance of an atom of the cell.

    Parameters
    ----------
    positions
        (atoms, 3) [Å], inside the cell or not.
    cell
        (3, 3) rows a, b, c [Å] of either handedness; what it says along open directions does not
        matter.
    pbc
        (3,) which directions are periodic.
    reach_A
        The distance; it may exceed the cell.
    """
    periodic = np.flatnonzero(pbc)
    dual = np.linalg.inv(complete_cell(np.where(np.asarray(pbc)[:, None], cell, 0.0)))
    scaled = positions @ dual
    wraps = np.zeros(positions.shape)
    wraps[:, periodic] = np.floor(scaled[:, periodic])
    scaled -= wraps

    owners = np.arange(len(positions))
    shifts = np.zeros((len(positions), 3))
    for axis in periodic:  # planes of the cell are 1 / |dual vector| apart
        margin = reach_A * float(np.linalg.norm(dual[:, axis])) * (1 + 1e-9)
        own = scaled[owners, axis]
        low, high = float(own.min(initial=0.0)) - margin, float(own.max(initial=0.0)) + margin
        steps = np.arange(np.floor(low), np.ceil(high) + 1)
        steps = np.concatenate([[0.0], steps[steps != 0.0]])  # atoms themselves stay in front
        place = own[None, :] + steps[:, None]
        step, which = np.nonzero((place >= low) & (place <= high))
        shifts = shifts[which]
        shifts[:, axis] += steps[step]
        owners = owners[which]
    order = np.argsort(np.any(shifts != 0.0, axis=1), kind="stable")
    owners, shifts = owners[order], shifts[order]
    return Images(owners, shifts - wraps[owners])
