"""Rings of a periodic net: primitive ones, and King's.

A ring is primitive if no two of its vertices are joined by a way through the net that is shorter
than both ways along the ring: Franzblau, Phys. Rev. B 1991, 44, 4925 (shortest-path rings), the
"primitive rings" of R.I.N.G.S. (Le Roux and Jund, Comput. Mater. Sci. 2010, 49, 70). It is enough
that this holds for opposite vertices (Yuan and Cormack, Comput. Mater. Sci. 2002, 24, 343).

Rings are those of the infinite net: a way that leaves the cell and comes back in another image is
no ring. Size counts all vertices, nodes and linkers alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, series_table
from mofmd.analysis.base.registry import Options, Subject, observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import mean_of_series
from mofmd.analysis.option_text import Parser, numbers_by_pair, whole_number
from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.topology.bond_graph import adjacency
from mofmd.topology.building_units import Cutoffs, Net, find_net, find_units, has_rods
from mofmd.topology.king_search import search_king_rings
from mofmd.topology.metal_donors import CUTOFFS_A, metal_first
from mofmd.topology.ring_search import (
    HALF,
    Graph,
    distance_tables,
    is_bipartite,
    search_rings,
)
from mofmd.trajectory.frame import Frame

Kind = Literal["primitive", "king"]
TITLES: dict[Kind, str] = {"primitive": "Primitive", "king": "King's"}
DEFINITIONS: dict[Kind, str] = {
    "primitive": "primitive (shortest-path) rings of the node-linker net, infinite periodic graph "
    "(Franzblau 1991; R.I.N.G.S.); Castel et al. 2024, Fig. 8",
    "king": "King's rings of the node-linker net, infinite periodic graph: the shortest way back "
    "at one vertex at least (King 1967)",
}
DEPTH_MAX = 64
RODS = (
    "Metals are joined to endless rods by atoms of the linkers, so that each metal is a node and "
    "each linker joins many of them: the number of rings grows steeply with the depth, and does "
    "not compare with that of other frameworks."
)
OPTIONS: Mapping[str, Parser] = {"depth": whole_number, "metal_cutoffs_A": numbers_by_pair}


@dataclass(frozen=True)
class RingStatistics:
    """Primitive rings of a net; arrays are read-only.

    Parameters
    ----------
    sizes
        (sizes,) sizes from 3 to the depth.
    per_cell
        (sizes,) rings of each size per cell.
    per_node
        (nodes, sizes) rings of each size through each node.
    """

    sizes: np.ndarray
    per_cell: np.ndarray
    per_node: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "sizes", "per_cell", "per_node")

    def as_dict(self) -> dict[int, int]:
        """Size to number per cell, of the sizes that occur."""
        return {
            int(size): int(number)
            for size, number in zip(self.sizes, self.per_cell, strict=True)
            if number
        }


def primitive_rings(net: Net, depth: int = 32) -> RingStatistics:
    """Find all primitive rings of a net of nodes and linkers.

    Parameters
    ----------
    net
        Every ring passes nodes and linkers in turn.
    depth
        Largest size; the paper's is 32 (Castel et al., Digital Discovery 2024, 3, 355).
    """
    return net_rings(net, depth, "primitive")


def king_rings(net: Net, depth: int = 32) -> RingStatistics:
    """Find all King's rings of a net of nodes and linkers.

    Parameters
    ----------
    net, depth
        As for ``primitive_rings``.
    """
    return net_rings(net, depth, "king")


def net_rings(net: Net, depth: int, kind: Kind) -> RingStatistics:
    """Find all rings of a kind of a net of nodes and linkers."""
    if kind == "primitive":
        joined = _joined_nodes(net)
        if joined is not None:
            return _rings_through_edges(net.n_nodes, *joined, depth)
    n_vertices = net.n_nodes + net.n_linkers
    return graph_rings(
        n_vertices, net.edges, net.images, depth, roots=range(net.n_nodes), kind=kind
    )


def _joined_nodes(net: Net) -> tuple[np.ndarray, np.ndarray] | None:
    """Edges and images between nodes, one for each linker of two; None if a linker joins more."""
    degrees = net.degrees[net.n_nodes :]
    if (degrees > 2).any():
        return None
    linkers = net.edges[:, 1]
    two = np.flatnonzero(degrees[linkers - net.n_nodes] == 2)
    first, second = two[np.argsort(linkers[two], kind="stable")].reshape(-1, 2).T
    edges = np.stack([net.edges[first, 0], net.edges[second, 0]], axis=1)
    return edges, net.images[first] - net.images[second]


def _rings_through_edges(
    n_nodes: int, edges: np.ndarray, images: np.ndarray, depth: int
) -> RingStatistics:
    """Primitive rings of a net whose linkers are edges between nodes: half as large without them.

    A ring keeps this property, as the linkers' distances follow from those of the nodes. Two
    linkers that join the same nodes make a ring of size 4, of which the graph of nodes knows
    nothing.
    """
    sizes = np.arange(3, depth + 1)
    _check(depth, images, depth // 4)
    chosen = np.ones(n_nodes, dtype=np.bool_)
    graph = Graph(*adjacency(n_nodes, edges[:, 0], edges[:, 1], images), chosen)
    half = search_rings(graph, depth // 2, distance_tables(graph, depth // 4))
    through = np.zeros((n_nodes, depth + 1), dtype=np.int64)
    through[:, 0 : 2 * half.shape[1] : 2] = half
    if depth >= 4:
        through[:, 4] = _parallel_pairs(n_nodes, edges, images)
    return _statistics(sizes, through[:, 3:], sizes // 2)


def _parallel_pairs(n_nodes: int, edges: np.ndarray, images: np.ndarray) -> np.ndarray:
    """(nodes,) pairs of edges between the same two nodes, in the same image, at each node."""
    one = np.hstack([edges, images])
    other = np.hstack([edges[:, ::-1], -images])
    # of both directions the one that comes first
    unlike = one != other
    at = unlike.argmax(axis=1)[:, None]
    turned = np.take_along_axis(one, at, 1) > np.take_along_axis(other, at, 1)
    kinds, counts = np.unique(np.where(turned, other, one), axis=0, return_counts=True)
    pairs = counts * (counts - 1) // 2
    found = np.zeros(n_nodes, dtype=np.int64)
    for side in range(2):
        np.add.at(found, kinds[:, side], pairs)
    return found


def graph_rings(  # noqa: PLR0913 - a graph is three of them
    n_vertices: int,
    edges: np.ndarray,
    images: np.ndarray,
    depth: int = 32,
    roots: Sequence[int] | None = None,
    *,
    kind: Kind = "primitive",
) -> RingStatistics:
    """Find all rings of any periodic graph.

    Parameters
    ----------
    n_vertices
        Vertices in the cell.
    edges
        (edges, 2) vertices.
    images
        (edges, 3) image of the second vertex.
    depth
        Largest size.
    roots
        Vertices that every ring passes at least one of; None takes all.
    kind
        ``primitive`` or ``king``.
    """
    _check(depth, images, depth // 2 if kind == "primitive" else depth - 2)
    chosen = np.zeros(n_vertices, dtype=np.bool_)
    chosen[list(range(n_vertices) if roots is None else roots)] = True
    graph = Graph(*adjacency(n_vertices, edges[:, 0], edges[:, 1], images), chosen)
    sizes = np.arange(3, depth + 1)
    counted = sizes  # vertices of a ring that it is counted at
    if kind == "king":
        through = search_king_rings(graph, depth)
    elif is_bipartite(graph):
        # every other vertex of a ring is a chosen one
        counted = sizes // 2
        through = search_rings(graph, depth, distance_tables(graph, depth // 2))
    else:
        graph = graph._replace(chosen=np.ones(n_vertices, dtype=np.bool_))
        through = search_rings(graph, depth, distance_tables(graph, depth // 2))
    found = _statistics(sizes, through[:, 3:], counted)
    return found if roots is None else replace(found, per_node=found.per_node[chosen])


def _check(depth: int, images: np.ndarray, reach: int) -> None:
    """Refuse sizes and images that cannot be counted."""
    if not 3 <= depth <= DEPTH_MAX:
        raise InputError(f"depth: {depth}, expected 3 to {DEPTH_MAX}")
    if len(images) and abs(images).max() * reach >= HALF:
        raise InputError(
            f"net: an edge reaches {abs(images).max()} cells away; use a supercell or put the "
            "vertices together"
        )


def _statistics(sizes: np.ndarray, through: np.ndarray, counted: np.ndarray) -> RingStatistics:
    """Rings from their numbers at vertices, at so many of which a ring is counted."""
    totals = through.sum(axis=0)
    if (totals % counted).any():
        raise RuntimeError("rings: counts at the vertices do not add up to whole rings")
    return RingStatistics(sizes, totals // counted, through.copy())


@observable(
    "rings",
    title="Rings",
    interval_ps=1.0,
    frames=50,
    options=OPTIONS,
    by_default=True,
    place=70,
)
@dataclass(eq=False)
class Rings(Observable):
    """Primitive or King's rings of the net of nodes and linkers.

    Building units are those of the first frame; bonds between them are found in every frame.

    Parameters
    ----------
    depth
        Largest size, nodes and linkers counted; the paper's is 32.
    metal_cutoffs_A
        Longest bond of (metal, donor) pairs [Å]; 2.5 Å for Zn-N, which is the paper's, and 1.25
        times the sum of the covalent radii for pairs that are not given.
    kind
        ``primitive``, the paper's, or ``king``.
    interval_ps, cut
        As for every observable; the paper's interval is 1 ps.
    """

    depth: int = 32
    metal_cutoffs_A: Cutoffs | None = None
    kind: Kind = "primitive"

    def __post_init__(self) -> None:
        """Begin with no frame."""
        self._record = Record()
        self._nodes = 1
        self._cutoffs: Cutoffs = {**CUTOFFS_A, **metal_first(self.metal_cutoffs_A or {})}

    @property
    def name(self) -> str:
        """Short name for people."""
        return "rings" if self.kind == "primitive" else "rings King"

    def check(self, frame: Frame) -> None:
        """Find the building units; refuse a structure without nodes or linkers."""
        self._units = find_units(frame, metal_cutoffs_A=self._cutoffs)
        if not self._units.n_nodes or not self._units.n_linkers:
            raise InputError(
                f"{self.name}: {self._units.n_nodes} metal nodes and {self._units.n_linkers} "
                "linkers in the first frame; both are needed"
            )
        self._nodes = self._units.n_nodes
        if not len(find_net(self._units).edges):
            raise InputError(f"{self.name}: no node is bonded to a linker in the first frame")

    def measure(self, frame: Frame) -> np.ndarray:
        """Rings of each size per cell."""
        net = find_net(self._units, frame, self._cutoffs)
        return net_rings(net, self.depth, self.kind).per_cell.astype(np.float64)

    def add(self, stamp: Stamp, value: np.ndarray) -> None:
        """Take the measurement of the next frame."""
        self._record.add(stamp, float(value.sum()), value)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        mean, error = self._record.average.mean(sampling)
        sizes = np.arange(3, self.depth + 1)
        even = sizes % 2 == 0
        series = np.array(self._record.series)
        return Result(
            name=self.name,
            definition=f"{DEFINITIONS[self.kind]}; all of size {self.depth} at most",
            settings={
                "kind": self.kind,
                "depth": self.depth,
                "metal_cutoffs_A": {"-".join(k): v for k, v in self._cutoffs.items()},
                "nodes": dict(self._units.node_formulas),
                "linkers": dict(self._units.linker_formulas),
            },
            scalars={"rings per node": mean_of_series(series / self._nodes, sampling)},
            tables={
                "sizes": Table(
                    {
                        "size": Column(
                            sizes[even].astype(np.float64), label="Ring size (nodes and linkers)"
                        ),
                        "rings per node": Column(
                            mean[even] / self._nodes,
                            "",
                            error[even] / self._nodes,
                            "Rings per node",
                        ),
                    },
                    "bars",
                    f"{TITLES[self.kind]} rings of nodes and linkers",
                ),
                "series": series_table(
                    self._record.stamps,
                    f"{TITLES[self.kind]} rings over time",
                    rings=Column(series, label="Rings per cell"),
                ),
            },
            sampling=sampling,
            notes=(RODS,) if has_rods(self._units) else (),
        )


@observable(
    "king",
    title="King's rings",
    interval_ps=1.0,
    frames=50,
    options=OPTIONS,
    place=71,
    results="rings",
)
def _king(_: Subject, options: Options) -> Sequence[Observable]:
    """Make King's rings."""
    return [Rings(kind="king", **options)]
