"""What a GPU makes of the engine, in under ten minutes: sizes, where edges are made, ranks, memory.

ZIF-4 in NVE with each deployed model: (a) ms and µs/atom a step at each size, with the edges made
on the host, from LAMMPS's list, and on the device, recorded or not; what of it is the model and
what is not; peak memory of the GPU; (b) two ranks on one GPU; (c) memory of a short and a long run;
(d) drift of the total energy. Sizes that do not fit are told so. Stops starting runs when its time
is up.

Usage: python benchmarks/gpu.py MODEL [MODEL ...] [--device cuda] [--minutes 9] [--output FILE]
"""

import argparse
import json
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from rich.console import Console
from rich.table import Table

from mofmd.engine.bench import Setting, StepCost, median_cost, processor
from mofmd.engine.launch import Resources
from mofmd.engine.script import run_script
from mofmd.errors import MofmdError
from mofmd.models.deployed import DeployedModel, read_deployed
from mofmd.models.embedded import find_model
from mofmd.structures.zif import zif4

GRAPHS = ("host", "list", "device", "fixed")  # the last one for the smallest system
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
run {steps}
"""


def accelerator() -> str:
    """Return the name of the GPU, or of the processor where there is none."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else processor()


def cost(model: DeployedModel, atoms: Atoms, setting: Setting) -> StepCost | str:
    """Return the medians of three runs of two seconds, or why there are none."""
    try:
        return median_cost(model, atoms, setting, seconds=2.0)
    except MofmdError as error:
        return str(error).splitlines()[0][:200]


def settings(device: str, sizes: list[int]) -> Iterator[tuple[int, Setting]]:
    """Yield repetitions of the cell and how to run them: small first, two ranks last."""
    for repeat in sizes:
        for graph in GRAPHS if repeat == sizes[0] else GRAPHS[:-1]:
            yield repeat, Setting(Resources(), f"device {device} graph {graph}")
    for repeat in sizes[:2]:
        yield repeat, Setting(Resources(ranks=2), f"device {device}")


def energy_and_memory(model: DeployedModel, device: str, steps: int) -> dict[str, float]:
    """Return the drift of the crystal's energy, and peak memory of a short and of a long run."""
    style, coeff = model.pair_commands()
    pair = f"{style} device {device}\n{coeff}"
    peaks = {}
    for name, count in (("short", 200), ("long", steps)):
        script = DRIFT.format(pair=pair, steps=count)
        done = run_script(script, zif4(), model.type_names, Resources())
        peaks[f"peak_MiB_{name}"] = float(
            done.output.rpartition("peak memory of a rank: ")[2].split()[0]
        )
        table = done.tables[-1].columns
    picoseconds = 0.0005 * table["Step"]
    energy = 1e3 * table["TotEng"] / len(zif4())
    return {
        "drift_meV_per_atom_per_ps": float(np.polyfit(picoseconds, energy, 1)[0]),
        "steps": float(steps),
        **peaks,
    }


def row_of(name: str, atoms: int, setting: Setting, found: StepCost | str) -> list[str]:
    """Return the cells of a table's row."""
    how = [name, str(atoms), str(setting.resources.ranks), setting.options]
    if isinstance(found, str):
        return [*how, "", "", "", found]
    beside = 100.0 * (1.0 - found.model_ms / found.ms_per_step)
    return [
        *how,
        f"{found.ms_per_step:.2f}",
        f"{found.us_per_atom:.2f}",
        f"{beside:.1f}",
        f"{found.peak_MiB:.0f}",
    ]


def main() -> None:
    """Measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", type=int, default=[1, 3, 5, 9])
    parser.add_argument("--steps", type=int, default=10000, help="of the run for drift and memory")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--output", type=Path, default=Path("gpu.json"))
    arguments = parser.parse_args()
    end = time.monotonic() + 60.0 * arguments.minutes
    models = [read_deployed(find_model(path)) for path in arguments.models]
    table = Table(title=f"ZIF-4 on {accelerator()}; torch {version('torch')}")
    for heading in (
        "model",
        "atoms",
        "ranks",
        "options",
        "ms/step",
        "µs/atom",
        "not model, %",
        "MiB",
    ):
        table.add_column(heading)
    records: list[dict[str, Any]] = []
    for repeat, setting in settings(arguments.device, arguments.sizes):
        for path, model in zip(arguments.models, models, strict=True):
            if time.monotonic() > end:
                break
            atoms = zif4().repeat(repeat)
            found = cost(model, atoms, setting)
            table.add_row(*row_of(path.name, len(atoms), setting, found))
            how = {"model": path.name, "atoms": len(atoms), "ranks": setting.resources.ranks}
            result = {"failed": found} if isinstance(found, str) else found.as_dict()
            records.append({**how, "options": setting.options, **result})
    Console(width=160).print(table)
    for path, model in zip(arguments.models, models, strict=True):
        if time.monotonic() > end:
            print(f"{path.name}: no time left for drift and memory")
            continue
        numbers = energy_and_memory(model, arguments.device, arguments.steps)
        records.append({"model": path.name, "atoms": len(zif4()), **numbers})
        print(path.name, {name: round(value, 5) for name, value in numbers.items()})
    report = {"hardware": accelerator(), "torch": version("torch"), "runs": records}
    arguments.output.write_text(json.dumps(report, indent=1))
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
