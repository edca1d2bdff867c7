"""Generated decks sample the ensembles they name (physical_validation)."""

from pathlib import Path

import numpy as np
import pytest

from mofmd.simulation.protocols import NPT, NVT, Protocol, VolumeGrid
from mofmd.simulation.run.run import run_deck
from mofmd.units import BAR_TO_GPA, BOLTZMANN_EV_PER_K, EV_PER_A3_TO_GPA
from tests.lennard_jones import argon_deck, equilibrium_edge

pv = pytest.importorskip("physical_validation")
pytestmark = [
    pytest.mark.long,
    # pymbar, which physical_validation stands on, warns that its accelerator is absent
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::RuntimeWarning"),
]

EDGE_A = 1.03 * equilibrium_edge()
N_ATOMS = 32
MD = {
    "timestep_fs": 4,
    "supercell": (2, 2, 2),
    "thermo_interval_fs": 200,
    "frame_interval_fs": 100_000,
    "restart_interval_ps": 200,
    "time_ps": 420,
}
BAR_TO_EV_PER_A3 = BAR_TO_GPA / EV_PER_A3_TO_GPA
SIGMAS = 3.5  # of a normal distribution: one run in two thousand would be farther off


def simulate(protocol: Protocol, directory: Path, ensemble: str) -> "pv.data.SimulationData":
    """Run a deck and hand its log to physical_validation, the first 20 ps left out."""
    run = run_deck(argon_deck(protocol, directory, EDGE_A).directory)
    columns = run.tables[-1].columns
    late = columns["Time"] > 20
    volume = columns["Volume"][late]
    return pv.data.SimulationData(
        units=pv.data.UnitData(
            kb=BOLTZMANN_EV_PER_K,
            energy_str="eV",
            energy_conversion=96.48533,  # to kJ/mol
            length_str="Å",
            length_conversion=0.1,
            volume_str="Å3",
            volume_conversion=1e-3,
            temperature_str="K",
            temperature_conversion=1,
            pressure_str="eV/Å3",
            pressure_conversion=1 / BAR_TO_EV_PER_A3,
            time_str="ps",
            time_conversion=1,
        ),
        dt=protocol.timestep_fs / 1000,
        system=pv.data.SystemData(
            natoms=N_ATOMS, nconstraints=0, ndof_reduction_tra=3, ndof_reduction_rot=0
        ),
        ensemble=pv.data.EnsembleData(
            ensemble,
            natoms=N_ATOMS,
            volume=float(volume[0]) if ensemble == "NVT" else None,
            pressure=getattr(protocol, "pressure_bar", 0.0) * BAR_TO_EV_PER_A3,
            temperature=protocol.temperature_K,
        ),
        observables=pv.data.ObservableData(
            kinetic_energy=columns["KinEng"][late],
            potential_energy=columns["PotEng"][late],
            total_energy=columns["TotEng"][late],
            volume=volume,
        ),
    )


def check_kinetic_energy(simulation: "pv.data.SimulationData") -> None:
    deviations = pv.kinetic_energy.distribution(
        simulation, strict=False, verbosity=0, bs_repetitions=100, bootstrap_seed=1
    )
    assert np.all(np.abs(deviations) < SIGMAS), deviations


def check_ratio(one: "pv.data.SimulationData", other: "pv.data.SimulationData") -> None:
    deviations = pv.ensemble.check(
        one, other, verbosity=0, bootstrap_seed=1, data_is_uncorrelated=False
    )
    assert np.all(np.abs(deviations) < SIGMAS), deviations


def test_nvt(tmp_path: Path) -> None:
    cold, hot = (
        simulate(NVT(temperature_K=t, seed=s, **MD), tmp_path / f"{t}", "NVT")
        for t, s in ((50.0, 1), (62.0, 2))
    )
    check_kinetic_energy(cold)
    check_kinetic_energy(hot)
    check_ratio(cold, hot)


@pytest.mark.parametrize("coupling", ["iso", "tri"])
def test_npt(tmp_path: Path, coupling: str) -> None:
    cold, hot, pressed = (
        simulate(
            NPT(temperature_K=t, pressure_bar=p, coupling=coupling, seed=s, **MD),
            tmp_path / f"{s}",
            "NPT",
        )
        for t, p, s in ((50.0, 0.0, 1), (60.0, 0.0, 2), (50.0, 300.0, 3))
    )
    for simulation in (cold, hot, pressed):
        check_kinetic_energy(simulation)
    check_ratio(cold, hot)
    check_ratio(cold, pressed)


def test_free_shape_at_constant_volume(tmp_path: Path) -> None:
    """Shapes weigh the same at all temperatures, so that the ratio is the one of NVT."""
    fields = {name: value for name, value in MD.items() if name != "time_ps"}
    cold, hot = (
        simulate(
            VolumeGrid(temperature_K=t, volume_ratios=(1.0,), equilibration_ps=20, sampling_ps=400,
                       shear_modulus_guess_GPa=1.5, seed=s, **fields),
            tmp_path / f"{t}",
            "NVT",
        )
        for t, s in ((50.0, 1), (62.0, 2))
    )  # fmt: skip
    check_kinetic_energy(cold)
    check_kinetic_energy(hot)
    check_ratio(cold, hot)


def test_a_wrong_temperature_is_seen(tmp_path: Path) -> None:
    """The check can fail: data of 55 K that claim to be of 57 K."""
    simulation = simulate(NVT(temperature_K=55.0, **MD), tmp_path, "NVT")
    simulation.ensemble = pv.data.EnsembleData(
        "NVT", natoms=N_ATOMS, volume=simulation.observables.volume[0], temperature=57.0
    )
    with pytest.raises(AssertionError):
        check_kinetic_energy(simulation)
