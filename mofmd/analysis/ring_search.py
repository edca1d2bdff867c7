"""Compiled search for primitive rings in a periodic graph.

A vertex of the infinite graph is a vertex of the cell and an image; both are packed into one key.
From each root the graph is searched breadth first to half the depth. A ring of even size 2m through
the root is two ways of m edges to one opposite vertex, one of odd size 2m + 1 two ways of m edges
to two vertices that are joined. Ways with a lower root than their own are left out, so that each
ring is found from its lowest root alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mofmd.compiled import compiled

BITS = 7
HALF = 1 << (BITS - 1)
MASK = (1 << BITS) - 1


class Graph(NamedTuple):
    """A periodic graph as plain arrays.

    Vertex v has neighbours[starts[v] : starts[v + 1]] in the images ``shifts``. Every ring passes
    one of the ``chosen`` vertices at least.
    """

    starts: np.ndarray
    neighbours: np.ndarray
    shifts: np.ndarray
    chosen: np.ndarray


class Tables(NamedTuple):
    """Distances from each chosen vertex to all within reach.

    Vertex v has keys[begins[v] : begins[v + 1]], sorted, and their distances.
    """

    begins: np.ndarray
    keys: np.ndarray
    distances: np.ndarray


@compiled
def pack(vertex: int, x: int, y: int, z: int) -> int:
    """Key of a vertex in an image."""
    return (((((vertex << BITS) | (x + HALF)) << BITS) | (y + HALF)) << BITS) | (z + HALF)


@compiled
def find_slot(keys: np.ndarray, key: int) -> int:
    """Where a key is in a hash table, or where it would go; −1 marks a free slot."""
    mask = len(keys) - 1
    mixed = key * 0x9E3779B97F4A7C1
    slot = (mixed ^ (mixed >> 29)) & mask
    while keys[slot] != -1 and keys[slot] != key:
        slot = (slot + 1) & mask
    return slot


@compiled
def explore(  # noqa: PLR0913, PLR0917 - plain arrays
    root: int,
    reach: int,
    blocked: int,
    graph: Graph,
    keys: np.ndarray,
    values: np.ndarray,
    nodes: np.ndarray,
    distance: np.ndarray,
    before: np.ndarray,
) -> int:
    """Search from a root; vertices found, in order of distance, or −1 if the tables are too small.

    nodes (n, 4) holds vertex and image, distance (n,) its distance; keys and values map back.
    before (n, 1 + degree), if it has columns, holds the number of vertices that come before each
    one on shortest ways from the root which pass no lower chosen vertex, and those vertices. With a
    vertex ``blocked``, given by its key, ways go around it, and may pass lower ones.
    """
    starts, neighbours, shifts, chosen = graph
    track = before.shape[1] > 0
    keys[:] = -1
    nodes[0, 0] = root
    nodes[0, 1:] = 0
    distance[0] = 0
    first = find_slot(keys, pack(root, 0, 0, 0))
    keys[first] = pack(root, 0, 0, 0)
    values[first] = 0
    head, tail = 0, 1
    while head < tail:
        if distance[head] == reach:
            break
        vertex = nodes[head, 0]
        for k in range(starts[vertex], starts[vertex + 1]):
            other = neighbours[k]
            x = nodes[head, 1] + shifts[k, 0]
            y = nodes[head, 2] + shifts[k, 1]
            z = nodes[head, 3] + shifts[k, 2]
            key = pack(other, x, y, z)
            if key == blocked:
                continue
            slot = find_slot(keys, key)
            if keys[slot] == -1:
                if tail == len(nodes):
                    return -1
                keys[slot] = key
                values[slot] = tail
                nodes[tail, 0] = other
                nodes[tail, 1] = x
                nodes[tail, 2] = y
                nodes[tail, 3] = z
                distance[tail] = distance[head] + 1
                if track:
                    before[tail, 0] = 0
                tail += 1
            if track and (head == 0 or before[head, 0] > 0):
                found = values[slot]
                lower = blocked < 0 and chosen[other] and other < root
                if distance[found] == distance[head] + 1 and not lower:
                    before[found, 0] += 1
                    before[found, before[found, 0]] = head
        head += 1
    return tail


def distance_tables(graph: Graph, reach: int) -> Tables:
    """Distances from each chosen vertex to all within reach."""
    size = 1 << 12
    while True:
        tables = Tables(*_tables(graph, reach, size))
        if len(tables.begins):
            return tables
        size *= 4


@compiled
def _tables(graph: Graph, reach: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chosen = graph.chosen
    n_vertices = len(chosen)
    keys = np.empty(2 * size, dtype=np.int64)
    values = np.empty(2 * size, dtype=np.int64)
    nodes = np.empty((size, 4), dtype=np.int64)
    distance = np.empty(size, dtype=np.int64)
    untracked = np.empty((0, 0), dtype=np.int64)
    begins = np.zeros(n_vertices + 1, dtype=np.int64)
    all_keys = np.empty(size, dtype=np.int64)
    all_distances = np.empty(size, dtype=np.uint8)
    for v in range(n_vertices):
        begins[v + 1] = begins[v]
        if not chosen[v]:
            continue
        n = explore(v, reach, -1, graph, keys, values, nodes, distance, untracked)
        if n < 0:
            return np.empty(0, dtype=np.int64), all_keys, all_distances
        while begins[v] + n > len(all_keys):
            grown = np.empty(2 * len(all_keys), dtype=np.int64)
            grown[: len(all_keys)] = all_keys
            all_keys = grown
            more = np.empty(len(grown), dtype=np.uint8)
            more[: len(all_distances)] = all_distances
            all_distances = more
        own = np.empty(n, dtype=np.int64)
        for k in range(n):
            own[k] = pack(nodes[k, 0], nodes[k, 1], nodes[k, 2], nodes[k, 3])
        order = np.argsort(own)
        for k in range(n):
            all_keys[begins[v] + k] = own[order[k]]
            all_distances[begins[v] + k] = distance[order[k]]
        begins[v + 1] = begins[v] + n
    return begins, all_keys[: begins[-1]].copy(), all_distances[: begins[-1]].copy()


def search_rings(graph: Graph, depth: int, tables: Tables) -> np.ndarray:
    """Count the rings through each vertex of the cell: (vertices, depth + 1)."""
    size = max(1 << 12, 2 * int(np.diff(tables.begins).max(initial=1)))
    size = 1 << (size - 1).bit_length()
    through = np.zeros((len(graph.chosen), depth + 1), dtype=np.int64)
    _search(graph, depth, tables, size, through)
    return through


@compiled
def _lookup(tables: Tables, vertex: int, key: int) -> int:
    """Distance from a chosen vertex of the cell to a key; 255 if it is out of reach."""
    begins, keys, distances = tables
    low, high = begins[vertex], begins[vertex + 1]
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low < begins[vertex + 1] and keys[low] == key:
        return int(distances[low])
    return 255


@compiled
def _apart(a: np.ndarray, b: np.ndarray, wanted: int, graph: Graph, tables: Tables) -> bool:
    """Whether two vertices are at least so many edges apart.

    One of them has a table, or all its neighbours have.
    """
    starts, neighbours, shifts, chosen = graph
    if not chosen[a[0]] and chosen[b[0]]:
        a, b = b, a
    x, y, z = b[1] - a[1], b[2] - a[2], b[3] - a[3]
    if chosen[a[0]]:
        return _lookup(tables, a[0], pack(b[0], x, y, z)) >= wanted
    for k in range(starts[a[0]], starts[a[0] + 1]):
        key = pack(b[0], x - shifts[k, 0], y - shifts[k, 1], z - shifts[k, 2])
        if 1 + _lookup(tables, neighbours[k], key) < wanted:
            return False
    return True


@compiled
def shortest_ways(
    end: int, length: int, before: np.ndarray, ways: np.ndarray
) -> tuple[int, np.ndarray]:
    """All shortest ways from a vertex back to the root, as ``before`` allows them.

    ways (n, length + 1) holds indices of ``nodes``, by distance from the root.
    """
    way = np.empty(length + 1, dtype=np.int64)
    cursor = np.empty(length + 1, dtype=np.int64)
    way[length] = end
    level = length
    cursor[level] = 0
    n_ways = 0
    while level <= length:
        if level == 0:
            if n_ways == len(ways):
                grown = np.empty((2 * len(ways), ways.shape[1]), dtype=np.int64)
                grown[: len(ways)] = ways
                ways = grown
            ways[n_ways, : length + 1] = way
            n_ways += 1
            level += 1
            continue
        node = way[level]
        if cursor[level] == before[node, 0]:
            level += 1
            continue
        cursor[level] += 1
        level -= 1
        way[level] = before[node, cursor[level + 1]]
        cursor[level] = 0
    return n_ways, ways


@compiled
def _is_primitive(
    ring: np.ndarray, size: int, nodes: np.ndarray, graph: Graph, tables: Tables
) -> bool:
    """Whether opposite vertices are as far apart in the graph as in the ring."""
    half = size // 2
    for k in range(size if size % 2 else half):
        one, two = nodes[ring[k]], nodes[ring[(k + half) % size]]
        if not _apart(one, two, half, graph, tables):
            return False
    return True


@compiled
def _search(  # noqa: PLR0912 - one loop over roots
    graph: Graph, depth: int, tables: Tables, size: int, through: np.ndarray
) -> None:
    starts, neighbours, shifts, chosen = graph
    slots = np.empty(2 * size, dtype=np.int64)
    values = np.empty(2 * size, dtype=np.int64)
    nodes = np.empty((size, 4), dtype=np.int64)
    distance = np.empty(size, dtype=np.int64)
    one = np.empty((64, depth // 2 + 1), dtype=np.int64)
    two = np.empty((64, depth // 2 + 1), dtype=np.int64)
    ring = np.empty(depth + 1, dtype=np.int64)
    degree = 0
    bipartite = True
    for vertex in range(len(chosen)):
        degree = max(degree, starts[vertex + 1] - starts[vertex])
        for k in range(starts[vertex], starts[vertex + 1]):
            bipartite = bipartite and chosen[vertex] != chosen[neighbours[k]]
    before = np.zeros((size, 1 + degree), dtype=np.int64)
    for root in range(len(chosen)):
        if not chosen[root]:
            continue
        n = explore(root, depth // 2, -1, graph, slots, values, nodes, distance, before)
        for end in range(1, n):
            m = distance[end]
            if before[end, 0] == 0 or (before[end, 0] == 1 and bipartite):
                continue
            n_one, one = shortest_ways(end, m, before, one)
            # even: two ways to the same vertex
            for i in range(n_one):
                for j in range(i):
                    if _disjoint(one[i], one[j], m - 1):
                        _close(one[i], one[j], m, m - 1, ring)
                        if _is_primitive(ring, 2 * m, nodes, graph, tables):
                            _count(ring, 2 * m, root, nodes, through)
            if bipartite or 2 * m + 1 > depth:
                continue
            # odd: ways to two vertices that are joined, both at this distance
            vertex = nodes[end, 0]
            for k in range(starts[vertex], starts[vertex + 1]):
                key = pack(
                    neighbours[k],
                    nodes[end, 1] + shifts[k, 0],
                    nodes[end, 2] + shifts[k, 1],
                    nodes[end, 3] + shifts[k, 2],
                )
                slot = find_slot(slots, key)
                if slots[slot] == -1:
                    continue
                other = values[slot]
                if other <= end or distance[other] != m or before[other, 0] == 0:
                    continue
                n_two, two = shortest_ways(other, m, before, two)
                for i in range(n_one):
                    for j in range(n_two):
                        if _disjoint(one[i], two[j], m):
                            _close(one[i], two[j], m, m, ring)
                            if _is_primitive(ring, 2 * m + 1, nodes, graph, tables):
                                _count(ring, 2 * m + 1, root, nodes, through)


@compiled
def _disjoint(one: np.ndarray, two: np.ndarray, last: int) -> bool:
    """Whether two ways share no vertex but the root; a shared one has the same distance in both."""
    for k in range(1, last + 1):  # noqa: SIM110 - numba compiles no generator
        if one[k] == two[k]:
            return False
    return True


@compiled
def _close(one: np.ndarray, two: np.ndarray, m: int, last: int, ring: np.ndarray) -> None:
    """Ring along the first way from the root, and back along the second."""
    for k in range(m + 1):
        ring[k] = one[k]
    for k in range(last):
        ring[m + 1 + k] = two[last - k]


@compiled
def _count(ring: np.ndarray, size: int, root: int, nodes: np.ndarray, through: np.ndarray) -> None:
    """Count a ring at its vertices, once for all images of the root that it passes."""
    for k in range(size):
        node = ring[k]
        # of the images of the root in the ring the lowest one counts
        if nodes[node, 0] == root and (
            nodes[node, 1] < 0
            or (nodes[node, 1] == 0 and nodes[node, 2] < 0)
            or (nodes[node, 1] == 0 and nodes[node, 2] == 0 and nodes[node, 3] < 0)
        ):
            return
    for k in range(size):
        through[nodes[ring[k], 0], size] += 1
