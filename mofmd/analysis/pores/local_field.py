"""The distance field around a point, on fine local grids: heights of necks and of summits."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mofmd.compiled import compiled, grown
from mofmd.geometry.neighbours import Grid, bin_at, image_origin

REACH = 1.7  # half-width of the grid around a neck, in steps of the global one
FOUND_FIRST = 1024  # room for atoms around a point, at first
MOVES_MAX = 3
CLIMB = 8  # half-width of the grids that a summit is looked for on
COARSE = 4  # the same, of a first look


class Spheres(NamedTuple):
    """Atoms sorted into bins of the cell, as plain arrays for compiled code."""

    positions: np.ndarray
    radii: np.ndarray
    starts: np.ndarray
    bins: np.ndarray
    offsets: np.ndarray
    cell: np.ndarray


class Sites(NamedTuple):
    """Points inside the cell [Å], and the bins of the atoms that they are in."""

    points: np.ndarray
    bins: np.ndarray

    def one(self, k: int) -> Sites:
        """Take one of them."""
        return Sites(self.points[k : k + 1], self.bins[k : k + 1])


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
        self.reach_A = reach_A
        self._grid = Grid.build(positions, cell, reach_A + float(radii.max()))
        grid = self._grid
        self._spheres = Spheres(
            grid.wrapped, radii[grid.order], grid.starts, grid.shape, grid.offsets, cell
        )

    def sites(self, points: np.ndarray) -> Sites:
        """Places of (n, 3) points among the atoms."""
        wrapped, _, bins = self._grid.place(points)
        return Sites(wrapped, bins)

    def neck(
        self, site: Sites, along: np.ndarray, highest: float, step_A: float, fine: int
    ) -> float:
        """Smallest D on the widest way between the two sides of a neck, on a local grid [Å].

        Parameters
        ----------
        site
            Middle between two neighbouring points of the global grid.
        along
            (3,) from there to the second point [Å].
        highest
            The larger D of the two [Å].
        step_A
            Step of the global grid [Å].
        fine
            Steps of the local grid within one of the global one.
        """
        # D changes by no more than the way
        reach = min(self.reach_A, highest + (2 * np.sqrt(3) * REACH + 1) * step_A)
        half = int(np.ceil(REACH * fine))
        return float(_neck(self._spheres, site, reach, half, step_A / fine, along))

    def summits(self, points: np.ndarray, step_A: float) -> np.ndarray:
        """Largest D near each of (n, 3) points, to √3/8 of the step at worst: a first look."""
        sites = self.sites(points)
        found = np.empty(len(points))
        for k in range(len(points)):
            atoms = _surroundings(self._spheres, sites.one(k), self.reach_A)
            found[k] = _local_field(atoms, COARSE, step_A / COARSE).max()
        return found

    def climb(self, point: np.ndarray, step_A: float) -> float:
        """Largest D near a point, to 1e-4 Å, on grids that become finer around the best point.

        D has ridges, along which a search by steps in fixed directions would get stuck.
        """
        atoms = _surroundings(self._spheres, self.sites(point[None]), self.reach_A)
        best = -np.inf
        moves = 0
        while step_A > 1e-4:
            field = _local_field(atoms, CLIMB, step_A / CLIMB)
            top = int(field.argmax())
            best = max(best, float(field[top]))
            where = np.array(np.unravel_index(top, (2 * CLIMB + 1,) * 3)) - CLIMB
            atoms[:, :3] -= where * step_A / CLIMB
            # at the rim the summit may lie outside, but not far: the point was one of the grid
            if abs(where).max() == CLIMB and moves < MOVES_MAX:
                moves += 1
            else:
                step_A /= 4
        return best


@compiled
def _surroundings(spheres: Spheres, site: Sites, reach: float) -> np.ndarray:
    """(n, 4) positions relative to a point, and radii, of atoms whose surface is within reach."""
    found = np.empty((FOUND_FIRST, 4))
    n = 0
    for k in range(len(spheres.offsets)):
        place, image = bin_at(site.bins, 0, spheres.offsets, k, spheres.bins)
        x0, y0, z0 = image_origin(image, spheres.cell, site.points, 0)
        for j in range(spheres.starts[place], spheres.starts[place + 1]):
            x = spheres.positions[j, 0] + x0
            y = spheres.positions[j, 1] + y0
            z = spheres.positions[j, 2] + z0
            limit = spheres.radii[j] + reach
            if x * x + y * y + z * z < limit * limit:
                if n == len(found):
                    found = grown(found)
                found[n, 0] = x
                found[n, 1] = y
                found[n, 2] = z
                found[n, 3] = spheres.radii[j]
                n += 1
    return found[:n].copy()


@compiled
def _local_field(atoms: np.ndarray, half: int, step: float) -> np.ndarray:
    """D on a cube of points around the origin, flattened."""
    size = 2 * half + 1
    field = np.full(size * size * size, 1e30)
    for j in range(len(atoms)):
        radius = atoms[j, 3]
        k = 0
        for a in range(-half, half + 1):
            x = atoms[j, 0] - a * step
            for b in range(-half, half + 1):
                y = atoms[j, 1] - b * step
                across = x * x + y * y
                line = field[k : k + size]
                for c in range(size):
                    z = atoms[j, 2] - (c - half) * step
                    d = np.sqrt(across + z * z) - radius
                    line[c] = d if d < line[c] else line[c]
                k += size
    return field


@compiled
def _neck(  # noqa: PLR0913, PLR0917 - the place, and the grid around it
    spheres: Spheres, site: Sites, reach: float, half: int, step: float, along: np.ndarray
) -> float:
    """Largest d such that the summits above two points are joined by points of that height."""
    field = _local_field(_surroundings(spheres, site, reach), half, step)
    size = 2 * half + 1
    ways = np.empty(3, dtype=np.int64)
    for k in range(3):
        ways[k] = min(half, max(-half, int(np.round(along[k] / step))))
    start = _uphill(field, size, half - ways[0], half - ways[1], half - ways[2])
    end = _uphill(field, size, half + ways[0], half + ways[1], half + ways[2])
    # from the start always on to the highest point that has been seen
    seen = np.zeros(len(field), dtype=np.bool_)
    heap = np.empty(len(field), dtype=np.int64)
    heap[0] = start
    seen[start] = True
    n = 1
    lowest = field[start]
    while n:
        p = heap[0]
        n -= 1
        _sink(heap, n, heap[n], field)
        lowest = min(lowest, field[p])
        if p == end:
            return float(lowest)
        a, b, c = p // (size * size), (p // size) % size, p % size
        for x in range(max(0, a - 1), min(size, a + 2)):
            for y in range(max(0, b - 1), min(size, b + 2)):
                for z in range(max(0, c - 1), min(size, c + 2)):
                    q = (x * size + y) * size + z
                    if not seen[q]:
                        seen[q] = True
                        _rise(heap, n, q, field)
                        n += 1
    return -1e30


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
def _rise(heap: np.ndarray, place: int, item: int, height: np.ndarray) -> None:
    """Put an item into a heap whose first place is free at ``place``."""
    while place > 0:
        above = (place - 1) // 2
        if height[heap[above]] >= height[item]:
            break
        heap[place] = heap[above]
        place = above
    heap[place] = item


@compiled
def _sink(heap: np.ndarray, n: int, item: int, height: np.ndarray) -> None:
    """Put an item into a heap of n whose top is free."""
    place = 0
    while 2 * place + 1 < n:
        below = 2 * place + 1
        if below + 1 < n and height[heap[below + 1]] > height[heap[below]]:
            below += 1
        if height[item] >= height[heap[below]]:
            break
        heap[place] = heap[below]
        place = below
    heap[place] = item
