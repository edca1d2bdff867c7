"""Runs of a deck: real ones with Stillinger and Weber's silicon, and staged failures."""

import io
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.data import atomic_masses, atomic_numbers
from ase.geometry import get_distances
from rich.console import Console

from mofmd.engine.build import Torch
from mofmd.engine.lammps_log import read_log
from mofmd.engine.launch import Launch, Resources, environment, lammps_command
from mofmd.errors import InputError, InputWarning, MissingFileError, RunError
from mofmd.simulation.deck.deck import Deck, Potential, write_deck
from mofmd.simulation.deck.final import read_final
from mofmd.simulation.protocols import NVE, NVT, MeltQuench
from mofmd.simulation.run import run as run_module
from mofmd.simulation.run.gpus import tell_unused_gpus
from mofmd.simulation.run.run import run_deck
from mofmd.study.settings import AnalysisSettings
from mofmd.study.study import run_analysis
from mofmd.trajectory.in_memory import read_dump
from mofmd.trajectory.trajectory import TrajectoryFile
from mofmd.units import BOLTZMANN_EV_PER_K, EV_PER_G_PER_MOL_TO_A2_PER_PS2
from tests.silicon import silicon_deck

# Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), as LAMMPS's sw style takes it
SILICON = "Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4 0 0\n"
PROTOCOL = MeltQuench(
    temperature_max_K=600,
    rate_K_per_ps=6000,
    equilibration_ps=0.05,
    plateau_ps=0.05,
    anneal_ps=0.05,
    timestep_fs=1,
    frame_interval_fs=10,
    thermo_interval_fs=10,
    supercell=(2, 2, 2),
)
STAGES = ["minimise", "equilibrate", "heat", "melt", "quench", "anneal"]


@pytest.fixture
def deck(tmp_path) -> Deck:
    model = tmp_path / "Si.sw"
    model.write_text(SILICON)
    potential = Potential("sw", model, ("Si",))
    return write_deck(PROTOCOL, bulk("Si", cubic=True), potential, tmp_path / "deck")


def status(deck: Deck) -> dict[str, object]:
    found = json.loads((deck.directory / "status.json").read_text())
    assert isinstance(found, dict)
    return found


