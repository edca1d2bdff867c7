"""Phonons that are known exactly: chains, close packing, rotated cells, published ones."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from phonopy import Phonopy
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.phonons.calculation.displacements import DisplacementOptions
from mofmd.phonons.cells import to_atoms
from mofmd.phonons.elastic import christoffel_speeds, density_of, elastic_constants
from mofmd.phonons.load import load_phonopy
from mofmd.phonons.spectrum.groups import find_groups
from mofmd.phonons.spectrum.mesh import make_dos, make_mesh
from mofmd.phonons.spectrum.modes import gamma_modes, sample
from mofmd.phonons.spectrum.path import standard_path
from mofmd.phonons.spectrum.spectrum import SpectrumOptions, make_spectrum
from mofmd.phonons.spectrum.thermal import thermal_functions
from mofmd.phonons.spectrum.velocities import sound_speeds
from mofmd.units import EV_PER_A3_TO_GPA
from tests.phonons.crystals import EDGE_A, STIFFNESS, argon, chain, fcc, phonons
from tests.reference import reference_path

FORCES = "mofs/phonopy/MOF-5_mof0_phonopy.yaml.xz"
PUBLISHED = "mofs/mace_phonons/MOF-5_mof0.npz"


def squares(phonopy: Phonopy, q: list[list[float]], mass: float) -> np.ndarray:
    """Squared frequencies in units of the stiffness of a bond over the mass."""
    unit = phonopy.unit_conversion_factor**2 * STIFFNESS / mass
    return sample(phonopy, np.array(q)).frequencies_THz ** 2 / unit


def test_close_packing_at_x_and_l(tmp_path: Path) -> None:
    """Nearest neighbours alone at zero pressure: 4, 4, 8 at X, 2, 2, 8 at L."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path)
    found = squares(phonopy, [[0.5, 0.5, 0.0], [0.5, 0.5, 0.5], [0, 0, 0]], 39.948)
    np.testing.assert_allclose(found[0], [4, 4, 8], rtol=1e-6)
    np.testing.assert_allclose(found[1], [2, 2, 8], rtol=1e-6)
    np.testing.assert_allclose(found[2], 0, atol=1e-9)


def test_chain_of_two_masses(tmp_path: Path) -> None:
    phonopy, _ = phonons(chain(), argon(), tmp_path, (4, 1, 1))
    light, heavy = phonopy.primitive.masses
    for q in (0.0, 0.25, 0.5):
        both, product = 1 / light + 1 / heavy, light * heavy
        root = np.sqrt(both**2 - 4 * np.sin(np.pi * q) ** 2 / product)
        exact = STIFFNESS * np.array([both - root, both + root])
        found = sample(phonopy, np.array([[q, 0, 0]])).frequencies_THz[0]
        expected = np.sqrt(exact) * phonopy.unit_conversion_factor
        # the other four move across: bonds at their minimum do not resist
        np.testing.assert_allclose(found[-2:], expected, rtol=1e-6, atol=2e-5)
        np.testing.assert_allclose(found[:4], 0, atol=1e-3)


@pytest.mark.long
def test_sound_of_phonons_and_of_strains(tmp_path: Path) -> None:
    """C11 = 2k/a, C12 = C44 = k/a; both ways to the speed of sound, in seven directions."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "phonons")
    elastic = elastic_constants(fcc(), argon(), tmp_path / "strains", strain=5e-4)
    unit = STIFFNESS / EDGE_A * EV_PER_A3_TO_GPA
    exact = unit * np.diag([2.0, 2, 2, 1, 1, 1])
    exact[:3, :3] += unit * (1 - np.eye(3))
    np.testing.assert_allclose(elastic.stiffness_GPa, exact, atol=2e-4 * unit)
    assert elastic.asymmetry_GPa < 1e-3 * unit
    density = density_of(to_atoms(phonopy.primitive), phonopy.primitive.masses)
    assert density == pytest.approx(4 * 39.948 / EDGE_A**3)
    waves = sound_speeds(phonopy)
    speeds = christoffel_speeds(exact, density, waves.directions)
    np.testing.assert_allclose(waves.speeds_km_per_s, speeds, rtol=2e-4)


@pytest.mark.long
@pytest.mark.parametrize("method", ["random", "fewest"])
def test_other_displacements_give_the_same(method: str, tmp_path: Path) -> None:
    """Random displacements keep third derivatives: as much as their length over the bond's."""
    options = DisplacementOptions(method=method, distances_A=(1e-4,))  # type: ignore[arg-type]
    phonopy, _ = phonons(fcc(), argon(), tmp_path, displacements=options)
    plan = json.loads((tmp_path / "forces/plan.json").read_text())
    assert plan["method"] == ("random" if method == "random" else "differences")
    found = squares(phonopy, [[0.5, 0.5, 0.0]], 39.948)
    np.testing.assert_allclose(found[0], [4, 4, 8], rtol=1e-3)


