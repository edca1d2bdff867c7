"""Whatever is killed at any stage of a run: no orphan, true state, the same result."""

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mofmd.simulation.deck.deck import Deck
from mofmd.simulation.protocols import NVT, Elastic
from mofmd.simulation.run.run import run_deck
from mofmd.simulation.run.status import read_status, run_state
from tests.lennard_jones import EDGE_A, argon_deck
from tests.processes import Commands, wait_until

# steps of one rank are quick; two wait for each other whenever the machine is busy
PICOSECONDS = {1: 20, 2: 3}
PROTOCOL = NVT(
    temperature_K=30,
    time_ps=PICOSECONDS[1],
    timestep_fs=1,
    frame_interval_fs=50,
    thermo_interval_fs=50,
    restart_interval_ps=0.5,
    supercell=(4, 4, 4),
)
# LAMMPS calls no watch within it, as in a long minimisation
ENDLESS = "fix endless all nve\nrun 100000000\nunfix endless\n"
WORKER = "mofmd.simulation.run.rank"
PRODUCTS = ("trajectory.dump", "final.data", "restart.latest")


@pytest.fixture
def commands() -> Iterator[Commands]:
    commands = Commands()
    yield commands
    commands.end()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folders of runs that nothing happened to, by the number of ranks."""
    from mofmd.engine.launch import Resources

    folder = tmp_path_factory.mktemp("unbroken")

    def make(ranks: int) -> Path:
        directory = folder / str(ranks) / "deck"
        if not directory.exists():
            argon_deck(of_ranks(ranks), directory.parent, EDGE_A)
            run_deck(directory, Resources(ranks))
        return directory

    return make


def of_ranks(ranks: int) -> NVT:
    return replace(PROTOCOL, time_ps=PICOSECONDS[ranks])


def products(directory: Path) -> list[bytes]:
    return [(directory / name).read_bytes() for name in PRODUCTS]


def make_endless(deck: Path, script: str = "start.in") -> Callable[[], int]:
    """Let the minimisation of a deck, or its end, go on for ever; return what mends it again."""
    path = deck / script
    text = path.read_text()
    path.write_text(re.sub(r"(?m)^(minimize|write_data) ", rf"{ENDLESS}\1 ", text))
    assert ENDLESS in path.read_text()
    return lambda: path.write_text(text)


def has_output(deck: Deck, words: str) -> bool:
    path = deck.directory / "output.txt"
    return path.exists() and words in path.read_text(errors="replace")


def last_frame(dump: Path) -> int:
    steps = dump.read_bytes().split(b"ITEM: TIMESTEP\n")[1:] if dump.exists() else []
    complete = [step.split(b"\n")[0] for step in steps if b"\n" in step]
    return int(complete[-1]) if complete else -1


def reach(deck: Deck, stage: str) -> None:
    """Wait until a run is in a stage."""
    ready = {
        "starting": lambda: read_status(deck.directory).get("state") == "starting",
        "minimise": lambda: has_output(deck, "mofmd stage minimise"),
        "dynamics": lambda: last_frame(deck.directory / "trajectory.dump") > 600,
    }[stage]
    assert wait_until(ready)
    assert run_state(deck.directory) in ("starting", "running")


def comes_to_be(directory: Path, state: str) -> bool:
    """Whether a run has a state; the lock of a process that is killed goes last."""
    return wait_until(lambda: run_state(directory) == state, 2)


def kill(commands: Commands, who: str) -> None:
    """Kill the driver, the launcher, one rank, or all at once."""
    if who == "a rank":
        os.kill(commands.wait_for(WORKER)[-1], signal.SIGKILL)
    else:
        words = {"driver": "mofmd run", "launcher": "mpirun", "all": ""}[who]
        commands.signal(words, signal.SIGKILL)


long = pytest.mark.long


@pytest.mark.parametrize(
    ("stage", "who", "ranks"),
    [
        ("starting", "driver", 1),
        ("dynamics", "a rank", 2),
        pytest.param("minimise", "driver", 2, marks=long),
        pytest.param("dynamics", "driver", 2, marks=long),
        pytest.param("dynamics", "launcher", 2, marks=long),
        pytest.param("starting", "driver", 2, marks=long),
        pytest.param("starting", "a rank", 2, marks=long),
        pytest.param("starting", "all", 1, marks=long),
        pytest.param("minimise", "driver", 1, marks=long),
        pytest.param("minimise", "a rank", 1, marks=long),
        pytest.param("minimise", "a rank", 2, marks=long),
        pytest.param("minimise", "launcher", 2, marks=long),
        pytest.param("minimise", "all", 2, marks=long),
        pytest.param("dynamics", "driver", 1, marks=long),
        pytest.param("dynamics", "a rank", 1, marks=long),
        pytest.param("dynamics", "all", 2, marks=long),
    ],
)
def test_killed(tmp_path, commands, unbroken, stage, who, ranks) -> None:
    deck = argon_deck(of_ranks(ranks), tmp_path, EDGE_A)
    mend = make_endless(deck.directory) if stage == "minimise" else lambda: 0
    driver = commands.start("run", str(deck.directory), "--ranks", str(ranks), "--allow-edited")
    reach(deck, stage)
    kill(commands, who)
    commands.wait_until_gone()
    assert driver.wait(timeout=5) != 0
    assert comes_to_be(deck.directory, "interrupted")
    mend()
    again = commands.start("run", str(deck.directory), "--ranks", str(ranks), "--resume")
    assert again.wait(timeout=240) == 0
    assert run_state(deck.directory) == "finished"
    assert products(deck.directory) == products(unbroken(ranks))
    commands.wait_until_gone(5)


def test_driver_killed_without_dynamics(tmp_path, commands) -> None:
    """Nobody watches such a run from within."""
    deck = argon_deck(Elastic(supercell=(4, 4, 4), strain=0.002), tmp_path, EDGE_A)
    make_endless(deck.directory, "elastic.in")
    driver = commands.start("run", str(deck.directory), "--allow-edited")
    assert wait_until(lambda: has_output(deck, "mofmd stage"))
    driver.kill()
    driver.wait()
    commands.wait_until_gone()
    assert comes_to_be(deck.directory, "interrupted")
    assert "there was nothing to save" in read_status(deck.directory)["error"]


@pytest.mark.parametrize(
    ("script", "ranks", "told"),
    [
        ("start.in", 1, "asked to stop before the first restart file; there was nothing to save"),
        ("start.in", 2, "asked to stop before the first restart file; there was nothing to save"),
        ("finish.in", 1, "asked to stop; the last restart file is kept"),
    ],
)
def test_asked_to_stop_where_no_state_can_be_saved(tmp_path, commands, script, ranks, told) -> None:
    deck = argon_deck(replace(PROTOCOL, time_ps=0.1), tmp_path, EDGE_A)
    make_endless(deck.directory, script)
    driver = commands.start("run", str(deck.directory), "--ranks", str(ranks), "--allow-edited")
    log = deck.directory / "log.lammps"
    assert wait_until(lambda: log.exists() and "run 100000000" in log.read_text())
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=30) == 75
    commands.wait_until_gone(5)
    assert run_state(deck.directory) == "stopped"
    assert read_status(deck.directory)["error"] == told
    assert not (deck.directory / "stop.request").exists()


def test_older_results_are_gone_when_a_run_begins_anew(tmp_path, commands, unbroken) -> None:
    """A run that is killed before its first restart file must not go on from an older one."""
    deck = tmp_path / "deck"
    shutil.copytree(unbroken(1), deck)
    mend = make_endless(deck)
    driver = commands.start("run", str(deck), "--anew", "--allow-edited")
    assert wait_until(lambda: run_state(deck) == "running")
    assert wait_until(lambda: "stage minimise" in (deck / "output.txt").read_text())
    driver.kill()
    driver.wait()
    commands.wait_until_gone()
    assert not any((deck / name).exists() for name in PRODUCTS)
    mend()
    run_deck(deck, resume=True)
    assert products(deck) == products(unbroken(1))
