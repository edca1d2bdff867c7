import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.linkers import Integrity
from mofmd.builders.blocks.blocks import find_blocks
from mofmd.builders.blocks.caps import find_cap
from mofmd.builders.defects.defects import Defects, make_defects
from mofmd.errors import InputError
from mofmd.geometry.minimum_image import nearest_images
from mofmd.geometry.neighbours import cell_heights
from mofmd.simulation.statics.integrity import compare
from mofmd.structures.crystals.carboxylate import uio66
from mofmd.structures.crystals.zif import zif4
from mofmd.topology.building_units import find_linkers, find_net, find_units, has_rods
from mofmd.trajectory.frame import Frame
from tests.analysis.test_rdf import FILES
from tests.reference import reference_path
from tests.trajectories import trajectory_of


def intact(frames, linkers) -> list[int]:
    """Count the intact linkers of each frame."""
    (found,) = analyse(trajectory_of(*frames), [Integrity(linkers)])
    assert found.scalars["linkers"].value == len(linkers)
    return found.tables["series"].columns["intact"].values.tolist()


def test_only_parts_with_carbon_are_linkers():
    box = molecule("C6H6") + molecule("H2O", positions=molecule("H2O").positions + 6)
    box += Atoms("Zn", [[0, 6, 0]])
    box.set_cell([15, 15, 15])
    box.pbc = True
    linkers = find_linkers(box)
    assert linkers.members == (tuple(range(12)),)
    assert linkers.linker_of_bond.tolist() == [0] * 12


@pytest.mark.parametrize(
    ("name", "count", "formula"),
    [("UiO-66", 6, "C8H4O4"), ("MOF-5", 6, "C8H4O4"), ("MOF-74", 3, "C8H2O6")],
)
def test_linkers_of_other_frameworks(name, count, formula):
    atoms = read(reference_path(f"mofs/curated127/{name}.cif"))
    linkers = find_linkers(atoms)
    assert [atoms[list(m)].get_chemical_formula() for m in linkers.members] == [formula] * count


def test_stretched_bond_breaks_at_the_stated_length():
    atoms = zif4()
    linkers = find_linkers(atoms)
    k = next(
        k for k, b in enumerate(linkers.bonds.second) if atoms.symbols[b] == "H"
    )  # bonds are listed with the lower index, carbon, first
    carbon, hydrogen = linkers.bonds.first[k], linkers.bonds.second[k]
    vector = atoms.get_distance(carbon, hydrogen, mic=True, vector=True)
    frames = []
    for length in (1.497, 1.499):  # limit: 1.4 × (0.76 + 0.31) = 1.498 Å
        frame = atoms.copy()
        frame.positions[hydrogen] = frame.positions[carbon] + length * vector / np.linalg.norm(
            vector
        )
        frames.append(frame)
    assert intact(frames, linkers) == [32, 31]
    assert len(linkers) == 32


def test_does_not_depend_on_wrapping_or_translation():
    atoms = zif4()
    linkers = find_linkers(atoms)
    moved = atoms.copy()
    moved.positions += [3.3, 5.5, -40.0]
    wrapped = moved.copy()
    wrapped.wrap()
    assert intact([atoms, moved, wrapped], linkers) == [32] * 3


def test_bonds_of_a_thin_skewed_cell_are_their_shortest_images():
    # 2.8 Å high, and so skewed that rounding of fractions misses the nearest image
    cell = np.array([[12.0, 0, 0], [10.1, 2.8, 0], [4.9, 1.3, 9]])
    atoms = Atoms("CH", [[0, 0, 0], [0.2, 1.05, 0.1]], cell=cell, pbc=True)
    linkers = find_linkers(atoms)
    moved = atoms.copy()
    moved.positions[1] += [-3, 5, 2] @ cell
    broken = moved.copy()
    broken.positions[1] += [0, 0, 1.3]  # 1.77 Å from carbon, farther from all of its images
    assert intact([atoms, moved, broken], linkers) == [1, 1, 0]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_nearest_images_in_any_cell(seed):
    rng = np.random.default_rng(seed)
    cell = rng.normal(scale=4, size=(3, 3)) + 3 * np.eye(3)
    vectors = rng.normal(scale=10, size=(5, 3))
    found = np.linalg.norm(vectors + nearest_images(vectors, cell) @ cell, axis=1)
    # every lattice point within twice the distance found, by the heights of the cell
    reach = np.ceil((found.max() + np.linalg.norm(vectors, axis=1).max()) / cell_heights(cell))
    assume(np.prod(2 * reach + 1) < 3e5)  # a flat cell has more than memory holds
    grid = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), axis=-1)
    points = grid.reshape(-1, 3) @ cell
    nearest = [np.linalg.norm(points + vector, axis=1).min() for vector in vectors]
    assert found == pytest.approx(nearest)


