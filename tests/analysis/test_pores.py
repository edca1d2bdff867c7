import json

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from mofmd.analysis.one_pass import analyse
from mofmd.analysis.pores.distance_field import open_voxels
from mofmd.analysis.pores.pores import PoreStatistics, find_pores, pore_volume_A3
from mofmd.analysis.pores.radii import atom_radii
from mofmd.errors import InputError
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame, Species
from tests.analysis.test_rings import STRUCTURES, load
from tests.reference import reference_path
from tests.trajectories import trajectory_of

RADII = {"Ar": 1.5}
SHEAR = np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]])


def argon(positions, cell) -> Frame:
    return Frame.from_ase(Atoms("Ar" * len(positions), positions, cell=cell, pbc=True))


def test_volume_and_surface_of_one_sphere():
    cell = np.diag([9.0, 8.0, 10.0])
    found = find_pores(argon([[1, 2, 3]], cell), 1.0, 0.1, RADII)
    outside = 720 - 4 / 3 * np.pi * 2.5**3
    assert found.accessible_A3 == pytest.approx(outside, rel=1e-3)
    assert found.inaccessible_A3 == 0
    assert found.accessible_A2 == pytest.approx(4 * np.pi * 2.5**2, rel=1e-6)


def test_two_overlapping_spheres():
    cell = np.eye(3) * 10
    found = find_pores(argon([[5, 5, 5], [7, 5, 5]], cell), 0.5, 0.1, RADII)
    # two spheres of 2 Å, 2 Å apart: each loses a cap of height 1
    cap = np.pi * (3 * 2 - 1) / 3
    sphere = 4 / 3 * np.pi * 8
    assert found.accessible_A3 == pytest.approx(1000 - 2 * (sphere - cap), rel=1e-3)
    # a cap's area is 2 π R h
    assert found.accessible_A2 == pytest.approx(2 * (16 * np.pi - 4 * np.pi), rel=0.01)


@pytest.mark.parametrize("shear", [False, True])
def test_spheres_that_fit_and_pass_in_a_simple_cubic_lattice(shear):
    # the largest sits in the cube's centre, a√3/2 from the atoms; the neck is a face's, a√2/2
    a = 6.0
    cell = np.eye(3) * a
    if shear:
        cell = SHEAR @ cell
    found = find_pores(argon([[0.3, 0.2, 0.1]], cell), 1.2, 0.15, RADII)
    assert found.largest_cavity_A == pytest.approx(a * np.sqrt(3) - 3, abs=2e-3)
    assert found.largest_on_way_A == pytest.approx(a * np.sqrt(3) - 3, abs=2e-3)
    assert found.limiting_A == pytest.approx(a * np.sqrt(2) - 3, abs=0.04)
    assert found.inaccessible_A3 == 0


def test_a_locked_cavity_is_not_accessible():
    # face-centred: octahedral holes of a/2, necks of a/√6 from three atoms
    a = 9.0
    positions = a / 2 * np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]])
    frame = argon(positions, np.eye(3) * a)
    neck = a / np.sqrt(6) - 2.0
    radii = {"Ar": 2.0}
    small, large = (find_pores(frame, neck + d, 0.2, radii) for d in (-0.05, 0.05))
    assert small.limiting_A == pytest.approx(2 * neck, abs=0.04)
    assert large.limiting_A == pytest.approx(2 * neck, abs=0.04)
    assert (small.inaccessible_A3, large.accessible_A3) == (0, 0)
    assert small.accessible_A3 > 0
    assert large.inaccessible_A3 > 0
    assert large.inaccessible_A2 > 0 == large.accessible_A2
    assert large.largest_cavity_A == pytest.approx(a - 4, abs=2e-3)


def test_no_space_at_all():
    frame = argon([[0, 0, 0]], np.eye(3) * 2.5)
    found = find_pores(frame, 0.5, 0.1, {"Ar": 2.2})
    assert np.isnan(found.limiting_A)
    assert found.accessible_A3 == found.inaccessible_A3 == 0
    assert np.isnan(found.largest_cavity_A)


