import json
import resource
from collections import Counter, deque
from itertools import combinations, product

import networkx
import numpy as np
import pytest
from ase import Atoms
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st

from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.rings import Rings, graph_rings, king_rings, primitive_rings
from mofmd.errors import InputError
from mofmd.reading.read import read_structure
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
from mofmd.topology.building_units import Net, find_net, find_units
from tests.analysis.test_observables import structure
from tests.reference import reference_path
from tests.trajectories import trajectory_of

COMPILATION_S = 20  # of loops that were never called before
CUTOFFS = {("Zn", "N"): 2.5}
STRUCTURES = ("crystal", "glass01", "glass02", "glass03", "glass04", "glass05", "reaxff")


def graph(*edges: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(edges).reshape(-1, 5)
    return table[:, :2], table[:, 2:]


def cycle(n: int) -> list[tuple[int, ...]]:
    return [(k, (k + 1) % n, 0, 0, 0) for k in range(n)]


def naive_rings(n_vertices, edges, images, depth) -> Counter:
    """Every simple cycle through each vertex, checked for shortcuts between all its pairs."""
    neighbours = [[] for _ in range(n_vertices)]
    for (u, v), shift in zip(edges.tolist(), images.tolist(), strict=True):
        neighbours[u].append((v, tuple(shift)))
        neighbours[v].append((u, tuple(-x for x in shift)))
    around = [set(of_one) for of_one in neighbours]

    def step(place):
        vertex, *image = place
        for other, shift in around[vertex]:
            yield (other, *(a + b for a, b in zip(image, shift, strict=True)))

    def distances(start):
        found, queue = {start: 0}, deque([start])
        while queue:
            place = queue.popleft()
            if found[place] < depth // 2:
                for other in step(place):
                    if other not in found:
                        found[other] = found[place] + 1
                        queue.append(other)
        return found

    tables = [distances((v, 0, 0, 0)) for v in range(n_vertices)]

    def apart(a, b):
        moved = (b[0], *(y - x for x, y in zip(a[1:], b[1:], strict=True)))
        return tables[a[0]].get(moved, 10**6)

    def is_ring(way):
        n = len(way)
        return all(
            apart(way[i], way[j]) >= min(j - i, n - j + i)
            for i in range(n)
            for j in range(i + 1, n)
        )

    rings = set()

    def extend(way):
        for other in step(way[-1]):
            if other == way[0] and len(way) > 2 and is_ring(way):
                rings.add(canonical(way))
            # a shortest-path ring never leaves half its size from its start
            if other not in way and len(way) < depth and apart(way[0], other) <= depth - len(way):
                extend([*way, other])

    for vertex in range(n_vertices):
        extend([(vertex, 0, 0, 0)])
    return Counter(len(ring) for ring in rings)


def canonical(way) -> frozenset:
    """Ring as a set of places, moved so that it is the same for all its images."""
    first = min(place[0] for place in way)
    forms = []
    for place in way:
        if place[0] == first:
            forms.append(
                sorted((p[0], *(a - b for a, b in zip(p[1:], place[1:], strict=True))) for p in way)
            )
    return frozenset(min(forms))


@pytest.mark.parametrize("n", [3, 4, 5, 12, 31, 32])
def test_one_ring(n):
    assert graph_rings(n, *graph(*cycle(n))).as_dict() == {n: 1}


def test_a_ring_beyond_the_depth_is_not_found():
    assert graph_rings(33, *graph(*cycle(33))).as_dict() == {}
    assert graph_rings(12, *graph(*cycle(12)), depth=11).as_dict() == {}
    assert graph_rings(12, *graph(*cycle(12)), depth=12).as_dict() == {12: 1}


def test_a_chord_makes_two_rings_of_one():
    assert graph_rings(10, *graph(*cycle(10), (0, 4, 0, 0, 0))).as_dict() == {5: 1, 7: 1}


@pytest.mark.parametrize(
    ("name", "vertices", "edges", "expected"),
    [
        ("chain", 1, [(0, 0, 1, 0, 0)], {}),
        ("square", 1, [(0, 0, 1, 0, 0), (0, 0, 0, 1, 0)], {4: 1}),
        ("honeycomb", 2, [(0, 1, 0, 0, 0), (0, 1, -1, 0, 0), (0, 1, 0, -1, 0)], {6: 1}),
        # diamond has 12 rings of six through each vertex: 12 · 2/6 per primitive cell
        (
            "diamond",
            2,
            [(0, 1, 0, 0, 0), (0, 1, -1, 0, 0), (0, 1, 0, -1, 0), (0, 1, 0, 0, -1)],
            {6: 4},
        ),
        # primitive cubic: squares, and the skew hexagons around the body diagonals of each cube
        ("cubic", 1, [(0, 0, 1, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1)], {4: 3, 6: 4}),
    ],
)
def test_lattices(name, vertices, edges, expected):
    found = graph_rings(vertices, *graph(*edges), depth=16)
    assert found.as_dict() == expected, name
    assert (found.per_node.sum(axis=0) == found.per_cell * found.sizes).all()


FCC = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, -1, 0), (1, 0, -1), (0, 1, -1)]


