"""Clusters cut out of frames: their atoms, charges and bonds against those of the framework."""

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st

from mofmd.builders.blocks.blocks import Blocks, find_blocks
from mofmd.builders.blocks.charges import electrons
from mofmd.builders.defects.defects import Defects, make_defects
from mofmd.builders.defects.random_defects import RandomDefects, draw_defects
from mofmd.builders.nets.fcu import find_fcu, reo
from mofmd.errors import InputError, MissingFileError
from mofmd.learning.clusters.blueprints import Blueprint, Blueprints
from mofmd.learning.clusters.clusters import Cluster, ClusterCutter, CutOptions
from mofmd.reading.read import read_structure
from mofmd.structures.crystals.carboxylate import mof5, uio66
from mofmd.structures.frame import Frame
from mofmd.topology.bond_graph import find_bonds
from tests.reference import reference_path

CRYSTAL = uio66()
BLOCKS = find_blocks(CRYSTAL)
FRAME = Frame.from_ase(CRYSTAL)
ZIRCONIUM = np.flatnonzero(CRYSTAL.symbols == "Zr")
RING = BLOCKS.members(BLOCKS.linkers[0])


def cut_all(atoms: Atoms, shells: int = 1) -> list[Cluster]:
    cutter = ClusterCutter(find_blocks(atoms), blueprints=Blueprints(shells))
    clusters, refusals = cutter.cut(Frame.from_ase(atoms), np.arange(len(atoms)))
    assert refusals == []
    return clusters


def neighbours(graph) -> np.ndarray:
    return np.bincount(np.concatenate([graph.first, graph.second]), minlength=graph.n_atoms)


def assert_bonded_as_in(cluster: Cluster, frame: Frame) -> None:
    """Each atom of the framework has as many bonds as there; caps have one."""
    box = cluster.atoms.copy()
    box.center(vacuum=6.0)
    box.pbc = True
    found = neighbours(find_bonds(Frame.from_ase(box)))
    real = cluster.origins >= 0
    np.testing.assert_array_equal(found[real], neighbours(find_bonds(frame))[cluster.origins[real]])
    assert (found[~real] == 1).all()


def assert_neutral(cluster: Cluster) -> None:
    """Zr⁴⁺, Hf⁴⁺, O²⁻, OH⁻, carboxylate⁻ by their bonds in the molecule itself; even electrons."""
    symbols = np.array(cluster.atoms.get_chemical_symbols())
    box = cluster.atoms.copy()
    box.center(vacuum=6.0)
    box.pbc = True
    graph = find_bonds(Frame.from_ase(box))
    covalent = graph.select(~graph.to_metal)
    near: list[list[int]] = [[] for _ in symbols]
    for one, two in zip(covalent.first.tolist(), covalent.second.tolist(), strict=True):
        near[one].append(two)
        near[two].append(one)
    charge = 4 * sum(symbol in ("Zr", "Hf") for symbol in symbols)
    for k, symbol in enumerate(symbols):
        bonded = Counter(symbols[near[k]].tolist())
        if symbol == "O" and not bonded["C"]:
            charge -= 2 - bonded["H"]
        if symbol == "C" and bonded["O"] == 2:
            charge -= 1
    assert charge == 0
    assert electrons(symbols) % 2 == 0


# counts of the paper's blueprints


@pytest.mark.parametrize(
    ("defects", "shells", "atoms"),
    [
        (Defects(), 0, {66: 4}),  # the bare brick with twelve formates
        (Defects(), 1, {186: 4}),
        (Defects(linkers=(0,)), 1, {186: 2, 176: 2}),
        (reo(find_fcu(BLOCKS, CRYSTAL.cell.array)), 1, {146: 3}),
    ],
)
def test_sizes_around_bricks(defects, shells, atoms):
    structure = make_defects(CRYSTAL, BLOCKS, defects).atoms
    cutter = ClusterCutter(find_blocks(structure), blueprints=Blueprints(shells))
    metals = np.flatnonzero(structure.symbols == "Zr")
    clusters, refusals = cutter.cut(Frame.from_ase(structure), metals)
    assert refusals == []
    assert Counter(len(cluster.atoms) for cluster in clusters) == atoms
    for cluster in clusters:
        assert_neutral(cluster)


