"""The bulk modulus of a crystal by every protocol, against the exact one."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from mofmd.analysis.mechanics.points import read_points, read_stiffness
from mofmd.errors import InputError
from mofmd.simulation.deck.deck import PotentialScript, write_deck
from mofmd.simulation.protocols import (
    NST,
    Elastic,
    EnergyVolume,
    FiniteStrain,
    Minimise,
    PressureGrid,
    StrainFluctuation,
)
from mofmd.simulation.run.minimised import read_minimised
from mofmd.simulation.run.run import run_deck
from mofmd.units import BAR_TO_GPA, BOLTZMANN_EV_PER_K, EV_PER_A3_TO_GPA
from tests.lennard_jones import C11, C12, C44, EDGE_A, K_GPa, argon, argon_deck, bulk_modulus

COLD_K = 1.0  # K(T) falls by 0.15 % per K at first
MD = {
    "timestep_fs": 4,
    "supercell": (3, 3, 3),
    "thermo_interval_fs": 20,
    "frame_interval_fs": 10000,
    "restart_interval_ps": 100,
}


def test_the_crystal_is_argon() -> None:
    # experiment at 4 K: 5.31 Å, C11 = 4.2, C12 = 2.4, C44 = 2.2 GPa
    assert pytest.approx(5.26, abs=0.02) == EDGE_A
    assert pytest.approx((4.2, 2.4, 2.3), rel=0.1) == (C11, C12, C44)


def test_elastic_constants_at_rest(tmp_path: Path) -> None:
    deck = argon_deck(Elastic(supercell=(4, 4, 4), strain=0.002), tmp_path, EDGE_A)
    run_deck(deck.directory)
    found = read_stiffness(deck.directory / "points.csv")
    exact = np.zeros((6, 6))
    exact[:3, :3] = C12
    exact[np.diag_indices(3)] = C11
    exact[(3, 4, 5), (3, 4, 5)] = C44
    assert found.stiffness_GPa == pytest.approx(exact, abs=2e-3 * K_GPa)
    assert found.asymmetry_GPa < 2e-3 * K_GPa


def test_minimise_says_what_it_has_reached(tmp_path: Path) -> None:
    protocol = Minimise(supercell=(3, 3, 3), cell="iso", force_tolerance_eV_per_A=1e-6)
    deck = argon_deck(protocol, tmp_path, 1.01 * EDGE_A)
    run_deck(deck.directory)
    found = read_minimised(deck.directory)
    assert found is not None
    assert found.reached
    assert found.force_max_eV_per_A <= found.force_norm_eV_per_A <= 1e-6
    assert found.volume_A3 == pytest.approx(27 * EDGE_A**3, rel=1e-4)
    assert found.pressure_bar == pytest.approx(0.0, abs=2.0)
    assert "asked: 1e-06 eV/Å, reached" in str(found)


@pytest.mark.parametrize("shape", ["fixed", "free"])
def test_energy_volume(tmp_path: Path, shape: str) -> None:
    ratios = (0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015)
    protocol = EnergyVolume(supercell=(4, 4, 4), volume_ratios=ratios, shape=shape)
    deck = argon_deck(protocol, tmp_path, EDGE_A)
    run_deck(deck.directory)
    rows = read_points(deck.directory / "points.csv")
    volumes = np.array([float(row["volume_A3"]) for row in rows])
    energies = np.array([float(row["energy_eV"]) for row in rows])
    assert volumes / (64 * EDGE_A**3) == pytest.approx(ratios, rel=2e-6)
    strains = volumes / (64 * EDGE_A**3) - 1
    curvature = np.polyfit(strains, energies, 4)[2] * 2  # V² d²E/dV²
    assert curvature / (64 * EDGE_A**3) * EV_PER_A3_TO_GPA == pytest.approx(K_GPa, rel=2e-3)
    # the pressure is minus the slope of the energy
    slope = np.polyval(
        np.polyder(np.polyfit(volumes - volumes[3], energies, 4)), volumes - volumes[3]
    )
    pressures = np.array([float(row["pressure_bar"]) for row in rows]) * BAR_TO_GPA
    assert -slope * EV_PER_A3_TO_GPA == pytest.approx(pressures, abs=1e-3 * K_GPa * 0.015 * 20)


def test_fixed_shape_of_a_cell_that_is_not_orthogonal(tmp_path: Path) -> None:
    """The tilts grow with the edges: no shear, and the bulk modulus of the cubic cell."""
    ratios = (0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015)
    protocol = EnergyVolume(supercell=(5, 5, 5), volume_ratios=ratios, shape="fixed")
    primitive = bulk("Ar", "fcc", EDGE_A)
    deck = argon_deck(protocol, tmp_path, EDGE_A, primitive)
    run_deck(deck.directory)
    rows = read_points(deck.directory / "points.csv")
    volumes, energies, xy, lx = (
        np.array([float(row[name]) for row in rows])
        for name in ("volume_A3", "energy_eV", "xy_A", "lx_A")
    )
    assert xy / lx == pytest.approx(xy[3] / lx[3], rel=1e-9)
    assert abs(xy[3] / lx[3]) > 0.1
    curvature = np.polyfit(volumes / volumes[3] - 1, energies, 4)[2] * 2
    assert curvature / volumes[3] * EV_PER_A3_TO_GPA == pytest.approx(K_GPa, rel=3e-3)
    for name in ("pyz", "pxz", "pxy"):
        assert [float(row[f"{name}_bar"]) for row in rows] == pytest.approx([0.0] * 7, abs=5)


def test_planes_on_the_faces_of_the_cell(tmp_path: Path) -> None:
    """Half neighbour lists would miss pairs where rounding puts atoms on either side of a face."""
    ratios = tuple(round(0.9 + 0.005 * k, 4) for k in range(41))
    protocol = EnergyVolume(supercell=(3, 3, 3), volume_ratios=ratios, shape="fixed")
    crystal = bulk("Ar", "fcc", 5.26, cubic=True)
    deck = argon_deck(protocol, tmp_path, EDGE_A, crystal)
    run_deck(deck.directory)
    energies = [float(row["energy_eV"]) for row in read_points(deck.directory / "points.csv")]
    assert abs(np.diff(energies, 3)).max() < 1e-3  # eV; a missed plane is several


def test_free_shape_relaxes_a_strained_cell_back(tmp_path: Path) -> None:
    """At fixed volume the cubic cell has the lowest energy: a squeezed one finds it again."""
    cubic = argon_deck(EnergyVolume(supercell=(4, 4, 4), volume_ratios=(0.99,)), tmp_path, EDGE_A)
    squeezed = argon(EDGE_A)
    cell = squeezed.cell.array * np.array([[1.01], [1.0], [1 / 1.01]])
    cell[1, 0] = 0.03
    squeezed.set_cell(cell, scale_atoms=True)
    potential = PotentialScript(tmp_path / "argon.in", ("Ar",))
    protocol = EnergyVolume(supercell=(4, 4, 4), volume_ratios=(0.99,))
    other = write_deck(protocol, squeezed, potential, tmp_path / "squeezed")
    rows = []
    for deck in (cubic, other):
        run_deck(deck.directory)
        rows += read_points(deck.directory / "points.csv")
    one, two = rows
    assert float(two["energy_eV"]) == pytest.approx(float(one["energy_eV"]), abs=1e-4)
    for name in ("pxx", "pyy", "pzz"):
        assert float(two[f"{name}_bar"]) == pytest.approx(float(one["pressure_bar"]), abs=5)
    for name in ("pyz", "pxz", "pxy"):
        assert float(two[f"{name}_bar"]) == pytest.approx(0, abs=5)


def test_finite_strain(tmp_path: Path) -> None:
    protocol = FiniteStrain(
        temperature_K=COLD_K,
        volume_ratios=(1.01, 1.0, 0.99),
        deformation_ps=4,
        equilibration_ps=4,
        sampling_ps=12,
        **{**MD, "restart_interval_ps": 1.0},
    )
    deck = argon_deck(protocol, tmp_path, EDGE_A)
    run = run_deck(deck.directory)
    tables = {table.stage: table.columns for table in run.tables}
    volume_0 = 27 * EDGE_A**3
    # the volume goes in a straight line of the edge, through all parts of a stage
    for number, (start, end) in enumerate(((1, 1.01), (1.01, 1.0), (1.0, 0.99)), start=1):
        deform = tables[f"deform_{number}"]
        edges = np.cbrt(deform["Volume"] / volume_0)
        progress = (deform["Step"] - deform["Step"][0]) / np.ptp(deform["Step"])
        line = np.cbrt(start) + (np.cbrt(end) - np.cbrt(start)) * progress
        assert edges == pytest.approx(line, abs=1e-7)
    assert bulk_modulus(run) == pytest.approx(K_GPa, rel=0.02)


def test_pressure_grid(tmp_path: Path) -> None:
    protocol = PressureGrid(
        temperature_K=COLD_K,
        pressures_bar=(-150.0, 0.0, 150.0),
        equilibration_ps=10,
        sampling_ps=20,
        coupling="iso",
        pressure_damping_fs=500,
        **MD,
    )
    deck = argon_deck(protocol, tmp_path, EDGE_A)
    tables = {table.stage: table.columns for table in run_deck(deck.directory).tables}
    volumes = [float(tables[f"sample_{k}"]["Volume"].mean()) for k in (1, 2, 3)]
    pressures = np.array(protocol.pressures_bar) * BAR_TO_GPA
    slope = np.polyder(np.polyfit(volumes, pressures, 2))
    assert -volumes[1] * np.polyval(slope, volumes[1]) == pytest.approx(K_GPa, rel=0.03)


def test_stress_tensor_strains_the_crystal_as_its_compliances_say(tmp_path: Path) -> None:
    """Stress along x and a shear: ε_xx = S11 σ, ε_yy = S12 σ, γ_yz = σ_yz / C44.

    The difference of both signs: thermal expansion and the second order drop out.
    """
    stress = 0.02  # GPa
    means = []
    for sign in (1, -1):
        target = (sign * stress, 0, 0, sign * stress / 2, 0, 0)
        protocol = NST(
            temperature_K=COLD_K, time_ps=60, stress_GPa=target, pressure_damping_fs=500, **MD
        )
        deck = argon_deck(protocol, tmp_path / f"{sign}", EDGE_A)
        columns = run_deck(deck.directory).tables[-1].columns
        late = columns["Time"] > 20
        means.append([columns[name][late].mean() for name in ("Lx", "Ly", "Lz", "Yz")])
    strains = (np.array(means[0]) - np.array(means[1])) / 2 / (3 * EDGE_A)
    s11 = (C11 + C12) / ((C11 - C12) * (C11 + 2 * C12))
    s12 = -C12 / ((C11 - C12) * (C11 + 2 * C12))
    exact = np.array([s11, s12, s12, 0.5 / C44]) * stress
    assert strains == pytest.approx(exact, abs=0.03 * exact[0])


@pytest.mark.long
def test_strain_fluctuation_and_finite_strain_agree(tmp_path: Path) -> None:
    """K = kT⟨V⟩/⟨δV²⟩ at 40 K, where argon is anharmonic enough for the barostat to thermalise."""
    temperature_K = 40.0
    protocol = StrainFluctuation(
        temperature_K=temperature_K,
        equilibration_ps=50,
        time_ps=1500,
        **{**MD, "restart_interval_ps": 1000, "thermo_interval_fs": 100},
    )
    deck = argon_deck(protocol, tmp_path / "fluctuation", EDGE_A * 1.012)
    volume = run_deck(deck.directory).tables[-1].columns["Volume"]
    by_fluctuation = BOLTZMANN_EV_PER_K * temperature_K * volume.mean() / volume.var()
    protocol_strain = FiniteStrain(
        temperature_K=temperature_K,
        volume_ratios=(1.01, 1.0, 0.99),
        deformation_ps=10,
        equilibration_ps=20,
        sampling_ps=200,
        **MD,
    )
    edge_A = float(np.cbrt(volume.mean() / 27))
    deck = argon_deck(protocol_strain, tmp_path / "strain", edge_A)
    by_strain = bulk_modulus(run_deck(deck.directory))
    assert by_fluctuation * EV_PER_A3_TO_GPA == pytest.approx(by_strain, rel=0.06)
    assert 0.5 * K_GPa < by_strain < 0.75 * K_GPa  # softer than at rest


def test_points_are_read_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "points.csv"
    file.write_text("direction,strain,pxx_bar\nxx,0.1,1\n")
    with pytest.raises(InputError, match="1 points for strain xx, expected two"):
        read_stiffness(file)
    file.write_text("direction,strain\n")
    with pytest.raises(InputError, match="holds no points"):
        read_points(file)
    file.write_text("direction,strain\nxx,0.1\nxx\n")
    with pytest.raises(InputError, match="line 3 has not as many values as the first line has"):
        read_points(file)
    file.write_text("direction,strain,pxx_bar\nxx,0.1,1\nxx,small,1\n")
    with pytest.raises(InputError, match="line 3: strain is 'small', expected a number"):
        read_stiffness(file)
    file.write_text("direction,strain,pxx_bar\nxx,0.1,1\nxx,-0.1,1\n")
    with pytest.raises(InputError, match="has no column pyy_bar; columns are direction, strain"):
        read_stiffness(file)
    file.write_text("direction,strain,pxx_bar\nxx,0.1,1\nxx,0.1,1\n")
    with pytest.raises(InputError, match=r"both points for strain xx are at 0\.1"):
        read_stiffness(file)