def test_dense_nets():
    """UiO-66 is the net of close-packed spheres: 8 triangles and 3 squares a node, no others.

    There are 8 tetrahedra and 8 octahedra at each sphere of 12 neighbours: 24 triangles through it,
    24/3 a node, and through each octahedron three squares, one octahedron a node.
    """
    assert graph_rings(1, *graph(*((0, 0, *v) for v in FCC)), depth=16).as_dict() == {3: 8, 4: 3}
    net = find_net(find_units(Frame.from_ase(read_structure("uio-66"))))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    found = primitive_rings(net, depth=32)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 10 + COMPILATION_S
    # each edge of the net holds a linker: sizes are doubled
    assert found.as_dict() == {6: 4 * 8, 8: 4 * 3}
    assert (found.per_node[:, [3, 5]] == [24, 12]).all()
    assert primitive_rings(net, depth=64).as_dict() == found.as_dict()


def test_uio66_agrees_with_brute_force():
    atoms = read_structure("uio-66")
    primitive = Atoms(
        cell=np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]]) @ atoms.cell[:] / 2, pbc=True
    )
    # one of each four atoms that differ by a face centring
    kept: list[int] = []
    fractional = atoms.positions @ np.linalg.inv(primitive.cell[:])
    for k, place in enumerate(fractional):
        shift = fractional[kept] - place
        if not (abs(shift - np.round(shift)).max(axis=1) < 1e-3).any():
            kept.append(k)
    primitive += atoms[kept]
    assert len(primitive) == 114
    net = find_net(find_units(Frame.from_ase(primitive)))
    expected = naive_rings(net.n_nodes + net.n_linkers, net.edges, net.images, 12)
    assert primitive_rings(net, depth=12).as_dict() == dict(expected) == {6: 8, 8: 3}


