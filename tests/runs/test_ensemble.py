"""Ensembles: made, run, killed, resumed, collected."""

import csv
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mofmd.engine.launch import Resources
from mofmd.errors import InputError, MissingFileError
from mofmd.simulation.deck.request import Request
from mofmd.simulation.ensemble.ensemble import (
    Ensemble,
    count_states,
    new_ensemble,
    read_ensemble,
)
from mofmd.simulation.ensemble.ensemble_run import (
    Workers,
    parsl_config,
    run_ensemble,
    share_out,
    write_slurm_array,
)
from mofmd.simulation.ensemble.member import DRIVER_OUTPUT, _refused
from mofmd.simulation.ensemble.table import collect
from mofmd.simulation.run.minimised import read_minimised
from mofmd.simulation.run.run import run_deck
from mofmd.simulation.run.status import read_status, write_status
from tests.silicon import silicon_potential

MOFMD = str(Path(sys.prefix) / "bin" / "mofmd")
SETTINGS = (
    "time_ps=0.5",
    "timestep_fs=1",
    "frame_interval_fs=10",
    "thermo_interval_fs=10",
    "restart_interval_ps=0.1",
    "supercell=[2,2,2]",
)

# Parsl leaves sockets and files for the garbage collector to close
LEAVES_SOCKETS = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


@pytest.fixture
def request_(tmp_path: Path) -> Request:
    from ase.build import bulk
    from ase.io import write

    write(tmp_path / "si.cif", bulk("Si", cubic=True))
    potential = silicon_potential(tmp_path)
    return Request(
        protocol="nvt",
        structure=str(tmp_path / "si.cif"),
        output=tmp_path / "ensemble",
        potential_script=potential.script,
        potential_files=potential.files,
        settings=SETTINGS,
    )


def products(ensemble: Ensemble) -> list[tuple[bytes, ...]]:
    return [
        tuple((m.directory / name).read_bytes() for name in ("trajectory.dump", "final.data"))
        for m in ensemble.members
    ]


def test_members_differ_by_seed_and_fields(request_: Request) -> None:
    made = new_ensemble(request_, [1, 2], {"temperature_K": [300, 400]})
    assert [dict(m.values) for m in made.members] == [
        {"temperature_K": 300, "seed": 1},
        {"temperature_K": 300, "seed": 2},
        {"temperature_K": 400, "seed": 1},
        {"temperature_K": 400, "seed": 2},
    ]
    assert read_ensemble(made.directory) == made
    assert count_states(made) == {"waiting": 4}
    script = (made.members[3].directory / "in.lammps").read_text()
    assert "index 400" in script
    assert len({(m.directory / "in.lammps").read_bytes() for m in made.members}) == 4


def test_refusals(request_: Request, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="temperature: unknown key of protocol nvt; did you mean"):
        new_ensemble(request_, [1], {"temperature": [300]})
    with pytest.raises(InputError, match="seeds: one occurs twice"):
        new_ensemble(request_, [1, 1], {})
    with pytest.raises(InputError, match="members: none; give a number of at least 1"):
        new_ensemble(request_, [], {})
    with pytest.raises(InputError, match="vary seed: seeds have their own option"):
        new_ensemble(request_, [1], {"seed": [1]})
    with pytest.raises(InputError, match="set seed: seeds have their own options, --members"):
        new_ensemble(replace(request_, settings=("seed=3",)), [1], {})
    twice = replace(request_, supercell="3x3x3")
    with pytest.raises(InputError, match="vary supercell: given together with --supercell"):
        new_ensemble(twice, [1], {"supercell": [[2, 2, 2], [4, 4, 4]]})
    with pytest.raises(MissingFileError, match="is not an ensemble"):
        read_ensemble(tmp_path)
    with pytest.raises(InputError, match="workers: 0, expected"):
        Workers(count=0)
    with pytest.raises(InputError, match="gpus: 1 for 2 workers"):
        Workers(count=2, gpus=("0",))


