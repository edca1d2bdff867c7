"""Cavities and necks of a framework, with the sizes of spheres that fit and pass."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.pores.basins import Basins
from mofmd.analysis.pores.distance_field import OpenVoxels
from mofmd.analysis.pores.local_field import DistanceProbe
from mofmd.geometry.periodic_union import PeriodicUnion

FINE = 3  # steps of the local grid within one of the global one
FINEST = 6  # the same, for the neck that decides


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
        self.heights, self._highest = both.min(axis=1), both.max(axis=1)
        first, second = (voxels.positions(side) for side in basins.voxels.T)
        second = second + basins.steps @ voxels.cell
        self._along = (second - first) / 2
        self._sites = probe.sites((first + second) / 2)
        self.order = np.argsort(-self.heights, kind="stable")
        self.slack = np.sqrt(3) / 2 * voxels.spacing_A
        self._exact: dict[int, float] = {}

    def height(self, k: int) -> float:
        """Height of a neck, measured on a fine local grid."""
        if k not in self._exact:
            measured = self._measure(k, FINE)
            lowest = float(self.heights[k])
            self._exact[k] = min(max(measured, lowest), lowest + self.slack)
        return self._exact[k]

    def best_height(self, k: int) -> float:
        """Height of a neck, measured on the finest grid."""
        return max(self._measure(k, FINEST), float(self.heights[k]))

    def _measure(self, k: int, fine: int) -> float:
        return self.probe.neck(
            self._sites.one(k), self._along[k], self._highest[k], self.voxels.spacing_A, fine
        )


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