def test_many_ways_through_one_pair():
    """Numbers of rings that no list could hold: a ladder of squares in a row, twice as many ways.

    Opposite corners of a chain of m diamonds are joined by 2^m shortest ways; two such chains that
    share their ends make rings of each way of one with each way of the other.
    """
    m, edges = 10, []
    for side in range(2):
        for k in range(m):
            first, last = (0 if k == 0 else 100 * side + 10 * k, 100 * side + 10 * (k + 1))
            last = 1 if k == m - 1 else last
            for middle in (1, 2):
                corner = 500 + 100 * side + 10 * k + middle
                edges += [(first, corner, 0, 0, 0), (corner, last, 0, 0, 0)]
    names = {v: k for k, v in enumerate(dict.fromkeys(x for e in edges for x in e[:2]))}
    table = [(names[a], names[b], *image) for a, b, *image in edges]
    found = graph_rings(len(names), *graph(*table), depth=4 * m).as_dict()
    assert found == {4: 2 * m, 4 * m: 2 ** (2 * m)}


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 2), *[st.integers(-1, 1)] * 3),
        min_size=1,
        max_size=7,
    ),
)
def test_linkers_of_two_are_edges(n_nodes, drawn):
    """The net without its linkers gives the rings of the net with them, parallel linkers too."""
    edges, images, n_linkers = [], [], 0
    for first, second, *shift in drawn:
        u, v = first % n_nodes, second % n_nodes
        linker = n_nodes + n_linkers
        ends = {(u, 0, 0, 0), (v, *shift)}
        for node, *image in ends:
            edges.append((node, linker))
            images.append([-x for x in image])
        n_linkers += 1
    net = Net(n_nodes, n_linkers, np.array(edges), np.array(images))
    plain = graph_rings(n_nodes + n_linkers, net.edges, net.images, depth=14, roots=range(n_nodes))
    found = primitive_rings(net, depth=14)
    assert found.as_dict() == plain.as_dict()
    assert (found.per_node == plain.per_node).all()


def draw_graph(data) -> tuple[int, np.ndarray, np.ndarray] | None:
    """A few vertices and edges, also to other images."""
    n = data.draw(st.integers(1, 4))
    one = st.tuples(
        st.integers(0, n - 1), st.integers(0, n - 1), *[st.integers(-1, 1)] * 2, st.just(0)
    )
    drawn = data.draw(st.lists(one, min_size=1, max_size=6))
    kept = {}
    for u, v, *shift in drawn:
        if u == v and not any(shift):
            continue
        a = (u, v, *shift)
        b = (v, u, *(-x for x in shift))
        kept[min(a, b)] = None
    return (n, *graph(*kept)) if kept else None


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_agrees_with_brute_force(data):
    drawn = draw_graph(data)
    if drawn is None:
        return
    n, edges, images = drawn
    assert graph_rings(n, edges, images, depth=7).as_dict() == dict(
        naive_rings(n, edges, images, 7)
    )