def test_run_status_collect(request_: Request) -> None:
    made = new_ensemble(request_, [1, 2, 3], {})
    # one member has a potential file that is gone: it must not hold up the others
    (made.members[1].directory / "Si.sw").unlink()
    with (made.members[2].directory / "in.lammps").open("a") as script:
        script.write("# mine\n")
    command = [MOFMD, "ensemble", "run", str(made.directory), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    told = done.stdout + done.stderr
    assert told.count("Si.sw: missing") == told.count("in.lammps: differs") == 1
    assert count_states(made) == {"finished": 1, "failed": 2}
    assert "--allow-edited" in made.members[2].reason
    again = [*command, "--retry-failed", "--allow-edited"]
    subprocess.run(again, capture_output=True, text=True, check=False, timeout=120)
    assert count_states(made) == {"finished": 2, "failed": 1}
    rows = list(csv.DictReader(collect(made).read_text().splitlines()))
    assert [row["state"] for row in rows] == ["finished", "failed", "finished"]
    assert "Si.sw: missing; write the deck again" in rows[1]["reason"]
    assert rows[0]["steps"] == "500"
    assert float(rows[0]["temperature_K"]) == pytest.approx(300, abs=90)
    assert float(rows[0]["volume_A3"]) == pytest.approx(8 * 5.43**3, rel=1e-2)


def test_the_latest_reason_is_kept(tmp_path: Path) -> None:
    """Of a member that stopped and then could not be gone on with."""
    write_status(tmp_path, state="stopped", error="asked to stop", saved="restart.stopped")
    (tmp_path / DRIVER_OUTPUT).write_text("mofmd: error: in.lammps: differs\n")
    assert _refused(tmp_path, 1, is_new=False) == "in.lammps: differs"
    kept = read_status(tmp_path)
    assert (kept["state"], kept["error"]) == ("stopped", "in.lammps: differs")
    assert kept["saved"] == "restart.stopped"


def test_slurm_script_runs_a_member(request_: Request) -> None:
    made = new_ensemble(request_, [5, 6], {})
    script = write_slurm_array(made, Resources(ranks=2), "02:00:00", "#SBATCH -p long")
    text = script.read_text()
    assert "#SBATCH --time=02:00:00" in text
    assert text.index("#SBATCH -p long") < text.index("set -u")
    assert "#SBATCH --array=0-1" in text
    assert "#SBATCH --ntasks=2" in text
    assert not re.search("@[A-Z]+@", text)
    env = {**os.environ, "SLURM_ARRAY_TASK_ID": "1"}
    subprocess.run(["bash", str(script)], env=env, check=True, timeout=60, capture_output=True)
    assert [m.state for m in made.members] == ["waiting", "finished"]


def test_slurm_script_at_preemption(request_: Request, tmp_path: Path) -> None:
    """SIGTERM to all, as SLURM sends it: the state is saved and the task queued again."""
    settings = tuple(s for s in SETTINGS if "time_ps" not in s)
    longer = Request(**{**request_.__dict__, "settings": (*settings, "time_ps=100")})
    made = new_ensemble(longer, [5], {})
    script = write_slurm_array(made, Resources())
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "scontrol").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n')
    (tmp_path / "bin" / "scontrol").chmod(0o755)
    env = {**os.environ, "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "0",
           "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}  # fmt: skip
    member = made.members[0].directory
    with subprocess.Popen(["bash", str(script)], env=env, stdout=subprocess.DEVNULL) as task:
        end = time.monotonic() + 120
        while not made.members[0].progress and time.monotonic() < end:
            time.sleep(0.2)
        for pid in (task.pid, *descendants(task.pid)):
            os.kill(pid, signal.SIGTERM)
        assert task.wait(timeout=120) == 75
    assert (tmp_path / "asked").read_text() == "requeue 7_0\n"
    assert made.members[0].state == "stopped"
    assert (member / "restart.stopped").is_file()


def test_cores_and_gpus_are_dealt_out() -> None:
    slots = share_out([0, 1, 2, 5, 6], Workers(count=2, gpus=("0", "1")))
    assert [slot.cores for slot in slots] == [(0, 1), (2, 5)]
    assert [slot.gpu for slot in slots] == ["0", "1"]
    shared = share_out([3], Workers(count=2))
    assert [slot.cores for slot in shared] == [(3,), (3,)]
    assert shared[0].gpu is None


def test_driver_that_is_asked_to_stop(request_: Request) -> None:
    settings = tuple(s for s in SETTINGS if "time_ps" not in s)
    longer = Request(**{**request_.__dict__, "settings": (*settings, "time_ps=100")})
    made = new_ensemble(longer, [1, 2, 3], {})
    command = [MOFMD, "ensemble", "run", str(made.directory), "--workers", "2"]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while count_states(made).get("running", 0) < 2 and time.monotonic() < end:
        time.sleep(0.2)
    driver.terminate()
    text, _ = driver.communicate(timeout=60)
    assert driver.returncode == 75
    assert "stopped as asked; go on with `mofmd ensemble run" in text
    assert count_states(made) == {"stopped": 2, "waiting": 1}


def test_ctrl_c_while_members_start(request_: Request) -> None:
    """It reaches every process of the terminal; a member that had not begun has not failed."""
    made = new_ensemble(request_, [1, 2, 3], {})
    command = [MOFMD, "ensemble", "run", str(made.directory), "--workers", "2"]
    driver = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    end = time.monotonic() + 60
    first = made.members[0].directory
    while not (first / DRIVER_OUTPUT).is_file() and time.monotonic() < end:
        time.sleep(0.01)
    time.sleep(0.2)  # `mofmd run` is being imported
    os.killpg(driver.pid, signal.SIGINT)
    text, _ = driver.communicate(timeout=60)
    assert driver.returncode == 75, text
    assert "failed" not in count_states(made)


def test_minimisations_are_collected(request_: Request) -> None:
    """Where they ended, not a mean over their steps; points at several volumes have none."""
    words = ("supercell=[2,2,2]", "cell=iso")
    made = new_ensemble(replace(request_, protocol="minimise", settings=words), [1, 2], {})
    other = replace(
        request_,
        protocol="energy_volume",
        output=request_.output.parent / "ev",
        settings=("supercell=[2,2,2]", "shape=fixed", "volume_ratios=[0.99,1,1.01]"),
    )
    curves = new_ensemble(other, [1, 2], {})
    for member in (*made.members, curves.members[0]):
        run_deck(member.directory)
    row, *_ = json.loads(collect(made).with_suffix(".json").read_text())
    reached = read_minimised(made.members[0].directory)
    assert reached is not None
    assert (row["energy_eV"], row["volume_A3"]) == (reached.energy_eV, reached.volume_A3)
    assert abs(row["pressure_bar"]) < 5.0
    row, *_ = json.loads(collect(curves).with_suffix(".json").read_text())
    assert {"energy_eV", "volume_A3"} & row.keys() == set()
    assert row["atoms"] == 64


@LEAVES_SOCKETS
def test_slurm_workers_are_described_to_parsl(tmp_path: Path) -> None:
    workers = Workers(count=4, where="slurm", gpus=("0", "1", "2", "3"), nodes=2,
                      walltime="02:00:00", options="#SBATCH -p gpu")  # fmt: skip
    (executor,) = parsl_config(tmp_path, workers).executors
    assert executor.provider.nodes_per_block == 2
    assert executor.provider.walltime == "02:00:00"
    assert "#SBATCH -p gpu" in executor.provider.scheduler_options
    assert executor.available_accelerators == ["0", "1", "2", "3"]
    assert executor.max_workers_per_node == 4


def test_without_parsl_only_slurm_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "parsl", None)  # as where it is not installed
    assert Workers(count=2).where == "local"
    with pytest.raises(InputError, match=r"Parsl, which is not installed: pip .*'mofmd\[slurm\]'"):
        Workers(where="slurm")