def test_rotated_and_skewed_cells(tmp_path: Path) -> None:
    """The same crystal in other axes: the same frequencies at the same wave vectors."""
    straight, skewed = fcc(), fcc()
    skewed.set_cell(np.array([[1, 0, 0], [1, 1, 0], [0, -1, 1]]) @ skewed.cell.array)
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    skewed.set_cell(skewed.cell.array @ turn.T, scale_atoms=True)
    one = DisplacementOptions(distances_A=(1e-3,))
    first, _ = phonons(straight, argon(), tmp_path / "a", (3, 3, 3), one)
    second, _ = phonons(skewed, argon(), tmp_path / "b", (3, 3, 3), one)
    waves = np.random.default_rng(1).uniform(-0.1, 0.1, (5, 3))  # Cartesian [1/Å]
    a = sample(first, waves @ first.primitive.cell.T).frequencies_THz
    b = sample(second, waves @ turn.T @ second.primitive.cell.T).frequencies_THz
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_conventional_cell_gives_bands_of_the_primitive_one(tmp_path: Path) -> None:
    conventional = Atoms(
        "Ar4",
        scaled_positions=[[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
        cell=[EDGE_A] * 3,
        pbc=True,
    )
    phonopy, _ = phonons(conventional, argon(), tmp_path, (2, 2, 2))
    assert len(phonopy.primitive) == 1
    path = standard_path(phonopy, 3)
    assert {"Γ", "X", "L"} <= {name for _, name in path.ticks()}
    at_x = path.q[3 * next(k for k, (_, end) in enumerate(path.labels) if end == "X") + 2]
    found = squares(phonopy, [at_x.tolist()], 39.948)
    np.testing.assert_allclose(found[0], [4, 4, 8], rtol=1e-6)


@pytest.mark.parametrize("mesh", [(1, 1, 1), (4, 4, 4), (5, 3, 2)])
def test_density_of_states_counts_all_states(mesh: tuple[int, int, int], tmp_path: Path) -> None:
    """Also where bands are flat: chains side by side that do not feel each other."""
    phonopy, _ = phonons(chain(), argon(), tmp_path, (4, 1, 1))
    groups = find_groups(to_atoms(phonopy.primitive))
    dos = make_dos(make_mesh(phonopy, mesh, groups), groups, 0.013)
    widths = np.diff(dos.edges_THz)
    assert dos.total_per_THz @ widths == pytest.approx(6.0, abs=1e-9)
    np.testing.assert_allclose(dos.parts_per_THz[:2].sum(axis=0), dos.total_per_THz, atol=1e-9)
    np.testing.assert_allclose(dos.parts_per_THz[:2] @ widths, [3.0, 3.0], atol=1e-9)


def test_thermal_functions_of_phonopy(tmp_path: Path) -> None:
    phonopy, _ = phonons(fcc(), argon(), tmp_path)
    temperatures = np.array([0.0, 5.0, 50.0, 300.0])
    found = thermal_functions(make_mesh(phonopy, (5, 5, 5)), temperatures, 39.948)
    phonopy.run_mesh((5, 5, 5), is_gamma_center=True)
    other = phonopy.run_thermal_properties(temperatures=temperatures, exclude_gamma_acoustic=True)
    np.testing.assert_allclose(found.free_energy_kJ_per_mol, other.free_energy, rtol=1e-10)
    np.testing.assert_allclose(found.entropy_J_per_K_mol, other.entropy, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(
        found.heat_capacity_J_per_K_mol, other.heat_capacity, rtol=1e-9, atol=1e-12
    )
    np.testing.assert_array_equal(found.low, found.high)


def test_translations_are_told_from_soft_modes(tmp_path: Path) -> None:
    phonopy, constants = phonons(chain(), argon(), tmp_path, (4, 1, 1))
    spectrum = make_spectrum(phonopy, constants, SpectrumOptions(mesh=(3, 1, 1)))
    gamma = gamma_modes(phonopy, spectrum.groups)
    assert gamma.acoustic.sum() == 3
    # two optical modes across are zero as well
    assert not gamma.acoustic[-1]
    np.testing.assert_allclose(gamma.shares[-1].sum(), 1.0)


def test_published_bands() -> None:
    """MOF-5, forces of the authors: their bands, and the states at Γ."""
    phonopy, constants = load_phonopy(reference_path(FORCES), sum_rule=False)
    with np.load(reference_path(PUBLISHED)) as file:
        q, published = file["qpoints"][::70], file["frequencies_THz"][::70]
    np.testing.assert_allclose(sample(phonopy, q).frequencies_THz, published, atol=2e-6)
    assert constants.drift_eV_per_A2 < 1e-10
    assert 1e-6 < constants.asymmetry_eV_per_A2 < 1e-4
    names = find_groups(to_atoms(phonopy.primitive)).units
    assert names == ("node OZn4", "linker C8H4O4")


@pytest.mark.long
def test_published_tables_by_commands(tmp_path: Path) -> None:
    """All 427 wave vectors and the thermal table, by the commands alone."""
    forces, published = reference_path(FORCES), reference_path(PUBLISHED)
    out = tmp_path / "bands"
    line = ["phonons", "bands", str(forces), "-o", str(out), "--no-sum-rule", "--points", "2"]
    done = CliRunner().invoke(app, [*line, "--mesh", "11x11x11"])
    assert done.exit_code == 0, done.output
    beside = tmp_path / "beside"
    line = ["phonons", "compare", str(forces), str(published), "--no-sum-rule", "-o", str(beside)]
    done = CliRunner().invoke(app, [*line, "--mesh", "3x3x3"])
    assert done.exit_code == 0, done.output
    assert json.loads((beside / "compare.json").read_text())["rmsd_bands_THz"] < 2e-7
    table = np.genfromtxt(out / "thermal.csv", delimiter=",", names=True)
    with np.load(published) as file:
        temperature, heat, free, entropy = file["thermal_T_Cv_F_S"].T
    np.testing.assert_array_equal(table["temperature_K"], temperature)
    np.testing.assert_allclose(table["heat_capacity_J_per_K_mol"], heat, atol=1e-6)
    np.testing.assert_allclose(table["free_energy_kJ_per_mol"], free, atol=1e-6)
    np.testing.assert_allclose(table["entropy_J_per_K_mol"], entropy, atol=1e-6)
