"""Pairs of atoms within a distance, in any periodic cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs found by ``find_pairs``.

    Parameters
    ----------
    first, second
        (pairs,) rows of the two lists of positions. A pair occurs once per periodic image.
    distances
        (pairs,) distances [Å], float64.
    """

    first: np.ndarray
    second: np.ndarray
    distances: np.ndarray


def cell_heights(cell: np.ndarray) -> np.ndarray:
    """Distances between opposite faces of the cell [Å], along a, b and c."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0))


def find_pairs(centres: np.ndarray, others: np.ndarray, cell: np.ndarray, r_max: float) -> Pairs:
    """Find all pairs closer than ``r_max``, every periodic image counted.

    freud finds the neighbours (in float32, hence with a small margin); distances are computed
    anew in float64. Where ``r_max`` exceeds half the cell's smallest height, ``others`` are
    repeated in a supercell.

    Parameters
    ----------
    centres, others
        (n, 3) and (m, 3) positions [Å], inside the cell or not. An atom in both lists is not
        paired with itself (distance zero), but is with its own images.
    cell
        (3, 3) rows a, b, c [Å], right-handed.
    r_max
        Largest distance [Å].
    """
    import freud

    if r_max <= 0:
        raise InputError(f"r_max: {r_max} Å, expected a positive distance")
    margin = 1e-3
    repeats = np.ceil(2.001 * (r_max + margin) / cell_heights(cell)).astype(int)
    shifts = np.stack(np.meshgrid(*map(np.arange, repeats), indexing="ij"), axis=-1).reshape(-1, 3)
    images = (others[None] + (shifts @ cell)[:, None]).reshape(-1, 3)
    supercell = cell * repeats[:, None]
    # freud wants a along x and b in the xy plane: fractional coordinates carry over
    restricted = _restricted(supercell)
    box = freud.box.Box.from_matrix(restricted.T)
    inverse = np.linalg.inv(supercell)
    query = freud.locality.AABBQuery(box, _wrapped(images @ inverse) @ restricted)
    found = query.query(
        _wrapped(centres @ inverse) @ restricted, {"mode": "ball", "r_max": r_max + margin}
    ).toNeighborList()
    first = np.asarray(found.query_point_indices).astype(np.int64)
    second = np.asarray(found.point_indices).astype(np.int64)
    fractional = (images[second] - centres[first]) @ inverse
    distances = np.linalg.norm((fractional - np.round(fractional)) @ supercell, axis=1)
    keep = (distances < r_max) & (distances > 1e-6)
    return Pairs(first[keep], second[keep] % len(others), distances[keep])


def _restricted(cell: np.ndarray) -> np.ndarray:
    """Rotate the cell so that it becomes lower triangular with a positive diagonal."""
    if np.linalg.det(cell) <= 0:
        raise InputError("cell: a, b, c are not right-handed; swap two of them")
    upper = np.linalg.qr(cell.T, mode="r")
    return np.asarray((upper * np.sign(np.diag(upper))[:, None]).T)


def _wrapped(fractional: np.ndarray) -> np.ndarray:
    return np.asarray(fractional - np.round(fractional))
