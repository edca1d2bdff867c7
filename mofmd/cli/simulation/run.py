"""``mofmd run``: execute a deck, with progress, and resume it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from mofmd.engine.launch import Resources


def run(
    deck: Annotated[Path, typer.Argument(help="Folder that `mofmd generate` wrote.")],
    ranks: Annotated[int, typer.Option(help="MPI processes.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each process.")] = 1,
    gpus: Annotated[
        str | None, typer.Option(help="GPUs to share among the ranks, such as 0,1.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the last restart file, if any.")
    ] = False,
    from_stop: Annotated[
        bool,
        typer.Option("--from-stop", help="Continue from where the run was asked to stop."),
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Remove the results of an earlier run and begin again.")
    ] = False,
    allow_edited: Annotated[
        bool, typer.Option("--allow-edited", help="Run a deck that was changed by hand.")
    ] = False,
) -> None:
    """Run a deck to its end. SIGTERM or Ctrl-C saves the state and exits with status 75.

    Examples
    --------
    mofmd run glass --ranks 4
    mofmd run glass --ranks 4 --resume       # after whatever ended it
    """
    from mofmd.cli.base.verbosity import progress_console
    from mofmd.engine.launch import Resources
    from mofmd.errors import STOPPED_STATUS, InputError, StoppedError, in_command
    from mofmd.processes.alive import own_age_s
    from mofmd.simulation.run.minimised import read_minimised
    from mofmd.simulation.run.restart import refuse_to_replace
    from mofmd.simulation.run.run import run_deck
    from mofmd.simulation.statics.task import is_static

    if anew and (resume or from_stop):
        raise InputError("--anew begins again, --resume and --from-stop go on: give one of them")
    if not (anew or resume or from_stop):
        refuse_to_replace(deck, keeps_each_step=is_static(deck))
    if is_static(deck):
        _run_static(deck, Resources(ranks, threads, gpus), resume=resume or from_stop, anew=anew)
        return
    how: bool | Literal["from_stop"] = "from_stop" if from_stop else resume
    try:
        done = run_deck(
            deck,
            Resources(ranks, threads, gpus),
            progress_console(),
            allow_edited=allow_edited,
            resume=how,
            begun_s_ago=own_age_s(),
            replaces=anew,
        )
    except StoppedError as stopped:
        typer.echo(str(stopped))
        raise typer.Exit(STOPPED_STATUS) from stopped
    speed = f", {done.ms_per_step:.1f} ms/step" if done.ms_per_step else ""
    typer.echo(f"{deck}: finished, {done.steps} steps{speed}")
    if (minimised := read_minimised(deck)) is not None:
        typer.echo(f"{deck}: {minimised}")
    if done.newest is not None:
        more = f"; `mofmd report {in_command(deck)}` shows it" if done.newest.most_above else ""
        typer.echo(f"{deck}: newest atom: {done.newest}{more}")


def _run_static(directory: Path, resources: Resources, *, resume: bool, anew: bool) -> None:
    """Carry out a static task."""
    from mofmd.cli.base.verbosity import quiet
    from mofmd.errors import InputError
    from mofmd.processes.alive import own_age_s
    from mofmd.simulation.statics.conduct import run_static

    if resources.ranks > 1 or resources.gpus:
        raise InputError(f"{directory}: runs in one process, on CPUs: give it --threads")
    tell = (lambda _: None) if quiet() else typer.echo
    found = run_static(
        directory,
        threads=resources.threads,
        resume=resume,
        tell=tell,
        begun_s_ago=own_age_s(),
        replaces=anew,
    )
    text = f"volume {found['volume_A3']:.3f} Å³, energy {found['energy_eV']:.6f} eV"
    if "bulk_modulus_GPa" in found:
        text += (
            f", K {found['bulk_modulus_GPa']:.3f} ± {found['bulk_modulus_error_GPa']:.3f} GPa, V0 "
            f"{found['equilibrium_volume_A3']:.3f} Å³"
        )
    typer.echo(f"{directory}: finished, {found['calls']} force calls, {text}")