@pytest.mark.parametrize(("structure", "atoms"), [(CRYSTAL, 140), (mof5(), 66)])
def test_sizes_around_linkers(structure, atoms):
    """A ring between two bricks, whose other carboxylates become formates."""
    blocks = find_blocks(structure)
    cutter = ClusterCutter(blocks)
    ring = blocks.members(blocks.linkers[3])
    (cluster,), _ = cutter.cut(Frame.from_ase(structure), ring)
    assert len(cluster.atoms) == atoms
    assert Counter(cluster.roles.tolist())["core"] == 10


def test_each_flagged_block_has_a_cluster():
    flagged = np.array([*ZIRCONIUM[:7], *RING[:2]])
    clusters, _ = ClusterCutter(BLOCKS).cut(FRAME, flagged)
    assert [cluster.core for cluster in clusters] == list(
        dict.fromkeys(BLOCKS.block_of_atom[np.sort(flagged)].tolist())
    )
    assert sum(int(cluster.flagged[cluster.roles == "core"].sum()) for cluster in clusters) == 9


def test_roles_and_indices():
    (cluster,), _ = ClusterCutter(BLOCKS).cut(FRAME, ZIRCONIUM[:1])
    core = cluster.roles == "core"
    assert Counter(cluster.roles.tolist()) == {"core": 54, "mantle": 120, "cap": 12}
    assert set(cluster.origins[core]) == set(BLOCKS.members(BLOCKS.block_of_atom[ZIRCONIUM[0]]))
    real = cluster.origins >= 0
    assert (real == (cluster.roles != "cap")).all()
    assert len(np.unique(cluster.origins[real])) == real.sum()
    np.testing.assert_allclose(
        cluster.atoms.positions[real],
        CRYSTAL.positions[cluster.origins[real]] + cluster.images[real] @ CRYSTAL.cell,
    )
    assert (cluster.atoms.symbols[real] == CRYSTAL.symbols[cluster.origins[real]]).all()
    molecule = cluster.to_ase()
    assert not molecule.pbc.any()
    assert molecule.info["charge"] == 0
    assert molecule.info["multiplicity"] == 1
    assert molecule.info["cluster"] == "C12H4O32Zr6 + 12 C6H4"


def test_caps_point_where_the_bond_was_cut():
    for shells, length in ((1, 1.087), (0, 1.104)):
        cutter = ClusterCutter(BLOCKS, blueprints=Blueprints(shells))
        (cluster,), _ = cutter.cut(FRAME, ZIRCONIUM[:1])
        atoms = cluster.atoms
        for cap in np.flatnonzero(cluster.roles == "cap"):
            (end,) = (k for k in np.argsort(atoms.get_distances(cap, range(len(atoms))))[1:2])
            assert atoms.get_distance(cap, end) == pytest.approx(length)
            other = np.argsort(CRYSTAL.get_distances(
                cluster.origins[end], range(len(CRYSTAL)), mic=True))[1:4]  # fmt: skip
            taken = [k for k in other if BLOCKS.block_of_atom[k] != BLOCKS.block_of_atom[
                cluster.origins[end]]]  # fmt: skip
            vector = CRYSTAL.get_distance(cluster.origins[end], taken[0], mic=True, vector=True)
            along = atoms.get_distance(end, cap, vector=True)
            assert along @ vector == pytest.approx(length * np.linalg.norm(vector))


# frames


def hot(atoms: Atoms, seed: int, strain: float = 0.0) -> Atoms:
    moved = atoms.copy()
    moved.set_cell(moved.cell.array * (1 + strain), scale_atoms=True)
    moved.rattle(0.12, seed=seed)
    moved.positions += np.random.default_rng(seed).uniform(-40, 40, 3)
    moved.wrap()
    return moved


