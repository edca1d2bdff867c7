"""Rings of a periodic net: primitive ones, and King's.

A ring is primitive if no two of its vertices are joined by a way through the net that is shorter
than both ways along the ring: Franzblau, Phys. Rev. B 1991, 44, 4925 (shortest-path rings), the
"primitive rings" of R.I.N.G.S. (Le Roux and Jund, Comput. Mater. Sci. 2010, 49, 70). It is enough
that this holds for opposite vertices (Yuan and Cormack, Comput. Mater. Sci. 2002, 24, 343).

Rings are those of the infinite net: a way that leaves the cell and comes back in another image is
no ring. Size counts all vertices, nodes and linkers alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mofmd.analysis.bond_graph import adjacency
from mofmd.analysis.building_units import Cutoffs, Net, find_net, find_units
from mofmd.analysis.king_search import search_king_rings
from mofmd.analysis.metal_donors import CUTOFFS_A
from mofmd.analysis.observable import Observable, Record, Stamp, series_table
from mofmd.analysis.result import Column, Result, Table
from mofmd.analysis.ring_search import (
    HALF,
    Graph,
    distance_tables,
    is_bipartite,
    search_rings,
)
from mofmd.analysis.statistics import mean_of_series
from mofmd.arrays import freeze
from mofmd.errors import InputError
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
    n_vertices = net.n_nodes + net.n_linkers
    return graph_rings(
        n_vertices, net.edges, net.images, depth, roots=range(net.n_nodes), kind=kind
    )


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
    if not 3 <= depth <= DEPTH_MAX:
        raise InputError(f"depth: {depth}, expected 3 to {DEPTH_MAX}")
    reach = depth // 2 if kind == "primitive" else depth - 2
    if len(images) and abs(images).max() * reach >= HALF:
        raise InputError(
            f"net: an edge reaches {abs(images).max()} cells away; use a supercell or put the "
            "vertices together"
        )
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
    totals = through[:, 3:].sum(axis=0)
    if (totals % counted).any():
        raise RuntimeError("rings: counts at the vertices do not add up to whole rings")
    counts = through[chosen][:, 3:] if roots is not None else through[:, 3:]
    return RingStatistics(sizes, totals // counted, counts.copy())


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
        self._cutoffs: Cutoffs = {**CUTOFFS_A, **(self.metal_cutoffs_A or {})}

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
                        "size": Column(sizes[even].astype(np.float64)),
                        "rings per node": Column(
                            mean[even] / self._nodes, "", error[even] / self._nodes
                        ),
                    },
                    "bars",
                    f"{TITLES[self.kind]} rings of nodes and linkers",
                ),
                "series": series_table(
                    self._record.stamps,
                    f"{TITLES[self.kind]} rings over time",
                    rings=Column(series),
                ),
            },
            sampling=sampling,
        )
