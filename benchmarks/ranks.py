"""Strong scaling over MPI ranks, and what exchanging features saves against wider ghost shells.

For each deployed model: NVE of ZIF-4 (2176 atoms by default) on each number of ranks, one thread
each, in alternating repeats; medians of LAMMPS's own loop time. Beside it, for the same model and
the same domains, how many node evaluations the other way to run message passing on several ranks
would need: ghosts out to all layers' range, every layer evaluated on all atoms that still matter.

Usage: python benchmarks/ranks.py MODEL [MODEL ...] [--repeats 3] [--output FILE]
"""

import argparse
import json
import platform
import re
import statistics
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from rich.console import Console
from rich.table import Table

from mofmd.engine.launch import Resources
from mofmd.engine.script import run_script
from mofmd.models.deployed import DeployedModel, read_deployed
from mofmd.structures.zif import zif4

SCRIPT = """\
units metal
atom_style atomic
processors 1 1 *
read_data structure.data
{pair}
velocity all create 300 1 loop geom
fix 1 all nve
timestep 0.0005
thermo 1000000
run 2
run {steps}
"""


def measure(model: DeployedModel, atoms: Atoms, ranks: int, steps: int) -> dict[str, float]:
    """Return ms per step, share of the exchange, peak memory of a rank and node evaluations."""
    script = SCRIPT.format(pair="\n".join(model.pair_commands()), steps=steps)
    done = run_script(script, atoms, model.type_names, Resources(ranks=ranks))
    table = done.output.rpartition("where the time went")[2]

    def number(pattern: str) -> float:
        found = re.search(pattern, table)
        return float(found[1]) if found else float("nan")

    return {
        "ms_per_step": done.ms_per_step,
        "exchange_percent": number(r"exchange +\|.*\| +([\d.]+) %"),
        "peak_MiB": number(r"peak memory of a rank: (\d+)"),
        "nodes_per_layer": number(r"node evaluations per layer, all ranks: (\d+)"),
    }


def extended_ghost_nodes(atoms: Atoms, ranks: int, r_max: float, layers: int) -> float:
    """Return node evaluations per layer, over all ranks, with ghosts out to ``layers * r_max``.

    Slabs along z, as the benchmark's grid; one rank needs no ghosts. The last layer needs owned
    atoms only, each layer before it those within another r_max of them.
    """
    if ranks == 1:
        return float(len(atoms))
    height = atoms.cell.lengths()[2]
    z = np.sort(atoms.get_scaled_positions()[:, 2]) * height
    images = np.concatenate([z + k * height for k in range(-layers, layers + 1)])
    total = 0
    for layer in range(layers):
        reach = (layers - 1 - layer) * r_max
        for rank in range(ranks):
            low, high = rank * height / ranks, (rank + 1) * height / ranks
            total += int(np.sum((images >= low - reach) & (images < high + reach)))
    return total / layers


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeat-cell", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("ranks.json"))
    arguments = parser.parse_args()
    atoms = zif4().repeat(arguments.repeat_cell)
    table = Table(title=f"{len(atoms)} atoms, one thread a rank, {platform.processor() or 'CPU'}")
    headings = ("model", "ranks", "ms/step", "efficiency", "exchange", "MiB/rank", "nodes/layer")
    for heading in (*headings, "with wide ghosts"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    records: list[dict[str, Any]] = []
    for path in arguments.models:
        model = read_deployed(path)
        runs: dict[int, list[dict[str, float]]] = {count: [] for count in arguments.ranks}
        for _ in range(arguments.repeats):
            for count in arguments.ranks:
                runs[count].append(measure(model, atoms, count, arguments.steps))
        medians = {
            count: {key: statistics.median(run[key] for run in found) for key in found[0]}
            for count, found in runs.items()
        }
        first = arguments.ranks[0]
        for count, found in medians.items():
            ideal = medians[first]["ms_per_step"] * first / count
            layers = int(model.manifest["layers"]) if model.manifest["exchange_width"] else 1
            wide = extended_ghost_nodes(atoms, count, model.r_max, layers)
            efficiency = ideal / found["ms_per_step"]
            records.append(
                {
                    "model": path.name,
                    "ranks": count,
                    **found,
                    "efficiency": efficiency,
                    "nodes_per_layer_with_wide_ghosts": wide,
                }
            )
            table.add_row(
                path.name,
                str(count),
                f"{found['ms_per_step']:.1f}",
                f"{efficiency:.2f}",
                f"{found['exchange_percent']:.1f} %",
                f"{found['peak_MiB']:.0f}",
                f"{found['nodes_per_layer']:.0f}",
                f"{wide:.0f}",
            )
    Console(width=120).print(table)
    arguments.output.write_text(json.dumps(records, indent=1))
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
