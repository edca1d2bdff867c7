"""Blocks, nets and defects of frameworks, against counts, brute force and relaxed structures."""

from collections import Counter
from itertools import combinations, permutations, product

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.optimize import LBFGS
from hypothesis import given, settings
from hypothesis import strategies as st

from mofmd.builders.blocks.blocks import CARBOXYLATE, HeadGroup, find_blocks
from mofmd.builders.blocks.caps import find_cap
from mofmd.builders.blocks.charges import block_charges
from mofmd.builders.defects.characterise import characterise, count_pristine
from mofmd.builders.defects.defects import (
    Defects,
    distinct_linker_defects,
    distinct_substitutions,
    make_defects,
    remove_blocks,
)
from mofmd.builders.defects.random_defects import RandomDefects, draw_defects, parse_amount
from mofmd.builders.nets.block_net import find_block_net
from mofmd.builders.nets.fcu import bcu, find_fcu, reo, scu
from mofmd.builders.nets.orbits import distinct_choices, find_symmetry
from mofmd.errors import InputError
from mofmd.reading.read import read_structure
from mofmd.structures.crystals.carboxylate import mof5, uio66
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
from mofmd.topology.check import check_structure
from tests.reference import reference_path

CRYSTAL = uio66()
BLOCKS = find_blocks(CRYSTAL)
PAIR_CLASSES = [12, 12, 12, 24, 24, 96, 96]
LARGE = CRYSTAL.repeat((2, 2, 1))
LARGE_BLOCKS = find_blocks(LARGE)


def thornton(name: str) -> Atoms:
    return read_structure(reference_path(f"mofs/uio66_thornton2016/UiO66_{name}.cif"))


def curated(name: str) -> Atoms:
    return read_structure(reference_path(f"mofs/curated127/{name}.cif"))


# blocks


@pytest.mark.parametrize(
    ("structure", "bricks", "spacers"),
    [
        (CRYSTAL, {"C12H4O32Zr6": 4}, {"C6H4": 24}),
        (mof5(), {"C6O13Zn4": 8}, {"C6H4": 24}),
    ],
)
def test_blocks_of_the_package(structure, bricks, spacers):
    blocks = find_blocks(structure)
    assert Counter(blocks.formula(k) for k in blocks.nodes) == bricks
    assert Counter(blocks.formula(k) for k in blocks.linkers) == spacers
    assert len(blocks.cuts) == 2 * len(blocks.linkers)


@pytest.mark.parametrize(
    ("name", "brick", "spacer", "coordination"),
    [
        ("UiO-66", "C12H4O32Zr6", "C6H4", 12),
        ("UiO-67", "C12H4O32Zr6", "C12H8", 12),
        ("UiO66ZrNH2", "C12H4O32Zr6", "C6H5N", 12),
        ("HKUST1", "C4Cu2O8", "C6H3", 4),
        ("MIL-125", "C12H4O36Ti8", "C6H4", 12),
        ("MOF-650", "C6O13Zn4", "C10H6", 6),
    ],
)
def test_blocks_of_other_frameworks(name, brick, spacer, coordination):
    blocks = find_blocks(curated(name))
    assert {blocks.formula(k) for k in blocks.nodes} == {brick}
    assert {blocks.formula(k) for k in blocks.linkers} == {spacer}
    assert set(blocks.cuts_of_block[blocks.nodes]) == {coordination}


def test_each_pair_of_bricks_has_four_linkers_in_their_images():
    pairs = Counter()
    for linker in BLOCKS.linkers:
        links = np.flatnonzero(BLOCKS.link_spacers == linker)
        pairs[frozenset(BLOCKS.link_bricks[links].tolist())] += 1
    assert sorted(pairs.values()) == [4] * 6
    links = np.column_stack([BLOCKS.link_bricks, BLOCKS.link_spacers, BLOCKS.link_images])
    assert len(np.unique(links, axis=0)) == 48


def test_cuts_are_the_bonds_of_rings_to_carboxylates():
    cuts = BLOCKS.cuts
    vectors = (
        CRYSTAL.positions[cuts.anchors]
        + cuts.images @ CRYSTAL.cell
        - (CRYSTAL.positions[cuts.heads])
    )
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.49, abs=0.02)
    assert set(CRYSTAL.symbols[cuts.heads]) == set(CRYSTAL.symbols[cuts.anchors]) == {"C"}


