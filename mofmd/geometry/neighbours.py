"""Pairs of atoms within a distance, in any periodic cell: linked cells, compiled, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.compiled import compiled, inlined
from mofmd.errors import InputError

ATOMS_PER_BIN = 4


@dataclass(frozen=True)
class Pairs:
    """Ordered pairs found by ``find_pairs``, in the order of the centres.

    Parameters
    ----------
    first, second
        (pairs,) atoms. A pair occurs once per periodic image.
    vectors
        (pairs, 3) from the first atom to the image of the second [Å].
    images
        (pairs, 3) which image: vector = positions[second] + images · cell − positions[first].
    """

    first: np.ndarray
    second: np.ndarray
    vectors: np.ndarray
    images: np.ndarray

    @property
    def distances(self) -> np.ndarray:
        """(pairs,) distances [Å]."""
        return np.asarray(np.sqrt(np.einsum("pk,pk->p", self.vectors, self.vectors)))


def cell_heights(cell: np.ndarray) -> np.ndarray:
    """Distances between opposite faces of the cell [Å], along a, b and c."""
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell), axis=0))


def find_pairs(
    positions: np.ndarray,
    cell: np.ndarray,
    r_max: float,
    *,
    centres: np.ndarray | None = None,
    others: np.ndarray | None = None,
) -> Pairs:
    """Find all pairs of atoms closer than ``r_max``, every periodic image counted.

    An atom is not paired with itself, but is with its own images, and with another atom at its
    very place.

    Parameters
    ----------
    positions
        (atoms, 3) positions [Å], inside the cell or not.
    cell
        (3, 3) rows a, b, c [Å], right-handed.
    r_max
        Largest distance [Å]; it may exceed the cell.
    centres, others
        Atoms that pairs begin with and end at, each once; None for all.
    """
    begins, ends = _atoms(centres, positions), _atoms(others, positions)
    grid = Grid.build(positions[ends], cell, r_max)
    wrapped, wraps, bins = grid.place(positions[begins])
    counts = np.zeros(len(begins) + 1, dtype=np.int64)
    empty = np.empty((0, 3))
    no_index = np.empty(0, dtype=np.int64)
    no_image = np.empty((0, 3), dtype=np.int64)
    own = _rows_in(begins, ends, len(positions))
    geometry = (grid.wrapped, grid.wraps, grid.order, grid.starts, grid.shape, grid.offsets, cell)
    # first the number of neighbours of each centre, then the neighbours
    _collect(
        wrapped, wraps, bins, own, *geometry, r_max, counts, no_index, no_index, empty, no_image
    )
    starts = np.cumsum(counts)
    n_pairs = int(starts[-1])
    first = np.empty(n_pairs, dtype=np.int64)
    second = np.empty(n_pairs, dtype=np.int64)
    vectors = np.empty((n_pairs, 3))
    images = np.empty((n_pairs, 3), dtype=np.int64)
    _collect(wrapped, wraps, bins, own, *geometry, r_max, starts, first, second, vectors, images)
    return Pairs(begins[first], ends[second], vectors, images)


def count_pairs(  # noqa: PLR0913 - those of find_pairs, and the bins
    positions: np.ndarray,
    cell: np.ndarray,
    r_max: float,
    bins: int,
    *,
    centres: np.ndarray | None = None,
    others: np.ndarray | None = None,
) -> np.ndarray:
    """Histogram of the distances of all pairs closer than ``r_max``, without listing them.

    Parameters
    ----------
    positions, cell, r_max, centres, others
        As for ``find_pairs``.
    bins
        Number of bins of equal width from zero.

    Returns
    -------
    np.ndarray
        (bins,) ordered pairs in each bin.
    """
    begins, ends = _atoms(centres, positions), _atoms(others, positions)
    grid = Grid.build(positions[ends], cell, r_max)
    wrapped, wraps, places = grid.place(positions[begins])
    own = _rows_in(begins, ends, len(positions))
    geometry = (grid.wrapped, grid.wraps, grid.order, grid.starts, grid.shape, grid.offsets, cell)
    counts = np.zeros(bins, dtype=np.int64)
    _histogram(wrapped, wraps, places, own, *geometry, r_max, counts)
    return counts


def refuse_coincident(pairs: Pairs) -> None:
    """Refuse atoms at one and the same place, between which there is no direction.

    Raises
    ------
    InputError
        Naming two such atoms.
    """
    coincident = np.flatnonzero(~pairs.vectors.any(axis=1))
    if len(coincident):
        first, second = sorted((int(pairs.first[coincident[0]]), int(pairs.second[coincident[0]])))
        raise InputError(
            f"positions: atoms {first} and {second}, counted from zero, are at one place; remove "
            "one of them"
        )


def _atoms(chosen: np.ndarray | None, positions: np.ndarray) -> np.ndarray:
    """Give the indices of the chosen atoms."""
    return np.arange(len(positions)) if chosen is None else np.asarray(chosen, dtype=np.int64)


def _rows_in(atoms: np.ndarray, others: np.ndarray, n_atoms: int) -> np.ndarray:
    """(atoms,) row of each atom in a list of others, −1 for those that it does not hold."""
    rows = np.full(n_atoms, -1, dtype=np.int64)
    rows[others] = np.arange(len(others))
    return np.asarray(rows[atoms])


@dataclass(frozen=True)
class Grid:
    """Positions sorted into bins of the cell.

    Parameters
    ----------
    cell
        (3, 3) rows [Å].
    shape
        (3,) bins along a, b, c.
    offsets
        (m, 3) bins, relative to one, that may hold something within the distance.
    order
        (n,) positions sorted by bin.
    starts
        (bins + 1,) where each bin begins in ``order``.
    wrapped
        (n, 3) positions inside the cell, in ``order`` [Å].
    wraps
        (n, 3) cells by which each position was moved, in the order given.
    """

    cell: np.ndarray
    shape: np.ndarray
    offsets: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    wrapped: np.ndarray
    wraps: np.ndarray

    @classmethod
    def build(cls, positions: np.ndarray, cell: np.ndarray, r_max: float) -> Grid:
        """Sort positions into bins that suit a distance."""
        if not r_max > 0:
            raise InputError(f"r_max: {r_max} Å, expected a positive distance")
        volume = np.linalg.det(cell)
        if not volume > 0:
            raise InputError("cell: a, b, c are not right-handed; swap two of them")
        heights = cell_heights(cell)
        edge = max(r_max / 3, (ATOMS_PER_BIN * volume / max(1, len(positions))) ** (1 / 3))
        shape = np.maximum(1, np.floor(heights / edge)).astype(np.int64)
        empty = np.empty(0, dtype=np.int64)
        offsets = _offsets(cell, shape, heights, r_max)
        grid = cls(cell, shape, offsets, empty, empty, np.empty((0, 3)), empty)
        wrapped, wraps, bins = grid.place(positions)
        flat = np.ravel_multi_index(tuple(bins.T), tuple(shape))
        order = np.argsort(flat, kind="stable")
        counts = np.bincount(flat, minlength=int(np.prod(shape)))
        starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        ordered = np.ascontiguousarray(wrapped[order])
        return cls(cell, shape, offsets, order, starts, ordered, wraps)

    def place(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Positions inside the cell [Å], cells they were moved by, and (n, 3) their bins."""
        fractional = positions @ np.linalg.inv(self.cell)
        wraps = np.floor(fractional)
        wrapped = positions - wraps @ self.cell
        inside = np.clip((fractional - wraps) * self.shape, 0, self.shape - 1).astype(np.int64)
        return wrapped, wraps.astype(np.int64), inside


