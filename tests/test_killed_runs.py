"""Whatever is killed at any stage of a run: no orphan, true state, the same result."""

import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mofmd.simulation.deck import Deck
from mofmd.simulation.protocols import NVT, Elastic
from mofmd.simulation.run import run_deck
from mofmd.simulation.status import read_status, run_state
from tests.lennard_jones import EDGE_A, argon_deck
from tests.processes import Marked, wait_until

PROTOCOL = NVT(
    temperature_K=30,
    time_ps=20,
    timestep_fs=1,
    frame_interval_fs=50,
    thermo_interval_fs=50,
    restart_interval_ps=0.5,
    supercell=(4, 4, 4),
)
# LAMMPS calls no watch within it, as in a long minimisation
ENDLESS = "fix endless all nve\nrun 100000000\nunfix endless\n"
WORKER = "mofmd.simulation.conduct"
PRODUCTS = ("trajectory.dump", "final.data", "restart.latest")


@pytest.fixture
def marked() -> Iterator[Marked]:
    commands = Marked()
    yield commands
    commands.kill_all()


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """Folders of runs that nothing happened to, by the number of ranks."""
    from mofmd.engine.launch import Resources

    folder = tmp_path_factory.mktemp("unbroken")

    def make(ranks: int) -> Path:
        directory = folder / str(ranks) / "deck"
        if not directory.exists():
            argon_deck(PROTOCOL, directory.parent, EDGE_A)
            run_deck(directory, Resources(ranks))
        return directory

    return make


def products(directory: Path) -> list[bytes]:
    return [(directory / name).read_bytes() for name in PRODUCTS]


def make_endless(deck: Path, script: str = "start.in") -> Callable[[], int]:
    """Let the minimisation of a deck go on for ever; return what mends it again."""
    path = deck / script
    text = path.read_text()
    path.write_text(text.replace("\nminimize ", f"\n{ENDLESS}minimize "))
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
        "dynamics": lambda: last_frame(deck.directory / "trajectory.dump") > 1000,
    }[stage]
    assert wait_until(ready)
    assert run_state(deck.directory) in ("starting", "running")


def comes_to_be(directory: Path, state: str) -> bool:
    """Whether a run has a state; the lock of a process that is killed goes last."""
    return wait_until(lambda: run_state(directory) == state, 2)


def victim(marked: Marked, who: str) -> list:
    """Processes to kill."""
    find = {
        "driver": lambda: marked.processes("mofmd run"),
        "launcher": lambda: marked.processes("mpirun"),
        "a rank": lambda: marked.processes(WORKER)[-1:],
        "all": marked.processes,
    }[who]
    assert wait_until(lambda: bool(find()))
    return find()


long = pytest.mark.long


@pytest.mark.parametrize(
    ("stage", "who", "ranks"),
    [
        ("starting", "driver", 1),
        ("minimise", "driver", 2),
        ("dynamics", "driver", 2),
        ("dynamics", "a rank", 2),
        ("dynamics", "launcher", 2),
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
def test_killed(tmp_path, marked, unbroken, stage, who, ranks) -> None:
    deck = argon_deck(PROTOCOL, tmp_path, EDGE_A)
    mend = make_endless(deck.directory) if stage == "minimise" else lambda: 0
    driver = marked.start("run", str(deck.directory), "--ranks", str(ranks), "--allow-edited")
    reach(deck, stage)
    for process in victim(marked, who):
        process.kill()
    marked.check_none_is_left()
    assert driver.wait(timeout=5) != 0
    assert comes_to_be(deck.directory, "interrupted")
    mend()
    again = marked.start("run", str(deck.directory), "--ranks", str(ranks), "--resume")
    assert again.wait(timeout=120) == 0
    assert run_state(deck.directory) == "finished"
    assert products(deck.directory) == products(unbroken(ranks))
    marked.check_none_is_left(5)


def test_driver_killed_without_dynamics(tmp_path, marked) -> None:
    """Nobody watches such a run from within."""
    deck = argon_deck(Elastic(supercell=(4, 4, 4), strain=0.002), tmp_path, EDGE_A)
    make_endless(deck.directory, "elastic.in")
    driver = marked.start("run", str(deck.directory), "--allow-edited")
    assert wait_until(lambda: has_output(deck, "mofmd stage"))
    driver.kill()
    driver.wait()
    marked.check_none_is_left()
    assert comes_to_be(deck.directory, "interrupted")
    assert "there was nothing to save" in read_status(deck.directory)["error"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_asked_to_stop_in_a_minimisation(tmp_path, marked, ranks) -> None:
    deck = argon_deck(PROTOCOL, tmp_path, EDGE_A)
    make_endless(deck.directory)
    driver = marked.start("run", str(deck.directory), "--ranks", str(ranks), "--allow-edited")
    reach(deck, "minimise")
    driver.send_signal(signal.SIGTERM)
    assert driver.wait(timeout=30) == 75
    marked.check_none_is_left(5)
    assert run_state(deck.directory) == "stopped"
    assert not (deck.directory / "stop.request").exists()


def test_older_results_are_gone_when_a_run_begins_anew(tmp_path, marked, unbroken) -> None:
    """A run that is killed before its first restart file must not go on from an older one."""
    deck = tmp_path / "deck"
    shutil.copytree(unbroken(1), deck)
    mend = make_endless(deck)
    driver = marked.start("run", str(deck), "--allow-edited")
    assert wait_until(lambda: run_state(deck) == "running")
    assert wait_until(lambda: "stage minimise" in (deck / "output.txt").read_text())
    driver.kill()
    driver.wait()
    marked.check_none_is_left()
    assert not any((deck / name).exists() for name in PRODUCTS)
    mend()
    run_deck(deck, resume=True)
    assert products(deck) == products(unbroken(1))
