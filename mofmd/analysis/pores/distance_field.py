"""Distance to the nearest atom's surface on a grid.

D(r) = min over atoms of |r − r_atom| − R_atom: a sphere of radius D(r) around r overlaps no atom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mofmd.compiled import compiled, inlined
from mofmd.errors import InputError
from mofmd.geometry.neighbours import Grid, bin_at, cell_heights, image_origin, square_distance

FAR_A = 2.0  # how far from its surface an atom is felt, at first
LOOKED_UP_MAX = 0.1  # part of the points that are looked up one by one, at most
LOOKED_UP_AT_ONCE = 1 << 18
ONE = np.uint64(1)
TWOS, FOURS = np.uint64(0x5555555555555555), np.uint64(0x3333333333333333)
EIGHTS, LOWEST = np.uint64(0x0F0F0F0F0F0F0F0F), np.uint64(0x0101010101010101)
VOXELS_MAX = 400_000_000


class Numbering(NamedTuple):
    """Which points of a grid are open, and how many are open before them: 64 points at a time.

    A table with a number for every point would take thirty times the memory.
    """

    marks: np.ndarray
    before: np.ndarray


@inlined
def number_of(numbering: Numbering, flat: int) -> int:
    """Give the number of a point among the open ones; −1 if it is not open."""
    place = flat >> 6
    marks = numbering.marks[place]
    bit = np.uint64(flat & 63)
    if not (marks >> bit) & ONE:
        return -1
    # those below, counted two, four and eight bits at a time
    x = marks & ((ONE << bit) - ONE)
    x -= (x >> ONE) & TWOS
    x = (x & FOURS) + ((x >> np.uint64(2)) & FOURS)
    x = (x + (x >> np.uint64(4))) & EIGHTS
    return int(numbering.before[place] + np.int64((x * LOWEST) >> np.uint64(56)))


@dataclass(frozen=True)
class OpenVoxels:
    """Points of a grid where a sphere of some size fits.

    Parameters
    ----------
    cell
        (3, 3) rows [Å].
    shape
        (3,) points along a, b, c.
    flat
        (n,) indices of the points in the flattened grid, rising.
    distance
        (n,) D at the points [Å].
    field
        (a, b, c) D at all points of the grid [Å].
    numbering
        Finds the number of an open point.
    """

    cell: np.ndarray
    shape: np.ndarray
    flat: np.ndarray
    distance: np.ndarray
    field: np.ndarray
    numbering: Numbering

    @property
    def spacing_A(self) -> float:
        """Longest step between neighbouring points along an edge of the cell [Å]."""
        return float((np.linalg.norm(self.cell, axis=1) / self.shape).max())

    @property
    def voxel_A3(self) -> float:
        """Volume of a voxel [Å³]."""
        return float(np.linalg.det(self.cell) / np.prod(self.shape))

    def positions(self, points: np.ndarray) -> np.ndarray:
        """(m, 3) positions of some of the points [Å]."""
        indices = np.stack(np.unravel_index(self.flat[points], tuple(self.shape)), axis=1)
        return np.asarray((indices / self.shape) @ self.cell)


def grid_shape(cell: np.ndarray, spacing_A: float) -> np.ndarray:
    """Points along a, b, c for steps no longer than the spacing."""
    if not spacing_A > 0:
        raise InputError(f"spacing_A: {spacing_A}, expected more than zero")
    shape = np.ceil(np.linalg.norm(cell, axis=1) / spacing_A).astype(np.int64)
    shape = np.maximum(shape, 3)
    if np.prod(shape.astype(float)) > VOXELS_MAX:
        raise InputError(
            f"spacing_A: {spacing_A} Å makes {np.prod(shape.astype(float)):.2g} voxels; at most "
            f"{VOXELS_MAX:.2g} fit in memory"
        )
    return np.asarray(shape)


def distance_field(
    positions: np.ndarray, radii: np.ndarray, cell: np.ndarray, spacing_A: float
) -> np.ndarray:
    """D on a grid [Å], (a, b, c) float32.

    Each atom lowers the points around it: along c these are consecutive numbers in memory. What
    is farther than that from every atom is looked up, or lowered again in a wider round where it
    is much.

    Parameters
    ----------
    positions, radii
        (n, 3) centres and (n,) radii of the atoms [Å].
    cell
        (3, 3) rows [Å].
    spacing_A
        Largest step of the grid [Å].
    """
    shape = grid_shape(cell, spacing_A)
    field = np.full(tuple(shape), np.inf, dtype=np.float32)
    fractional = positions @ np.linalg.inv(cell)
    fractional -= np.floor(fractional)
    # atoms near each other lower the same memory
    order = np.lexsort((np.floor(fractional * shape / 16)).T[::-1])
    heights = cell_heights(cell)
    steps = np.arange(int(shape[2]), dtype=np.float32)
    reach = FAR_A
    while True:
        left = _lower(fractional[order], radii[order], cell, heights, reach, steps, field)
        if left == 0:
            return field
        if left < LOOKED_UP_MAX * field.size:
            break
        reach *= 2
    far = np.flatnonzero(np.isinf(field))
    # in parts: their positions take many times the memory of the field
    for k in range(0, len(far), LOOKED_UP_AT_ONCE):
        part = far[k : k + LOOKED_UP_AT_ONCE]
        _look_up(part, positions, radii, cell, 1.5 * reach, field)
    return field


def open_voxels(
    positions: np.ndarray, radii: np.ndarray, cell: np.ndarray, spacing_A: float, least_A: float
) -> OpenVoxels:
    """Find the points of a grid with D ≥ ``least_A``, and D there.

    Parameters
    ----------
    positions, radii, cell, spacing_A
        As for ``distance_field``.
    least_A
        Smallest distance that counts [Å].
    """
    return select_voxels(distance_field(positions, radii, cell, spacing_A), cell, least_A)


def select_voxels(field: np.ndarray, cell: np.ndarray, least_A: float) -> OpenVoxels:
    """Points of a field with D ≥ ``least_A``."""
    is_open = (field >= np.float32(least_A)).reshape(-1)
    flat = np.flatnonzero(is_open)
    bits = np.zeros(-(-field.size // 64) * 8, dtype=np.uint8)
    packed = np.packbits(is_open, bitorder="little")
    bits[: len(packed)] = packed
    marks = bits.view("<u8").astype(np.uint64)
    before = np.concatenate([[0], np.cumsum(np.bitwise_count(marks), dtype=np.int64)[:-1]])
    shape = np.array(field.shape, dtype=np.int64)
    return OpenVoxels(
        cell, shape, flat, field.reshape(-1)[flat], field, Numbering(marks, before.astype(np.int32))
    )


def covered_voxels(
    positions: np.ndarray, radii: np.ndarray, cell: np.ndarray, shape: np.ndarray
) -> np.ndarray:
    """Mark the points of a grid that lie inside a sphere: an array of that shape."""
    covered = np.zeros(tuple(shape), dtype=np.bool_)
    fractional = positions @ np.linalg.inv(cell)
    _cover(fractional - np.floor(fractional), radii, cell, shape, cell_heights(cell), covered)
    return covered


def _look_up(  # noqa: PLR0913, PLR0917 - the atoms, and where
    far: np.ndarray,
    positions: np.ndarray,
    radii: np.ndarray,
    cell: np.ndarray,
    reach: float,
    field: np.ndarray,
) -> None:
    """Measure D at some points of a field, which are far from every atom."""
    points = np.stack(np.unravel_index(far, field.shape), axis=1) / field.shape @ cell
    distance = np.full(len(far), np.inf)
    while len(far) and not np.isfinite(distance).all():
        # nothing beyond r_max can be nearer than r_max − R_max
        grid = Grid.build(positions, cell, float(radii.max()) + reach)
        wrapped, _, bins = grid.place(points)
        _measure(
            wrapped,
            bins,
            cell,
            grid.wrapped,
            radii[grid.order],
            grid.starts,
            grid.shape,
            grid.offsets,
            reach,
            distance,
        )
        reach *= 2
    field.reshape(-1)[far] = distance


@compiled
def _cover(  # noqa: PLR0913, PLR0917 - plain arrays
    fractional: np.ndarray,
    radii: np.ndarray,
    cell: np.ndarray,
    shape: np.ndarray,
    heights: np.ndarray,
    covered: np.ndarray,
) -> None:
    """Mark the points inside each sphere: along c a sphere cuts one interval out of a line."""
    na, nb, nc = shape
    step = cell[2] / nc
    cc = step[0] ** 2 + step[1] ** 2 + step[2] ** 2
    for i in range(len(fractional)):
        r = radii[i]
        if r <= 0:
            continue
        a, b, c = fractional[i] * shape
        wide_a, wide_b = r / heights[0] * na, r / heights[1] * nb
        for ia in range(int(np.ceil(a - wide_a)), int(np.floor(a + wide_a)) + 1):
            for ib in range(int(np.ceil(b - wide_b)), int(np.floor(b + wide_b)) + 1):
                linear = 0.0
                square = 0.0
                for k in range(3):
                    v = (ia - a) / na * cell[0, k] + (ib - b) / nb * cell[1, k] - c * step[k]
                    linear += v * step[k]
                    square += v * v
                root = linear * linear - cc * (square - r * r)
                if root <= 0:
                    continue
                root = np.sqrt(root)
                low = int(np.ceil((-linear - root) / cc))
                high = int(np.floor((-linear + root) / cc))
                row = covered[ia % na, ib % nb]
                if high - low + 1 >= nc:
                    row[:] = True
                    continue
                for ic in range(low, high + 1):
                    row[ic % nc] = True


@compiled
def _lower(  # noqa: PLR0913, PLR0917 - plain arrays
    fractional: np.ndarray,
    radii: np.ndarray,
    cell: np.ndarray,
    heights: np.ndarray,
    reach: float,
    steps: np.ndarray,
    field: np.ndarray,
) -> int:
    """Lower the field to the distance from each atom, where that is less than ``reach``.

    The inner loop is plain enough for vector instructions. Returns how many points are left.
    """
    na, nb, nc = field.shape
    step_a, step_b, step_c = cell[0] / na, cell[1] / nb, cell[2] / nc
    cc = step_c[0] ** 2 + step_c[1] ** 2 + step_c[2] ** 2
    square_step = np.float32(cc)
    for i in range(len(fractional)):
        radius = np.float32(radii[i])
        r = radii[i] + reach
        if r <= 0:
            continue
        a, b, c = fractional[i, 0] * na, fractional[i, 1] * nb, fractional[i, 2] * nc
        wide_a, wide_b = r / heights[0] * na, r / heights[1] * nb
        first_b = int(np.ceil(b - wide_b))
        for ia in range(int(np.ceil(a - wide_a)), int(np.floor(a + wide_a)) + 1):
            plane = field[ia % na]
            # from the atom to the line's point in the plane c = 0
            x = (ia - a) * step_a[0] + (first_b - 1 - b) * step_b[0] - c * step_c[0]
            y = (ia - a) * step_a[1] + (first_b - 1 - b) * step_b[1] - c * step_c[1]
            z = (ia - a) * step_a[2] + (first_b - 1 - b) * step_b[2] - c * step_c[2]
            place = (first_b - 1) % nb
            for _ in range(first_b, int(np.floor(b + wide_b)) + 1):
                x += step_b[0]
                y += step_b[1]
                z += step_b[2]
                place = place + 1 if place + 1 < nb else 0
                # along the line d² is least at ``middle``, and grows by the way from there
                middle = -(x * step_c[0] + y * step_c[1] + z * step_c[2]) / cc
                least = x * x + y * y + z * z - cc * middle * middle
                if least >= r * r:
                    continue
                half = np.sqrt((r * r - least) / cc)
                across = np.float32(max(0.0, least))
                begin = int(np.ceil(middle - half))
                end = int(np.floor(middle + half)) + 1
                while begin < end:
                    first = begin
                    if first < 0 or first >= nc:
                        first %= nc
                    count = min(end - begin, nc - first)
                    offset = np.float32(begin - middle)
                    part = plane[place, first : first + count]
                    for m in range(count):
                        way = offset + steps[m]
                        d = np.sqrt(across + square_step * way * way) - radius
                        part[m] = d if d < part[m] else part[m]
                    begin += count
    left = 0
    for value in field.flat:
        left += value == np.inf
    return left


@compiled
def _measure(  # noqa: PLR0913, PLR0917 - plain arrays
    points: np.ndarray,
    homes: np.ndarray,
    cell: np.ndarray,
    atoms: np.ndarray,
    radii: np.ndarray,
    starts: np.ndarray,
    bins: np.ndarray,
    offsets: np.ndarray,
    reach: float,
    distance: np.ndarray,
) -> None:
    """Distance to the nearest surface, where it is less than ``reach``; others stay infinite."""
    for p in range(len(points)):
        if np.isfinite(distance[p]):
            continue
        nearest = reach
        for k in range(len(offsets)):
            place, image = bin_at(homes, p, offsets, k, bins)
            origin = image_origin(image, cell, points, p)
            for j in range(starts[place], starts[place + 1]):
                d2 = square_distance(atoms, j, origin)
                limit = nearest + radii[j]
                if d2 < limit * limit:
                    nearest = np.sqrt(d2) - radii[j]
        if nearest < reach:
            distance[p] = nearest