def test_blocks_are_the_same_in_a_frame_that_moved_and_wrapped():
    hot = CRYSTAL.copy()
    hot.rattle(0.15, seed=3)
    hot.positions += [7.0, -30.0, 55.0]
    hot.wrap()
    moved = BLOCKS.on(Frame.from_ase(hot))
    for block in (*BLOCKS.nodes, *BLOCKS.linkers):
        own, its = (
            (atoms.positions + blocks.images @ atoms.cell)[BLOCKS.members(block)]
            for atoms, blocks in ((CRYSTAL, BLOCKS), (hot, moved))
        )
        assert np.ptp(own - its, axis=0).max() < 1.5
    vectors = (
        hot.positions[moved.cuts.anchors]
        + moved.cuts.images @ hot.cell
        - (hot.positions[moved.cuts.heads])
    )
    assert np.linalg.norm(vectors, axis=1).max() < 2.2


def test_frames_that_are_not_of_the_reference():
    with pytest.raises(InputError, match="its atoms are not those of the reference"):
        BLOCKS.on(Frame.from_ase(CRYSTAL[::-1]))
    broken = CRYSTAL.copy()
    broken.positions[0] += 4.0
    with pytest.raises(InputError, match=r"are bonded in the reference and .* Å apart here"):
        BLOCKS.on(Frame.from_ase(broken))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (zif4, r"linker C3H3N2 \(atom \d+ and others\) holds metals by N, not by carboxylates"),
        (lambda: curated("MOF-74"), "linker C6H2O2 .* holds metals by O"),
        (lambda: curated("JUK-8cp"), "linker C20H16N6O2 .* holds metals by N"),
        (lambda: curated("MIL-53"), r"the node with atom \d+ is bonded to its own image"),
        (lambda: curated("NOTT-300"), "is bonded to its own image"),
        (lambda: Atoms("Cu", cell=[4, 4, 4], pbc=True), "net: none found: .* 1 metal nodes and 0"),
        (lambda: Atoms("CH4", cell=[9, 9, 9], pbc=True, positions=[
            [4, 4, 4], [5, 4, 4], [3.6, 5, 4], [3.6, 3.5, 4.9], [3.6, 3.5, 3.1]]), "net: none"),
    ],
)  # fmt: skip
def test_structures_that_cannot_be_cut(build, message):
    with pytest.raises(InputError, match=message):
        find_blocks(build())


def test_a_carboxylic_acid_that_holds_no_metal_is_not_cut():
    """One hydrogen of a ring replaced by COOH, upright to the ring."""
    acid = CRYSTAL.copy()
    ring = BLOCKS.members(BLOCKS.linkers[0])
    hydrogen = next(k for k in ring if acid.symbols[k] == "H")
    distances = acid.get_distances(hydrogen, ring, mic=True)
    carbon = ring[np.argsort(distances)[1]]
    along = acid.get_distance(carbon, hydrogen, mic=True, vector=True)
    along /= np.linalg.norm(along)
    others = [k for k in ring if k not in (carbon, hydrogen) and acid.symbols[k] == "C"]
    near = acid.get_distances(carbon, others, mic=True, vector=True)
    normal = np.cross(*near[np.argsort(np.linalg.norm(near, axis=1))[:2]])
    normal /= np.linalg.norm(normal)
    centre = acid.positions[carbon] + 1.49 * along
    oxygens = centre + 0.62 * along + np.array([[1.08], [-1.08]]) * normal
    acid += Atoms("CO2H", [centre, *oxygens, oxygens[0] + 0.97 * normal])
    del acid[hydrogen]
    blocks = find_blocks(acid)
    assert len(blocks.cuts) == 48
    assert Counter(blocks.formula(k) for k in blocks.linkers) == {"C6H4": 23, "C7H4O2": 1}
    assert block_charges(blocks).tolist() == [0] * len(blocks)


def test_another_head_group_may_be_given():
    other = CRYSTAL.copy()
    other.symbols[BLOCKS.cuts.heads] = "Si"
    with pytest.raises(InputError, match="holds metals by O, not by carboxylates"):
        find_blocks(other)
    rule = HeadGroup("silanoate", "Si", "O", 2, charge=-1, hydrogen_bond_A=1.48)
    blocks = find_blocks(other, (CARBOXYLATE, rule))
    assert len(blocks.cuts) == 48
    assert block_charges(blocks).tolist() == [0] * len(blocks)


# nets


def brute_force_classes(points: np.ndarray, operations: list, count: int) -> list[int]:
    """Sizes of the classes of choices of points [fractional] under affine maps, by listing all."""

    def key(point: np.ndarray) -> tuple[int, ...]:
        return tuple(np.rint(point * 48).astype(int) % 48)

    number = {key(point): k for k, point in enumerate(points)}
    moves = [[number[key(matrix @ point + shift)] for point in points]
             for matrix, shift in operations]  # fmt: skip
    left = set(combinations(range(len(points)), count))
    sizes = []
    while left:
        start = min(left)
        orbit = {tuple(sorted(move[k] for k in start)) for move in moves}
        sizes.append(len(orbit))
        left -= orbit
    return sorted(sizes)