def test_distances_are_those_of_a_direct_search():
    rng = np.random.default_rng(5)
    cell = np.array([[11.0, 0, 0], [4, 10, 0], [-3, 2, 12]])
    positions = rng.uniform(-20, 20, (12, 3))
    radii = rng.uniform(0.8, 2.0, 12)
    voxels = open_voxels(positions, radii, cell, 0.7, 0.3)
    images = np.array([[i, j, k] for i in range(-6, 7) for j in range(-6, 7) for k in range(-6, 7)])
    grid = np.stack(np.unravel_index(np.arange(np.prod(voxels.shape)), tuple(voxels.shape)), axis=1)
    points = grid / voxels.shape @ cell
    direct = np.full(len(points), np.inf)
    for position, radius in zip(positions, radii, strict=True):
        copies = position + images @ cell
        near = copies[np.linalg.norm(copies - cell.sum(axis=0) / 2, axis=1) < 30]
        d = np.linalg.norm(points[:, None] - near[None], axis=2).min(axis=1) - radius
        direct = np.minimum(direct, d)
    inside = np.flatnonzero(direct >= 0.3)
    assert voxels.flat.tolist() == inside.tolist()
    assert voxels.distance == pytest.approx(direct[inside], abs=1e-5)


@pytest.mark.parametrize("name", STRUCTURES)
def test_real_structures(name):
    reference = json.loads(reference_path("reference/structures.json").read_text())[name]["pore"]
    found = find_pores(load(name))
    # exact: two million random points; ours: the grid's own error besides
    sigma = reference["independent_MC_sigma_A3"]
    total = found.accessible_A3 + found.inaccessible_A3
    assert total == pytest.approx(reference["independent_MC_total_A3"], abs=4 * sigma)
    assert pore_volume_A3(load(name)) == pytest.approx(total, abs=1e-3)
    assert found.total_cm3_per_kg == pytest.approx(
        reference["independent_MC_total_cm3_per_kg"], rel=0.01
    )
    # the peer's high-accuracy mode replaces atoms by clusters of spheres: 0.5 Å and 3 % of surface
    free = found.accessible_A2 + found.inaccessible_A2
    peers = reference["pyzeo_ASA_A2"] + reference["pyzeo_NASA_A2"]
    assert free == pytest.approx(peers, rel=0.06)
    largest, limiting, _ = reference["Di_Df_Dif_A"]
    assert found.largest_cavity_A == pytest.approx(largest, abs=0.5)
    assert found.limiting_A == pytest.approx(limiting, abs=0.3)


@pytest.mark.parametrize("name", ["crystal", "glass04"])
def test_largest_cavity_is_the_largest_of_many_random_points(name):
    frame = load(name)
    found = find_pores(frame, surface=False)
    # no point of a fine grid may have more room, and one must have nearly as much
    voxels = open_voxels(frame.positions, atom_radii(frame.species), frame.cell, 0.08, 1.0)
    top = 2 * float(voxels.distance.max())
    assert top <= found.largest_cavity_A + 1e-5
    assert top == pytest.approx(found.largest_cavity_A, abs=2 * np.sqrt(3) / 2 * 0.08)


@settings(max_examples=2, deadline=None)
@given(st.integers(0, 1000))
def test_nothing_depends_on_order_wrapping_or_the_supercell(seed):
    rng = np.random.default_rng(seed)
    atoms = zif4()
    other = atoms[rng.permutation(len(atoms))]
    # a whole number of grid steps leaves the grid where it is with respect to the atoms
    steps = np.ceil(atoms.cell.lengths() / 0.2)
    other.positions += (rng.integers(0, 50, 3) / steps) @ atoms.cell[:]
    other.positions += rng.integers(-2, 3, (len(atoms), 3)) @ atoms.cell[:]
    one, two = (find_pores(Frame.from_ase(a), surface=False) for a in (atoms, other))
    double = find_pores(Frame.from_ase(atoms.repeat((1, 2, 1))), surface=False)
    assert two.accessible_A3 == pytest.approx(one.accessible_A3, rel=2e-3)
    assert double.total_cm3_per_kg == pytest.approx(one.total_cm3_per_kg, rel=0.01)
    for found in (two, double):
        assert found.largest_cavity_A == pytest.approx(one.largest_cavity_A, abs=2e-3)
        assert found.limiting_A == pytest.approx(one.limiting_A, abs=0.05)