def test_hot_frames_take_their_bonds_from_the_reference():
    cutter = ClusterCutter(BLOCKS)
    frame = hot(CRYSTAL, 4)
    frame.positions[RING[0]] += [0.9, 0.0, 0.0]  # a bond too long to be found
    clusters, refusals = cutter.cut(Frame.from_ase(frame), np.arange(len(frame)))
    assert refusals == []
    assert Counter(len(cluster.atoms) for cluster in clusters) == {186: 4, 140: 24}
    for cluster in clusters:
        real = cluster.origins >= 0
        np.testing.assert_allclose(
            cluster.atoms.positions[real],
            frame.positions[cluster.origins[real]] + cluster.images[real] @ frame.cell,
        )
        # it holds together: no bond is broken by a wrong image
        assert cluster.atoms.get_all_distances().max() < 30.0


def test_wrapping_and_translation_do_not_matter():
    cutter = ClusterCutter(BLOCKS)
    rattled = CRYSTAL.copy()
    rattled.rattle(0.1, seed=1)
    moved = rattled.copy()
    moved.positions += [11.0, -3.0, 100.0]
    moved.wrap()
    one, two = (
        cutter.cut(Frame.from_ase(atoms), ZIRCONIUM[:1])[0][0] for atoms in (rattled, moved)
    )
    order = [np.lexsort((cluster.atoms.positions[:, 0], cluster.origins)) for cluster in (one, two)]
    np.testing.assert_allclose(
        one.atoms.get_all_distances()[np.ix_(order[0], order[0])],
        two.atoms.get_all_distances()[np.ix_(order[1], order[1])],
        atol=1e-8,
    )


@pytest.mark.parametrize("structure", [CRYSTAL, mof5()])
def test_atoms_are_bonded_as_in_the_framework(structure):
    frame = Frame.from_ase(structure)
    flagged = np.arange(len(structure))
    options = CutOptions(largest=400)
    clusters, refusals = ClusterCutter(find_blocks(structure), options).cut(frame, flagged)
    assert refusals == []
    for cluster in clusters[::5]:
        assert_bonded_as_in(cluster, frame)


@pytest.mark.parametrize("name", ["formate_reo", "acetate_z8", "TFA_z10", "OHH2O_z8", "ClH2O_z8"])
def test_other_caps_of_the_framework_stay(name):
    atoms = read_structure(reference_path(f"mofs/uio66_thornton2016/UiO66_{name}.cif"))
    options = CutOptions(allow_images=True, largest=400)
    cutter = ClusterCutter(find_blocks(atoms), options)
    clusters, refusals = cutter.cut(Frame.from_ase(atoms), np.flatnonzero(atoms.symbols == "Zr"))
    assert refusals == []
    for cluster in clusters:
        assert_bonded_as_in(cluster, Frame.from_ase(atoms))
        assert electrons(np.array(cluster.atoms.get_chemical_symbols())) % 2 == 0


def test_every_cluster_of_a_disordered_frame_is_valid():
    """The paper's cell: 22,052 atoms with 34 nodes and 611 linkers missing, hot and wrapped."""
    structure = CRYSTAL.repeat(4)
    blocks = find_blocks(structure)
    wanted = RandomDefects(nodes=34, linkers=611, metals={"Hf": 0.21}, seed=3)
    disordered = make_defects(structure, blocks, draw_defects(blocks, wanted)).atoms
    assert len(disordered) == 22052
    reference = find_blocks(disordered)
    frame = Frame.from_ase(hot(disordered, 2, strain=-0.01))
    clusters, refusals = ClusterCutter(reference).cut(frame, np.arange(len(disordered)))
    assert refusals == []
    assert len(clusters) == 222 + 925
    bricks = [cluster for cluster in clusters if reference.kinds[cluster.core] == 0]
    sizes = [len(cluster.atoms) for cluster in bricks]
    assert max(sizes) <= 186
    assert np.mean(sizes) == pytest.approx(66 + 10 * 8.33, abs=0.1)
    for cluster in bricks:
        symbols = np.array(cluster.atoms.get_chemical_symbols())
        assert electrons(symbols) % 2 == 0


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), linkers=st.floats(0, 0.5), nodes=st.floats(0, 0.2))
def test_clusters_of_random_frameworks_are_neutral(seed, linkers, nodes):
    structure = CRYSTAL.repeat((2, 1, 1))
    blocks = find_blocks(structure)
    wanted = RandomDefects(nodes, linkers, {"Hf": 0.3}, seed=seed)
    made = make_defects(structure, blocks, draw_defects(blocks, wanted)).atoms
    for cluster in cut_all(made)[::4]:
        assert_neutral(cluster)


