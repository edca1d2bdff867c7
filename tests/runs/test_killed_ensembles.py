"""Ensembles whose members, drivers and folders meet with accidents."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mofmd.disk.stop_request import STOP_REQUEST, ask_to_stop
from mofmd.errors import RunError
from mofmd.simulation.deck.request import Request
from mofmd.simulation.ensemble.ensemble import Ensemble, Member, count_states, new_ensemble
from mofmd.simulation.ensemble.ensemble_run import Workers, run_ensemble
from mofmd.simulation.ensemble.table import collect
from mofmd.simulation.run.run import run_deck
from mofmd.simulation.run.status import read_status, run_state, write_status
from tests.lennard_jones import CUTOFF_A, EDGE_A, EPSILON_EV, SIGMA_A, argon
from tests.processes import MOFMD, Commands, wait_until

SETTINGS = (
    "temperature_K=30",
    "timestep_fs=1",
    "frame_interval_fs=50",
    "thermo_interval_fs=50",
    "supercell=[3,3,3]",
)
SHORT = (*SETTINGS, "time_ps=1", "restart_interval_ps=0.2")
LONG = (*SETTINGS, "time_ps=1000", "restart_interval_ps=1")
WORKER = "mofmd.simulation.run.rank"
PRODUCTS = ("trajectory.dump", "final.data", "restart.latest")


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    argon(EDGE_A).write(tmp_path / "argon.cif")
    script = tmp_path / "argon.in"
    script.write_text(
        f"pair_style lj/cut {CUTOFF_A}\npair_coeff * * {EPSILON_EV} {SIGMA_A}\n"
        "pair_modify shift yes\n"
    )
    return Request(
        protocol="nvt",
        structure=str(tmp_path / "argon.cif"),
        output=tmp_path / "ensemble",
        potential_script=script,
        settings=SHORT,
    )


@pytest.fixture
def long_request(request_: Request) -> Request:
    return replace(request_, settings=LONG)


@pytest.fixture
def commands() -> Iterator[Commands]:
    commands = Commands()
    yield commands
    commands.end()


def unbroken(made: Ensemble, folder: Path) -> dict[str, list[bytes]]:
    """Products of copies of the members that nothing happened to."""
    found = {}
    for member in made.members:
        shutil.copytree(member.directory, folder / member.name)
        run_deck(folder / member.name)
        found[member.name] = products(folder / member.name)
    return found


def products(directory: Path) -> list[bytes]:
    return [(directory / name).read_bytes() for name in PRODUCTS]


def is_running(member: Member) -> bool:
    return member.state == "running" and bool(member.progress)


def test_each_member_ends_by_itself(request_: Request) -> None:
    """Accidents of some hold up neither the others nor the caller."""
    made = new_ensemble(request_, range(1, 7), {})
    gone, broken, refused, stale = made.members[:4]
    shutil.rmtree(gone.directory)
    (broken.directory / "driver.txt").mkdir()  # an exception within the driver
    (refused.directory / "argon.in").unlink(missing_ok=True)
    (refused.directory / "potential.in").unlink()
    write_status(refused.directory, state="interrupted", error="killed", step=100)
    ask_to_stop(stale.directory)  # by a driver that was killed long ago
    environment = dict(os.environ)
    handlers = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    threads = set(threading.enumerate())
    ended: list[str] = []
    with pytest.raises(RunError) as found:
        run_ensemble(made, Workers(count=2), lambda member: ended.append(member.name))
    text = str(found.value)
    assert "3 of 6 members could not be run" in text
    assert f"000: {gone.directory} is gone, or its manifest.json" in text
    assert "001: IsADirectoryError" in text
    assert "002: " in text
    assert "potential.in: missing; write the deck again" in text
    assert sorted(ended) == ["003", "004", "005"]  # the others are in the error, once
    assert [m.state for m in made.members] == [
        "missing", "waiting", "interrupted", "finished", "finished", "finished",
    ]  # fmt: skip
    # what is refused has lost nothing
    assert read_status(refused.directory)["step"] == 100
    assert dict(os.environ) == environment
    assert handlers == [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    assert set(threading.enumerate()) == threads
    rows = collect(made).read_text().splitlines()
    assert rows[1].startswith("000,1,missing,")


def test_report_that_fails_stops_the_members(long_request: Request) -> None:
    made = new_ensemble(replace(long_request, settings=SHORT), [1], {})
    other = new_ensemble(
        replace(long_request, output=long_request.output.with_name("other")), [1, 2], {}
    )
    both = Ensemble(made.directory, (made.members[0], *other.members))
    threads = set(threading.enumerate())

    def report(_: Member) -> None:
        raise KeyError("a fault of the caller")

    with pytest.raises(KeyError, match="a fault of the caller"):
        run_ensemble(both, Workers(count=3), report)
    assert set(threading.enumerate()) == threads
    assert made.members[0].state == "finished"
    assert {m.state for m in other.members} <= {"stopped", "waiting"}


def test_in_a_thread(request_: Request) -> None:
    """Where no signals arrive, and none are touched."""
    made = new_ensemble(request_, [1], {})
    thread = threading.Thread(target=run_ensemble, args=(made, Workers(), lambda _: None))
    thread.start()
    thread.join(timeout=60)
    assert made.members[0].state == "finished"


def test_two_drivers(long_request: Request, commands: Commands) -> None:
    made = new_ensemble(long_request, [1], {})
    first = commands.start("ensemble", "run", str(made.directory))
    assert wait_until(lambda: is_running(made.members[0]))
    done = subprocess.run(
        [MOFMD, "ensemble", "run", str(made.directory)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "another driver of this ensemble is going on" in done.stderr
    assert made.members[0].state == "running"
    first.terminate()
    assert first.wait(timeout=30) == 75
    assert made.members[0].state == "stopped"
    commands.wait_until_gone(5)


@pytest.mark.parametrize("delay_s", [0.0, 0.5, 1.0])
def test_driver_is_asked_while_members_start(long_request, commands, delay_s) -> None:
    made = new_ensemble(long_request, [1, 2, 3], {})
    driver = commands.start("ensemble", "run", str(made.directory), "--workers", "2")
    commands.wait_for("mofmd run")
    time.sleep(delay_s)
    driver.terminate()
    assert driver.wait(timeout=30) == 75
    commands.wait_until_gone(5)
    assert set(count_states(made)) <= {"stopped", "waiting"}
    assert not list(made.directory.rglob(STOP_REQUEST))


@pytest.mark.parametrize(
    "who",
    [WORKER, *(pytest.param(who, marks=pytest.mark.long) for who in ("mofmd run", "mpirun"))],
)
def test_process_of_a_member_is_killed(request_, tmp_path, commands, who) -> None:
    """The driver begins it again, from its last restart file."""
    ranks = ("--ranks", "2") if who == "mpirun" else ()
    settings = (*SETTINGS, f"time_ps={5 if ranks else 20}", "restart_interval_ps=0.2")
    made = new_ensemble(replace(request_, settings=settings), [1, 2], {})
    whole = unbroken(made, tmp_path / "whole")
    driver = commands.start("ensemble", "run", str(made.directory), *ranks)
    dump = made.members[0].directory / "trajectory.dump"
    assert wait_until(lambda: dump.exists() and dump.stat().st_size > 100_000)
    commands.signal(who, signal.SIGKILL)
    assert driver.wait(timeout=240) == 0
    assert count_states(made) == {"finished": 2}
    commands.wait_until_gone(5)
    if not ranks:
        assert {m.name: products(m.directory) for m in made.members} == whole


def test_driver_is_killed(long_request: Request, commands: Commands) -> None:
    made = new_ensemble(long_request, [1, 2], {})
    driver = commands.start("ensemble", "run", str(made.directory), "--workers", "2")
    assert wait_until(lambda: all(map(is_running, made.members)))
    driver.kill()
    driver.wait()
    commands.wait_until_gone()
    assert count_states(made) == {"interrupted": 2}
    for member in made.members:
        assert "the process that waited for it has gone" in member.reason
        assert (member.directory / "restart.stopped").is_file()


def test_driver_is_killed_while_members_start(request_, tmp_path, commands) -> None:
    made = new_ensemble(request_, [1, 2], {})
    whole = unbroken(made, tmp_path / "whole")
    driver = commands.start("ensemble", "run", str(made.directory), "--workers", "2")
    assert wait_until(lambda: any(m.state == "starting" for m in made.members))
    driver.kill()
    driver.wait()
    commands.wait_until_gone()
    again = commands.start("ensemble", "run", str(made.directory), "--workers", "2")
    assert again.wait(timeout=60) == 0
    assert {m.name: products(m.directory) for m in made.members} == whole


def test_member_that_failed_for_want_of_room_goes_on(request_: Request) -> None:
    """Not from its beginning: only what broke an integrity check would break again."""
    made = new_ensemble(request_, [1], {})
    directory = made.members[0].directory
    run_deck(directory)
    status = read_status(directory)
    write_status(directory, **{**status, "state": "failed", "error": "no space left"})
    (directory / "final.data").unlink()
    begun = (directory / "restart.previous").stat().st_mtime_ns
    run_ensemble(made, Workers(), lambda _: None, retry_failed=True)
    assert run_state(directory) == "finished"
    assert (directory / "restart.previous").stat().st_mtime_ns == begun
    write_status(directory, **{**status, "state": "failed", "violation": "energy"})
    run_ensemble(made, Workers(), lambda _: None, retry_failed=True)
    assert (directory / "restart.previous").stat().st_mtime_ns != begun


def test_damaged_states_are_listed(request_: Request) -> None:
    made = new_ensemble(request_, [1, 2], {})
    (made.members[0].directory / "status.json").write_text('{"state": "run')
    write_status(made.members[1].directory, state="running", stage="nvt")
    done = subprocess.run(
        [MOFMD, "ensemble", "status", str(made.directory)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "000: interrupted: status.json is damaged: is not JSON" in done.stdout
    assert "001: interrupted" in done.stdout
