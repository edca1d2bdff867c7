"""Free shape at constant volume, (N, V, σ_a = 0, T), on a crystal of exactly known elasticity."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.analysis.mechanics.points import read_stiffness
from mofmd.engine.launch import Resources, environment, lammps_command
from mofmd.errors import InputError
from mofmd.simulation.protocols import Elastic, VolumeGrid
from mofmd.simulation.run.run import run_deck
from mofmd.study.settings import AnalysisSettings
from mofmd.study.study import run_analysis
from mofmd.units import BAR_TO_GPA, BOLTZMANN_EV_PER_K, EV_PER_A3_TO_GPA
from tests.lennard_jones import C11, C12, C44, EDGE_A, K_GPa, argon, argon_deck, bulk_modulus
from tests.silicon import silicon_deck

COLD_K = 1.0  # elastic constants are still those at rest
CELLS = 3
MD = {
    "temperature_K": COLD_K,
    "timestep_fs": 4,
    "supercell": (CELLS,) * 3,
    "thermo_interval_fs": 20,
    "frame_interval_fs": 10000,
    "restart_interval_ps": 100,
    "minimise_steps_max": 0,
    "shear_modulus_guess_GPa": 2.3,
    "shape_damping_fs": 400,
}
PRESSURES = ("Pxx", "Pyy", "Pzz", "Pyz", "Pxz", "Pxy")


def strained() -> Atoms:
    """Crystal that was drawn along x, squeezed along y and z and sheared, at its own volume."""
    atoms = argon(EDGE_A)
    stretch = np.diag([1.012, 0.995, 1 / 1.012 / 0.995])
    shear = np.array([[1, 0, 0], [0.01, 1, 0], [-0.006, 0.008, 1]])
    atoms.set_cell(atoms.cell.array @ stretch @ shear, scale_atoms=True)
    assert atoms.get_volume() == pytest.approx(EDGE_A**3, rel=1e-12)
    return atoms


def test_strained_crystal_becomes_cubic(tmp_path: Path) -> None:
    """No stress but a pressure is left, the volume is the first one, the shape the crystal's."""
    protocol = VolumeGrid(volume_ratios=(1.0,), equilibration_ps=15, sampling_ps=60, **MD)
    deck = argon_deck(protocol, tmp_path, EDGE_A, strained())
    tables = run_deck(deck.directory).tables
    volumes = np.concatenate([table.columns["Volume"] for table in tables])
    assert np.abs(volumes / (CELLS * EDGE_A) ** 3 - 1).max() < 1e-9  # the data file has 10 decimals
    assert np.ptp(volumes) / volumes[0] < 1e-10
    first, late = tables[1].columns, tables[-1].columns
    assert abs(first["Pxx"][0] - first["Pyy"][0]) > 300  # bar
    assert abs(first["Pyz"][0]) > 100
    # standard errors of means over 60 ps, in which a strain is forgotten some 70 times
    volume = volumes[0]
    thermal = BOLTZMANN_EV_PER_K * COLD_K / volume * EV_PER_A3_TO_GPA  # GPa
    for shear, modulus in (("Yz", C44), ("Xz", C44), ("Xy", C44)):
        error = np.sqrt(thermal / modulus / 35)
        assert (late[shear] / (CELLS * EDGE_A)).mean() == pytest.approx(0, abs=4 * error)
    for one, other in (("Lx", "Ly"), ("Ly", "Lz")):
        error = np.sqrt(2 * thermal / (C11 - C12) / 35)
        assert np.log(late[one] / late[other]).mean() == pytest.approx(0, abs=4 * error)
    pressure = np.array([late[name] for name in PRESSURES]) * BAR_TO_GPA
    deviatoric = pressure.copy()
    deviatoric[:3] -= pressure[:3].mean(axis=0)
    assert np.abs(deviatoric.mean(axis=1)).max() < 4 * np.sqrt(thermal * C11 / 35)
    # half of the velocities of the start goes into the potential energy, as in a crystal at rest
    assert late["Temp"].mean() == pytest.approx(COLD_K, rel=0.05)


@pytest.mark.long
def test_fluctuations_of_the_shape_are_those_of_the_elastic_constants(tmp_path: Path) -> None:
    """The ensemble is right: ⟨γ²⟩ = kT/(V C44), of ln(lx/ly)/√2 it is kT/(V (C11 − C12))."""
    protocol = VolumeGrid(volume_ratios=(1.0,), equilibration_ps=10, sampling_ps=300, **MD)
    columns = run_deck(argon_deck(protocol, tmp_path, EDGE_A).directory).tables[-1].columns
    thermal = BOLTZMANN_EV_PER_K * COLD_K / columns["Volume"][0] * EV_PER_A3_TO_GPA
    shears = [columns["Yz"] / columns["Lz"], columns["Xz"] / columns["Lz"],
              columns["Xy"] / columns["Ly"]]  # fmt: skip
    assert np.mean([np.mean(shear**2) for shear in shears]) == pytest.approx(
        thermal / C44, rel=0.12
    )
    lengths = np.log([columns["Lx"], columns["Ly"], columns["Lz"]])
    change = lengths - lengths.mean(axis=0)
    # two independent coordinates in three numbers
    assert (change**2).sum(axis=0).mean() / 2 == pytest.approx(thermal / (C11 - C12), rel=0.12)


