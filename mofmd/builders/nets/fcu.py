"""Nets made of the fcu net by taking out nodes or linkers: reo, bcu and scu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mofmd.builders.blocks.blocks import Blocks
from mofmd.builders.defects.defects import Defects
from mofmd.builders.nets.block_net import BlockNet, find_block_net
from mofmd.errors import InputError
from mofmd.geometry.minimum_image import shorten_fractions

Axis = Literal["x", "y", "z"]
ROUNDING = 1e-6  # of barycentric coordinates
KEYS_PER_CELL = 10**7  # coordinates as whole numbers; no fraction of a cell falls between two


@dataclass(frozen=True)
class FcuNet:
    """An fcu net in a cell.

    Parameters
    ----------
    axes
        (3, 3) rows: the vectors of the conventional cell, in the cell's own [fractional], the one
        nearest to Cartesian x first, then y, then z.
    nodes
        (nodes, 3) places of the nodes [fractional].
    linkers
        (linkers, 3) from one of the nodes that each linker joins to the other [fractional].
    """

    axes: np.ndarray
    nodes: np.ndarray
    linkers: np.ndarray


def find_fcu(blocks: Blocks, cell: np.ndarray, net: BlockNet | None = None) -> FcuNet:
    """Recognise the fcu net, in whatever cell and however strained.

    Parameters
    ----------
    blocks
        Blocks of a framework.
    cell
        (3, 3) rows a, b, c [Å], to name the axes.
    net
        The net of the blocks, if it is known.

    Raises
    ------
    InputError
        If it is another net.
    """
    net = net or find_block_net(blocks)
    nodes = net.positions[net.vertex_of_block[blocks.nodes]]
    linkers, steps = _steps(blocks, nodes)
    first = _neighbours(steps, 0)
    for node in range(1, len(nodes)):
        if not _same(first, _neighbours(steps, node)):
            raise InputError(_other_net(blocks))
    axes = _conventional_axes(first)
    if axes is None:
        raise InputError(_other_net(blocks))
    return FcuNet(_name_axes(axes, cell), nodes, linkers)


def reo(fcu: FcuNet) -> Defects:
    """Take out one node of four, so that each other node has eight linkers left.

    Raises
    ------
    InputError
        If the cell does not hold whole conventional cells.
    """
    whole = np.linalg.inv(fcu.axes)
    if np.abs(whole - np.rint(whole)).max() > ROUNDING:
        axes = fcu.axes * np.sign(np.linalg.det(fcu.axes))
        rows = " ".join(str(round(x)) for x in axes.ravel())
        raise InputError(
            "defects: reo and scu need a cell made of whole conventional cells, of four nodes "
            f"each; this one holds {len(fcu.nodes)} otherwise: take the conventional cell "
            f"(--supercell '{rows}')"
        )
    # nodes that a conventional lattice vector takes the first one to
    apart = (fcu.nodes - fcu.nodes[0]) @ np.linalg.inv(fcu.axes)
    gone = np.abs(shorten_fractions(apart)).max(axis=1) < ROUNDING
    return Defects(nodes=tuple(np.flatnonzero(gone).tolist()))


def bcu(fcu: FcuNet, axis: Axis = "z") -> Defects:
    """Take out all linkers in planes perpendicular to an axis; each node has eight left."""
    along = (fcu.linkers @ np.linalg.inv(fcu.axes))[:, "xyz".index(axis)]
    return Defects(linkers=tuple(np.flatnonzero(np.abs(along) < ROUNDING).tolist()))


def scu(fcu: FcuNet, axis: Axis = "z") -> Defects:
    """Take out both what reo and what bcu lack; nodes have eight or four linkers left."""
    return Defects(
        linkers=bcu(fcu, axis).linkers,
        nodes=reo(fcu).nodes,
    )


def _steps(blocks: Blocks, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(linkers, 3) from one end of each linker to the other; rows of node and step from both."""
    number = np.full(len(blocks), -1)
    number[blocks.nodes] = np.arange(len(blocks.nodes))
    vectors = np.empty((len(blocks.linkers), 3))
    rows = []
    order = np.argsort(blocks.link_spacers, kind="stable")
    starts = np.searchsorted(blocks.link_spacers[order], blocks.linkers)
    for k, linker in enumerate(blocks.linkers.tolist()):
        links = order[starts[k] : starts[k] + blocks.cuts_of_block[linker]]
        if len(links) != 2:
            raise InputError(_other_net(blocks))
        ends = number[blocks.link_bricks[links]]
        # the linker at its own place, each node in the image that it is seen in from there
        places = nodes[ends] - blocks.link_images[links]
        vectors[k] = places[1] - places[0]
        rows += [(ends[0], *vectors[k]), (ends[1], *-vectors[k])]
    return vectors, np.array(rows)


def _neighbours(steps: np.ndarray, node: int) -> np.ndarray:
    """Sort the steps from a node."""
    own = steps[steps[:, 0] == node, 1:]
    return np.asarray(own[np.lexsort(_keys(own).T[::-1])])


def _same(one: np.ndarray, two: np.ndarray) -> bool:
    return one.shape == two.shape and bool(np.abs(one - two).max() < ROUNDING)


def _keys(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(vectors * KEYS_PER_CELL), dtype=np.int64)


def _conventional_axes(steps: np.ndarray) -> np.ndarray | None:
    """(3, 3) vectors of the conventional cell from a node's steps; None if the net is not fcu.

    In fcu they are the sums of two steps that are no steps and come about in four ways; a step is
    half the sum of two of them.
    """
    if len(steps) != 12:
        return None
    sums = (steps[:, None] + steps[None]).reshape(-1, 3)
    own = {tuple(key) for key in _keys(steps).tolist()}
    found, first, counts = np.unique(_keys(sums), axis=0, return_index=True, return_counts=True)
    axes = [
        sums[at]
        for key, at, count in zip(found.tolist(), first, counts, strict=True)
        if count == 4 and tuple(key) not in own
    ]
    # of each pair ±a the one that is listed later
    axes = axes[len(axes) // 2 :]
    if len(axes) != 3 or np.linalg.matrix_rank(axes, tol=ROUNDING) < 3:
        return None
    halves = np.abs(steps @ np.linalg.inv(axes))
    expected = np.sort(np.tile([0.0, 0.5, 0.5], (12, 1)), axis=1)
    return np.array(axes) if np.allclose(np.sort(halves, axis=1), expected, atol=1e-3) else None


def _name_axes(axes: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Sort the axes by the Cartesian direction that each is nearest to."""
    from scipy.optimize import linear_sum_assignment

    vectors = axes @ cell
    cosines = np.abs(vectors) / np.linalg.norm(vectors, axis=1)[:, None]
    rows, columns = linear_sum_assignment(-cosines)
    return np.asarray(axes[rows[np.argsort(columns)]])


def _other_net(blocks: Blocks) -> str:
    degrees = np.bincount(blocks.link_bricks[blocks.is_linking], minlength=len(blocks))
    kinds = ", ".join(str(k) for k in np.unique(degrees[blocks.nodes]).tolist())
    return (
        "defects: reo, bcu and scu are made of the fcu net without defects, in which each node has "
        f"twelve linkers (UiO-66, UiO-67); the nodes of this structure have {kinds}, or lie "
        "otherwise"
    )
