"""Surface on which the centre of a probe touches the framework."""

from __future__ import annotations

import numpy as np

from mofmd.analysis.pores.distance_field import OpenVoxels
from mofmd.compiled import compiled, grown
from mofmd.geometry.neighbours import Grid, bin_at, image_origin
from mofmd.structures.frame import Frame

POINTS_PER_ATOM = 500
NEAR_FIRST = 1024  # room for neighbours, at first


def surface_points(
    frame: Frame,
    radii: np.ndarray,
    probe_radius_A: float,
    voxels: OpenVoxels,
    reached: np.ndarray,
) -> tuple[float, float]:
    """Measure accessible and inaccessible surface area per cell [Å²].

    Points spread evenly over the sphere R + probe of each atom (a Fibonacci lattice); those inside
    the sphere of no other atom count. A point belongs to the pore of the nearest open voxel.

    Parameters
    ----------
    frame, radii, probe_radius_A
        The structure, its radii and the probe [Å].
    voxels
        Open voxels, at most a spacing smaller than the probe.
    reached
        (voxels,) whether the probe can reach each.
    """
    k = np.arange(POINTS_PER_ATOM) + 0.5
    polar = np.arccos(1 - 2 * k / POINTS_PER_ATOM)
    azimuth = np.pi * (1 + np.sqrt(5)) * k
    directions = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1
    )
    spheres = radii + probe_radius_A
    grid = Grid.build(frame.positions, frame.cell, 2 * float(spheres.max()))
    where = np.zeros(int(np.prod(voxels.shape)), dtype=np.int8)
    where[voxels.flat] = np.where(reached, 2, 1)
    counts = np.zeros((len(frame), 3), dtype=np.int64)
    _count(
        grid.wrapped,
        grid.place(grid.wrapped)[2],
        spheres[grid.order],
        grid.starts,
        grid.shape,
        grid.offsets,
        frame.cell,
        np.linalg.inv(frame.cell),
        directions,
        where,
        voxels.shape,
        counts,
    )
    areas = 4 * np.pi * spheres[grid.order] ** 2 @ counts / POINTS_PER_ATOM
    # points that no open voxel is near belong to pores too small for the grid: not accessible
    return float(areas[2]), float(areas[0] + areas[1])


@compiled
def _count(  # noqa: PLR0913, PLR0917 - plain arrays
    atoms: np.ndarray,
    homes: np.ndarray,
    spheres: np.ndarray,
    starts: np.ndarray,
    bins: np.ndarray,
    offsets: np.ndarray,
    cell: np.ndarray,
    inverse: np.ndarray,
    directions: np.ndarray,
    where: np.ndarray,
    shape: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Free points of each atom: near no open voxel, near one out of reach, near one in reach."""
    near = np.empty((NEAR_FIRST, 4))
    for i in range(len(atoms)):
        ri = spheres[i]
        n_near = 0
        for k in range(len(offsets)):
            place, image = bin_at(homes, i, offsets, k, bins)
            x0, y0, z0 = image_origin(image, cell, atoms, i)
            for j in range(starts[place], starts[place + 1]):
                x, y, z = atoms[j, 0] + x0, atoms[j, 1] + y0, atoms[j, 2] + z0
                d2 = x * x + y * y + z * z
                itself = j == i and image == (0, 0, 0)
                if not itself and d2 < (ri + spheres[j]) ** 2:
                    if n_near == len(near):
                        near = grown(near)
                    near[n_near, 0] = x
                    near[n_near, 1] = y
                    near[n_near, 2] = z
                    near[n_near, 3] = spheres[j] ** 2
                    n_near += 1
        last = 0
        for p in range(len(directions)):
            px, py, pz = ri * directions[p, 0], ri * directions[p, 1], ri * directions[p, 2]
            free = True
            # the neighbour that covered the last point often covers this one
            for m in range(n_near):
                j = (last + m) % n_near
                dx, dy, dz = near[j, 0] - px, near[j, 1] - py, near[j, 2] - pz
                if dx * dx + dy * dy + dz * dz < near[j, 3]:
                    free = False
                    last = j
                    break
            if not free:
                continue
            x, y, z = atoms[i, 0] + px, atoms[i, 1] + py, atoms[i, 2] + pz
            kind = 0
            ga = (x * inverse[0, 0] + y * inverse[1, 0] + z * inverse[2, 0]) * shape[0]
            gb = (x * inverse[0, 1] + y * inverse[1, 1] + z * inverse[2, 1]) * shape[1]
            gc = (x * inverse[0, 2] + y * inverse[1, 2] + z * inverse[2, 2]) * shape[2]
            for da in range(2):
                for db in range(2):
                    for dc in range(2):
                        va = (int(np.floor(ga)) + da) % shape[0]
                        vb = (int(np.floor(gb)) + db) % shape[1]
                        vc = (int(np.floor(gc)) + dc) % shape[2]
                        kind = max(kind, where[(va * shape[1] + vb) * shape[2] + vc])
            counts[i, kind] += 1