# what cannot be cut


def primitive() -> tuple[Atoms, Blocks]:
    atoms = read_structure(reference_path("mofs/curated127/UiO-66.cif"))
    return atoms, find_blocks(atoms)


def test_an_atom_twice_is_refused_unless_allowed():
    """The primitive cell has six linkers around one brick, each in two images."""
    atoms, blocks = primitive()
    flagged = np.flatnonzero(atoms.symbols == "Zr")
    _, (refusal,) = ClusterCutter(blocks).cut(Frame.from_ase(atoms), flagged)
    assert "would be in the cluster twice, in the images" in refusal.reason
    allowed = ClusterCutter(blocks, CutOptions(allow_images=True))
    (cluster,), _ = allowed.cut(Frame.from_ase(atoms), flagged)
    assert len(cluster.atoms) == 186
    mantle = cluster.roles == "mantle"
    assert set(Counter(cluster.origins[mantle].tolist()).values()) == {2}
    pairs = np.column_stack([cluster.origins[mantle], cluster.images[mantle]])
    assert len(np.unique(pairs, axis=0)) == mantle.sum()
    assert_neutral(cluster)
    # as in the larger cell
    (other,), _ = ClusterCutter(BLOCKS).cut(FRAME, ZIRCONIUM[:1])
    assert cluster.atoms.symbols.formula.count() == other.atoms.symbols.formula.count()


def test_two_shells_of_a_unit_cell_are_refused():
    _, (refusal,) = ClusterCutter(BLOCKS, CutOptions(largest=2000), Blueprints(2)).cut(
        FRAME, ZIRCONIUM[:1]
    )
    assert "twice" in refusal.reason


def test_two_shells_of_a_supercell():
    large = CRYSTAL.repeat((2, 2, 2))
    cutter = ClusterCutter(find_blocks(large), CutOptions(largest=1000), Blueprints(2))
    (cluster,), _ = cutter.cut(Frame.from_ase(large), np.flatnonzero(large.symbols == "Zr")[:1])
    # twelve bricks of 54 atoms more, each with eleven formates' hydrogen
    assert len(cluster.atoms) == 54 + 12 * 10 + 12 * (54 + 11)
    assert_neutral(cluster)


def test_a_largest_size():
    _, (refusal,) = ClusterCutter(BLOCKS, CutOptions(largest=185)).cut(FRAME, ZIRCONIUM[:1])
    assert "would have 186 atoms, more than the largest allowed (185)" in refusal.reason
    assert refusal.signature == "C12H4O32Zr6 + 12 C6H4"


def hydroxides() -> list[int]:
    oxygen = np.flatnonzero(CRYSTAL.symbols == "O")
    return [int(k) for k in np.flatnonzero(CRYSTAL.symbols == "H")
            if CRYSTAL.get_distances(k, oxygen, mic=True).min() < 1.1]  # fmt: skip


@pytest.mark.parametrize("missing", [1, 2])
def test_missing_hydrogen_of_hydroxide_is_refused(missing):
    """Two leave the electrons even: the charge tells."""
    brick = BLOCKS.block_of_atom[ZIRCONIUM[0]]
    own = [k for k in hydroxides() if BLOCKS.block_of_atom[k] == brick][:missing]
    bare = CRYSTAL[np.setdiff1d(np.arange(len(CRYSTAL)), own)]
    cutter = ClusterCutter(find_blocks(bare))
    clusters, refusals = cutter.cut(Frame.from_ase(bare), np.flatnonzero(bare.symbols == "Zr"))
    assert len(clusters) == 3
    (refusal,) = refusals
    assert f"the cluster would have the charge -{missing}" in refusal.reason