def cubic_operations() -> list:
    """Operations of Fm-3m in its conventional cell."""
    centring = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
    matrices = [
        np.eye(3, dtype=int)[list(order)] * signs
        for order in permutations(range(3))
        for signs in product((1, -1), repeat=3)
    ]
    return [(matrix, np.array(shift)) for matrix in matrices for shift in centring]  # fmt: skip


def operations_of(crystal: Atoms) -> list:
    spglib = pytest.importorskip("spglib")
    cell = crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers
    found = spglib.get_symmetry_dataset(cell, symprec=1e-3)
    return list(zip(found.rotations, found.translations, strict=True))


def fcu_midpoints() -> np.ndarray:
    nodes = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    steps = [np.roll([0, a / 2, b / 2], k) for a, b in product((1, -1), repeat=2) for k in range(3)]
    return np.unique(np.round((nodes[:, None] + np.array(steps) / 2).reshape(-1, 3) % 1, 6), axis=0)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_linker_defects_are_the_classes_of_the_net(count):
    points = fcu_midpoints()
    assert len(points) == 24
    sizes = brute_force_classes(points, cubic_operations(), count)
    found = [multiplicity for _, multiplicity in distinct_linker_defects(BLOCKS, count)]
    assert sorted(found) == sizes
    if count == 2:
        assert sizes == PAIR_CLASSES
    assert sum(found) == len(list(combinations(range(24), count)))


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib 2.8
def test_the_crystal_itself_would_give_eight_classes():
    """Its μ₃-OH are ordered, F-43m; the net is that of the frameworks without that order."""
    operations = operations_of(CRYSTAL)
    assert len(operations) == 96
    assert len(brute_force_classes(fcu_midpoints(), operations, 2)) == 8


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib 2.8
def test_classes_of_mof5_are_those_of_its_space_group():
    crystal = mof5()
    blocks = find_blocks(crystal)
    operations = operations_of(crystal)
    unwrapped = crystal.positions + blocks.images @ crystal.cell
    centres = np.array([unwrapped[blocks.members(k)].mean(axis=0) for k in blocks.linkers])
    metals = np.flatnonzero(crystal.symbols == "Zn")
    for points, found in (
        (centres, distinct_linker_defects(blocks, 2)),
        (crystal.positions[metals], distinct_substitutions(blocks, "Cd", 2)),
    ):
        fractional = crystal.cell.scaled_positions(points)
        # multiples of 1/48 suffice to tell the places apart
        coarse = np.round(fractional * 48) / 48
        assert len(np.unique(coarse % 1, axis=0)) == len(points)
        sizes = brute_force_classes(coarse, operations, 2)
        assert sorted(multiplicity for _, multiplicity in found) == sizes


def test_members_of_different_classes_differ_in_their_net():
    """Coordination of the nodes, and of the pairs of nodes that lack two linkers."""
    spectra = set()
    for defects, _ in distinct_linker_defects(BLOCKS, 2):
        atoms = make_defects(CRYSTAL, BLOCKS, defects).atoms
        centres = []
        unwrapped = CRYSTAL.positions + BLOCKS.images @ CRYSTAL.cell
        for number in defects.linkers:
            links = np.flatnonzero(BLOCKS.link_spacers == BLOCKS.linkers[number])
            heads = BLOCKS.cuts.heads[links]
            images = -BLOCKS.link_images[links] + BLOCKS.images[heads]
            ends = CRYSTAL.positions[heads] + images @ CRYSTAL.cell
            assert np.linalg.norm(ends[0] - ends[1]) == pytest.approx(5.8, abs=0.1)
            centres.append(ends.mean(axis=0))
        pair = Atoms("H2", positions=centres, cell=CRYSTAL.cell, pbc=True)
        directions = [unwrapped[BLOCKS.members(BLOCKS.linkers[n])] for n in defects.linkers]
        axes = [np.linalg.svd(each - each.mean(axis=0))[2][0] for each in directions]
        degrees = tuple(sorted(characterise(atoms).coordination.items()))
        angle = round(float(abs(axes[0] @ axes[1])), 1)
        spectra.add((degrees, round(pair.get_distance(0, 1, mic=True)), angle))
    assert len(spectra) == 7


@pytest.mark.parametrize(
    ("build", "order"),
    [
        (lambda: CRYSTAL, 192),
        (mof5, 192),
        (lambda: curated("UiO-66"), 48),
        (lambda: curated("HKUST1"), 48),
        (lambda: curated("MIL-125"), 32),
        (lambda: thornton("formate_reo"), 48),
    ],
)
def test_order_of_the_symmetry(build, order):
    net = find_block_net(find_blocks(build()))
    assert find_symmetry(net.sites).order == order
    # each vertex lies amid its neighbours
    u, w = net.edges.T
    pull = np.zeros_like(net.positions)
    np.add.at(pull, u, net.positions[w] + net.images - net.positions[u])
    np.add.at(pull, w, net.positions[u] - net.images - net.positions[w])
    assert np.abs(pull).max() < 1e-9


