"""What a step costs: the table of the pair style read back, and the command."""

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mofmd.engine.launch import Resources
from mofmd.errors import InputError, RunError
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import embedded_model
from mofmd.models.step_cost import (
    PARTS,
    Setting,
    atoms_that_fit,
    median,
    median_cost,
    read_cost,
    step_cost,
)
from mofmd.structures.crystals.zif import zif4

OUTPUT = """\
Loop time of 1.5 on 2 procs for 3 steps with 272 atoms
allegro: where the time went
  first call (warm-up, not counted below)  78.7 ms
Loop time of 0.5 on 2 procs for 10 steps with 272 atoms

nequip: where the time went
  part      |  mean ms/step |   max ms/step | share
  graph     |         0.500 |         0.600 |  1.0 %
  transfer  |         0.100 |         0.100 |  0.2 %
  model     |        40.000 |        44.000 | 80.0 %
  exchange  |         9.000 |        12.000 | 18.0 %
  scatter   |         0.400 |         0.400 |  0.8 %
  total     |        50.000 |        50.000 | 100.0 %
  183.824 us/atom/step (slowest rank's time over all atoms)
  272 atoms, 5856 edges, 812 ghost nodes on 2 rank(s)
  node evaluations per layer, all ranks: 272; 51.2 kB of features and gradients exchanged per step
  peak memory of a rank: 321 MiB
"""


def test_table_is_read() -> None:
    cost = read_cost(OUTPUT, ms_per_step=50.0)
    assert [getattr(cost, f"{part}_ms") for part in PARTS] == [0.5, 0.1, 40.0, 9.0, 0.4]
    assert (cost.atoms, cost.edges, cost.ghosts, cost.nodes_per_layer) == (272, 5856, 812, 272)
    assert (cost.first_call_ms, cost.peak_MiB) == (78.7, 321)
    assert cost.us_per_atom == pytest.approx(50e3 / 272)
    # 1 728 000 steps of 0.5 fs a day
    assert cost.ns_per_day(timestep_fs=0.5) == pytest.approx(0.864)


def test_without_message_passing() -> None:
    text = "\n".join(line for line in OUTPUT.splitlines() if "node evaluations" not in line)
    assert read_cost(text, 50.0).as_dict()["nodes_per_layer"] is None


def test_another_style_has_no_table() -> None:
    with pytest.raises(InputError, match="no table of a pair style of mofmd"):
        read_cost("Loop time of 1.5 on 2 procs", 50.0)


def test_median() -> None:
    costs = [read_cost(OUTPUT, ms_per_step) for ms_per_step in (3.0, 1.0, 200.0)]
    assert median(costs).ms_per_step == 3.0
    assert median(costs).model_ms == 40.0


def test_step_in_lammps() -> None:
    model = read_deployed(embedded_model("zif4-allegro-s"))
    cost = step_cost(model, zif4(), 3, Setting(Resources(ranks=2), "chunk 50"))
    assert cost.atoms == 272
    assert 0 < sum(getattr(cost, f"{part}_ms") for part in PARTS) < 2 * cost.ms_per_step
    assert cost.first_call_ms > 0
    fitting = atoms_that_fit(model, cost)
    assert fitting is not None
    assert fitting > 272
    assert np.isnan([cost.held_MiB, cost.host_MiB]).all()  # of GPUs


def test_runs_of_so_many_seconds() -> None:
    model = read_deployed(embedded_model("zif4-allegro-s"))
    start = time.monotonic()
    cost = median_cost(model, zif4(), Setting(), seconds=0.5)
    assert time.monotonic() - start > 1.5
    # the evaluation before the first step counts in the parts, not in LAMMPS's time of a step
    assert 0 < cost.model_ms < 2 * cost.ms_per_step
    with pytest.raises(RunError, match="did not end within 1 s"):
        median_cost(model, zif4(), Setting(), seconds=60, time_limit_s=1)


def test_memory_of_a_gpu_is_read() -> None:
    gpu = "peak memory of a rank: 321 MiB on its GPU (400 MiB held by torch); 900 MiB of the host"
    cost = read_cost(OUTPUT.replace("peak memory of a rank: 321 MiB", gpu), 50.0)
    assert (cost.peak_MiB, cost.held_MiB, cost.host_MiB) == (321, 400, 900)


def test_command(tmp_path: Path) -> None:
    report = tmp_path / "bench.json"
    command = [sys.executable, "-m", "mofmd", "bench", "zif4-allegro-s", "--seconds", "0.1"]
    done = subprocess.run(
        [*command, "--chunk", "none", "--chunk", "100", "-o", str(report)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "µs/atom/step" in done.stdout
    found = json.loads(report.read_text())
    assert [run["chunk"] for run in found["runs"]] == ["none", "100"]
    assert found["atoms_that_fit"] > 272
    for run in found["runs"]:
        assert run["us_per_atom"] == pytest.approx(1e3 * run["ms_per_step"] / 272)
