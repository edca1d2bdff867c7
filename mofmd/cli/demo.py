"""``mofmd demo``: ZIF-4 from crystal to glass, in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mofmd.cli.base.verbosity import progress_console
from mofmd.models.files.embedded import DEFAULT_MODEL

if TYPE_CHECKING:
    from rich.table import Table

    from mofmd.demo.demo import Demo


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for everything it writes.")
    ] = Path("demo"),
    schedule: Annotated[
        Literal["fast", "paper"],
        typer.Option(help="fast: minutes on two cores; paper: the published schedule."),
    ] = "fast",
    ranks: Annotated[int, typer.Option(help="MPI processes.")] = 2,
    threads: Annotated[int, typer.Option(help="Threads of each process.")] = 1,
    model: Annotated[str, typer.Option(help="Model file, or a name.")] = DEFAULT_MODEL,
) -> None:
    """Melt and quench ZIF-4, analyse the glass and draw it.

    Examples
    --------
    mofmd demo
    mofmd demo -o glass --ranks 4
    mofmd demo --schedule paper    # the published schedule: hours on a GPU
    """
    from rich.console import Console

    from mofmd.demo.demo import DemoSettings, run_demo
    from mofmd.engine.launch import Resources

    console = Console()
    settings = DemoSettings(output, schedule, Resources(ranks, threads), model)
    done = run_demo(settings, progress_console())
    console.print(_table(done))
    results = done.results
    broken = results.n_linkers - int(results.intact[-1])
    if broken:
        console.print(
            f"{broken} of {results.n_linkers} linkers are broken at the end: the model was "
            "driven beyond what it describes, and this glass means nothing.",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    console.print(
        f"Everything is in {done.output}: figure.png, summary.json, rdf.csv, timeseries.csv, deck/",
        highlight=False,
        soft_wrap=True,
    )


def _table(done: Demo) -> Table:
    from rich.table import Table

    results = done.results
    table = Table(title="ZIF-4 melt-quench")
    table.add_column("")
    table.add_column("T (K)", justify="right")
    table.add_column("Zn-N coordination", justify="right")
    table.add_column("E above crystal (eV/atom)", justify="right")
    for name, state in results.states.items():
        energy = state.energy_eV_per_atom - results.minimum_energy_eV_per_atom
        table.add_row(
            name, f"{state.temperature_K:.0f}", f"{state.coordination:.2f}", f"{energy:.3f}"
        )
    intact, total = results.intact, results.n_linkers
    speed = f"{done.run.ms_per_step:.1f} ms/step" if done.run.ms_per_step else "no steps"
    table.caption = (
        f"linkers intact: {intact[-1]}/{total} at the end, {intact.min()}/{total} at the fewest\n"
        f"{done.run.steps} steps in {done.run.wall_s:.0f} s, {speed}"
    )
    return table
