"""Basins of the distance field, and the necks between them.

A basin is what steepest ascent on the grid leads to one maximum of D from; where two basins meet,
the highest point is the neck between two cavities. Points are taken in the order of memory, not of
height: that is many times faster, and gives the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.analysis.pores.distance_field import Numbering, OpenVoxels, number_of
from mofmd.compiled import compiled, inlined

# an image (x, y, z) as one number that adds up as images do, each of them within -8 to 7
A_STEP, B_STEP, ZERO = 256, 16, 0x888
STATE_BITS, STATE_MASK = 12, 0xFFF


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


def find_basins(voxels: OpenVoxels) -> Basins:
    """Divide the open voxels into basins."""
    n = len(voxels.flat)
    up = np.empty(n, dtype=np.int32)
    turn = np.empty(n, dtype=np.int16)
    _ascend(voxels.field, voxels.numbering, voxels.flat, up, turn)
    state = np.full(n, -1, dtype=np.int64)
    peak = np.empty(n, dtype=np.int64)
    n_basins = _label(up, turn, state, peak)
    size = 1 << 17
    while True:
        slots = np.full((4 * size, 2), -1, dtype=np.int64)
        necks = np.empty((size, 6), dtype=np.int64)
        n_necks = _meet(
            voxels.distance, voxels.numbering, voxels.flat, voxels.shape, state, slots, necks
        )
        if n_necks >= 0:
            break
        size *= 4
    necks = necks[:n_necks]
    return Basins(
        label=(state >> STATE_BITS).astype(np.int32),
        peak=peak[:n_basins].copy(),
        pairs=necks[:, :2],
        images=_images(necks[:, 2]),
        voxels=necks[:, 3:5],
        steps=_images(necks[:, 5]),
    )


def _images(codes: np.ndarray) -> np.ndarray:
    """Images (n, 3) of their codes."""
    shifted = codes + ZERO
    return np.stack([shifted >> 8, (shifted >> 4) & 15, shifted & 15], axis=1) - 8


@compiled
def _ascend(
    field: np.ndarray,
    numbering: Numbering,
    flat: np.ndarray,
    up: np.ndarray,
    turn: np.ndarray,
) -> None:
    """Highest of each voxel and its 26 neighbours, of equals the first, and the image it is in."""
    na, nb, nc = field.shape
    for v in range(len(flat)):
        ic = flat[v] % nc
        ib = (flat[v] // nc) % nb
        ia = flat[v] // (nc * nb)
        best = flat[v]
        highest = field[ia, ib, ic]
        code = 0
        for da in range(-1, 2):
            a, sa = _wrap(ia + da, na)
            for db in range(-1, 2):
                b, sb = _wrap(ib + db, nb)
                line = field[a, b]
                for dc in range(-1, 2):
                    c, sc = _wrap(ic + dc, nc)
                    d = line[c]
                    if d < highest:
                        continue
                    other = (a * nb + b) * nc + c
                    if d > highest or other < best:
                        best = other
                        highest = d
                        code = A_STEP * sa + B_STEP * sb + sc
        up[v] = number_of(numbering, best)
        turn[v] = code


@inlined
def _wrap(index: int, size: int) -> tuple[int, int]:
    """Index inside the cell of one that is at most a step outside, and its image."""
    # faster than division
    if index == size:
        return 0, 1
    if index < 0:
        return size - 1, -1
    return index, 0


@compiled
def _label(up: np.ndarray, turn: np.ndarray, state: np.ndarray, peak: np.ndarray) -> int:
    """Follow the steepest ascent of each voxel to its peak; the number of peaks.

    state is the basin of a voxel, and the code of the image in which it belongs to that.
    """
    n_basins = 0
    way = np.empty(len(up), dtype=np.int32)
    for v in range(len(up)):
        p = v
        length = 0
        while state[p] < 0 and up[p] != p:
            way[length] = p
            length += 1
            p = up[p]
        if state[p] < 0:
            state[p] = (n_basins << STATE_BITS) + ZERO
            peak[n_basins] = p
            n_basins += 1
        for k in range(length - 1, -1, -1):
            q = way[k]
            state[q] = state[up[q]] - turn[q]
    return n_basins


@compiled
def _meet(  # noqa: PLR0913, PLR0917 - one loop over neighbours, plain arrays
    distance: np.ndarray,
    numbering: Numbering,
    flat: np.ndarray,
    shape: np.ndarray,
    state: np.ndarray,
    slots: np.ndarray,
    necks: np.ndarray,
) -> int:
    """Highest contact of each two basins; their number, or −1 if there is no room for more.

    necks (n, 6) holds both basins, the image of the second, a voxel of each, and the image of the
    second voxel, images as codes. slots is a table of what is known of a pair: key and neck.
    """
    na, nb, nc = shape
    mask = len(slots) - 1
    n_necks = 0
    for v in range(len(flat)):
        ic = flat[v] % nc
        ib = (flat[v] // nc) % nb
        ia = flat[v] // (nc * nb)
        # half of the neighbours: the others meet this voxel
        for da in range(2):
            a, sa = _wrap(ia + da, na)
            for db in range(-da, 2):
                b, sb = _wrap(ib + db, nb)
                row = (a * nb + b) * nc
                for dc in range(-1 if da or db else 1, 2):
                    c, sc = _wrap(ic + dc, nc)
                    other = number_of(numbering, row + c)
                    if other < 0:
                        continue
                    step = A_STEP * sa + B_STEP * sb + sc
                    if state[other] == state[v] + step:
                        continue
                    one, two = state[v] >> STATE_BITS, state[other] >> STATE_BITS
                    code = (state[v] & STATE_MASK) + step - (state[other] & STATE_MASK)
                    # both directions are one neck
                    turned = two < one or (two == one and code < 0)
                    if turned:
                        one, two, code = two, one, -code
                    key = (one << 36) | (two << STATE_BITS) | (code + ZERO)
                    mixed = key * 0x9E3779B97F4A7C1
                    slot = (mixed ^ (mixed >> 29)) & mask
                    while slots[slot, 0] != -1 and slots[slot, 0] != key:
                        slot = (slot + 1) & mask
                    k = slots[slot, 1]
                    if slots[slot, 0] == -1:
                        if n_necks == len(necks):
                            return -1
                        k = n_necks
                        slots[slot, 0] = key
                        slots[slot, 1] = k
                        n_necks += 1
                    elif min(distance[v], distance[other]) <= min(
                        distance[necks[k, 3]], distance[necks[k, 4]]
                    ):
                        continue
                    necks[k, 0] = one
                    necks[k, 1] = two
                    necks[k, 2] = code
                    necks[k, 3] = other if turned else v
                    necks[k, 4] = v if turned else other
                    necks[k, 5] = -step if turned else step
    return n_necks