def descendants(pid: int) -> list[int]:
    found = []
    path = Path(f"/proc/{pid}/task/{pid}/children")
    for child in path.read_text().split() if path.exists() else []:
        found += [int(child), *descendants(int(child))]
    return found


def kill_now_and_then(ensemble: Ensemble, kills: int, seed: int) -> int:
    """Start the driver again and again; SIGKILL it, or one of its descendants; count the kills."""
    rng = random.Random(seed)
    done = 0
    command = [MOFMD, "ensemble", "run", str(ensemble.directory), "--workers", "2"]
    while done < kills and count_states(ensemble) != {"finished": len(ensemble.members)}:
        driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(rng.uniform(2, 6))
        members = [pid for pid in descendants(driver.pid) if is_member(pid)]
        if members and rng.random() < 0.5:
            kill(rng.choice(members))
            done += 1
            time.sleep(rng.uniform(0.5, 2))
        kill(driver.pid)
        driver.wait()
        done += 1
    return done


def is_member(pid: int) -> bool:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"mofmd.simulation.run.rank" in line


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def finish(ensemble: Ensemble) -> None:
    command = [MOFMD, "ensemble", "run", str(ensemble.directory), "--workers", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert count_states(ensemble) == {"finished": len(ensemble.members)}


@pytest.mark.long
def test_killed_twenty_times(request_: Request) -> None:
    settings = tuple(s for s in SETTINGS if "time_ps" not in s)
    longer = Request(**{**request_.__dict__, "settings": (*settings, "time_ps=20")})
    made = new_ensemble(longer, range(1, 9), {})
    whole = made.directory.with_name("whole")
    shutil.copytree(made.directory, whole)
    for member in read_ensemble(whole).members:
        run_deck(member.directory)
    assert kill_now_and_then(made, kills=20, seed=3) >= 20
    finish(made)
    assert products(made) == products(read_ensemble(whole))


@pytest.mark.long
@LEAVES_SOCKETS
def test_run_in_this_process(request_: Request) -> None:
    made = new_ensemble(request_, [1, 2], {})
    ended: list[str] = []
    seen: list[tuple[int, int]] = []
    run_ensemble(
        made,
        Workers(count=2),
        lambda member: ended.append(member.name),
        progress=lambda *counts: seen.append(counts),
    )
    assert seen[0] == (0, 2)
    assert sorted(seen) == seen
    assert sorted(ended) == ["000", "001"]
    assert count_states(made) == {"finished": 2}
    assert products(made)[0] != products(made)[1]
    run_ensemble(made, Workers(count=2), lambda member: ended.append(member.name))
    assert len(ended) == 2  # nothing was left to do
