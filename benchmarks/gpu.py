"""What a GPU makes of the engine, in under ten minutes; what matters most comes first.

ZIF-4 in NVE with each deployed model (TorchScript), in this order:

  floor    a system of four atoms: what a step costs that computes nothing
  bare     the model alone on the same graph, from Python: called, and replayed as one recording
  step     a step in LAMMPS as it comes: recorded
  calls    the same, not recorded
  drift    NVE of the smallest system: drift of the energy, memory of a short and of a long run
  ranks    two ranks on the GPU; two partitions on it
  graphs   edges made on the host, and from LAMMPS's list
  check    two runs of few steps under compute-sanitizer, where it is installed

The last four with the first model only. `--measure` picks some of these.

Every result is in the JSON file as soon as it is known; what failed says why. Each LAMMPS run is
ended when the time is up. A model that needs all memory at once and does not fit is run in chunks.

Usage: python benchmarks/gpu.py MODEL [MODEL ...] [--device cuda] [--minutes 9] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from rich.console import Console
from rich.table import Table
from step_against_model import BareModel

from mofmd.engine.lammps_data import write_data
from mofmd.engine.lammps_log import ThermoTable, read_log
from mofmd.engine.launch import Resources, environment, find_program, lammps_command
from mofmd.engine.script import run_script
from mofmd.errors import MofmdError
from mofmd.models.files.deployed import DeployedModel, read_deployed
from mofmd.models.names import find_model
from mofmd.models.step_cost import Setting, hardware, median_cost
from mofmd.structures.crystals.zif import zif4

SECONDS = 0.7  # of each of three runs
RECORDED = ("graph auto", "graph device")  # what a GPU takes by itself, and that without recording
SHOWN = (
    "options",
    "ranks",
    "ms_per_step",
    "us_per_atom",
    "bare_ms",
    "replay_ms",
    "peak_MiB",
    "drift_meV_per_atom_per_ps",
    "peak_MiB_short",
    "peak_MiB_long",
    "ms_per_step_each",
    "errors",
    "failed",
)
MEASURES = ("floor", "bare", "step", "calls", "drift", "ranks", "graphs", "check")
Measure = Callable[..., dict[str, Any]]
DRIFT = """\
units metal
atom_style atomic
read_data structure.data
{pair}
minimize 0 0.01 50 1000
reset_timestep 0
velocity all create 600 3 loop geom
timestep 0.0005
thermo_style custom step temp etotal
thermo_modify format float %.8f
thermo 200
fix 1 all nve
run 200
run {steps}
"""
CHECK = """\
units metal
atom_style atomic
read_data structure.data
{pair}
velocity all create 300 1 loop geom
compute s all stress/atom NULL
compute t all reduce sum c_s[1]
thermo_style custom step etotal c_t
thermo 5
fix 1 all nve
run {steps}
run {steps}
"""


def bare_calls(model: Path, systems: list[Atoms], device: str) -> list[dict[str, Any]]:
    """Medians of three means of calls of the model alone; one of several sizes may not fit."""
    import torch

    bare = BareModel(model, 1, device)
    found: list[dict[str, Any]] = []
    for atoms in systems:
        graph = bare.graph(atoms)
        record: dict[str, Any] = {"edges": len(graph["edge_vectors"])}
        kinds = {"bare_ms": bare.ms_per_call}
        if device != "cpu":
            kinds["replay_ms"] = bare.ms_per_replay
        for name, cost in kinds.items():
            try:
                count = max(1, min(1000, int(1e3 * SECONDS / cost(graph, 1))))
                record[name] = float(np.median([cost(graph, count) for _ in range(3)]))
            except RuntimeError as error:
                record["failed"] = f"{name}: {str(error).splitlines()[0]}"[:300]
                break
            if device != "cpu":
                torch.cuda.empty_cache()
        found.append(record)
    return found


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call it in a process of its own, so that nothing of it stays on the GPU."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def few_atoms() -> Atoms:
    """Return four atoms in a large box."""
    positions = [[5, 5, 5], [6.4, 5, 5], [5, 6.1, 5], [5, 5, 7.0]]
    return Atoms("CNHZn", positions=positions, cell=[20, 20, 20], pbc=True)


class Benchmark:
    """Measurements that end in time, and a report that is always up to date."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device: str = arguments.device
        self.sizes: list[int] = arguments.sizes
        self.steps: int = arguments.steps
        self.measures: list[str] = arguments.measure
        self.output: Path = arguments.output
        self.end = time.monotonic() + 60.0 * arguments.minutes
        self.models = {path.name: read_deployed(find_model(path)) for path in arguments.models}
        self.records: list[dict[str, Any]] = []
        self.hardware: str = apart(hardware, self.device)

    @property
    def seconds_left(self) -> float:
        """Until the time is up [s]."""
        return max(1.0, self.end - time.monotonic())

    def note(self, what: str, name: str, atoms: Atoms, measure: Measure, *more: Any) -> bool:
        """Measure and write it down; whether there is a result."""
        record: dict[str, Any] = {"what": what, "model": name, "atoms": len(atoms)}
        if time.monotonic() > self.end:
            record["failed"] = "no time left"
        else:
            try:
                record = {**measure(self.models[name], atoms, *more), **record}
            except (MofmdError, RuntimeError, subprocess.TimeoutExpired) as error:
                record["failed"] = str(error).splitlines()[0][:300]
        self.write_down(record)
        return "failed" not in record

    def write_down(self, record: dict[str, Any]) -> None:
        """Add a result to the report."""
        self.records.append(record)
        numbers = {key: value for key, value in record.items() if key in SHOWN}
        about = f"{record['what']:7} {record['model']:28} {record['atoms']:7}"
        print(f"{about} {numbers}", flush=True)
        report = {
            "hardware": self.hardware,
            "torch": version("torch"),
            "lammps": version("lammps"),
            "units": "ms, MiB, µs/atom, meV/atom/ps",
            "runs": self.records,
        }
        self.output.write_text(json.dumps(report, indent=1))

    def step(
        self, model: DeployedModel, atoms: Atoms, options: str, ranks: int = 1
    ) -> dict[str, Any]:
        """Medians of three runs of a step."""
        setting = Setting(Resources(ranks=ranks), f"device {self.device} {options}")
        cost = median_cost(model, atoms, setting, SECONDS, time_limit_s=self.seconds_left)
        return {"options": options, "ranks": ranks, **cost.as_dict()}

    def note_bare(self, name: str, systems: list[Atoms]) -> None:
        """Measure what calls of the model alone take, in one process."""
        path = self.models[name].path
        for atoms, found in zip(
            systems, apart(bare_calls, path, systems, self.device), strict=True
        ):
            self.write_down({"what": "bare", "model": name, "atoms": len(atoms), **found})

    def drift(self, model: DeployedModel, atoms: Atoms, options: str, steps: int) -> dict[str, Any]:
        """Drift of the energy, and memory after a short and after a long run."""
        script = DRIFT.format(pair=self.pair(model, options), steps=steps)
        done = run_script(script, atoms, model.type_names, Resources(), self.seconds_left)
        memory = re.findall(r"peak memory of a rank: (.*)", done.output)
        numbers = [[int(word) for word in re.findall(r"\d+", line)] for line in memory]
        table = done.tables[-1].columns
        energy = 1e3 * table["TotEng"] / len(atoms)
        slope = np.polyfit(0.0005 * table["Step"], energy, 1)[0]
        return {
            "options": options,
            "drift_meV_per_atom_per_ps": round(float(slope), 5),
            "steps": steps,
            "peak_MiB_short": numbers[-2],
            "peak_MiB_long": numbers[-1],
        }

    def partitions(self, model: DeployedModel, atoms: Atoms) -> dict[str, Any]:
        """Two partitions at a time on the GPU; LAMMPS's loop time of a step of each."""
        command = [*lammps_command("in.lammps", Resources(ranks=2)), "-partition", "2x1"]
        script = CHECK.format(pair=self.pair(model, ""), steps=100)
        _, logs = self.launch(command, script, model, atoms)
        return {"ms_per_step_each": [tables[-1].ms_per_step for tables in logs[-2:]]}

    def check(self, model: DeployedModel, atoms: Atoms, options: str) -> dict[str, Any]:
        """Errors that compute-sanitizer finds in two short runs with a recorded virial of atoms."""
        sanitizer = shutil.which("compute-sanitizer")
        if sanitizer is None:
            raise RuntimeError("compute-sanitizer is not installed")
        command = [sanitizer, "--tool", "memcheck", "--target-processes", "all"]
        command += [str(find_program("lmp")), "-in", "in.lammps"]
        script = CHECK.format(pair=self.pair(model, options), steps=10)
        said, _ = self.launch(command, script, model, atoms)
        summaries = re.findall(r"ERROR SUMMARY: (\d+) error", said)
        if not summaries:
            raise RuntimeError(f"compute-sanitizer gave no summary: {said.strip()[-200:]}")
        return {"options": options, "errors": sum(map(int, summaries))}

    def pair(self, model: DeployedModel, options: str) -> str:
        """Commands of the pair style on the device."""
        style, coeff = model.pair_commands()
        return f"{style} device {self.device} {options}\n{coeff}"

    def launch(
        self, command: list[str], script: str, model: DeployedModel, atoms: Atoms
    ) -> tuple[str, list[list[ThermoTable]]]:
        """Start LAMMPS as nothing else of mofmd starts it; what it said, and its logs by name."""
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            write_data(work / "structure.data", atoms, model.type_names)
            (work / "in.lammps").write_text(script)
            done = subprocess.run(
                command,
                cwd=work,
                env=environment(Resources()),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=self.seconds_left,
                check=False,
            )
            if done.returncode != 0:
                raise RuntimeError(done.stdout.strip()[-300:].replace("\n", " "))
            return done.stdout, [read_log(path) for path in sorted(work.glob("log.lammps.*"))]

    def run(self) -> None:
        """Measure everything, what matters most first."""
        systems = [zif4().repeat(size) for size in self.sizes]
        smallest, largest = systems[0], systems[-1]
        first = next(iter(self.models))
        recorded, called = RECORDED
        if "floor" in self.measures:
            self.note("floor", first, few_atoms(), self.step, recorded)
        if "bare" in self.measures:
            for name in self.models:
                self.note_bare(name, systems)
        for what, options in (("step", recorded), ("calls", called)):
            for atoms in systems if what in self.measures else ():
                for name in self.models:
                    self.note_step(name, atoms, options)
        if "drift" in self.measures:
            self.note("drift", first, smallest, self.drift, recorded, self.steps)
            self.note("drift", first, smallest, self.drift, called, self.steps // 5)
        if "ranks" in self.measures:
            self.note("ranks", first, smallest, self.step, "", 2)
            self.note("parts", first, smallest, self.partitions)
        if "graphs" in self.measures:
            for atoms in (smallest, largest):
                self.note("graphs", first, atoms, self.step, "graph host")
                self.note("graphs", first, atoms, self.step, "graph list")
        if "check" in self.measures:
            for options in RECORDED:
                self.note("check", first, smallest, self.check, options)

    def note_step(self, name: str, atoms: Atoms, options: str) -> None:
        """Measure a step; what does not fit at once is run in chunks."""
        if not self.note("step", name, atoms, self.step, options):
            self.note("step", name, atoms, self.step, f"{options} chunk auto")


def summary(records: list[dict[str, Any]]) -> Table:
    """Return the steps beside the bare calls."""
    table = Table(title="a step in LAMMPS beside the bare model")
    for heading in ("model", "atoms", "options", "step, ms", "bare, ms", "replayed, ms", "ratio",
                    "µs/atom", "graph, %", "peak MiB"):  # fmt: skip
        table.add_column(heading, justify="right")
    bare = {(r["model"], r["atoms"]): r for r in records if r["what"] == "bare"}
    for each in records:
        if each["what"] != "step" or "ms_per_step" not in each:
            continue
        alone = bare.get((each["model"], each["atoms"]), {})
        step = each["ms_per_step"]
        # of the faster way to call the model alone
        fastest = min((alone[k] for k in ("bare_ms", "replay_ms") if k in alone), default=None)
        table.add_row(
            each["model"],
            str(each["atoms"]),
            each["options"],
            f"{step:.2f}",
            *(f"{alone[k]:.2f}" if k in alone else "" for k in ("bare_ms", "replay_ms")),
            f"{step / fastest:.3f}" if fastest else "",
            f"{each['us_per_atom']:.2f}",
            f"{100.0 * each['graph_ms'] / step:.1f}",
            f"{each['peak_MiB']:.0f}",
        )
    return table


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 3, 5])
    parser.add_argument("--steps", type=int, default=10000, help="of the run for drift and memory")
    parser.add_argument("--measure", nargs="+", choices=MEASURES, default=MEASURES)
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    benchmark = Benchmark(parser.parse_args())
    benchmark.run()
    Console(width=140).print(summary(benchmark.records))
    print(f"written: {benchmark.output}")


if __name__ == "__main__":
    main()