def shell(n: int, inner: float, outer: float, edge: float) -> np.ndarray:
    """Points spread over a spherical shell in the middle of a cubic cell."""
    rng = np.random.default_rng(5)
    radius = rng.uniform(inner**3, outer**3, (n, 1)) ** (1 / 3)
    directions = rng.normal(size=(n, 3))
    return edge / 2 + radius * directions / np.linalg.norm(directions, axis=1, keepdims=True)


def test_a_cavity_among_thousands_of_atoms():
    edge, radius = 15.0, 0.2
    atoms = shell(5000, 6.0, 7.5, edge)
    frame = Frame.from_ase(Atoms("H5000", atoms, cell=[edge] * 3, pbc=True))
    found = find_pores(frame, 0.5, 0.2, {"H": radius}, surface=False)
    step = 0.05
    grid = np.stack(np.meshgrid(*[np.arange(-12, 13) * step] * 3, indexing="ij"), axis=-1)
    highest = cKDTree(atoms).query(edge / 2 + grid.reshape(-1, 3))[0].max() - radius
    assert highest - 1e-6 <= found.largest_cavity_A / 2 <= highest + np.sqrt(3) / 2 * step


def test_surface_among_thousands_of_atoms():
    """A large sphere that more than 4096 small ones touch."""
    edge, sphere, radius, n = 12.6, 5.9, 0.2, 4500
    middle = np.full(3, edge / 2)
    atoms = shell(n, 5.75, 6.05, edge)
    frame = Frame.from_ase(Atoms(f"H{n}Xe", [*atoms, middle], cell=[edge] * 3, pbc=True))
    found = find_pores(frame, 0.1, 0.2, {"H": radius - 0.1, "Xe": sphere - 0.1})
    k = np.arange(500) + 0.5
    polar, azimuth = np.arccos(1 - 2 * k / 500), np.pi * (1 + np.sqrt(5)) * k
    directions = np.stack(
        [np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)], axis=1
    )
    tree = cKDTree(atoms)
    large = (tree.query(middle + sphere * directions)[0] >= radius).mean() * sphere**2
    small = 0.0
    for k, atom in enumerate(atoms):
        near = atoms[[j for j in tree.query_ball_point(atom, 2 * radius) if j != k]]
        points = atom + radius * directions
        out = np.linalg.norm(points - middle, axis=1) >= sphere
        far = np.linalg.norm(points[:, None] - near, axis=2) >= radius
        small += (out & far.all(axis=1)).mean() * radius**2
    area = found.accessible_A2 + found.inaccessible_A2
    assert area == pytest.approx(4 * np.pi * (large + small), rel=1e-9)


def test_over_time():
    frames = [zif4() for _ in range(3)]
    (found,) = analyse(trajectory_of(*frames), [PoreStatistics(surface=False)])
    alone = find_pores(Frame.from_ase(zif4()), surface=False)
    assert found.scalars["total volume"].value == pytest.approx(alone.total_cm3_per_kg)
    assert found.scalars["pore limiting diameter"].unit == "Å"


def test_refusals():
    alloy = Frame(0, Species(["Qq"]), np.zeros((1, 3)), 9 * np.eye(3))
    with pytest.raises(InputError, match="species: 'Qq' is not a chemical element"):
        find_pores(alloy)
    with pytest.raises(InputError, match="radii_A: 0 for Zn, expected more than zero"):
        find_pores(Frame.from_ase(zif4()), radii_A={"Zn": 0.0})
    for options, message in (
        ({"probe_radius_A": -1.0}, "probe_radius_A: -1"),
        ({"spacing_A": 0.0}, "spacing_A: 0"),
        ({"spacing_A": 1e-3}, r"makes 4\.4e\+12 voxels"),
    ):
        with pytest.raises(InputError, match=message):
            find_pores(Frame.from_ase(zif4()), **options)
