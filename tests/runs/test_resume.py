"""Runs that are killed and continued are the unbroken run, to the last bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from mofmd.disk.lock import lock_run
from mofmd.engine.lammps_log import read_log
from mofmd.engine.launch import Resources, environment, lammps_command
from mofmd.errors import InputError, RunError
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.deck import Deck, write_deck
from mofmd.simulation.deck.potential import model_potential
from mofmd.simulation.protocols import NPT, NST, NVE, NVT, MeltQuench, Protocol, VolumeGrid
from mofmd.simulation.run.cut_dump import cut_trajectory
from mofmd.simulation.run.run import run_deck
from mofmd.structures.crystals.zif import zif4
from mofmd.trajectory.in_memory import read_dump
from tests.silicon import silicon_deck, silicon_potential

COMMON = {
    "timestep_fs": 1,
    "frame_interval_fs": 10,
    "thermo_interval_fs": 10,
    "restart_interval_ps": 0.5,
}
PROTOCOLS = {
    "nve": NVE(time_ps=3, **COMMON),
    "nvt": NVT(time_ps=3, **COMMON),
    "npt_iso": NPT(time_ps=3, coupling="iso", **COMMON),
    "npt_tri": NPT(time_ps=3, coupling="tri", **COMMON),
    "nst": NST(time_ps=3, stress_GPa=(0.5, 0, 0, 0, 0.2, 0), **COMMON),
    "volume_grid": VolumeGrid(
        volume_ratios=(1.0, 0.99),
        deformation_ps=1.2,
        equilibration_ps=0.6,
        sampling_ps=0.5,
        **COMMON,
    ),
    "ramps": MeltQuench(
        temperature_max_K=900,
        temperature_hot_K=700,
        timestep_hot_fs=0.5,
        rate_K_per_ps=600,
        equilibration_ps=0.25,
        plateau_ps=0.25,
        anneal_ps=0.25,
        **COMMON,
    ),
}


def products(deck: Deck) -> tuple[bytes, ...]:
    return tuple(
        (deck.directory / name).read_bytes()
        for name in ("trajectory.dump", "final.data", "restart.latest")
    )


def start(deck: Deck, ranks: int = 1) -> subprocess.Popen[bytes]:
    command = [str(Path(sys.prefix) / "bin" / "mofmd"), "run", str(deck.directory), "--resume"]
    with (deck.directory / "told.txt").open("wb") as told:
        return subprocess.Popen([*command, "--ranks", str(ranks)], stdout=told, stderr=told)


def wait_for_step(process: subprocess.Popen[bytes], deck: Deck, step: int) -> None:
    """Wait until a frame of at least this step is there, or the run has ended well."""
    end = time.monotonic() + 120
    dump = deck.directory / "trajectory.dump"
    while True:
        status = process.poll()
        if dump.exists() and dump.stat().st_size > 0 and last_frame(dump) >= step:
            return
        if status is not None or time.monotonic() > end:
            break
        time.sleep(0.01)
    process.kill()
    process.wait()
    told = (deck.directory / "told.txt").read_text()
    state = (deck.directory / "status.json").read_text()
    raise AssertionError(f"step {step} was not reached (status {status}): {told}\n{state}")


def last_frame(dump: Path) -> int:
    steps = dump.read_bytes().split(b"ITEM: TIMESTEP\n")[1:]
    complete = [step.split(b"\n")[0] for step in steps if b"\n" in step]
    return int(complete[-1]) if complete else -1


@pytest.mark.parametrize(
    "name",
    [
        "ramps",
        "npt_tri",
        "volume_grid",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("nve", "nvt", "npt_iso", "nst")),
    ],
)
def test_killed_and_resumed(tmp_path: Path, name: str) -> None:
    protocol: Protocol = PROTOCOLS[name]
    whole = silicon_deck(protocol, tmp_path / "whole")
    broken = silicon_deck(protocol, tmp_path / "broken")
    run_deck(whole.directory)
    for step in (protocol.total_steps // 3, protocol.total_steps // 2 + 7):
        process = start(broken)
        wait_for_step(process, broken, step)
        process.kill()  # SIGKILL to the driver: LAMMPS goes on alone, notices, and stops
        process.wait()
    run = run_deck(broken.directory, resume=True)
    assert products(broken) == products(whole)
    frames = read_dump(broken.directory / "trajectory.dump").timesteps
    assert len(np.unique(frames)) == len(frames)
    assert run.steps == protocol.total_steps


@pytest.mark.parametrize("name", ["npt_iso", "npt_tri", "nst", "volume_grid"])
def test_no_number_is_of_memory_that_was_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With memory that LAMMPS asks for full of 1e306, pressures of it would be infinite."""
    protocol: Protocol = PROTOCOLS[name]
    if not isinstance(protocol, VolumeGrid):
        protocol = replace(protocol, time_ps=0.2, restart_interval_ps=0.1)
    plain = silicon_deck(protocol, tmp_path / "plain")
    filled = silicon_deck(protocol, tmp_path / "filled")
    run_deck(plain.directory)
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.tcache_count=0:glibc.malloc.perturb=128")
    run_deck(filled.directory)
    assert products(filled) == products(plain)


