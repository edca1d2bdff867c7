"""The net that blocks make, placed by its own connections: each vertex amid its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from mofmd.builders.blocks.blocks import SPACER, Blocks, hill_formula
from mofmd.errors import InputError

TOLERANCE = 1e-5  # of barycentric coordinates, exact but for the solver's rounding


@dataclass(frozen=True)
class BlockNet:
    """Nodes, metals, head groups and spacers as one periodic graph; arrays are read-only.

    Hydrogen on oxygen has no say in it: the order of μ₃-OH groups, which lowers a crystal's space
    group, is no property of the net.

    Parameters
    ----------
    colours
        (vertices,) kind of each vertex, a number for each element, composition and coordination.
    edges
        (edges, 2) vertices.
    images
        (edges, 3) image of the second vertex, seen from the first.
    positions
        (vertices, 3) barycentric coordinates in the cell: the mean of the neighbours'
        (Delgado-Friedrichs and O'Keeffe, Acta Cryst. 2003, A59, 351).
    vertex_of_block
        (blocks,) vertex of each brick and spacer, −1 for guests.
    vertex_of_atom
        (atoms,) vertex of each metal and head group's centre, −1 for other atoms.
    """

    colours: np.ndarray
    edges: np.ndarray
    images: np.ndarray
    positions: np.ndarray
    vertex_of_block: np.ndarray
    vertex_of_atom: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.colours, self.edges, self.images, self.positions):
            array.setflags(write=False)

    @cached_property
    def sites(self) -> Sites:
        """Vertices put together that lie at one place and have one kind."""
        return _find_sites(self)


@dataclass(frozen=True)
class Sites:
    """Places of a net. Several vertices at one place have the same neighbours: any is as good.

    Parameters
    ----------
    of_vertex
        (vertices,) site of each vertex.
    colours
        (sites,) kind.
    positions
        (sites, 3) barycentric coordinates within the cell.
    edges
        (edges, 5) site, site, image of the second; each edge once from either end.
    """

    of_vertex: np.ndarray
    colours: np.ndarray
    positions: np.ndarray
    edges: np.ndarray

    def find(self, colour: int, points: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Sites of one kind at points [fractional], and the images they are in; None if some lack.

        Parameters
        ----------
        colour
            The kind.
        points
            (n, 3).
        """
        own, tree = self._trees[colour]
        distances, found = tree.query(_inside(points))
        if (distances > 10 * TOLERANCE).any():
            return None
        sites = own[found]
        return sites, np.rint(points - self.positions[sites]).astype(np.int64)

    @cached_property
    def _trees(self) -> dict[int, tuple[np.ndarray, cKDTree]]:
        trees = {}
        for colour in np.unique(self.colours).tolist():
            own = np.flatnonzero(self.colours == colour)
            trees[colour] = own, cKDTree(_inside(self.positions[own]), boxsize=1.0)
        return trees


def find_block_net(blocks: Blocks) -> BlockNet:
    """Make the net of a framework's blocks.

    Raises
    ------
    InputError
        If it has several parts, as interpenetrated frameworks do: they have no place relative to
        each other.
    """
    used = np.flatnonzero(blocks.cuts_of_block > 0)
    metals = np.flatnonzero(blocks.is_metal & (blocks.cuts_of_block[blocks.block_of_atom] > 0))
    heads = np.flatnonzero(
        (blocks.head_of_atom >= 0) & (blocks.cuts_of_block[blocks.block_of_atom] > 0)
    )
    vertex_of_block = np.full(len(blocks), -1)
    vertex_of_block[used] = np.arange(len(used))
    vertex_of_atom = np.full(len(blocks.block_of_atom), -1)
    vertex_of_atom[metals] = len(used) + np.arange(len(metals))
    vertex_of_atom[heads] = len(used) + len(metals) + np.arange(len(heads))
    names = [
        *(_block_kind(blocks, block) for block in used.tolist()),
        *_metal_kinds(blocks, metals),
        *(blocks.head_groups[blocks.head_of_atom[k]].name for k in heads.tolist()),
    ]
    holds = _held_heads(blocks)
    edges = np.concatenate(
        [
            np.stack(
                [vertex_of_block[blocks.block_of_atom[metals]], vertex_of_atom[metals]], axis=1
            ),
            vertex_of_atom[holds],
            np.stack(
                [vertex_of_atom[blocks.cuts.heads], vertex_of_block[blocks.link_spacers]], axis=1
            ),
        ]
    )
    # within a block everything lies in the block's own image
    inside = np.zeros((len(metals) + len(holds), 3), dtype=np.int64)
    images = np.concatenate([inside, blocks.link_images])
    keep = (edges >= 0).all(axis=1)
    edges, images = edges[keep], images[keep]
    return BlockNet(
        colours=np.unique(names, return_inverse=True)[1],
        edges=edges,
        images=images,
        positions=_barycentres(len(names), edges, images),
        vertex_of_block=vertex_of_block,
        vertex_of_atom=vertex_of_atom,
    )


def _block_kind(blocks: Blocks, block: int) -> str:
    symbols = blocks.symbols[blocks.members(block)]
    if blocks.kinds[block] == SPACER:
        return f"spacer {hill_formula(symbols)}"
    metal = blocks.is_metal[blocks.members(block)]
    return f"node {hill_formula(symbols[~metal & (symbols != 'H')])} on {metal.sum()}"


def _metal_kinds(blocks: Blocks, metals: np.ndarray) -> list[str]:
    """Element of each metal, with the elements of its donors."""
    bonds = blocks.graph.to_metal
    elements = blocks.species.elements
    donors = np.zeros((len(blocks.symbols), len(elements)), dtype=np.int64)
    codes = blocks.species.codes
    np.add.at(donors, (blocks.graph.first[bonds], codes[blocks.graph.second[bonds]]), 1)
    return [f"{blocks.symbols[k]} {dict(zip(elements, donors[k], strict=True))}" for k in metals]


def _held_heads(blocks: Blocks) -> np.ndarray:
    """(pairs, 2) metal and head group's centre, each pair that is bonded through a donor once."""
    graph = blocks.graph
    covalent = ~graph.to_metal
    head_of_donor = np.full(graph.n_atoms, -1)
    for centre, donor in ((graph.first, graph.second), (graph.second, graph.first)):
        # a donor has no other covalent bond than that to its centre
        at_head = covalent & (blocks.head_of_atom[centre] >= 0)
        head_of_donor[donor[at_head]] = centre[at_head]
    metal, donor = graph.first[graph.to_metal], graph.second[graph.to_metal]
    pairs = np.stack([metal, head_of_donor[donor]], axis=1)
    return np.unique(pairs[pairs[:, 1] >= 0], axis=0).reshape(-1, 2)


def _barycentres(n: int, edges: np.ndarray, images: np.ndarray) -> np.ndarray:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components, laplacian
    from scipy.sparse.linalg import splu

    weights = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n)).tocsr()
    weights = weights + weights.T
    n_parts, _ = connected_components(weights, directed=False)
    if n_parts > 1:
        raise InputError(
            f"net: has {n_parts} parts that are not connected (interpenetrated?), so that its "
            "symmetry is not known; draw defects at random instead"
        )
    pulls = np.zeros((n, 3))
    np.add.at(pulls, edges[:, 0], images)
    np.add.at(pulls, edges[:, 1], -images)
    positions = np.zeros((n, 3))
    # the first vertex stays at the origin
    matrix = laplacian(weights).tocsc()[1:, 1:]
    positions[1:] = splu(matrix).solve(pulls[1:])
    return positions