def test_classes_do_not_depend_on_order_origin_or_cell():
    shuffled = CRYSTAL[np.random.default_rng(5).permutation(len(CRYSTAL))]
    shuffled.positions += [3.0, -1.0, 40.0]
    shuffled.wrap()
    shuffled.set_cell(shuffled.cell.array @ np.diag([1.03, 0.98, 1.0]), scale_atoms=True)
    found = distinct_linker_defects(find_blocks(shuffled), 2)
    assert sorted(multiplicity for _, multiplicity in found) == PAIR_CLASSES


def test_metals_at_one_place_of_the_net_are_alike():
    """Both metals of a paddle wheel hold the same linkers."""
    blocks = find_blocks(curated("HKUST1"))
    found = distinct_substitutions(blocks, "Zn", 2, charges={"Cu": 2})
    assert [multiplicity for _, multiplicity in found] == [12, 48, 6]
    first, _ = found[2]
    one, two = first.metals
    assert blocks.block_of_atom[one] == blocks.block_of_atom[two]


def test_impossible_choices():
    net = find_block_net(BLOCKS)
    linkers = net.vertex_of_block[BLOCKS.linkers]
    with pytest.raises(InputError, match="count: 25, expected 1 to 24"):
        distinct_choices(net, linkers, 25)
    with pytest.raises(InputError, match=r"can be chosen in .* ways, more than can be gone"):
        distinct_choices(net, linkers, 12)


def test_interpenetrated_nets_have_no_symmetry_of_their_own():
    half = mof5()
    other = half.copy()
    # no two atoms in contact
    other.positions += half.cell.array.sum(axis=0) / 4
    both = half + other
    blocks = find_blocks(both)
    assert len(blocks.linkers) == 48
    with pytest.raises(InputError, match="has 2 parts that are not connected"):
        distinct_linker_defects(blocks, 1)
    made = make_defects(both, blocks, draw_defects(blocks, RandomDefects(linkers=5)))
    assert len(made.atoms) == 848 - 40


def test_layers_have_no_symmetry_of_a_net():
    layers = curated("qmof-e300fed")
    blocks = find_blocks(layers)
    with pytest.raises(InputError, match="is not periodic in three directions"):
        distinct_linker_defects(blocks, 1)
    made = make_defects(layers, blocks, Defects(linkers=(0,))).atoms
    assert characterise(made).caps == {"formate": 2}


# nets made of fcu


@pytest.mark.parametrize(
    ("name", "atoms", "nodes", "linkers", "coordination"),
    [
        ("reo", 294, 3, 12, {8: 3}),
        ("bcu", 392, 4, 16, {8: 4}),
        ("scu", 262, 3, 8, {4: 2, 8: 1}),
    ],
)
def test_nets_of_the_paper(name, atoms, nodes, linkers, coordination):
    fcu = find_fcu(BLOCKS, CRYSTAL.cell.array)
    defects = {"reo": reo, "bcu": bcu, "scu": scu}[name](fcu)
    made = make_defects(CRYSTAL, BLOCKS, defects).atoms
    found = characterise(made, count_pristine(CRYSTAL))
    assert len(made) == atoms
    assert (found.nodes, found.linkers, found.coordination) == (nodes, linkers, coordination)
    assert found.charge == 0
    assert check_structure(made) == []


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_bcu_has_no_linkers_perpendicular_to_the_axis(axis):
    made = make_defects(CRYSTAL, BLOCKS, bcu(find_fcu(BLOCKS, CRYSTAL.cell.array), axis)).atoms
    blocks = find_blocks(made)
    for linker in blocks.linkers:
        one, two = np.flatnonzero(blocks.link_spacers == linker)
        unwrapped = made.positions + blocks.images @ made.cell
        step = unwrapped[blocks.cuts.heads[one]] - unwrapped[blocks.cuts.heads[two]]
        step += (blocks.link_images[two] - blocks.link_images[one]) @ made.cell
        assert abs(step["xyz".index(axis)]) > 3.0


def test_reo_of_a_supercell_and_of_a_primitive_cell():
    large = find_fcu(LARGE_BLOCKS, LARGE.cell.array)
    assert len(make_defects(LARGE, LARGE_BLOCKS, reo(large)).atoms) == 4 * 294
    primitive = curated("UiO-66")
    blocks = find_blocks(primitive)
    fcu = find_fcu(blocks, primitive.cell.array)
    assert len(make_defects(primitive, blocks, bcu(fcu)).atoms) == 392 // 4
    with pytest.raises(InputError, match="take the conventional cell") as error:
        reo(fcu)
    # what the message advises works
    numbers = str(error.value).split("'")[1].split()
    matrix = np.array(numbers, dtype=int).reshape(3, 3)
    assert round(np.linalg.det(matrix)) == 4
    cell = make_supercell(primitive, matrix)
    again = find_blocks(cell)
    assert len(make_defects(cell, again, reo(find_fcu(again, cell.cell.array))).atoms) == 294