def test_a_missing_hydrogen_of_a_ring_is_refused():
    hydrogen = next(k for k in RING if CRYSTAL.symbols[k] == "H")
    bare = CRYSTAL[np.setdiff1d(np.arange(len(CRYSTAL)), [hydrogen])]
    with pytest.raises(InputError, match=r"C6H3 .* has an unpaired electron"):
        ClusterCutter(find_blocks(bare))


def test_open_shell_metals_need_a_word():
    atoms = read_structure(reference_path("mofs/curated127/HKUST1.cif"))
    blocks = find_blocks(atoms)
    with pytest.raises(InputError, match="Cu has several ions, or ions with unpaired electrons"):
        ClusterCutter(blocks)
    cutter = ClusterCutter(blocks, CutOptions(charges={"Cu": 2}))
    (cluster,), _ = cutter.cut(Frame.from_ase(atoms), np.flatnonzero(atoms.symbols == "Cu")[:1])
    assert len(cluster.atoms) == 14 + 4 * 11  # Cu2(CO2)4 and four rings C6H3 with two caps each


def test_guests_and_atoms_that_are_not_there():
    crystal = CRYSTAL + Atoms("He", [[5.2, 5.2, 5.2]])
    cutter = ClusterCutter(find_blocks(crystal))
    clusters, (refusal,) = cutter.cut(Frame.from_ase(crystal), np.array([456]))
    assert clusters == []
    assert "He is a guest" in refusal.reason
    with pytest.raises(InputError, match="there is no atom 458; the frame has 457"):
        cutter.cut(Frame.from_ase(crystal), np.array([457]))


# blueprints


def test_blueprints_are_used_again(tmp_path):
    known = Blueprints(0, (Blueprint("C6H4 + 2 C12H4O32Zr6", 1, 140, 0),))
    cutter = ClusterCutter(BLOCKS, blueprints=known)
    clusters, _ = cutter.cut(FRAME, np.array([ZIRCONIUM[0], RING[0]]))
    assert sorted(len(cluster.atoms) for cluster in clusters) == [66, 140]
    cutter.cut(FRAME, RING)
    known.write(tmp_path / "blueprints.json")
    again = Blueprints.read(tmp_path / "blueprints.json", shells=3)
    assert sorted(again, key=lambda each: each.atoms) == [
        Blueprint("C12H4O32Zr6 + 12 C6H4", 0, 66, 1),
        Blueprint("C6H4 + 2 C12H4O32Zr6", 1, 140, 2),
    ]
    assert again.shells_for("C12H4O32Zr6 + 12 C6H4") == 0
    assert again.shells_for("another") == 3


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[{"signature": "x"}]',
             '[{"signature": "x", "shells": -1, "atoms": 1, "clusters": 1}]'],
)  # fmt: skip
def test_files_that_hold_no_blueprints(text, tmp_path):
    path = tmp_path / "b.json"
    path.write_text(text)
    if text == "{}":
        path.write_text('{"a": 1}')
    with pytest.raises(InputError, match="is no file of blueprints"):
        Blueprints.read(path)
    with pytest.raises(MissingFileError):
        Blueprints.read(tmp_path / "none.json")


def test_signatures_tell_defects_apart():
    ld = make_defects(CRYSTAL, BLOCKS, Defects(linkers=(0,), metals={int(ZIRCONIUM[0]): "Hf"}))
    signatures = Counter(cluster.signature for cluster in cut_all(ld.atoms))
    assert signatures["C12H4O32Zr6 + 12 C6H4"] <= 2
    assert any(name.startswith("C12H5") for name in signatures)
    assert any("Hf" in name.split(" + ")[0] for name in signatures)