def test_two_ranks(tmp_path: Path) -> None:
    protocol = replace(PROTOCOLS["npt_tri"], time_ps=1)
    whole = silicon_deck(protocol, tmp_path / "whole")
    broken = silicon_deck(protocol, tmp_path / "broken")
    run_deck(whole.directory, Resources(2))
    process = start(broken, ranks=2)
    wait_for_step(process, broken, 600)
    process.kill()
    process.wait()
    with pytest.raises(RunError, match="was begun on 2 ranks and cannot be the same run on 1"):
        run_deck(broken.directory, resume=True)
    run_deck(broken.directory, Resources(2), resume=True)
    assert products(broken) == products(whole)


def test_by_hand_from_a_restart_file(tmp_path: Path) -> None:
    protocol = replace(PROTOCOLS["npt_tri"], time_ps=4)  # far from its end when it is killed
    whole = silicon_deck(protocol, tmp_path / "whole")
    broken = silicon_deck(protocol, tmp_path / "broken")
    run_deck(whole.directory)
    process = start(broken)
    wait_for_step(process, broken, 600)
    process.kill()
    process.wait()
    lock_run(broken.directory, patience_s=20).close()
    # a restart file each 500 steps; LAMMPS may have written one more before it noticed
    last = read_dump(broken.directory / "trajectory.dump").timesteps[-1]
    cut_trajectory(broken.directory / "trajectory.dump", int(last) // 500 * 500)
    resources = Resources()
    command = [*lammps_command("in.lammps", resources), "-var", "from", "restart", "-log", "none"]
    subprocess.run(command, cwd=broken.directory, env=environment(resources), check=True,
                   stdout=subprocess.DEVNULL, timeout=60)  # fmt: skip
    assert products(broken) == products(whole)
    steps = [table.columns["Step"] for table in read_log(broken.directory / "log.lammps")]
    assert min(map(min, steps)) == 0  # of the part before, too
    assert max(map(max, steps)) == max(read_log(whole.directory / "log.lammps")[-1].columns["Step"])


@pytest.mark.long
@pytest.mark.parametrize(("cells", "ranks"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_embedded_model(tmp_path: Path, cells: int, ranks: int) -> None:
    """Melt-quench of ZIF-4 with the model of the package, all stages, 272 and 2176 atoms."""
    protocol = MeltQuench(
        temperature_max_K=600,
        rate_K_per_ps=60_000,
        equilibration_ps=0.01,
        plateau_ps=0.01,
        anneal_ps=0.01,
        frame_interval_fs=2.5,
        thermo_interval_fs=2.5,
        restart_interval_ps=0.015,
        minimise_steps_max=2,
        supercell=(cells,) * 3,
    )
    potential = model_potential(embedded_model("zif4-nequip-s"), ("C", "H", "N", "Zn"))
    whole, broken = (
        write_deck(protocol, zif4(), potential, tmp_path / name) for name in ("whole", "broken")
    )
    run_deck(whole.directory, Resources(ranks))
    process = start(broken, ranks)
    wait_for_step(process, broken, 35)
    process.kill()
    process.wait()
    run = run_deck(broken.directory, Resources(ranks), resume=True)
    assert products(broken) == products(whole)
    assert run.steps == protocol.total_steps == 80


def test_everything_killed_at_random(tmp_path: Path) -> None:
    """SIGKILL to the whole process tree, LAMMPS within a write included."""
    protocol = replace(PROTOCOLS["npt_iso"], restart_interval_ps=0.05, frame_interval_fs=2)
    whole = silicon_deck(protocol, tmp_path / "whole")
    broken = silicon_deck(protocol, tmp_path / "broken")
    run_deck(whole.directory)
    rng = random.Random(7)
    for _ in range(4):
        process = start(broken)
        time.sleep(rng.uniform(1.0, 2.5))
        worker = children(process.pid)
        for pid in (*worker, process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()
    run_deck(broken.directory, resume=True)
    assert products(broken) == products(whole)


def children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []


def test_asked_to_stop(tmp_path: Path) -> None:
    protocol = replace(PROTOCOLS["nvt"], time_ps=12, restart_interval_ps=3)
    whole = silicon_deck(protocol, tmp_path / "whole")
    stopped = silicon_deck(protocol, tmp_path / "stopped")
    run_deck(whole.directory)
    process = start(stopped)
    wait_for_step(process, stopped, 4000)
    process.terminate()
    assert process.wait(timeout=60) == 75
    status = json.loads((stopped.directory / "status.json").read_text())
    assert status["state"] == "stopped"
    assert 4000 <= status["step"] < 12000
    assert (stopped.directory / "restart.stopped").is_file()
    from_stop = tmp_path / "from_stop"
    subprocess.run(["cp", "-r", str(stopped.directory), str(from_stop)], check=True)
    run_deck(stopped.directory, resume=True)
    assert products(stopped) == products(whole)
    # from the very step: the same frames in number and time, other bits
    run = run_deck(from_stop, resume="from_stop")
    frames = read_dump(from_stop / "trajectory.dump").timesteps
    assert frames.tolist() == list(range(0, 12001, 10))
    assert run.steps == 12000


def test_ramp_goes_on_at_its_temperature(tmp_path: Path) -> None:
    protocol = PROTOCOLS["ramps"]
    deck = silicon_deck(protocol, tmp_path)
    process = start(deck)
    wait_for_step(process, deck, 700)
    process.kill()
    process.wait()
    run = run_deck(deck.directory, resume=True)
    stages = {table.stage: table for table in run.tables}
    assert list(stages) == ["minimise", *(k for k, n in protocol.stage_steps.items() if n)]
    times = np.concatenate([t.columns["Time"] for t in run.tables[1:]])
    assert np.diff(times).max() <= 0.0101  # ps: nothing is left out at any joint
    total = sum(n * (0.5 if "hot" in k or k == "melt" else 1.0) for k, n in
                protocol.stage_steps.items()) / 1000  # fmt: skip
    assert times[-1] == pytest.approx(total)


def test_finished_run_is_left_alone(tmp_path: Path) -> None:
    deck = silicon_deck(replace(PROTOCOLS["nve"], time_ps=0.2), tmp_path)
    first = run_deck(deck.directory)
    before = products(deck)
    again = run_deck(deck.directory, resume=True)
    assert again.wall_s == 0.0
    assert products(deck) == before
    assert again.steps == first.steps == 200


def test_two_runs_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mofmd.simulation.run.run.LOCK_PATIENCE_S", 0.0)
    protocol = replace(PROTOCOLS["nve"], time_ps=20)
    deck = silicon_deck(protocol, tmp_path)
    process = start(deck)
    wait_for_step(process, deck, 10)
    with pytest.raises(RunError, match="another run of this deck is going on"):
        run_deck(deck.directory)
    with pytest.raises(InputError, match="is being run; wait for the run or stop it first"):
        write_deck(protocol, bulk("Si", cubic=True), silicon_potential(tmp_path), deck.directory,
                   overwrite=True)  # fmt: skip
    process.terminate()
    assert process.wait(timeout=60) == 75


def test_log_of_a_resumed_run_is_kept(tmp_path: Path) -> None:
    deck = silicon_deck(replace(PROTOCOLS["nvt"], time_ps=2), tmp_path)
    process = start(deck)
    wait_for_step(process, deck, 700)
    process.kill()
    process.wait()
    run_deck(deck.directory, resume=True)
    steps = np.concatenate([t.columns["Step"] for t in read_log(deck.directory / "log.lammps")])
    assert set(range(0, 2001, 10)) <= set(steps.astype(int).tolist())
