"""Strong scaling over MPI ranks, and what exchanging features saves against wider ghost shells.

For each deployed model: NVE of ZIF-4 (2176 atoms by default) on each number of ranks, one thread
each, in alternating repeats; medians of LAMMPS's own loop time. Beside it, for the same model and
the same domains, how many node evaluations the other way to run message passing on several ranks
would need: ghosts out to all layers' range, every layer evaluated on all atoms that still matter.

Usage: python benchmarks/ranks.py MODEL [MODEL ...] [--repeats 3] [--output FILE]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from rich.console import Console
from rich.table import Table

from mofmd.engine.launch import Resources
from mofmd.models.files.deployed import read_deployed
from mofmd.models.step_cost import Setting, StepCost, median, processor, step_cost
from mofmd.structures.crystals.zif import zif4


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
    table = Table(title=f"{len(atoms)} atoms, one thread a rank, {processor()}")
    headings = ("model", "ranks", "ms/step", "efficiency", "exchange", "MiB/rank", "nodes/layer")
    for heading in (*headings, "with wide ghosts"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    records: list[dict[str, Any]] = []
    for path in arguments.models:
        model = read_deployed(path)
        runs: dict[int, list[StepCost]] = {count: [] for count in arguments.ranks}
        for _ in range(arguments.repeats):
            for count in arguments.ranks:
                slabs = Setting(Resources(ranks=count), setup=("processors 1 1 *",))
                runs[count].append(step_cost(model, atoms, arguments.steps, slabs))
        medians = {count: median(found) for count, found in runs.items()}
        first = arguments.ranks[0]
        for count, found in medians.items():
            ideal = medians[first].ms_per_step * first / count
            exchange = 100.0 * found.exchange_ms / found.ms_per_step
            layers = int(model.manifest["layers"]) if model.manifest["exchange_width"] else 1
            wide = extended_ghost_nodes(atoms, count, model.r_max, layers)
            efficiency = ideal / found.ms_per_step
            records.append(
                {
                    "model": path.name,
                    "ranks": count,
                    **found.as_dict(),
                    "efficiency": efficiency,
                    "nodes_per_layer_with_wide_ghosts": wide,
                }
            )
            table.add_row(
                path.name,
                str(count),
                f"{found.ms_per_step:.1f}",
                f"{efficiency:.2f}",
                f"{exchange:.1f} %",
                f"{found.peak_MiB:.0f}",
                f"{found.nodes_per_layer:.0f}",
                f"{wide:.0f}",
            )
    Console(width=120).print(table)
    arguments.output.write_text(json.dumps(records, indent=1))
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
