"""Voronoi cells and bond-orientational order: exact lattices, frameworks, and ZIF-4's phases."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from scipy.special import eval_legendre

from mofmd.analysis.base.registry import Subject
from mofmd.analysis.catalogue import make_observables
from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.steinhardt import Steinhardt, bond_order
from mofmd.analysis.structure.voronoi import Voronoi, voronoi_cells
from mofmd.errors import InputError
from mofmd.reading.read import read_structure
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
from mofmd.topology.building_units import find_units
from mofmd.topology.node_net import NodeNet, find_node_net
from mofmd.trajectory.in_memory import Trajectory
from tests.reference import reference_path

BASES = {
    "sc": [[0, 0, 0]],
    "bcc": [[0, 0, 0], [0.5, 0.5, 0.5]],
    "fcc": [[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]],
}
# neighbours; q4 and q6 of Steinhardt, Nelson and Ronchetti 1983 (bcc with its 8 nearest)
EXACT = {
    "sc": (6, np.sqrt(7 / 12), np.sqrt(1 / 8)),
    "bcc": (8, 0.509175, 0.628539),
    "fcc": (12, 0.190941, 0.574524),
}


def lattice(kind: str, repeat: int = 3, a: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    cells = np.array(list(np.ndindex(repeat, repeat, repeat)))
    points = (cells[:, None] + np.array(BASES[kind])).reshape(-1, 3) * a
    return points, np.eye(3) * repeat * a


def nearest_net(points: np.ndarray, cell: np.ndarray, n: int) -> NodeNet:
    vectors = points[None] - points[:, None]
    vectors -= np.rint(vectors @ np.linalg.inv(cell)) @ cell
    first, second, ways = [], [], []
    for i, row in enumerate(vectors):
        near = np.argsort((row**2).sum(axis=1), kind="stable")[1 : n + 1]
        first += [i] * n
        second += near.tolist()
        ways.append(row[near])
    return NodeNet(points, np.array(first), np.array(second), np.concatenate(ways))


@pytest.mark.parametrize("kind", EXACT)
def test_order_of_the_cubic_lattices(kind: str) -> None:
    n, q4, q6 = EXACT[kind]
    local, averaged = bond_order(nearest_net(*lattice(kind), n), (4, 6))
    assert local == pytest.approx(np.broadcast_to([q4, q6], local.shape), abs=2e-5)
    # of a lattice all neighbours are alike
    assert averaged == pytest.approx(local, abs=2e-5)


def test_a_node_that_nothing_is_joined_to_has_no_order() -> None:
    up = np.array([[0, 0, 5.0]])
    net = NodeNet(np.zeros((3, 3)), np.array([0, 1]), np.array([1, 0]), np.concatenate([up, -up]))
    local, averaged = bond_order(net, (4, 6))
    # one direction alone: every q is 1
    assert local[:2] == pytest.approx(1.0)
    assert averaged[:2] == pytest.approx(1.0)
    assert np.isnan(local[2]).all()


def test_cells_of_the_cubic_lattices() -> None:
    for kind, faces in (("sc", 6), ("bcc", 14), ("fcc", 12)):
        points, cell = lattice(kind)
        found = voronoi_cells(points, cell)
        assert found.volumes == pytest.approx(4.0**3 / len(BASES[kind]))
        assert (found.neighbours == faces).all()
    # of a point alone its images are the neighbours
    assert voronoi_cells(np.ones((1, 3)), np.eye(3) * 5).neighbours.tolist() == [6]
    # of a bcc cell's surface each of the six squares takes 4.1 %, each of the eight hexagons 10.9 %
    assert (voronoi_cells(*lattice("bcc"), face_share=0.06).neighbours == 8).all()


def test_cells_do_not_depend_on_how_the_cell_lies_and_fill_it() -> None:
    rng = np.random.default_rng(3)
    cell = np.array([[9.0, 0, 0], [3.0, 8.0, 0], [-2.0, 2.5, 10.0]])
    points = rng.random((7, 3)) @ cell
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    plain = voronoi_cells(points, cell)
    turned = voronoi_cells((points + 4 * cell[1]) @ turn, cell @ turn)
    assert plain.volumes.sum() == pytest.approx(np.linalg.det(cell))
    assert turned.volumes == pytest.approx(plain.volumes, rel=1e-4)
    assert turned.neighbours.tolist() == plain.neighbours.tolist()
    # the volume nearer to a point than to any other, counted on a grid
    grid = (np.stack(np.meshgrid(*[np.arange(60)] * 3, indexing="ij"), -1) + 0.5).reshape(-1, 3)
    apart = grid[:, None] / 60 - points @ np.linalg.inv(cell)
    images = np.array(list(np.ndindex(3, 3, 3))) - 1
    near = ((apart - np.rint(apart))[:, :, None] + images) @ cell
    owner = (near**2).sum(axis=-1).min(axis=-1).argmin(axis=1)
    counted = np.bincount(owner, minlength=7) / 60**3 * np.linalg.det(cell)
    assert plain.volumes == pytest.approx(counted, rel=0.03)


def test_nets_of_frameworks() -> None:
    # nodes joined to each, and the distance along a linker
    for name, joined, distance in (
        ("zif-8", 4, 6.0109),
        ("mof-5", 6, 13.0341),
        ("uio-66", 12, 14.8033),
    ):
        frame = Frame.from_ase(read_structure(name))
        net = find_node_net(find_units(frame), frame)
        assert (np.bincount(net.first) == joined).all(), name
        assert np.linalg.norm(net.vectors, axis=1) == pytest.approx(distance, abs=1e-3), name
        # every way has its way back
        forth = sorted(map(tuple, np.round(net.vectors, 4) + 0.0))
        assert forth == sorted(map(tuple, np.round(-net.vectors, 4) + 0.0))


def test_frameworks_have_the_order_of_their_nets() -> None:
    """MOF-5's net is sc, UiO-66's fcc; in ZIF-8 four nodes surround each, as in diamond."""
    for name, q4, q6 in (("mof-5", *EXACT["sc"][1:]), ("uio-66", *EXACT["fcc"][1:])):
        frames = Trajectory.from_ase([read_structure(name)])
        order, cells = analyse(frames, [Steinhardt(), Voronoi()])
        assert order.scalars["q4"].value == pytest.approx(q4, abs=1e-3)
        assert order.scalars["q6 averaged"].value == pytest.approx(q6, abs=1e-3)
        assert cells.settings["of"] == "nodes"
        assert cells.scalars["relative spread of the volume"].value == pytest.approx(0, abs=1e-4)
        faces = {"mof-5": 6, "uio-66": 12}[name]
        assert cells.scalars["neighbours"].value == faces
    (zif8,) = analyse(Trajectory.from_ase([read_structure("zif-8")]), [Steinhardt((3,))])
    assert zif8.scalars["linked nodes per node"].value == 4
    # sodalite: of the six angles at a node two are 90° and four 120°; q_l² = Σ_ij P_l(cos γ_ij)/N²
    q3 = np.sqrt((4 + 2 * (2 * eval_legendre(3, 0) + 4 * eval_legendre(3, -0.5))) / 16)
    assert zif8.scalars["q3"].value == pytest.approx(q3, abs=1e-3)


def test_order_against_legendre_polynomials() -> None:
    """By the addition theorem q_l needs no spherical harmonics; nodes joined in several images."""
    frame = Frame.from_ase(read_structure("uio-66"))
    rng = np.random.default_rng(1)
    moved = frame.positions + rng.normal(scale=0.3, size=(len(frame), 3))
    net = find_node_net(find_units(frame), replace(frame, positions=moved))
    assert len(net.centres) < len(set(net.second.tolist())) * 3 < len(net.first)
    units = net.vectors / np.linalg.norm(net.vectors, axis=1)[:, None]
    local, averaged = bond_order(net, (3, 4, 6))
    for node in range(len(net.centres)):
        cosines = units[net.first == node] @ units[net.first == node].T
        expected = [np.sqrt(eval_legendre(degree, cosines).mean()) for degree in (3, 4, 6)]
        assert local[node] == pytest.approx(expected, abs=1e-5)
    assert (averaged <= np.sqrt((local**2).max(axis=0)) + 1e-9).all()


def test_distributions_are_densities_and_errors_are_given() -> None:
    rng = np.random.default_rng(0)
    frames = []
    for _ in range(24):
        atoms = zif4()
        atoms.positions += rng.normal(scale=0.08, size=atoms.positions.shape)
        frames.append(atoms)
    order, cells = analyse(Trajectory.from_ase(frames), [Steinhardt(cut=0), Voronoi(cut=0)])
    curves = order.tables["distribution"].columns
    for name in ("q4", "q6", "q4 averaged", "q6 averaged"):
        assert curves[name].values.sum() * 0.02 == pytest.approx(1)
        scalar = order.scalars[name]
        mean = curves["q"].values @ curves[name].values * 0.02
        assert mean == pytest.approx(scalar.value, abs=0.01)
        assert 0 < scalar.standard_error < 0.02
    ratio, density = (cells.tables["volume"].columns[name] for name in ("ratio", "density"))
    assert density.values.sum() * 0.02 == pytest.approx(1)
    assert ratio.values @ density.values * 0.02 == pytest.approx(1, abs=0.01)
    assert cells.tables["neighbours"].columns["fraction"].values.sum() == pytest.approx(1)
    volume = cells.scalars["volume per node"]
    assert volume.value == pytest.approx(zif4().get_volume() / 16)
    assert volume.unit == "Å³"


def test_rods_have_cells_of_their_metals_and_no_net() -> None:
    mil53 = Trajectory.from_ase(
        [read_structure(reference_path("mofs/curated127/MIL-53.cif")).repeat((2, 1, 1))]
    )
    (cells,) = analyse(mil53, [Voronoi()])
    assert cells.settings["of"] == "metals"
    assert "volume per metal" in cells.scalars
    with pytest.raises(InputError, match=r"rods or layers without a centre.*voronoi\.of=metals"):
        analyse(mil53, [Voronoi(of="nodes")])
    with pytest.raises(InputError, match="bonded to its own image"):
        analyse(mil53, [Steinhardt()])


def test_refusals() -> None:
    argon = Atoms("Ar4", positions=np.eye(4, 3) * 3, cell=[9, 9, 9], pbc=True)
    for observable in (Voronoi(), Steinhardt()):
        with pytest.raises(InputError, match=f"{observable.name}: no metal"):
            analyse(Trajectory.from_ase([argon]), [observable])
    bare = zif4()
    del bare[[k for k in range(len(bare)) if bare.symbols[k] != "Zn"]]
    with pytest.raises(InputError, match="steinhardt: no linker joins two nodes"):
        analyse(Trajectory.from_ase([bare]), [Steinhardt()])
    with pytest.raises(InputError, match=r"degrees: \(4, 4\), expected different"):
        Steinhardt((4, 4))
    with pytest.raises(InputError, match="of is 'atoms', expected nodes or metals"):
        analyse(Trajectory.from_ase([zif4()]), [Voronoi(of="atoms")])


def test_options_of_the_command() -> None:
    subject = Subject(
        Frame.from_ase(zif4()), options={"steinhardt": {"degrees": (3, 4)}, "voronoi": {}}
    )
    names = [made.name for made in make_observables(("voronoi", "steinhardt"), subject)]
    assert names == ["voronoi", "steinhardt"]
