"""The demonstration: ZIF-4 from crystal through melt to glass, with the model in the package."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from rich.console import Console

from mofmd.demo.figure import plot_melt_quench
from mofmd.demo.melt_quench import MeltQuenchResults, analyse_melt_quench, write_results
from mofmd.disk.output import check_output
from mofmd.engine.launch import Resources
from mofmd.figure_style import save_figure
from mofmd.models.files.embedded import DEFAULT_MODEL
from mofmd.simulation.deck.deck import write_deck
from mofmd.simulation.deck.potential import model_potential
from mofmd.simulation.protocols import MeltQuench
from mofmd.simulation.run.run import Run, run_deck
from mofmd.structures.crystals.zif import zif4

Schedule = Literal["fast", "paper"]
TYPE_NAMES = ("C", "H", "N", "Zn")


@dataclass(frozen=True)
class DemoSettings:
    """What the demonstration shall do.

    Parameters
    ----------
    output
        Folder for everything it writes; an earlier demonstration there is replaced.
    schedule
        ``fast``: minutes on two cores, one cell. ``paper``: the published schedule, 2 × 2 × 2
        cells and 290 ps, for a GPU or a cluster.
    resources
        Ranks and threads.
    model
        Deployed model: a file, or the name of one in the package.
    seed
        Of the first velocities; None keeps the protocol's.
    """

    output: Path
    schedule: Schedule = "fast"
    resources: Resources = field(default_factory=Resources)
    model: str | Path = DEFAULT_MODEL
    seed: int | None = None


@dataclass(frozen=True)
class Demo:
    """What the demonstration did.

    Parameters
    ----------
    output
        Folder that holds the deck, ``summary.json``, ``rdf.csv``, ``timeseries.csv`` and
        ``figure.png`` and ``.svg``.
    run
        The run.
    results
        Its analysis.
    """

    output: Path
    run: Run
    results: MeltQuenchResults


def run_demo(settings: DemoSettings, console: Console | None = None) -> Demo:
    """Build the crystal, write a deck, run it, analyse it, draw it; progress on the console."""
    output = settings.output
    check_output(output)
    protocol = MeltQuench.fast() if settings.schedule == "fast" else MeltQuench()
    if settings.seed is not None:
        protocol = replace(protocol, seed=settings.seed)
    crystal = zif4()
    potential = model_potential(settings.model, TYPE_NAMES)
    deck = write_deck(protocol, crystal, potential, output / "deck", overwrite=True)
    run = run_deck(deck.directory, settings.resources, console)
    results = analyse_melt_quench(run, crystal)
    write_results(results, run, output)
    title = (
        f"ZIF-4 melt-quench, {results.n_atoms} atoms, {settings.schedule} schedule "
        f"({protocol.rate_K_per_ps:g} K/ps), {potential.model_file.name}"
    )
    save_figure(plot_melt_quench(results, title), output / "figure")
    return Demo(output, run, results)
