"""``mofmd bench``: what a step of a model costs here."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer


def bench(
    model: Annotated[Path, typer.Argument(help="file of `mofmd deploy`, or an embedded model")],
    structure: Annotated[
        str, typer.Argument(help="a structure file (or FILE#WHICH); or zif-4, zif-8, mof-5, uio-66")
    ] = "zif-4",
    supercell: Annotated[str, typer.Option(help="repetitions, as 2x2x2")] = "1x1x1",
    ranks: Annotated[list[int] | None, typer.Option(help="may be repeated [default: 1]")] = None,
    threads: Annotated[int, typer.Option(min=1, help="of each rank")] = 1,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    chunk: Annotated[
        list[str] | None,
        typer.Option(help="atoms at a time, or auto, or none; may be repeated"),
    ] = None,
    graph: Annotated[
        list[str] | None,
        typer.Option(help="auto, host, list, device or fixed; may be repeated"),
    ] = None,
    timestep_fs: Annotated[float, typer.Option(min=0.0, help="for ns/day")] = 0.5,
    seconds: Annotated[float, typer.Option(min=0.1, help="each of three runs takes")] = 10.0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="JSON file")] = None,
) -> None:
    """Measure a step: time, its parts, memory, and how large a system fits.

    Examples
    --------
    mofmd bench zif4-nequip-s zif-4 --ranks 1 --ranks 2
    mofmd bench my.mofmd.pth my.cif --supercell 2x2x2 --seconds 5
    """
    import json

    from rich.console import Console
    from rich.table import Table

    from mofmd.cli.base.progress import StepBar
    from mofmd.cli.base.verbosity import progress_console
    from mofmd.disk.atomic import write_atomic
    from mofmd.disk.output import make_folder
    from mofmd.engine.launch import Resources
    from mofmd.models.files.deployed import read_deployed
    from mofmd.models.files.validity import check_suits
    from mofmd.models.names import find_model
    from mofmd.models.step_cost import (
        PARTS,
        Setting,
        StepCost,
        atoms_that_fit,
        hardware,
        median_cost,
    )
    from mofmd.structures.read import read_structure
    from mofmd.structures.supercell import repeat

    deployed = read_deployed(find_model(model))
    atoms = repeat(read_structure(structure), supercell)
    check_suits(deployed.path, atoms)
    console = Console(highlight=False, soft_wrap=True)
    costs: list[StepCost] = []
    table = Table(title=f"{model.name}, {len(atoms)} atoms, {hardware(device)}")
    table.add_column("")
    records = []
    cases = list(itertools.product(ranks or [1], chunk or [""], graph or ["auto"]))
    with StepBar(progress_console()) as bar:
        for done, (count, size, where) in enumerate(cases):
            chosen = [f"{count} rank(s)", f"chunk {size}" if size else "", f"graph {where}"]
            label = ", ".join(word for word in chosen if word)
            bar.describe(f"measuring {label}", done, len(cases))
            options = f"device {device} graph {where}" + (f" chunk {size}" if size else "")
            setting = Setting(Resources(ranks=count, threads=threads), options)
            costs.append(median_cost(deployed, atoms, setting, seconds))
            table.add_column(label, justify="right")
            how = {"ranks": count, "threads": threads, "chunk": size or "default", "graph": where}
            ns_per_day = costs[-1].ns_per_day(timestep_fs)
            records.append({**how, **costs[-1].as_dict(), "ns_per_day": ns_per_day})
    rows = {
        "ms/step": [f"{cost.ms_per_step:.2f}" for cost in costs],
        "µs/atom/step": [f"{cost.us_per_atom:.2f}" for cost in costs],
        f"ns/day at {timestep_fs:g} fs": [f"{cost.ns_per_day(timestep_fs):.3f}" for cost in costs],
        **{
            f"{part}, % of the step": [
                f"{100.0 * getattr(cost, f'{part}_ms') / cost.ms_per_step:.1f}" for cost in costs
            ]
            for part in PARTS
        },
        "first call, ms": [f"{cost.first_call_ms:.0f}" for cost in costs],
        "peak memory of a rank, MiB": [f"{cost.peak_MiB:.0f}" for cost in costs],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)
    fitting = atoms_that_fit(deployed, costs[0])
    if fitting is not None:
        console.print(
            f"Without chunks about {fitting:.0f} atoms of this kind fit into free memory."
        )
    if output is not None:
        report = {
            "model": model.name,
            "hardware": hardware(device),
            "timestep_fs": timestep_fs,
            "atoms_that_fit": fitting,
            "runs": records,
        }
        make_folder(output.parent)
        write_atomic(output, json.dumps(report, indent=1) + "\n")
        console.print(f"written: {output}")