@pytest.mark.parametrize(
    ("name", "nodes", "linkers"),
    [
        ("UiO-66", {"H4O8Zr6": 1}, {"C8H4O4": 6}),
        ("MOF-5", {"OZn4": 2}, {"C8H4O4": 6}),
        ("HKUST1", {"Cu": 12}, {"C9H3O6": 8}),
        ("MIL-125", {"H4O12Ti8": 2}, {"C8H4O4": 12}),
    ],
)
def test_units_of_other_frameworks(name, nodes, linkers):
    units = find_units(Frame.from_ase(read(reference_path(f"mofs/curated127/{name}.cif"))))
    assert dict(units.linker_formulas) == linkers
    if nodes is not None:
        assert dict(units.node_formulas) == nodes


def test_rods_are_endless_and_make_no_net():
    units = find_units(Frame.from_ase(read(reference_path("mofs/curated127/MIL-53.cif"))))
    assert units.endless_nodes.all()
    assert not units.endless_linkers.any()
    with pytest.raises(InputError, match="node 0 is bonded to its own image"):
        find_net(units)


def test_net_of_the_crystal():
    units = find_units(Frame.from_ase(zif4()))
    net = find_net(units)
    assert net.degrees.tolist() == [4] * 16 + [2] * 32
    assert len(net.edges) == 64


@pytest.mark.parametrize("name", FILES)
def test_net_has_the_bonds_that_the_peer_found(name):
    file, style = FILES[name]
    atoms = read(reference_path(file), format="lammps-data", atom_style=style, units="metal")
    reference = np.load(reference_path(f"reference/{name}.npz"))
    zinc, members = reference["zn_indices"], reference["im_members"]
    cutoffs = {("Zn", "N"): 2.5}
    units = find_units(Frame.from_ase(atoms), metal_cutoffs_A=cutoffs)
    net = find_net(units)
    assert net.n_linkers == len(members)
    # our linkers hold the peer's heavy atoms
    of_member = units.linker_of_atom[members]
    assert (of_member == of_member[:, :1]).all()
    edges = reference["net_cut2.5_edges"]
    theirs = sorted(
        (units.node_of_atom[zinc[u]], net.n_nodes + of_member[v - len(zinc), 0])
        for u, v, *_ in edges
    )
    assert theirs == sorted(map(tuple, net.edges.tolist()))


def test_net_of_another_frame_keeps_the_units():
    atoms = zif4()
    units = find_units(Frame.from_ase(atoms))
    hot = atoms.copy()
    hot.rattle(0.15, seed=2)
    hot.positions += [3.0, -8.0, 50.0]
    hot.wrap()
    net = find_net(units, Frame.from_ase(hot), {("Zn", "N"): 2.8})
    assert net.degrees.tolist() == [4] * 16 + [2] * 32
    with pytest.raises(InputError, match="are not those of the units"):
        find_net(units, Frame.from_ase(atoms[::-1]))


def test_integrity_over_time():
    frames = [zif4() for _ in range(4)]
    hydrogen = np.flatnonzero(frames[0].symbols == "H")
    frames[2].positions[hydrogen[0]] += 2.0
    (found,) = analyse(trajectory_of(*frames), [Integrity()])
    assert found.tables["series"].columns["intact"].values.tolist() == [32, 32, 31, 32]
    assert found.scalars["intact, fewest"].value == 31
    with pytest.raises(InputError, match="integrity: no organic linkers"):
        analyse(trajectory_of(Atoms("Cu", cell=[4, 4, 4], pbc=True)), [Integrity()])


def test_rods_through_atoms_of_linkers() -> None:
    """Mg joined by O of linkers along c, as in MOF-74; with c twice as long they are apart."""
    atoms = Atoms("MgOC", [[0, 0, 0], [1.3, 0, 2.0], [2.5, 0, 2.0]], cell=[10, 10, 4], pbc=True)
    units = find_units(Frame.from_ase(atoms))
    assert units.n_nodes == units.n_linkers == 1
    assert not units.endless_nodes.any()
    assert has_rods(units)
    atoms.set_cell([10, 10, 8])
    assert not has_rods(find_units(Frame.from_ase(atoms)))


def test_caps_are_no_linkers() -> None:
    """Two formates in the place of a linker; one breaks."""
    crystal = uio66()
    blocks = find_blocks(crystal)
    defective = make_defects(crystal, blocks, Defects(linkers=(0,)), find_cap("formate")).atoms
    linkers = find_linkers(defective)
    assert (len(linkers), linkers.n_linkers, linkers.n_caps) == (25, 23, 2)
    caps = [linkers.members[k] for k in np.flatnonzero(linkers.is_cap)]
    assert {str(defective[list(cap)].symbols.formula.convert("hill")) for cap in caps} == {"CHO2"}
    broken = defective.copy()
    hydrogen = next(k for k in caps[0] if defective.symbols[k] == "H")
    broken.positions[hydrogen] += 3.0
    found = compare(defective, broken)
    assert (found["linkers"], found["linkers_intact"]) == (23, 23)
    assert (found["caps"], found["caps_intact"]) == (2, 1)
    assert "caps" not in compare(crystal, crystal)


def test_a_linker_that_hangs_on_one_node_is_no_cap() -> None:
    """One node is gone, its linkers stay."""
    crystal = uio66()
    units = find_units(Frame.from_ase(crystal))
    hanging = crystal[units.node_of_atom != 0]
    linkers = find_linkers(hanging)
    assert (linkers.n_linkers, linkers.n_caps) == (24, 0)
