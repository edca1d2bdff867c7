"""Distance to the nearest atom's surface on a grid, and the basins of that field.

D(r) = min over atoms of |r − r_atom| − R_atom: a sphere of radius D(r) around r overlaps no atom. A
basin is what steepest ascent on the grid leads to one maximum of D from; where two basins meet, the
highest point is the neck between two cavities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.analysis.neighbours import Grid, cell_heights
from mofmd.compiled import compiled
from mofmd.errors import InputError

FAR_A = 2.0  # beyond the largest radius: where the nearest atom is looked for first
VOXELS_MAX = 400_000_000


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
    """

    cell: np.ndarray
    shape: np.ndarray
    flat: np.ndarray
    distance: np.ndarray

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


@dataclass(frozen=True)
class Basins:
    """Basins of the distance field and the necks between them.

    Parameters
    ----------
    label
        (n,) basin of each open voxel.
    peak
        (basins,) voxel of each basin's maximum.
    pairs
        (necks, 2) basins.
    images
        (necks, 3) image of the second basin that the first one meets.
    voxels
        (necks, 2) voxels on both sides of the highest contact: in the first, in the second basin.
    steps
        (necks, 3) image of the second voxel that neighbours the first.
    """

    label: np.ndarray
    peak: np.ndarray
    pairs: np.ndarray
    images: np.ndarray
    voxels: np.ndarray
    steps: np.ndarray


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


def open_voxels(
    positions: np.ndarray, radii: np.ndarray, cell: np.ndarray, spacing_A: float, least_A: float
) -> OpenVoxels:
    """Find the points of a grid with D ≥ ``least_A``, and D there.

    Parameters
    ----------
    positions, radii
        (n, 3) centres and (n,) radii of the atoms [Å].
    cell
        (3, 3) rows [Å].
    spacing_A
        Largest step of the grid [Å].
    least_A
        Smallest distance that counts [Å].
    """
    shape = grid_shape(cell, spacing_A)
    flat = np.flatnonzero(~covered_voxels(positions, radii + least_A, cell, shape).reshape(-1))
    distance = np.full(len(flat), np.inf, dtype=np.float32)
    reach = FAR_A
    while True:
        # nothing beyond r_max can be nearer than r_max − R_max
        grid = Grid.build(positions, cell, float(radii.max()) + reach)
        _measure(
            flat,
            shape,
            cell,
            grid.wrapped,
            radii[grid.order],
            grid.starts,
            grid.shape,
            grid.offsets,
            reach,
            distance,
        )
        if len(flat) == 0 or np.isfinite(distance).all():
            break
        reach *= 2
    keep = distance >= least_A
    return OpenVoxels(cell, shape, flat[keep], distance[keep])


def covered_voxels(
    positions: np.ndarray, radii: np.ndarray, cell: np.ndarray, shape: np.ndarray
) -> np.ndarray:
    """Mark the points of a grid that lie inside a sphere: an array of that shape."""
    covered = np.zeros(tuple(shape), dtype=np.bool_)
    fractional = positions @ np.linalg.inv(cell)
    _cover(fractional - np.floor(fractional), radii, cell, shape, cell_heights(cell), covered)
    return covered