def _offsets(cell: np.ndarray, shape: np.ndarray, heights: np.ndarray, r_max: float) -> np.ndarray:
    """Relative bins that reach within ``r_max`` of a bin.

    Two points in bins whose corners differ by v are at least |v| minus a bin's longest diagonal
    apart.
    """
    reach = np.ceil(r_max * shape / heights * (1 + 1e-12)).astype(np.int64)
    axes = [np.arange(-n, n + 1) for n in reach]
    offsets = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    edges = cell / shape[:, None]
    corners = np.array([[1, y, z] for y in (-1, 1) for z in (-1, 1)])
    diagonal = np.linalg.norm(corners @ edges, axis=1).max()
    near = np.linalg.norm(offsets @ edges, axis=1) <= r_max + diagonal
    return np.ascontiguousarray(offsets[near].astype(np.int64))


@inlined
def bin_at(
    bins: np.ndarray, i: int, offsets: np.ndarray, k: int, shape: np.ndarray
) -> tuple[int, tuple[int, int, int]]:
    """Place in ``starts`` of the k-th bin around point i, and the image of the cell it lies in."""
    a = bins[i, 0] + offsets[k, 0]
    b = bins[i, 1] + offsets[k, 1]
    c = bins[i, 2] + offsets[k, 2]
    ia = a // shape[0]
    ib = b // shape[1]
    ic = c // shape[2]
    place = ((a - ia * shape[0]) * shape[1] + b - ib * shape[1]) * shape[2] + c - ic * shape[2]
    return place, (ia, ib, ic)


