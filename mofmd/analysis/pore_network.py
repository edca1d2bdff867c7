"""Cavities and necks of a framework, with the sizes of spheres that fit and pass."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.distance_field import Basins, OpenVoxels
from mofmd.analysis.neighbours import Grid
from mofmd.analysis.periodic_union import PeriodicUnion
from mofmd.compiled import compiled

FINE = 3  # steps of the local grid within one of the global one
FINEST = 6  # the same, for the neck that decides
REACH = 1.7  # half-width of the local grid, in global steps
NEIGHBOURS_MAX = 2048
MOVES_MAX = 3
CLIMB = 8  # half-width of the grids that a summit is looked for on


@dataclass(frozen=True)
class PoreNetwork:
    """How the basins join as the probe becomes smaller.

    Parameters
    ----------
    percolation_A
        Radius of the largest sphere that passes through the framework; NaN if none of the open
        voxels' size does.
    along_A
        Radius of the largest sphere that fits somewhere on that way.
    accessible
        (basins,) whether the probe can leave the basin for its image in another cell.
    """

    percolation_A: float
    along_A: float
    accessible: np.ndarray


class DistanceProbe:
    """D at any point, from the atoms around it.

    Parameters
    ----------
    positions, radii, cell
        The atoms [Å].
    reach_A
        Largest distance of a surface that will be asked for [Å].
    """

    def __init__(
        self, positions: np.ndarray, radii: np.ndarray, cell: np.ndarray, reach_A: float
    ) -> None:
        self.radii, self.cell, self.reach_A = radii, cell, reach_A
        self._grid = Grid.build(positions, cell, reach_A + float(radii.max()))
        self._radii = radii[self._grid.order]

    def surroundings(self, point: np.ndarray, reach_A: float) -> tuple[np.ndarray, np.ndarray]:
        """Positions relative to a point, and radii, of the atoms whose surface is within reach."""
        grid = self._grid
        wrapped, _, bins = grid.place(point[None])
        found = np.empty((NEIGHBOURS_MAX, 4))
        n = _gather(
            wrapped[0],
            bins[0],
            grid.wrapped,
            self._radii,
            grid.starts,
            grid.shape,
            grid.offsets,
            self.cell,
            min(reach_A, self.reach_A),
            found,
        )
        return found[:n, :3], found[:n, 3]

    def climb(self, point: np.ndarray, step_A: float) -> float:
        """Largest D near a point, to 1e-4 Å, on grids that become finer around the best point.

        D has ridges, along which a search by steps in fixed directions would get stuck.
        """
        vectors, radii = self.surroundings(point, self.reach_A)
        best = -np.inf
        moves = 0
        while step_A > 1e-4:
            field = _local_field(vectors, radii, CLIMB, step_A / CLIMB)
            top = int(field.argmax())
            best = max(best, float(field[top]))
            where = np.array(np.unravel_index(top, (2 * CLIMB + 1,) * 3)) - CLIMB
            vectors = vectors - where * step_A / CLIMB
            # at the rim the summit may lie outside, but not far: the point was one of the grid
            if abs(where).max() == CLIMB and moves < MOVES_MAX:
                moves += 1
            else:
                step_A /= 4
        return best


def build_network(
    voxels: OpenVoxels, basins: Basins, probe: DistanceProbe, probe_radius_A: float
) -> PoreNetwork:
    """Join basins through their necks, widest first.

    The height of a neck on the grid is too low, by √3/2 of the spacing at most. It is measured anew
    on a fine local grid where that could change what passes.
    """
    necks = _Necks(voxels, basins, probe)
    n = len(basins.peak)
    coarse = PeriodicUnion.of(n)
    last = coarse.join(basins.pairs[necks.order], basins.images[necks.order], stop=True)
    percolation, along = np.nan, np.nan
    if last < len(necks.order):
        percolation, along = _percolation(necks, float(necks.heights[necks.order[last]]))
    union = PeriodicUnion.of(n)
    passes = necks.heights >= probe_radius_A
    union.join(basins.pairs[passes], basins.images[passes])
    maybe = ~passes & (necks.heights + necks.slack >= probe_radius_A)
    for k in np.flatnonzero(maybe):
        link = basins.pairs[k : k + 1], basins.images[k : k + 1]
        if union.is_news(link[0][0], link[1][0]) and necks.height(int(k)) >= probe_radius_A:
            union.join(*link)
    return PoreNetwork(percolation, along, union.endless[union.roots()])


class _Necks:
    """Necks of a set of basins, and their heights as well as they are known."""

    def __init__(self, voxels: OpenVoxels, basins: Basins, probe: DistanceProbe) -> None:
        self.voxels, self.basins, self.probe = voxels, basins, probe
        both = voxels.distance[basins.voxels.reshape(-1, 2)].astype(np.float64)
        self.heights = both.min(axis=1)
        self.order = np.argsort(-self.heights, kind="stable")
        self.slack = np.sqrt(3) / 2 * voxels.spacing_A
        self._exact: dict[int, float] = {}

    def height(self, k: int) -> float:
        """Height of a neck, measured on a fine local grid."""
        if k not in self._exact:
            measured = _measure(self.voxels, self.basins, self.probe, k, FINE)
            lowest = float(self.heights[k])
            self._exact[k] = min(max(measured, lowest), lowest + self.slack)
        return self._exact[k]

    def best_height(self, k: int) -> float:
        """Height of a neck, measured on the finest grid."""
        measured = _measure(self.voxels, self.basins, self.probe, k, FINEST)
        return max(measured, float(self.heights[k]))


def _percolation(necks: _Necks, lowest: float) -> tuple[float, float]:
    """Radius that just passes, and the largest on its way, from the one that passes on the grid."""
    basins = necks.basins
    union = PeriodicUnion.of(len(basins.peak))
    # these are all at least as wide as the narrowest on the way
    wide = necks.order[necks.heights[necks.order] >= lowest + necks.slack]
    union.join(basins.pairs[wide], basins.images[wide])
    rest = necks.order[
        (necks.heights[necks.order] < lowest + necks.slack)
        & (necks.heights[necks.order] + necks.slack >= lowest)
    ]
    queue = [(-(necks.heights[k] + necks.slack), int(k), False) for k in rest]
    heapq.heapify(queue)
    while queue:
        _, k, exact = heapq.heappop(queue)
        link = basins.pairs[k : k + 1], basins.images[k : k + 1]
        if not union.is_news(link[0][0], link[1][0]):
            continue
        if not exact:
            heapq.heappush(queue, (-necks.height(k), k, True))
        elif union.join(*link, stop=True) == 0:
            roots = union.roots()
            members = roots == roots[link[0][0, 0]]
            top = basins.peak[members][necks.voxels.distance[basins.peak[members]].argmax()]
            point = necks.voxels.positions(np.array([top]))[0]
            return necks.best_height(k), necks.probe.climb(point, necks.voxels.spacing_A)
    raise RuntimeError("pores: the way that passes on the grid was lost on the finer one")


def _measure(voxels: OpenVoxels, basins: Basins, probe: DistanceProbe, k: int, fine: int) -> float:
    """Smallest D on the widest way between the two sides of a neck, on a fine local grid [Å]."""
    first, second = voxels.positions(basins.voxels[k])
    second = second + basins.steps[k] @ voxels.cell
    spacing = voxels.spacing_A
    centre = (first + second) / 2
    # D changes by no more than the way
    height = float(voxels.distance[basins.voxels[k]].max())
    vectors, radii = probe.surroundings(centre, height + (2 * np.sqrt(3) * REACH + 1) * spacing)
    half = int(np.ceil(REACH * fine))
    step = spacing / fine
    ends = np.round(np.stack([first - centre, second - centre]) / step).astype(np.int64) + half
    field = _local_field(vectors, radii, half, step)
    return float(_widest_way(field, 2 * half + 1, np.argsort(-field), np.clip(ends, 0, 2 * half)))


@compiled
def _gather(  # noqa: PLR0913, PLR0917 - plain arrays
    point: np.ndarray,
    home: np.ndarray,
    atoms: np.ndarray,
    radii: np.ndarray,
    starts: np.ndarray,
    bins: np.ndarray,
    offsets: np.ndarray,
    cell: np.ndarray,
    reach: float,
    found: np.ndarray,
) -> int:
    n = 0
    for k in range(len(offsets)):
        a, b, c = home[0] + offsets[k, 0], home[1] + offsets[k, 1], home[2] + offsets[k, 2]
        ja, jb, jc = a // bins[0], b // bins[1], c // bins[2]
        place = ((a - ja * bins[0]) * bins[1] + b - jb * bins[1]) * bins[2] + c - jc * bins[2]
        for j in range(starts[place], starts[place + 1]):
            x = atoms[j, 0] - point[0] + ja * cell[0, 0] + jb * cell[1, 0] + jc * cell[2, 0]
            y = atoms[j, 1] - point[1] + ja * cell[0, 1] + jb * cell[1, 1] + jc * cell[2, 1]
            z = atoms[j, 2] - point[2] + ja * cell[0, 2] + jb * cell[1, 2] + jc * cell[2, 2]
            if x * x + y * y + z * z < (radii[j] + reach) ** 2 and n < len(found):
                found[n, 0] = x
                found[n, 1] = y
                found[n, 2] = z
                found[n, 3] = radii[j]
                n += 1
    return n


@compiled
def _nearest(x: float, y: float, z: float, vectors: np.ndarray, radii: np.ndarray) -> float:
    best = 1e30
    for j in range(len(radii)):
        dx, dy, dz = vectors[j, 0] - x, vectors[j, 1] - y, vectors[j, 2] - z
        d2 = dx * dx + dy * dy + dz * dz
        limit = best + radii[j]
        if d2 < limit * limit:
            best = np.sqrt(d2) - radii[j]
    return best


@compiled
def _local_field(vectors: np.ndarray, radii: np.ndarray, half: int, step: float) -> np.ndarray:
    size = 2 * half + 1
    field = np.empty(size * size * size)
    k = 0
    for a in range(-half, half + 1):
        for b in range(-half, half + 1):
            for c in range(-half, half + 1):
                field[k] = _nearest(a * step, b * step, c * step, vectors, radii)
                k += 1
    return field


@compiled
def _uphill(field: np.ndarray, size: int, a: int, b: int, c: int) -> int:
    """Index of the highest point reached by steepest ascent."""
    here = (a * size + b) * size + c
    while True:
        best = here
        a, b, c = here // (size * size), (here // size) % size, here % size
        for x in range(max(0, a - 1), min(size, a + 2)):
            for y in range(max(0, b - 1), min(size, b + 2)):
                for z in range(max(0, c - 1), min(size, c + 2)):
                    q = (x * size + y) * size + z
                    if field[q] > field[best]:
                        best = q
        if best == here:
            return here
        here = best


@compiled
def _widest_way(field: np.ndarray, size: int, order: np.ndarray, ends: np.ndarray) -> float:
    """Largest d such that the summits above two points are joined by points of that height."""
    start = _uphill(field, size, ends[0, 0], ends[0, 1], ends[0, 2])
    end = _uphill(field, size, ends[1, 0], ends[1, 1], ends[1, 2])
    if start == end:
        return float(field[start])
    parent = np.full(len(field), -1, dtype=np.int64)
    for rank in range(len(order)):
        p = order[rank]
        parent[p] = p
        a, b, c = p // (size * size), (p // size) % size, p % size
        for x in range(max(0, a - 1), min(size, a + 2)):
            for y in range(max(0, b - 1), min(size, b + 2)):
                for z in range(max(0, c - 1), min(size, c + 2)):
                    q = (x * size + y) * size + z
                    if parent[q] >= 0:
                        parent[_root(parent, q)] = _root(parent, p)
        both = parent[start] >= 0 and parent[end] >= 0
        if both and _root(parent, start) == _root(parent, end):
            return float(field[p])
    return -1e30


@compiled
def _root(parent: np.ndarray, p: int) -> int:
    while parent[p] != p:
        parent[p] = parent[parent[p]]
        p = parent[p]
    return p