def _find_sites(net: BlockNet) -> Sites:
    points = _inside(net.positions)
    of_vertex = np.full(len(net.colours), -1)
    first_of_site: list[int] = []
    for colour in np.unique(net.colours).tolist():
        own = np.flatnonzero(net.colours == colour)
        tree = cKDTree(points[own], boxsize=1.0)
        for k, near in enumerate(tree.query_ball_point(points[own], TOLERANCE)):
            if of_vertex[own[k]] < 0:
                of_vertex[own[near]] = len(first_of_site)
                first_of_site.append(int(own[k]))
    positions = net.positions[first_of_site]
    shifts = np.rint(net.positions - positions[of_vertex]).astype(np.int64)
    u, w = net.edges.T
    there = np.column_stack([of_vertex[u], of_vertex[w], net.images + shifts[w] - shifts[u]])
    back = np.column_stack([there[:, 1], there[:, 0], -there[:, 2:]])
    both = np.concatenate([there, back])
    _refuse_collisions(of_vertex, np.concatenate([u, w]), both)
    return Sites(of_vertex, net.colours[first_of_site], positions, np.unique(both, axis=0))


def _inside(points: np.ndarray) -> np.ndarray:
    """Put points into the cell; −1e-17 becomes 1.0 first, which is outside, and then 0."""
    return np.asarray(points % 1.0 % 1.0)


def _refuse_collisions(of_vertex: np.ndarray, ends: np.ndarray, edges: np.ndarray) -> None:
    """Refuse vertices at one place with different neighbours: symmetry cannot be read off."""
    distinct = np.unique(np.column_stack([ends, edges[:, 1:]]), axis=0)
    degrees = np.bincount(distinct[:, 0], minlength=len(of_vertex))
    site_edges = np.unique(edges, axis=0)
    of_site = np.bincount(site_edges[:, 0], minlength=of_vertex.max() + 1)
    if (degrees != of_site[of_vertex]).any():
        raise InputError(
            "net: parts with different neighbours fall on one place, so that the net's symmetry "
            "cannot be read off; draw defects at random instead"
        )