@pytest.mark.parametrize(
    "build", [mof5, lambda: thornton("formate_z11"), lambda: curated("HKUST1")]
)
def test_nets_that_are_not_fcu(build):
    structure = build()
    with pytest.raises(InputError, match="made of the fcu net without defects"):
        find_fcu(find_blocks(structure), structure.cell.array)


def test_a_node_without_its_linkers_is_the_same_as_reo():
    """Its bare brick hangs on nothing and is dropped."""
    node = BLOCKS.nodes[0]
    held = BLOCKS.link_spacers[BLOCKS.link_bricks == node]
    numbers = np.flatnonzero(np.isin(BLOCKS.linkers, held))
    assert len(numbers) == 12
    made = make_defects(CRYSTAL, BLOCKS, Defects(linkers=tuple(numbers.tolist())))
    assert (made.loss.loose_nodes, made.loss.loose_linkers) == (1, 0)
    other = make_defects(CRYSTAL, BLOCKS, reo(find_fcu(BLOCKS, CRYSTAL.cell.array)))
    assert len(made.atoms) == len(other.atoms) == 294
    np.testing.assert_allclose(
        made.atoms.get_all_distances(mic=True), other.atoms.get_all_distances(mic=True)
    )


def test_pieces_that_come_loose_together_are_dropped():
    """Two bricks that a linker joins, and nothing else."""
    linker = BLOCKS.linkers[0]
    pair = BLOCKS.link_bricks[BLOCKS.link_spacers == linker]
    crystal = CRYSTAL.repeat((2, 2, 2))
    blocks = find_blocks(crystal)
    linker = blocks.linkers[0]
    pair = blocks.link_bricks[blocks.link_spacers == linker]
    around = np.unique(blocks.link_spacers[np.isin(blocks.link_bricks, pair)])
    gone = np.flatnonzero(np.isin(blocks.linkers, around) & (blocks.linkers != linker))
    loss = remove_blocks(blocks, Defects(linkers=tuple(gone.tolist())))
    assert (loss.loose_nodes, loss.loose_linkers) == (2, 1)
    assert len(loss.nodes) == 2
    assert len(loss.linkers) == len(gone) + 1


# structures


def test_formates_are_as_relaxed_ones():
    made = make_defects(CRYSTAL, BLOCKS, Defects(linkers=(3,)))
    caps = np.flatnonzero(made.origins < 0)
    assert len(caps) == 2
    assert (CRYSTAL.symbols[made.origins[:-2]] == made.atoms.symbols[:-2]).all()
    np.testing.assert_array_equal(CRYSTAL.positions[made.origins[:-2]], made.atoms.positions[:-2])
    relaxed = thornton("formate_z11")
    assert geometry_of_formates(made.atoms) == pytest.approx(
        geometry_of_formates(relaxed), rel=0.03
    )


def geometry_of_formates(atoms: Atoms) -> list[float]:
    """C-H [Å], O-C-H and O-C-O [degree], H to the plane OCO [Å], on average."""
    blocks = find_blocks(atoms)
    rows = []
    for head in np.flatnonzero(blocks.head_of_atom >= 0):
        near = np.flatnonzero(atoms.get_distances(head, range(len(atoms)), mic=True) < 1.4)
        hydrogen = [k for k in near if atoms.symbols[k] == "H"]
        oxygen = [k for k in near if atoms.symbols[k] == "O"]
        if hydrogen:
            (h,) = hydrogen
            vectors = atoms.get_distances(head, [*oxygen, h], mic=True, vector=True)
            normal = np.cross(vectors[0], vectors[1])
            assert abs(vectors[2] @ normal / np.linalg.norm(normal)) < 0.04
            rows.append([
                np.linalg.norm(vectors[2]),
                *(atoms.get_angle(o, head, h, mic=True) for o in oxygen),
                atoms.get_angle(oxygen[0], head, oxygen[1], mic=True),
            ])  # fmt: skip
    return np.mean(rows, axis=0).tolist()


@pytest.mark.parametrize(
    ("name", "atoms", "relaxed"),
    [("acetate", 454, "acetate_z10"), ("trifluoroacetate", 454, "TFA_z10")],
)
def test_other_caps_are_as_relaxed_ones(name, atoms, relaxed):
    made = make_defects(CRYSTAL, BLOCKS, Defects(linkers=(0,)), find_cap(name)).atoms
    assert len(made) == atoms
    found = characterise(made, count_pristine(CRYSTAL))
    assert found.caps == {name: 2}
    assert found.charge == 0
    assert check_structure(made) == []
    assert geometry_of_methyls(made) == pytest.approx(
        geometry_of_methyls(thornton(relaxed)), rel=0.02
    )