@pytest.mark.long
def test_fluctuations_with_atoms_that_give_way(tmp_path: Path) -> None:
    """Silicon: its atoms relax within a strained cell, which halves C44."""
    elastic = silicon_deck(Elastic(supercell=(2, 2, 2)), tmp_path / "rest")
    run_deck(elastic.directory)
    stiffness = read_stiffness(elastic.directory / "points.csv").stiffness_GPa
    protocol = VolumeGrid(
        temperature_K=50,
        timestep_fs=1,
        volume_ratios=(1.0,),
        equilibration_ps=20,
        sampling_ps=250,
        thermo_interval_fs=50,
        frame_interval_fs=1e5,
        shear_modulus_guess_GPa=20,
    )
    columns = run_deck(silicon_deck(protocol, tmp_path / "hot").directory).tables[-1].columns
    thermal = BOLTZMANN_EV_PER_K * 50 / columns["Volume"][0] * EV_PER_A3_TO_GPA
    shears = [columns["Yz"] / columns["Lz"], columns["Xz"] / columns["Lz"],
              columns["Xy"] / columns["Ly"]]  # fmt: skip
    c44 = float(np.mean(stiffness[(3, 4, 5), (3, 4, 5)]))
    assert thermal / np.mean([np.var(shear) for shear in shears]) == pytest.approx(c44, rel=0.1)


def test_bulk_modulus(tmp_path: Path) -> None:
    """P(V) gives the exact one, as finite strain does, from a strained cell too."""
    protocol = VolumeGrid(
        volume_ratios=(1.01, 1.0, 0.99),
        deformation_ps=4,
        equilibration_ps=10,
        sampling_ps=12,
        **{**MD, "restart_interval_ps": 3.0},
    )
    deck = argon_deck(protocol, tmp_path, EDGE_A, strained())
    run = run_deck(deck.directory)
    tables = {table.stage: table.columns for table in run.tables}
    for number, ratio in enumerate(protocol.volume_ratios, start=1):
        for stage in (f"equilibrate_{number}", f"sample_{number}"):
            volumes = tables[stage]["Volume"]
            assert np.ptp(volumes) / volumes[0] < 1e-10  # through all parts of a stage
            assert volumes[0] / (CELLS * EDGE_A) ** 3 == pytest.approx(ratio, rel=1e-8)
    assert bulk_modulus(run) == pytest.approx(K_GPa, rel=0.02)
    found = run_analysis(AnalysisSettings(deck.directory, ("density",)))
    scalars = {r.name: r for r in found.results}["equation of state"].scalars
    assert scalars["bulk modulus K"].value == pytest.approx(K_GPa, rel=0.02)
    # at 1 K it is larger by 0.1 %: γ 3N kT/(K V)
    assert scalars["volume V₀"].value == pytest.approx((CELLS * EDGE_A) ** 3, rel=2e-3)


@pytest.mark.parametrize("ranks", [1, 2])
def test_by_hand(tmp_path: Path, ranks: int) -> None:
    """`lmp -in in.lammps` does what `mofmd run` does, to the last bit."""
    protocol = VolumeGrid(
        temperature_K=300,
        timestep_fs=1,
        volume_ratios=(1.0, 0.995),
        deformation_ps=0.3,
        equilibration_ps=0.2,
        sampling_ps=0.3,
        frame_interval_fs=10,
        thermo_interval_fs=10,
        restart_interval_ps=0.15,
    )
    run, hand = (silicon_deck(protocol, tmp_path / name) for name in ("run", "hand"))
    resources = Resources(ranks)
    run_deck(run.directory, resources)
    subprocess.run(lammps_command("in.lammps", resources), cwd=hand.directory,
                   env=environment(resources), check=True, stdout=subprocess.DEVNULL,
                   timeout=300)  # fmt: skip
    for name in ("trajectory.dump", "final.data", "restart.latest"):
        assert (hand.directory / name).read_bytes() == (run.directory / name).read_bytes()


def test_shape_that_would_jump_is_refused() -> None:
    with pytest.raises(InputError, match=r"shape_damping_fs: 20 fs is below 50 timesteps of 0\.5"):
        VolumeGrid(shape_damping_fs=20)
