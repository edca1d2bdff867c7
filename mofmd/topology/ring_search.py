"""Compiled search for primitive rings in a periodic graph.

A vertex of the infinite graph is a vertex of the cell and an image; both are packed into one key.

A closed walk r of even size 2m is a primitive ring if r_k and r_(k+m) are m edges apart for each k,
one of odd size 2m + 1 if r_k is m edges from r_(k+m) and r_(k+m+1) (Yuan and Cormack 2002). So the
rings through a root are walks of *pairs*: from (root, v) to (v, root), the first vertex up a
shortest way to v, the second one down to the root, the pair staying m apart. Walks that meet in a
pair go on as one, with their number: no ring is listed, and few pairs stay apart for long. Listing
the shortest ways instead would take time that grows exponentially with the size in a dense net.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mofmd.compiled import compiled, grown, inlined
from mofmd.errors import InputError

BITS = 10  # of an image in one direction
HALF = 1 << (BITS - 1)
LAST_BIT = 62
STATES = 16  # room for pairs, at first
RINGS_MAX = 1 << 60  # as many as can be counted


class Graph(NamedTuple):
    """A periodic graph as plain arrays.

    Vertex v has neighbours[starts[v] : starts[v + 1]] in the images ``shifts``. Every ring passes
    one of the ``chosen`` vertices at least.
    """

    starts: np.ndarray
    neighbours: np.ndarray
    shifts: np.ndarray
    chosen: np.ndarray


class Ways(NamedTuple):
    """Shortest ways from a root.

    Vertex ``nodes[k]`` follows ``before[k, 1 : 1 + before[k, 0]]`` and leads to those of ``after``;
    ``below`` marks the vertices on ways to one end.
    """

    nodes: np.ndarray
    before: np.ndarray
    after: np.ndarray
    below: np.ndarray


class Tables(NamedTuple):
    """Distances from each chosen vertex to all within reach.

    Vertex v has keys[begins[v] : begins[v + 1]], a hash table, and their distances.
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
    one on shortest ways from the root, and those vertices. With a vertex ``blocked``, given by its
    key, ways go around it.
    """
    starts, neighbours, shifts, _ = graph
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
            if track:
                found = values[slot]
                if distance[found] == distance[head] + 1:
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
        room = 2
        while room < 2 * n:
            room *= 2
        end = begins[v] + room
        if end > len(all_keys):
            longer = np.empty(2 * end, dtype=np.int64)
            longer[: len(all_keys)] = all_keys
            all_keys = longer
            more = np.empty(len(longer), dtype=np.uint8)
            more[: len(all_distances)] = all_distances
            all_distances = more
        own = all_keys[begins[v] : end]
        own[:] = -1
        for k in range(n):
            key = pack(nodes[k, 0], nodes[k, 1], nodes[k, 2], nodes[k, 3])
            slot = find_slot(own, key)
            own[slot] = key
            all_distances[begins[v] + slot] = distance[k]
        begins[v + 1] = end
    return begins, all_keys[: begins[-1]].copy(), all_distances[: begins[-1]].copy()


def search_rings(graph: Graph, depth: int, tables: Tables) -> np.ndarray:
    """Count the rings through each vertex of the cell: (vertices, depth + 1).

    In a graph whose edges all join a chosen vertex with another one, only those of the chosen ones
    are counted: the others have no table of distances.
    """
    # a table has room for twice as many
    size = max(1 << 12, int(np.diff(tables.begins).max(initial=1)))
    through = np.zeros((len(graph.chosen), depth + 1), dtype=np.int64)
    if not _search(graph, depth, tables, is_bipartite(graph), size, through):
        raise InputError(
            f"rings: more than {RINGS_MAX:.0e} rings pass one vertex; look at a smaller depth"
        )
    return through


def is_bipartite(graph: Graph) -> bool:
    """Whether every edge joins a chosen vertex with one that is not."""
    ends = np.repeat(np.arange(len(graph.chosen)), np.diff(graph.starts))
    return bool((graph.chosen[ends] != graph.chosen[graph.neighbours]).all())


@inlined
def _lookup(tables: Tables, vertex: int, key: int) -> int:
    """Distance from a chosen vertex of the cell to a key; 255 if it is out of reach."""
    begins, keys, distances = tables
    own = keys[begins[vertex] : begins[vertex + 1]]
    slot = find_slot(own, key)
    return 255 if own[slot] == -1 else int(distances[begins[vertex] + slot])


@inlined
def _apart(a: np.ndarray, b: np.ndarray, wanted: int, graph: Graph, tables: Tables) -> bool:
    """Whether two vertices are at least so many edges apart.

    One of them has a table, or all its neighbours have.
    """
    starts, neighbours, shifts, chosen = graph
    if not chosen[a[0]] and chosen[b[0]]:
        a, b = b, a
    x, y, z = b[1] - a[1], b[2] - a[2], b[3] - a[3]
    if a[0] == b[0] and x == 0 and y == 0 and z == 0:
        return False
    if max(abs(x), abs(y), abs(z)) >= HALF:  # farther than any table reaches
        return True
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
                ways = grown(ways)
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
def _search(  # noqa: PLR0913, PLR0917 - plain values
    graph: Graph, depth: int, tables: Tables, bipartite: bool, size: int, through: np.ndarray
) -> bool:
    """Fill in the rings through each vertex; whether their numbers can be counted."""
    starts, neighbours, shifts, chosen = graph
    slots = np.empty(2 * size, dtype=np.int64)
    values = np.empty(2 * size, dtype=np.int64)
    nodes = np.empty((size, 4), dtype=np.int64)
    distance = np.empty(size, dtype=np.int64)
    degree = 0
    for vertex in range(len(chosen)):
        degree = max(degree, starts[vertex + 1] - starts[vertex])
    before = np.zeros((size, 1 + degree), dtype=np.int64)
    after = np.zeros((size, 1 + degree), dtype=np.int64)
    begun = np.zeros(size, dtype=np.int64)
    below = np.full(size, -1, dtype=np.int64)
    queue = np.empty(size, dtype=np.int64)
    for root in range(len(chosen)):
        if bipartite and not chosen[root]:
            continue
        n = explore(root, depth // 2, -1, graph, slots, values, nodes, distance, before)
        _turn(n, before, after)
        _begin(n, before, after, begun)
        below[:n] = -1
        for top in range(1, n):
            m = distance[top]
            ways = Ways(nodes, before, after, below)
            if m > 1 and _may_close(top, m, nodes, before, after, begun, graph, tables):
                _mark(top, before, below, queue)
                through[root, 2 * m] += _walks(top, top, m, ways, graph, tables)
                if through[root, 2 * m] > RINGS_MAX:
                    return False
            if bipartite or 2 * m + 1 > depth:
                continue
            vertex = nodes[top, 0]
            for k in range(starts[vertex], starts[vertex + 1]):
                key = pack(
                    neighbours[k],
                    nodes[top, 1] + shifts[k, 0],
                    nodes[top, 2] + shifts[k, 1],
                    nodes[top, 3] + shifts[k, 2],
                )
                slot = find_slot(slots, key)
                if slots[slot] == -1 or distance[values[slot]] != m:
                    continue
                other = values[slot]
                # ways to both that begin alike are nearer than m from one another
                if after[0, 0] <= LAST_BIT and (
                    begun[top] & ~begun[other] == 0 or begun[other] & ~begun[top] == 0
                ):
                    continue
                if below[top] != top:
                    _mark(top, before, below, queue)
                through[root, 2 * m + 1] += _walks(top, other, m, ways, graph, tables)
                if through[root, 2 * m + 1] > RINGS_MAX:
                    return False
    # each ring was walked both ways round
    through //= 2
    return True


@compiled
def _turn(n: int, before: np.ndarray, after: np.ndarray) -> None:
    """Vertices after each one on shortest ways from the root, from those before."""
    after[:n, 0] = 0
    for node in range(n):
        for k in range(1, before[node, 0] + 1):
            lower = before[node, k]
            after[lower, 0] += 1
            after[lower, after[lower, 0]] = node


@compiled
def _begin(n: int, before: np.ndarray, after: np.ndarray, begun: np.ndarray) -> None:
    """Which edges of the root the shortest ways to each vertex begin with: a bit for each.

    Edges beyond the last bit share it.
    """
    begun[:n] = 0
    for k in range(after[0, 0]):
        begun[after[0, 1 + k]] = np.int64(1) << min(k, LAST_BIT)
    for node in range(1, n):
        for k in range(1, before[node, 0] + 1):
            begun[node] |= begun[before[node, k]]


@compiled
def _may_close(  # noqa: PLR0913, PLR0917 - plain arrays
    top: int,
    m: int,
    nodes: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    begun: np.ndarray,
    graph: Graph,
    tables: Tables,
) -> bool:
    """Whether any walk of pairs from (root, top) makes its first step: few do."""
    for j in range(1, before[top, 0] + 1):
        down = before[top, j]
        # an edge that a way to ``down`` begins with leads closer than m to it
        left = begun[top] & ~begun[down]
        if before[top, 0] > 1 and after[0, 0] > LAST_BIT:
            left |= np.int64(1) << LAST_BIT
        for k in range(after[0, 0]):
            if (left >> min(k, LAST_BIT)) & 1 and _apart(
                nodes[after[0, 1 + k]], nodes[down], m, graph, tables
            ):
                return True
    return False


@compiled
def _mark(top: int, before: np.ndarray, below: np.ndarray, queue: np.ndarray) -> None:
    """Give ``below`` the number of a vertex at all vertices on shortest ways to it."""
    below[top] = top
    queue[0] = top
    head, tail = 0, 1
    while head < tail:
        node = queue[head]
        head += 1
        for k in range(1, before[node, 0] + 1):
            lower = before[node, k]
            if below[lower] != top:
                below[lower] = top
                queue[tail] = lower
                tail += 1


@compiled
def _walks(  # noqa: PLR0913, PLR0917 - the ends, and what is known of the graph
    top: int, other: int, m: int, ways: Ways, graph: Graph, tables: Tables
) -> int:
    """Count the walks of pairs m apart, from (root, other) to (top, root).

    The first one goes up to ``top``, the second one down from ``other``: the same vertex in a ring
    of even size, its neighbour in one of odd size.
    """
    nodes, before, after, below = ways
    odd = top != other
    state = np.empty((STATES, 3), dtype=np.int64)
    following = np.empty((STATES, 3), dtype=np.int64)
    state[0, 0] = 0
    state[0, 1] = other
    state[0, 2] = 1
    n_states = 1
    for _ in range(m):
        n_following = 0
        for s in range(n_states):
            first, second = state[s, 0], state[s, 1]
            for k in range(1, after[first, 0] + 1):
                up = after[first, k]
                if below[up] != top:
                    continue
                if odd and not _apart(nodes[up], nodes[second], m, graph, tables):
                    continue
                for j in range(1, before[second, 0] + 1):
                    down = before[second, j]
                    if not _apart(nodes[up], nodes[down], m, graph, tables):
                        continue
                    if n_following == len(following):
                        following = grown(following)
                    following[n_following, 0] = up
                    following[n_following, 1] = down
                    following[n_following, 2] = state[s, 2]
                    n_following += 1
        if n_following == 0:
            return 0
        state, following = following, state
        n_states = n_following if n_following == 1 else _merge(state, n_following, len(below))
    return int(state[0, 2])


@compiled
def _merge(state: np.ndarray, n: int, size: int) -> int:
    """Add up the numbers of equal pairs (first, second, number); how many different ones are left.

    Numbers end at ``RINGS_MAX`` + 1, which more walks cannot bring back below it.
    """
    order = np.argsort(state[:n, 0] * size + state[:n, 1])
    pairs = state[:n].copy()
    last = -1
    for k in order:
        if last >= 0 and state[last, 0] == pairs[k, 0] and state[last, 1] == pairs[k, 1]:
            state[last, 2] = min(RINGS_MAX + 1, state[last, 2] + pairs[k, 2])
        else:
            last += 1
            state[last] = pairs[k]
    return last + 1