def geometry_of_methyls(atoms: Atoms) -> list[float]:
    """C-C [Å], C-X [Å], C-C-X and X-C-X [degree], on average."""
    blocks = find_blocks(atoms)
    rows = []
    for cut in np.flatnonzero(~blocks.is_linking):
        head, carbon = blocks.cuts.heads[cut], blocks.cuts.anchors[cut]
        others = [k for k in blocks.members(blocks.link_spacers[cut]) if k != carbon]
        rows.append([
            atoms.get_distance(head, carbon, mic=True),
            np.mean(atoms.get_distances(carbon, others, mic=True)),
            np.mean([atoms.get_angle(head, carbon, k, mic=True) for k in others]),
            np.mean([atoms.get_angle(j, carbon, k, mic=True) for j, k in combinations(others, 2)]),
        ])  # fmt: skip
    return np.mean(rows, axis=0).tolist()


def test_a_missing_linker_of_other_frameworks():
    crystal = mof5()
    made = make_defects(crystal, find_blocks(crystal), Defects(linkers=(0,))).atoms
    assert len(made) == 416
    assert characterise(made).caps == {"formate": 2}
    assert characterise(made).charge == 0
    wheel = curated("HKUST1")
    made = make_defects(wheel, find_blocks(wheel), Defects(linkers=(0,))).atoms
    assert len(made) == 156 - 9 + 3  # C6H3 for three hydrogen atoms


def test_guests_stay():
    crystal = CRYSTAL + Atoms("He", [[0.25 * 20.935] * 3])
    made = make_defects(crystal, find_blocks(crystal), Defects(nodes=(1,))).atoms
    assert len(made) == 295
    assert characterise(made).guests == {"He": 1}


@pytest.mark.parametrize(
    ("defects", "message"),
    [
        (Defects(linkers=(24,)), "linkers: there is no number 24; they are 0 to 23"),
        (Defects(nodes=(-1,)), "nodes: there is no number -1; they are 0 to 3"),
        (Defects(nodes=(0, 1, 2, 3)), "is no framework: it has only loose pieces"),
        (Defects(metals={0: "Hf"}), "atom 1 is no metal"),
        (Defects(metals={10**6: "Hf"}), "atom 1000001 is no metal"),
    ],
)
def test_impossible_defects(defects, message):
    carbon_first = CRYSTAL[np.argsort(np.array(CRYSTAL.symbols) != "C", kind="stable")]
    with pytest.raises(InputError, match=message):
        make_defects(carbon_first, find_blocks(carbon_first), defects)


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ("Zn", r"Zn \(charge \+2\) cannot take the place of Zr \(\+4\)"),
        ("Fe", "Fe has several ions"),
        ("O", "'O' is no metal"),
        ("Xx", "'Xx' is no metal"),
        ("Zr", "holds no metal other than Zr"),
    ],
)
def test_metals_that_do_not_fit(element, message):
    with pytest.raises(InputError, match=message):
        distinct_substitutions(BLOCKS, element, 1)


# random defects


@pytest.fixture(scope="module")
def four_cubed():
    structure = CRYSTAL.repeat(4)
    return structure, find_blocks(structure)


def test_the_cell_of_the_paper(four_cubed):
    structure, blocks = four_cubed
    assert (len(structure), len(blocks.nodes), len(blocks.linkers)) == (29184, 256, 1536)
    wanted = RandomDefects(nodes=34, linkers=611, metals={"Hf": 0.21}, seed=7)
    made = make_defects(structure, blocks, draw_defects(blocks, wanted)).atoms
    assert len(made) == 22052
    found = characterise(made, count_pristine(structure))
    assert found.code == "(0.21-0.13-0.40)"
    assert found.mean_coordination == pytest.approx(8.33, abs=0.005)
    assert found.charge == 0


def test_fractions_are_drawn_as_the_paper_draws_them(four_cubed):
    """26 nodes; linkers that go with them or are drawn: 544 ± 7 for independent draws."""
    structure, blocks = four_cubed
    linkers = []
    for seed in range(12):
        defects = draw_defects(blocks, RandomDefects(nodes=0.1, linkers=0.2, seed=seed))
        loss = remove_blocks(blocks, defects)
        assert len(loss.nodes) == 26
        assert len(defects.linkers) == 307
        linkers.append(len(loss.linkers))
        made = make_defects(structure, blocks, defects).atoms
        assert len(made) == 29184 - 66 * 26 - 8 * len(loss.linkers)
    assert np.mean(linkers) == pytest.approx(544, abs=8)
    final = RandomDefects(nodes=0.133, linkers=0.398, final=True, seed=1)
    loss = remove_blocks(blocks, draw_defects(blocks, final))
    assert (len(loss.nodes), len(loss.linkers)) == (34, 611)