def naive_king_rings(n_vertices, edges, images, depth) -> Counter:
    """Shortest ways between two neighbours of a vertex, around it, in a piece of the net."""
    reach = range(-depth // 2, depth // 2 + 1)
    net = networkx.Graph()
    for x, y in product(reach, reach):
        for (u, v), shift in zip(edges.tolist(), images.tolist(), strict=True):
            net.add_edge((u, x, y, 0), (v, x + shift[0], y + shift[1], shift[2]))
    rings = set()
    for vertex in range(n_vertices):
        home = (vertex, 0, 0, 0)
        if home not in net:
            continue
        around = net.subgraph(set(net) - {home})
        for one, two in combinations(net[home], 2):
            if networkx.has_path(around, one, two):
                for way in networkx.all_shortest_paths(around, one, two):
                    if len(way) < depth:
                        rings.add(canonical([home, *way]))
    return Counter(len(ring) for ring in rings)


@pytest.mark.parametrize(
    ("name", "vertices", "edges", "expected"),
    [
        ("chain", 1, [(0, 0, 1, 0, 0)], {}),
        # an edge and the one opposite to it are joined around two squares
        ("square", 1, [(0, 0, 1, 0, 0), (0, 0, 0, 1, 0)], {4: 1, 6: 2}),
        ("honeycomb", 2, [(0, 1, 0, 0, 0), (0, 1, -1, 0, 0), (0, 1, 0, -1, 0)], {6: 1}),
        (
            "diamond",
            2,
            [(0, 1, 0, 0, 0), (0, 1, -1, 0, 0), (0, 1, 0, -1, 0), (0, 1, 0, 0, -1)],
            {6: 4},
        ),
        ("cubic", 1, [(0, 0, 1, 0, 0), (0, 0, 0, 1, 0), (0, 0, 0, 0, 1)], {4: 3, 6: 6}),
    ],
)
def test_king_rings_of_lattices(name, vertices, edges, expected):
    found = graph_rings(vertices, *graph(*edges), depth=16, kind="king")
    assert found.as_dict() == expected, name
    assert (found.per_node.sum(axis=0) == found.per_cell * found.sizes).all()


def test_king_rings_of_a_cube():
    # the hexagons around the diagonals are primitive, but no shortest way at any corner
    edges, images = graph(
        *[(a, a ^ bit, 0, 0, 0) for a in range(8) for bit in (1, 2, 4) if a < a ^ bit]
    )
    assert graph_rings(8, edges, images, kind="king").as_dict() == {4: 6}
    assert graph_rings(8, edges, images).as_dict() == {4: 6, 6: 4}


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_king_rings_agree_with_brute_force(data):
    drawn = draw_graph(data)
    if drawn is None:
        return
    n, edges, images = drawn
    found = graph_rings(n, edges, images, depth=8, kind="king")
    assert found.as_dict() == dict(naive_king_rings(n, edges, images, 8))


def test_king_rings_of_the_crystal():
    net = find_net(find_units(Frame.from_ase(zif4())))
    found = king_rings(net)
    primitive = primitive_rings(net).as_dict()
    # every shortest ring of a corner is primitive here
    assert {size: number for size, number in found.as_dict().items() if size == 8} == {8: 4}
    assert all(number <= primitive[size] for size, number in found.as_dict().items())
    double = find_net(find_units(Frame.from_ase(zif4().repeat((1, 2, 1)))))
    assert king_rings(double).as_dict() == {s: 2 * n for s, n in found.as_dict().items()}
    (observed,) = analyse(trajectory_of(zif4()), [Rings(kind="king")])
    assert observed.name == "rings King"
    assert observed.scalars["rings per node"].value == found.per_cell.sum() / 16


def load(name: str) -> Frame:
    if name != "reaxff":
        return Frame.from_ase(structure(name))
    path = reference_path("zif4/reaxff/reaxff_glass_222_300K.data")
    return Frame.from_ase(read(path, format="lammps-data", atom_style="charge", units="metal"))


@pytest.mark.parametrize("name", STRUCTURES)
def test_real_structures(name):
    reference = json.loads(reference_path("reference/structures.json").read_text())[name]["rings"]
    expected = reference["cut2.5"]["primitive_rings_per_cell"]
    net = find_net(find_units(load(name), metal_cutoffs_A=CUTOFFS))
    found = primitive_rings(net)
    assert found.as_dict() == {int(size): number for size, number in expected.items()}
    # the same without a word about nodes and linkers
    every = graph_rings(net.n_nodes + net.n_linkers, net.edges, net.images)
    assert every.as_dict() == found.as_dict()


def test_supercell_has_as_many_per_cell():
    net = find_net(find_units(Frame.from_ase(zif4().repeat((2, 1, 2)))))
    assert primitive_rings(net).as_dict() == {8: 16, 12: 64, 16: 128}


def test_over_time():
    frames = [zif4() for _ in range(3)]
    (found,) = analyse(trajectory_of(*frames), [Rings()])
    sizes = found.tables["sizes"].columns
    per_node = dict(zip(sizes["size"].values, sizes["rings per node"].values, strict=True))
    assert (per_node[8], per_node[12], per_node[16]) == (4 / 16, 1, 2)
    assert found.scalars["rings per node"].value == 52 / 16
    assert found.settings["linkers"] == {"C3H3N2": 32}


def test_refusals():
    edges, images = graph(*cycle(4))
    with pytest.raises(InputError, match="depth: 2, expected 3 to 64"):
        graph_rings(4, edges, images, depth=2)
    with pytest.raises(InputError, match="an edge reaches 40 cells away"):
        graph_rings(2, *graph((0, 1, 40, 0, 0)))
    bare = zif4()
    del bare[[atom.symbol == "Zn" for atom in bare]]
    with pytest.raises(InputError, match="rings: 0 metal nodes and 32 linkers"):
        analyse(trajectory_of(bare), [Rings()])
