"""Compiled search for King's rings in a periodic graph.

At each corner, a vertex and two of its neighbours, the graph is searched breadth first from the one
neighbour, around the vertex, for the other: King, Nature 1967, 213, 1112. A ring that is the
shortest at several of its corners is counted at the lowest of them.
"""

from __future__ import annotations

import numpy as np

from mofmd.compiled import compiled
from mofmd.topology.ring_search import Graph, explore, find_slot, pack, shortest_ways

FIRST_REACH = 6
NEVER = 1 << 30


def search_king_rings(graph: Graph, depth: int) -> np.ndarray:
    """Count the rings through each vertex of the cell: (vertices, depth + 1)."""
    degrees = np.diff(graph.starts)
    # corners of a vertex: pairs of its edges, the lower one first
    corners = np.concatenate([[0], np.cumsum(degrees * (degrees - 1) // 2)]).astype(np.int64)
    shortest = np.full(int(corners[-1]), NEVER, dtype=np.int64)
    through = np.zeros((len(graph.chosen), depth + 1), dtype=np.int64)
    size = 1 << 12
    while not _search(graph, depth, corners, shortest, size, through):
        size *= 4
        shortest[:] = NEVER
        through[:] = 0
    return through


@compiled
def _search(  # noqa: PLR0912, PLR0913, PLR0917 - one loop over corners, plain arrays
    graph: Graph,
    depth: int,
    corners: np.ndarray,
    shortest: np.ndarray,
    size: int,
    through: np.ndarray,
) -> bool:
    """Sizes of the rings at all corners first, then the rings; whether the tables were enough."""
    starts, neighbours, shifts, chosen = graph
    degree = 0
    for vertex in range(len(chosen)):
        degree = max(degree, starts[vertex + 1] - starts[vertex])
    keys = np.empty(2 * size, dtype=np.int64)
    values = np.empty(2 * size, dtype=np.int64)
    nodes = np.empty((size, 4), dtype=np.int64)
    distance = np.empty(size, dtype=np.int64)
    untracked = np.empty((0, 0), dtype=np.int64)
    before = np.zeros((size, 1 + degree), dtype=np.int64)
    ways = np.empty((64, depth), dtype=np.int64)
    ring = np.empty((depth, 4), dtype=np.int64)
    for counting in (False, True):
        for vertex in range(len(chosen)):
            begin, n_edges = starts[vertex], starts[vertex + 1] - starts[vertex]
            for one in range(n_edges - 1):
                tracked = before if counting else untracked
                reach = _reach_of(vertex, one, n_edges, corners, shortest, counting)
                # wider and wider, until all corners of this edge are closed
                while reach > 0:
                    reach = min(reach, depth - 2)
                    edge = begin + one
                    out = -shifts[edge]
                    n = explore(
                        neighbours[edge],
                        reach,
                        pack(vertex, out[0], out[1], out[2]),
                        graph,
                        keys,
                        values,
                        nodes,
                        distance,
                        tracked,
                    )
                    if n < 0:
                        return False
                    closed = True
                    for two in range(one + 1, n_edges):
                        end = shifts[begin + two] + out
                        key = pack(neighbours[begin + two], end[0], end[1], end[2])
                        slot = find_slot(keys, key)
                        corner = corners[vertex] + _corner(one, two, n_edges)
                        if keys[slot] == -1 or distance[values[slot]] == 0:
                            closed = closed and keys[slot] != -1
                            continue
                        if not counting:
                            shortest[corner] = distance[values[slot]] + 2
                            continue
                        length = distance[values[slot]]
                        if length + 2 != shortest[corner]:
                            continue
                        n_ways, ways = shortest_ways(values[slot], length, before, ways)
                        for k in range(n_ways):
                            ring[0, 0] = vertex
                            ring[0, 1:] = 0
                            for m in range(length + 1):
                                ring[1 + m, 0] = nodes[ways[k, m], 0]
                                ring[1 + m, 1:] = nodes[ways[k, m], 1:] - out
                            if _is_lowest(ring, length + 2, graph, corners, shortest):
                                for m in range(length + 2):
                                    through[ring[m, 0], length + 2] += 1
                    if closed or reach == depth - 2 or counting:
                        break
                    reach *= 2
    return True


@compiled
def _reach_of(  # noqa: PLR0913, PLR0917 - plain arrays
    vertex: int,
    one: int,
    n_edges: int,
    corners: np.ndarray,
    shortest: np.ndarray,
    counting: bool,
) -> int:
    """How far to look from an edge: a little at first; then to its largest ring."""
    if not counting:
        return FIRST_REACH
    reach = 0
    for two in range(one + 1, n_edges):
        size = shortest[corners[vertex] + _corner(one, two, n_edges)]
        if size < NEVER:
            reach = max(reach, size - 2)
    return reach


@compiled
def _corner(one: int, two: int, n_edges: int) -> int:
    """Give the number of a pair of edges, one < two, among those of a vertex."""
    return one * (2 * n_edges - one - 1) // 2 + two - one - 1


@compiled
def _edge_to(vertex: np.ndarray, other: np.ndarray, graph: Graph) -> int:
    """Which edge of a vertex leads to another one."""
    begin = graph.starts[vertex[0]]
    for edge in range(begin, graph.starts[vertex[0] + 1]):
        same = graph.neighbours[edge] == other[0]
        for k in range(3):
            same = same and graph.shifts[edge, k] == other[1 + k] - vertex[1 + k]
        if same:
            return int(edge - begin)
    return -1


@compiled
def _is_lowest(
    ring: np.ndarray, size: int, graph: Graph, corners: np.ndarray, shortest: np.ndarray
) -> bool:
    """Whether no corner that comes before the ring's first one finds the same ring."""
    own = -1
    for k in range(size):
        vertex = ring[k]
        one = _edge_to(vertex, ring[k - 1 if k else size - 1], graph)
        two = _edge_to(vertex, ring[(k + 1) % size], graph)
        n_edges = graph.starts[vertex[0] + 1] - graph.starts[vertex[0]]
        corner = corners[vertex[0]] + _corner(min(one, two), max(one, two), n_edges)
        if k == 0:
            own = corner
        elif corner < own:
            if shortest[corner] == size:
                return False
        elif corner == own:
            # of the images of the corner in one ring the lowest counts
            for x in range(1, 4):
                if vertex[x] != 0:
                    if vertex[x] < 0:
                        return False
                    break
    return True