@settings(max_examples=40, deadline=None)
@given(
    nodes=st.floats(0, 0.3),
    linkers=st.floats(0, 0.4),
    hafnium=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_random_frameworks_are_whole_and_neutral(nodes, linkers, hafnium, seed):
    wanted = RandomDefects(nodes, linkers, {"Hf": hafnium}, seed=seed)
    defects = draw_defects(LARGE_BLOCKS, wanted)
    assert defects == draw_defects(LARGE_BLOCKS, wanted)
    made = make_defects(LARGE, LARGE_BLOCKS, defects)
    loss = made.loss
    assert len(made.atoms) == 1824 - 66 * len(loss.nodes) - 8 * len(loss.linkers)
    found = characterise(made.atoms, count_pristine(LARGE))
    assert found.charge == 0
    assert found.guests == {}
    assert found.nodes == 16 - len(loss.nodes)
    assert found.linkers == 96 - len(loss.linkers)
    # each node has twelve carboxylates still
    assert found.caps.get("formate", 0) == 12 * found.nodes - 2 * found.linkers
    assert found.metals.get("Hf", 0) == round(hafnium * 6 * found.nodes)
    assert check_structure(made.atoms) == []


def test_pieces_that_became_loose_count_where_final_numbers_are_asked_for():
    """With 20 of 24 linkers gone a fifth of the draws leaves a node bare."""
    losses = [
        remove_blocks(BLOCKS, draw_defects(BLOCKS, RandomDefects(nodes, linkers, seed=seed)))
        for nodes, linkers in ((None, 20 / 24), (None, 20), (0, 20), (1, 20))
        for seed in range(30)
    ]
    drawn, final, whole, one = (losses[k : k + 30] for k in range(0, 120, 30))
    assert {len(loss.nodes) for loss in drawn} > {0}
    assert {len(loss.linkers) for loss in drawn} >= {20}
    assert {len(loss.linkers) for loss in (*final, *whole, *one)} == {20}
    assert {len(loss.nodes) for loss in whole} == {0}
    assert {len(loss.nodes) for loss in one} == {1}


@settings(max_examples=40, deadline=None)
@given(nodes=st.integers(0, 16), linkers=st.integers(0, 96), seed=st.integers(0, 99))
def test_final_numbers_are_kept_or_refused(nodes, linkers, seed):
    wanted = RandomDefects(nodes, linkers, seed=seed)
    try:
        defects = draw_defects(LARGE_BLOCKS, wanted)
    except InputError:
        with pytest.raises(InputError, match=r"ask for|are asked for"):
            draw_defects(LARGE_BLOCKS, wanted)
        return
    loss = remove_blocks(LARGE_BLOCKS, defects)
    assert (len(loss.nodes), len(loss.linkers)) == (nodes, linkers)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (RandomDefects(), "defects: none are asked for"),
        (RandomDefects(nodes=5), "nodes: 5, but there are only 4"),
        (RandomDefects(linkers=-1), "linkers: -1, expected a number of at least 0"),
        (RandomDefects(linkers=1.5), "linkers: 1.5, expected a fraction from 0 to 1"),
        (RandomDefects(linkers=float("nan")), "linkers: nan, expected a fraction"),
        (RandomDefects(nodes=1, linkers=5), "took at least 12 linkers"),
        (RandomDefects(nodes=0, linkers=24), "more became loose"),
        (RandomDefects(metals={"Hf": 25}), "metal Hf: 25, but there are only 24"),
        (RandomDefects(metals={"Hf": 0.5, "Ti": 0.6}), "only 12 metals are left to be replaced"),
    ],
)
def test_impossible_amounts(wanted, message):
    with pytest.raises(InputError, match=message):
        draw_defects(BLOCKS, wanted)


@pytest.mark.parametrize("text", ["-1", "1.2", "many", "", "nan", "1e9", "-.1"])
def test_amounts_that_cannot_be(text):
    with pytest.raises(InputError, match=r"linkers: .*expected a"):
        parse_amount(text, "linkers")


def test_whole_numbers_and_fractions():
    assert parse_amount("1", "nodes") == 1
    assert isinstance(parse_amount("1", "nodes"), int)
    assert isinstance(parse_amount("1.0", "nodes"), float)


# what a framework is