@inlined
def image_origin(
    image: tuple[int, int, int], cell: np.ndarray, centres: np.ndarray, i: int
) -> tuple[float, float, float]:
    """Origin of an image of the cell, seen from point i [Å]."""
    ia, ib, ic = image
    return (
        ia * cell[0, 0] + ib * cell[1, 0] + ic * cell[2, 0] - centres[i, 0],
        ia * cell[0, 1] + ib * cell[1, 1] + ic * cell[2, 1] - centres[i, 1],
        ia * cell[0, 2] + ib * cell[1, 2] + ic * cell[2, 2] - centres[i, 2],
    )


@inlined
def square_distance(others: np.ndarray, j: int, origin: tuple[float, float, float]) -> float:
    """Square of the distance to point j of an image of the cell, from where its origin is seen."""
    x, y, z = others[j, 0] + origin[0], others[j, 1] + origin[1], others[j, 2] + origin[2]
    return float(x * x + y * y + z * z)


@inlined
def is_itself(  # noqa: PLR0913, PLR0917 - plain arrays
    i: int,
    j: int,
    image: tuple[int, int, int],
    own: np.ndarray,
    order: np.ndarray,
    wraps: np.ndarray,
    other_wraps: np.ndarray,
) -> bool:
    """Whether the j-th sorted point of an image of the cell is centre i itself, not an image."""
    row = order[j]
    return bool(
        row == own[i]
        and image[0] + wraps[i, 0] == other_wraps[row, 0]
        and image[1] + wraps[i, 1] == other_wraps[row, 1]
        and image[2] + wraps[i, 2] == other_wraps[row, 2]
    )


@compiled
def _collect(  # noqa: PLR0913, PLR0917 - plain arrays
    centres: np.ndarray,
    wraps: np.ndarray,
    bins: np.ndarray,
    own: np.ndarray,
    others: np.ndarray,
    other_wraps: np.ndarray,
    order: np.ndarray,
    starts: np.ndarray,
    shape: np.ndarray,
    offsets: np.ndarray,
    cell: np.ndarray,
    r_max: float,
    slots: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    vectors: np.ndarray,
    images: np.ndarray,
) -> None:
    """Count the neighbours of centre i in slots[i + 1]; or write them from slots[i] on."""
    counting = len(first) == 0
    r_max2 = r_max * r_max
    for i in range(len(centres)):
        slot = 0 if counting else slots[i]
        for k in range(len(offsets)):
            place, image = bin_at(bins, i, offsets, k, shape)
            origin = image_origin(image, cell, centres, i)
            for j in range(starts[place], starts[place + 1]):
                d2 = square_distance(others, j, origin)
                if d2 < r_max2 and not is_itself(i, j, image, own, order, wraps, other_wraps):
                    if not counting:
                        first[slot] = i
                        second[slot] = order[j]
                        for x in range(3):
                            vectors[slot, x] = others[j, x] + origin[x]
                            images[slot, x] = image[x] + wraps[i, x] - other_wraps[order[j], x]
                    slot += 1
        if counting:
            slots[i + 1] = slot


@compiled
def _histogram(  # noqa: PLR0913, PLR0917 - plain arrays
    centres: np.ndarray,
    wraps: np.ndarray,
    bins: np.ndarray,
    own: np.ndarray,
    others: np.ndarray,
    other_wraps: np.ndarray,
    order: np.ndarray,
    starts: np.ndarray,
    shape: np.ndarray,
    offsets: np.ndarray,
    cell: np.ndarray,
    r_max: float,
    counts: np.ndarray,
) -> None:
    per_A = len(counts) / r_max
    r_max2 = r_max * r_max
    for i in range(len(centres)):
        for k in range(len(offsets)):
            place, image = bin_at(bins, i, offsets, k, shape)
            origin = image_origin(image, cell, centres, i)
            for j in range(starts[place], starts[place + 1]):
                d2 = square_distance(others, j, origin)
                if d2 < r_max2 and not is_itself(i, j, image, own, order, wraps, other_wraps):
                    counts[min(len(counts) - 1, int(np.sqrt(d2) * per_A))] += 1
