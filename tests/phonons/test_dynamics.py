"""Dynamics beside phonons: densities of states, volumes of runs."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.phonons.calculation.force_constants import compact
from mofmd.phonons.temperature.measured import (
    Measured,
    by_source,
    mean_alpha_per_K,
    read_measured,
)
from mofmd.simulation.protocols import NPT
from mofmd.simulation.run.run import run_deck
from tests.phonons.crystals import STIFFNESS, argon, fcc, phonons
from tests.silicon import silicon_deck

STEP_PS = 0.05


def write_modes(folder: Path, path: Path, every: int = 1, *, velocities: bool = True) -> np.ndarray:
    """Write a dump of all 21 modes of 8 atoms with the same energy; return their frequencies."""
    phonopy, _ = phonons(fcc(), argon(), folder, (2, 2, 2))
    from phonopy.harmonic.force_constants import compact_fc_to_full_fc

    full = compact_fc_to_full_fc(phonopy.primitive, compact(phonopy))
    squares, vectors = np.linalg.eigh(full.transpose(0, 2, 1, 3).reshape(24, 24))
    nu = np.sqrt(np.maximum(squares[3:], 0.0) / 39.948) * phonopy.unit_conversion_factor
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, 21)
    places = phonopy.supercell.positions
    lines: list[str] = []
    for k in range(0, 1800, every):
        angle = 2 * np.pi * nu * STEP_PS * k + phases
        rows = np.hstack(
            [
                places + (vectors[:, 3:] @ (np.sin(angle) / (2 * np.pi * nu))).reshape(8, 3),
                (vectors[:, 3:] @ np.cos(angle)).reshape(8, 3),
            ]
        )
        lines += ["ITEM: UNITS\nmetal\nITEM: TIME", f"{STEP_PS * k:.6f}", "ITEM: TIMESTEP", str(k)]
        lines += ["ITEM: NUMBER OF ATOMS\n8\nITEM: BOX BOUNDS pp pp pp\n0 9\n0 9\n0 9"]
        lines += [f"ITEM: ATOMS id element xu yu zu{' vx vy vz' if velocities else ''}"]
        lines += [
            f"{i + 1} Ar " + " ".join(f"{x:.8f}" for x in row[: 6 if velocities else 3])
            for i, row in enumerate(rows)
        ]
    path.write_text("\n".join(lines) + "\n")
    return nu


@pytest.mark.parametrize("velocities", [True, pytest.param(False, marks=pytest.mark.long)])
def test_states_of_dynamics_beside_phonons(tmp_path: Path, velocities: bool) -> None:
    """Modes at X and L, in their exact shares: 2k/m 8 of 21, 4k/m 6, 8k/m 7."""
    folder, path = tmp_path / "phonons", tmp_path / "run.dump"
    nu = write_modes(folder, path, velocities=velocities)
    line = ["phonons", "vdos", str(folder), str(path), "-o", str(tmp_path / "vdos")]
    done = CliRunner().invoke(app, [*line, "--mesh", "6x6x6", "--lag", "40", "--start-ps", "0"])
    assert done.exit_code == 0, done.output
    table = np.genfromtxt(tmp_path / "vdos/vdos.csv", delimiter=",", names=True)
    x, dynamics = table["frequency_THz"], table["dynamics_per_THz"]
    assert dynamics.sum() * (x[1] - x[0]) == pytest.approx(3.0)  # of a primitive cell
    unit = 15.6333023 * np.sqrt(STIFFNESS / 39.948)
    for square, share in ((2, 8), (4, 6), (8, 7)):
        at = unit * np.sqrt(square)
        assert np.abs(nu - at).min() < 1e-3
        near = np.abs(x - at) < 0.08
        assert dynamics[near].sum() * (x[1] - x[0]) == pytest.approx(3 * share / 21, rel=0.05)
    assert table["phonons_per_THz"].sum() * (x[1] - x[0]) == pytest.approx(3.0, rel=0.02)
    record = json.loads((tmp_path / "vdos/vdos.json").read_text())
    assert record["resolution_THz"] == pytest.approx(1 / 40, rel=0.01)
    assert 0.0 < record["wasserstein_THz"] < 0.2
    assert (tmp_path / "vdos/vdos.svg").exists()
    write_modes(tmp_path / "again", path, every=10)
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 1
    assert "folds back" in str(done.exception)


def test_volumes_of_runs_and_files(tmp_path: Path) -> None:
    """A run of silicon at constant pressure, told of two atoms, and a file."""
    protocol = NPT(
        temperature_K=300.0, time_ps=0.5, timestep_fs=1.0, thermo_interval_fs=5.0, seed=1
    )
    deck = silicon_deck(protocol, tmp_path / "silicon")
    run_deck(deck.directory)
    table = tmp_path / "measured.csv"
    table.write_text("temperature_K,volume_A3\n100,40.0\n200,40.2\n")
    found = read_measured([table, deck.directory], 2)
    assert [each.name for each in found][:2] == ["measured", "measured"]
    run = found[-1]
    assert run.of_run
    assert 150.0 < run.temperature_K < 450.0
    assert run.volume_A3 == pytest.approx(40.0, rel=0.03)
    assert 0.0 < run.volume_error_A3 < 1.0
    with pytest.raises(InputError, match="no multiple"):
        read_measured([deck.directory], 3)
    table.write_text("T,V\n1,2\n")
    with pytest.raises(InputError, match="temperature_K and volume_A3"):
        read_measured([table], 2)


def test_expansion_of_points() -> None:
    points = [
        Measured("a", t, 100.0 * np.exp(2e-5 * t), error, True)
        for t, error in ((100.0, 0.01), (200.0, 0.01), (400.0, 0.02))
    ]
    found = mean_alpha_per_K(points)
    assert found is not None
    assert found[0] == pytest.approx(2e-5)
    assert 0.0 < found[1] < 1e-6
    assert mean_alpha_per_K(points[:1]) is None
    # a measurement is of another origin than runs: no expansion is between the two
    measured = Measured("measured", 258.0, 4342.3, np.nan, of_run=False)
    run = Measured("npt-300", 299.0, 4850.0, 57.0, of_run=True)
    groups = by_source((measured, run))
    assert groups == {"measured": (measured,), "dynamics": (run,)}