@pytest.mark.parametrize(
    ("name", "code", "coordination", "caps"),
    [
        ("z12", "(0.00-0.00-0.00)", {12: 4}, {}),
        ("formate_z11", "(0.00-0.00-0.08)", {11: 4}, {"formate": 4}),
        ("formate_z10", "(0.00-0.00-0.17)", {10: 2}, {"formate": 4}),
        ("formate_z9", "(0.00-0.00-0.25)", {9: 4}, {"formate": 12}),
        ("formate_z8", "(0.00-0.00-0.33)", {8: 2}, {"formate": 8}),
        ("formate_reo", "(0.00-0.25-0.50)", {8: 3}, {"formate": 12}),
        ("acetate_z10", "(0.00-0.00-0.17)", {10: 2}, {"acetate": 4}),
        ("acetate_z8", "(0.00-0.00-0.33)", {8: 4}, {"acetate": 16}),
        ("TFA_z10", "(0.00-0.00-0.17)", {10: 2}, {"trifluoroacetate": 4}),
        ("OHH2O_z8", "(0.00-0.00-0.33)", {8: 4}, {"H2O": 16, "HO": 16}),
        ("ClH2O_z8", "(0.00-0.00-0.33)", {8: 4}, {"Cl": 16, "H2O": 16}),
    ],
)
def test_relaxed_defective_structures_are_recognised(name, code, coordination, caps):
    atoms = thornton(name)
    found = characterise(atoms, count_pristine(CRYSTAL, atoms))
    assert found.code == code
    assert found.coordination == coordination
    assert found.caps == caps
    assert found.charge == 0
    assert found.guests == {}


def test_density_of_the_crystal():
    found = characterise(CRYSTAL)
    mass = 4 * 1664.06  # Zr6O4(OH)4(C8H4O4)6, g/mol
    assert found.density_g_per_cm3 == pytest.approx(mass / 0.602214 / CRYSTAL.get_volume(), 1e-4)
    assert found.formula == "C192H112O128Zr24"
    assert found.missing_nodes is None
    assert found.code == "(0.00-?-?)"


def test_pristine_frameworks_that_do_not_fit():
    large = thornton("formate_z11")
    with pytest.raises(InputError, match="has 1 nodes, fewer than the structure's 4"):
        characterise(large, count_pristine(curated("UiO-66")))
    swollen = CRYSTAL.copy()
    swollen.set_cell(swollen.cell * 1.18, scale_atoms=False)
    with pytest.raises(InputError, match="which is no whole number"):
        count_pristine(CRYSTAL, swollen)


@pytest.mark.parametrize(
    ("take", "charge"),
    [([], 0), (["H"], -1), (["H", "H"], -2)],
)
def test_missing_hydrogen_on_oxygen_is_a_charge(take, charge):
    oxygen = np.flatnonzero(CRYSTAL.symbols == "O")
    hydrogen = [k for k in np.flatnonzero(CRYSTAL.symbols == "H")
                if CRYSTAL.get_distances(k, oxygen, mic=True).min() < 1.1]  # fmt: skip
    assert len(hydrogen) == 16
    bare = CRYSTAL[np.setdiff1d(np.arange(len(CRYSTAL)), hydrogen[: len(take)])]
    assert block_charges(find_blocks(bare)).sum() == charge
    assert characterise(bare).charge == charge


def test_charges_that_are_not_known():
    wheel = find_blocks(curated("HKUST1"))
    with pytest.raises(InputError, match=r"Cu has several ions.*--charge Cu=3"):
        block_charges(wheel)
    assert block_charges(wheel, {"Cu": 2}).tolist() == [0] * len(wheel)
    assert characterise(curated("HKUST1")).charge is None
    rings = np.flatnonzero(
        (CRYSTAL.symbols == "H") & (BLOCKS.cuts_of_block[BLOCKS.block_of_atom] == 2)
    )
    bare = find_blocks(CRYSTAL[np.setdiff1d(np.arange(len(CRYSTAL)), rings[:1])])
    with pytest.raises(
        InputError, match=r"of C6H3 \(atom \d+ and others\) is not known, or it has"
    ):
        block_charges(bare)


@pytest.mark.long
def test_a_linker_defect_relaxes_without_breaking():
    """GFN1-xTB, from a DFT-relaxed primitive cell: formates settle, no bond breaks or is made."""
    tblite = pytest.importorskip("tblite.ase")
    crystal = curated("UiO-66")
    atoms = make_defects(crystal, find_blocks(crystal), Defects(linkers=(0,))).atoms
    bonds = find_blocks(atoms).graph
    relaxed = atoms.copy()
    relaxed.calc = tblite.TBLite(method="GFN1-xTB", verbosity=0)
    search = LBFGS(relaxed, logfile=None)
    assert search.run(fmax=0.1, steps=40)
    found = find_blocks(relaxed).graph
    assert {*zip(found.first, found.second, strict=True)} == {
        *zip(bonds.first, bonds.second, strict=True)
    }
    assert np.abs(relaxed.positions - atoms.positions).max() < 0.2
    assert characterise(relaxed).caps == {"formate": 2}