def pretend(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Run a shell script in place of LAMMPS."""
    monkeypatch.setattr(run_module, "python_command", lambda *_: ["sh", "-c", script])


@pytest.mark.parametrize("ranks", [1, 2])
def test_whole_run(deck, ranks):
    text = io.StringIO()
    run = run_deck(deck.directory, Resources(ranks=ranks), Console(file=text, width=150))
    assert [table.stage for table in run.tables] == STAGES
    assert run.steps == PROTOCOL.total_steps == 250
    assert run.ms_per_step is not None
    assert run.wall_s > run.ms_per_step * 250 / 1000
    found = status(deck)
    assert (found["state"], found["step"], found["error"]) == ("finished", 250, None)
    assert found["ranks"] == ranks
    lines = text.getvalue().splitlines()
    assert lines[0].startswith("minimise")
    assert lines[-1].startswith("anneal       step      250 of 250")
    trajectory = read_dump(deck.directory / "trajectory.dump")
    assert trajectory.timesteps.tolist() == list(range(0, 251, 10))
    assert set(trajectory.species) == {"Si"}
    log = read_log(deck.directory / "log.lammps")
    assert [table.stage for table in log] == STAGES
    for one, other in zip(log, run.tables, strict=True):
        assert (one.columns["PotEng"] == other.columns["PotEng"]).all()
    assert (deck.directory / "final.data").is_file()


def test_first_frame_is_the_structure_and_ramps_end_where_they_should(deck):
    run = run_deck(deck.directory)
    # the diamond lattice is the minimum by symmetry
    first = read_dump(deck.directory / "trajectory.dump").positions[0]
    expected = bulk("Si", cubic=True).repeat((2, 2, 2)).positions
    assert first == pytest.approx(expected, abs=2e-6)
    minimise, equilibrate, *_ = run.tables
    # Stillinger and Weber's cohesive energy at 0 K is 4.3364 eV at 5.431 Å
    assert minimise.columns["PotEng"][-1] / 64 == pytest.approx(-4.3366, abs=2e-4)
    assert equilibrate.columns["Temp"][0] == pytest.approx(2 * PROTOCOL.temperature_K)
    ends = [int(table.columns["Step"][-1]) for table in run.tables[1:]]
    assert ends == [50, 100, 150, 200, 250]


def test_frames_with_velocities(tmp_path: Path) -> None:
    """Kinetic energy of each frame is the log's, and ``vacf`` has its 3N states."""
    protocol = NVE(time_ps=0.2, timestep_fs=1, frame_interval_fs=2, thermo_interval_fs=2,
                   frame_data="velocities", minimise_steps_max=0)  # fmt: skip
    deck = silicon_deck(protocol, tmp_path / "deck")
    run = run_deck(deck.directory)
    logged = run.tables[-1].columns["Temp"]
    frames = list(TrajectoryFile(deck.directory / "trajectory.dump"))
    mass = atomic_masses[atomic_numbers["Si"]]
    for frame, kelvin in zip(frames, logged, strict=True):
        assert frame.velocities is not None
        twice = mass * (frame.velocities**2).sum() / EV_PER_G_PER_MOL_TO_A2_PER_PS2  # eV
        count = 3 * len(frame.positions) - 3
        assert twice / (count * BOLTZMANN_EV_PER_K) == pytest.approx(kelvin, rel=1e-4)
    [vacf] = run_analysis(AnalysisSettings(deck.directory, observables=("vacf",))).results
    assert len(vacf.tables["vacf"].columns["lag"].values) == len(frames) // 2 + 1


def by_hand(deck: Deck, *options: str) -> None:
    """Run a deck with plain LAMMPS, without mofmd."""
    resources = Resources()
    command = [*lammps_command("in.lammps", resources), *options]
    with Launch(command, deck.directory, environment(resources)) as launch:
        assert "mofmd done" in list(launch.lines())
        assert launch.wait() == 0


def test_runs_by_hand_with_other_values(deck):
    by_hand(deck, "-var", "anneal", "0", "-var", "rate", "3000")
    log = read_log(deck.directory / "log.lammps")
    assert [table.stage for table in log] == STAGES[:-1]
    assert log[-1].columns["Step"][-1] == 50 + 100 + 50 + 100


def test_by_hand_is_the_same_trajectory(deck):
    run_deck(deck.directory)
    files = [deck.directory / name for name in ("trajectory.dump", "final.data")]
    with_mofmd = [file.read_bytes() for file in files]
    files[0].unlink()
    by_hand(deck)
    assert [file.read_bytes() for file in files] == with_mofmd


def test_same_deck_same_trajectory(deck):
    run_deck(deck.directory)
    first = read_dump(deck.directory / "trajectory.dump").positions
    run_deck(deck.directory)
    assert np.array_equal(first, read_dump(deck.directory / "trajectory.dump").positions)


def test_lammps_error_is_quoted(tmp_path):
    model = tmp_path / "Si.sw"
    model.write_text(SILICON)
    potential = Potential("no-such-style", model, ("Si",))
    deck = write_deck(PROTOCOL, bulk("Si", cubic=True), potential, tmp_path / "deck")
    with pytest.raises(
        RunError,
        match=r"stopped before the first stage: ERROR: Unrecognized pair style 'no-such-style'.*"
        r"\(log: .*log\.lammps, all output: .*output\.txt\)",
    ):
        run_deck(deck.directory)
    assert status(deck)["state"] == "failed"
    assert "no-such-style" in str(status(deck)["error"])


THERMO = (
    "echo mofmd plan heat 100; echo mofmd stage heat; "
    "echo '  Step Temp PotEng Press'; echo '0 300 -5 1';"
)


@pytest.mark.parametrize(
    ("script", "message", "state"),
    [
        (
            THERMO + "echo mofmd violation C 1 and H 2 are close; exit 3",
            "^C 1 and H 2 are close. The",
            "failed",
        ),
        # without a word of LAMMPS's own it may have been anything: such a run can be resumed
        (
            THERMO + "kill -9 $$",
            r"LAMMPS was killed by SIGKILL \(out of memory\?\) in stage heat at step 0; its last",
            "interrupted",
        ),
        (
            THERMO + "echo Killed; exit 137",
            "ended with status 137, as after SIGKILL in stage heat .* last words: 'Killed'",
            "interrupted",
        ),
        (THERMO, "LAMMPS ended with status 0 in stage heat at step 0", "interrupted"),
        (
            "exit 1",
            "LAMMPS ended with status 1 before the first stage; its last words: ''",
            "interrupted",
        ),
    ],
)
def test_failures(deck, monkeypatch, script, message, state):
    pretend(monkeypatch, script)
    with pytest.raises(RunError, match=message):
        run_deck(deck.directory)
    assert status(deck)["state"] == state


def test_second_interruption_ends_at_once(deck, monkeypatch):
    pretend(monkeypatch, "echo $$ > pid; " + THERMO + "sleep 60")

    def interrupt_twice(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert (deck.directory / "stop.request").exists()
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(run_module.LogParser, "_read_row", interrupt_twice)
    with pytest.raises(SystemExit):
        run_deck(deck.directory)
    assert status(deck)["state"] == "stopped"
    assert "ended at once by a second signal" in status(deck)["error"]
    pid = int((deck.directory / "pid").read_text())
    assert not Path(f"/proc/{pid}").exists()


def test_an_edited_deck_is_run_only_on_request(deck):
    script = deck.directory / "in.lammps"
    script.write_text(script.read_text().replace("index 6000", "index 12000"))
    with pytest.raises(InputError, match=r"in\.lammps: differs"):
        run_deck(deck.directory)
    assert run_deck(deck.directory, allow_edited=True).steps == 200


def test_final_state_is_turned_back(tmp_path):
    skew = bulk("Si", cubic=True)
    skew.rotate(35, (1, 2, 3), rotate_cell=True)
    protocol = NVT(supercell=(2, 2, 2), time_ps=0.02, timestep_fs=1, restart_interval_ps=0.01)
    deck = silicon_deck(protocol, tmp_path, skew)
    with pytest.raises(MissingFileError, match=r"final\.data: no such file; has the run finished"):
        read_final(deck.directory)
    run_deck(deck.directory)
    final, begin = read_final(deck.directory), skew.repeat(2)
    assert final.cell.array == pytest.approx(begin.cell.array, abs=1e-6)
    _, moved = get_distances(final.positions, begin.positions, cell=final.cell, pbc=True)
    assert np.diag(moved).max() < 0.5  # Å, in 20 fs


def test_gpus_of_a_torch_for_cpus_are_told(monkeypatch, tmp_path):
    torch = Torch(tmp_path, "2.13.0+cpu")
    monkeypatch.setattr("mofmd.simulation.run.gpus.find_torch", lambda: torch)
    tell_unused_gpus(None)  # warnings are errors
    with pytest.warns(InputWarning, match=r"gpus: 0,1 asked for, but torch 2\.13\.0\+cpu is a"):
        tell_unused_gpus("0,1")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libtorch_cuda.so").touch()
    tell_unused_gpus("0,1")
