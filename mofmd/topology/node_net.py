"""The net of metal nodes alone: where they are, and which are joined by linkers."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.topology.bonds import NON_METALS
from mofmd.topology.building_units import BuildingUnits, Cutoffs, find_net, put_together


@dataclass(frozen=True)
class NodeNet:
    """Nodes and the linkers between them; arrays are read-only.

    Parameters
    ----------
    centres
        (nodes, 3) mean position of the metals of each node, the node put together [Å].
    first, second
        (ways,) nodes that a linker joins, each way once in either direction, sorted by the first.
    vectors
        (ways, 3) from the first to the second [Å].
    """

    centres: np.ndarray
    first: np.ndarray
    second: np.ndarray
    vectors: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "centres", "first", "second", "vectors")


def node_centres(units: BuildingUnits, frame: Frame) -> np.ndarray:
    """Find where the nodes are: the mean position of their metals.

    Parameters
    ----------
    units
        Building units.
    frame
        Any frame of the same atoms.

    Returns
    -------
    np.ndarray
        (nodes, 3) [Å].

    Raises
    ------
    InputError
        If a node is endless: it has no centre.
    """
    if units.endless_nodes.any():
        raise InputError(
            f"nodes: node {int(np.flatnonzero(units.endless_nodes)[0])} is bonded to its own image "
            "(a rod or layer) and has no centre"
        )
    elements = np.array(frame.species.elements)
    metals = ~np.isin(elements, sorted(NON_METALS))[frame.species.codes]
    metals &= units.node_of_atom >= 0
    places = frame.positions + put_together(units, frame) @ frame.cell
    numbers = units.node_of_atom[metals]
    centres = np.zeros((units.n_nodes, 3))
    np.add.at(centres, numbers, places[metals])
    return centres / np.bincount(numbers, minlength=units.n_nodes)[:, None]


def find_node_net(
    units: BuildingUnits, frame: Frame, metal_cutoffs_A: Cutoffs | None = None
) -> NodeNet:
    """Find which nodes linkers join in a frame.

    A linker bonded to more than two nodes joins each two of them. Two linkers between the same two
    nodes, in the same image, are one way.

    Parameters
    ----------
    units
        Building units.
    frame
        Any frame of the same atoms: bonds between units are found anew.
    metal_cutoffs_A
        As for ``find_bonds``.

    Examples
    --------
    >>> from mofmd.structures.crystals.zif import zif4
    >>> from mofmd.topology.building_units import find_units
    >>> frame = Frame.from_ase(zif4())
    >>> net = find_node_net(find_units(frame), frame)
    >>> np.bincount(net.first).tolist() == [4] * 16
    True
    """
    centres = node_centres(units, frame)
    net = find_net(units, frame, metal_cutoffs_A)
    order = np.argsort(net.edges[:, 1], kind="stable")
    nodes, linkers = net.edges[order].T
    images = net.images[order]
    rows = [np.empty((0, 5), dtype=np.int64)]
    starts = np.flatnonzero(np.diff(linkers, prepend=-1))
    for begin, end in pairwise([*starts.tolist(), len(linkers)]):
        i, j = np.nonzero(~np.eye(end - begin, dtype=np.bool_))
        # both seen from the linker where it lies
        shifts = images[begin:end][i] - images[begin:end][j]
        rows.append(np.column_stack([nodes[begin:end][i], nodes[begin:end][j], shifts]))
    ways = np.unique(np.concatenate(rows), axis=0)
    first, second = ways[:, 0].copy(), ways[:, 1].copy()
    vectors = centres[second] + ways[:, 2:] @ frame.cell - centres[first]
    return NodeNet(centres, first, second, vectors)