def find_basins(voxels: OpenVoxels) -> Basins:
    """Divide the open voxels into basins."""
    n = len(voxels.flat)
    order = np.argsort(-voxels.distance, kind="stable")
    ranked = voxels.flat[order]
    # rank of each voxel: what has been reached is what has a lower rank
    where = np.full(int(np.prod(voxels.shape)), -1, dtype=np.int32)
    where[ranked] = np.arange(n, dtype=np.int32)
    state = np.empty((n, 4), dtype=np.int32)
    peak = np.empty(n, dtype=np.int64)
    size = 1 << 16
    while True:
        slots = np.full(4 * size, -1, dtype=np.int64)
        necks = np.empty((size, 10), dtype=np.int64)
        n_basins, n_necks = _flood(where, ranked, voxels.shape, state, peak, slots, necks)
        if n_necks >= 0:
            break
        size *= 4
    necks = necks[:n_necks]
    label = np.empty(n, dtype=np.int32)
    label[order] = state[:, 0]
    return Basins(
        label=label,
        peak=order[peak[:n_basins]],
        pairs=necks[:, :2],
        images=necks[:, 2:5],
        voxels=order[necks[:, 5:7]],
        steps=necks[:, 7:10],
    )


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
def _measure(  # noqa: PLR0913, PLR0917 - plain arrays
    flat: np.ndarray,
    shape: np.ndarray,
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
    for p in range(len(flat)):
        if np.isfinite(distance[p]):
            continue
        ic = flat[p] % shape[2]
        ib = (flat[p] // shape[2]) % shape[1]
        ia = flat[p] // (shape[2] * shape[1])
        fa, fb, fc = ia / shape[0], ib / shape[1], ic / shape[2]
        px = fa * cell[0, 0] + fb * cell[1, 0] + fc * cell[2, 0]
        py = fa * cell[0, 1] + fb * cell[1, 1] + fc * cell[2, 1]
        pz = fa * cell[0, 2] + fb * cell[1, 2] + fc * cell[2, 2]
        ba, bb, bc = int(fa * bins[0]), int(fb * bins[1]), int(fc * bins[2])
        nearest = reach
        for k in range(len(offsets)):
            a, b, c = ba + offsets[k, 0], bb + offsets[k, 1], bc + offsets[k, 2]
            ja, jb, jc = a // bins[0], b // bins[1], c // bins[2]
            place = ((a - ja * bins[0]) * bins[1] + b - jb * bins[1]) * bins[2] + c - jc * bins[2]
            x0 = ja * cell[0, 0] + jb * cell[1, 0] + jc * cell[2, 0] - px
            y0 = ja * cell[0, 1] + jb * cell[1, 1] + jc * cell[2, 1] - py
            z0 = ja * cell[0, 2] + jb * cell[1, 2] + jc * cell[2, 2] - pz
            for j in range(starts[place], starts[place + 1]):
                x, y, z = atoms[j, 0] + x0, atoms[j, 1] + y0, atoms[j, 2] + z0
                d2 = x * x + y * y + z * z
                limit = nearest + radii[j]
                if d2 < limit * limit:
                    nearest = np.sqrt(d2) - radii[j]
        if nearest < reach:
            distance[p] = nearest


@compiled
def _flood(  # noqa: PLR0912, PLR0913, PLR0915, PLR0917 - plain arrays
    where: np.ndarray,
    ranked: np.ndarray,
    shape: np.ndarray,
    state: np.ndarray,
    peak: np.ndarray,
    slots: np.ndarray,
    necks: np.ndarray,
) -> tuple[int, int]:
    """Go down from the highest voxel; each joins the basin of its highest neighbour.

    state (n, 4) is the basin of a voxel, and the image in which it belongs to that basin. Returns
    the numbers of basins and of necks; of necks −1 if there is no room for more.
    """
    n_basins = 0
    n_necks = 0
    na, nb, nc = shape
    mask = len(slots) - 1
    around = np.empty(26, dtype=np.int64)
    shift = np.empty((26, 3), dtype=np.int64)
    for v in range(len(ranked)):
        ic = ranked[v] % nc
        ib = (ranked[v] // nc) % nb
        ia = ranked[v] // (nc * nb)
        n_around = 0
        best = -1
        for da in range(-1, 2):
            a = ia + da
            # faster than division
            sa = 1 if a == na else (-1 if a < 0 else 0)
            for db in range(-1, 2):
                b = ib + db
                sb = 1 if b == nb else (-1 if b < 0 else 0)
                row = ((a - sa * na) * nb + b - sb * nb) * nc
                for dc in range(-1, 2):
                    c = ic + dc
                    sc = 1 if c == nc else (-1 if c < 0 else 0)
                    other = where[row + c - sc * nc]
                    if other < 0 or other >= v:
                        continue
                    around[n_around] = other
                    shift[n_around, 0] = sa
                    shift[n_around, 1] = sb
                    shift[n_around, 2] = sc
                    if best < 0 or other < around[best]:
                        best = n_around
                    n_around += 1
        if best < 0:
            state[v, 0] = n_basins
            state[v, 1:] = 0
            peak[n_basins] = v
            n_basins += 1
            continue
        label = state[around[best], 0]
        state[v, 0] = label
        for k in range(3):
            state[v, 1 + k] = state[around[best], 1 + k] - shift[best, k]
        for j in range(n_around):
            other = around[j]
            x = state[v, 1] + shift[j, 0] - state[other, 1]
            y = state[v, 2] + shift[j, 1] - state[other, 2]
            z = state[v, 3] + shift[j, 2] - state[other, 3]
            if state[other, 0] == label and x == 0 and y == 0 and z == 0:
                continue
            # both directions are one neck
            one, two = label, state[other, 0]
            sign = 1
            if two < one or (two == one and (x < 0 or (x == 0 and (y < 0 or (y == 0 and z < 0))))):
                one, two = two, one
                sign = -1
            key = (np.int64(one) << 36) | (np.int64(two) << 12)
            key |= ((sign * x + 8) << 8) | ((sign * y + 8) << 4) | (sign * z + 8)
            mixed = key * 0x9E3779B97F4A7C1
            slot = (mixed ^ (mixed >> 29)) & mask
            while slots[slot] != -1 and slots[slot] != key:
                slot = (slot + 1) & mask
            if slots[slot] == key:
                continue
            if n_necks == len(necks):
                return n_basins, -1
            slots[slot] = key
            necks[n_necks, 0] = one
            necks[n_necks, 1] = two
            necks[n_necks, 2] = sign * x
            necks[n_necks, 3] = sign * y
            necks[n_necks, 4] = sign * z
            necks[n_necks, 5] = v if sign == 1 else other
            necks[n_necks, 6] = other if sign == 1 else v
            for k in range(3):
                necks[n_necks, 7 + k] = sign * shift[j, k]
            n_necks += 1
    return n_basins, n_necks
