"""``mofmd ensemble``: many members of one recipe."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mofmd.cli.base.app import App
from mofmd.cli.simulation import deck_options as options
from mofmd.errors import in_command

if TYPE_CHECKING:
    from mofmd.simulation.ensemble.ensemble import Ensemble, Member

MEMBERS_SHOWN = 2  # that run, beside the bar
app = App(no_args_is_help=True, help="Many runs of one recipe: new, run, status, collect.")

Folder = Annotated[Path, typer.Argument(help="Folder of the ensemble.")]
Ranks = Annotated[int, typer.Option(help="MPI processes of each member.")]
Threads = Annotated[int, typer.Option(help="Threads of each process.")]


@app.command()
def new(
    directory: Folder,
    protocol: Annotated[str, typer.Argument(help="Protocol by name, or a YAML file with one.")],
    structure: Annotated[
        str | None, typer.Option(help="Structure file (or FILE#WHICH), or built-in.")
    ] = None,
    structures: Annotated[
        list[str] | None,
        typer.Option(help="Instead, many: files, a pattern as 'cifs/*.cif', built-in; repeatable."),
    ] = None,
    members: Annotated[
        int | None,
        typer.Option(
            help="Seeds for each combination of varied fields [default: 8; with --structures 1]"
        ),
    ] = None,
    first_seed: Annotated[int, typer.Option(help="Seeds count up from here.")] = 1,
    vary: Annotated[
        list[str] | None,
        typer.Option(help="A field and its values: rate_K_per_ps=10,20; repeatable."),
    ] = None,
    model: options.Model = None,
    potential_script: options.PotentialScript = None,
    potential_file: options.PotentialFiles = None,
    dispersion: options.Dispersion = None,
    settings: options.Settings = None,
    supercell: options.Supercell = None,
    atoms: options.AtomCount = None,
    keep_guests: options.KeepGuests = True,
    guest_types: options.GuestTypes = False,
    watch: options.Watch = None,
) -> None:
    """Write the decks of an ensemble.

    Examples
    --------
    mofmd ensemble new glasses melt_quench --structure zif-4 --model zif4-nequip-s --members 10
    mofmd ensemble new hot nvt --structure my.cif --model my.pth --vary temperature_K=300,400
    mofmd ensemble new screen equation_of_state --structures 'cifs/*.cif' --model sevennet-l3i5
    """
    from mofmd.errors import InputError
    from mofmd.simulation.ensemble.ensemble import new_ensemble
    from mofmd.simulation.statics.task import static_kind

    potential = (model, potential_script, potential_file, dispersion)
    size, guests = (supercell, atoms), (keep_guests, guest_types)
    request = options.deck_request(
        protocol, structure, directory, potential, settings, size, guests, watch
    )
    if static_kind(protocol) and members not in (None, 1):
        raise InputError(f"members: {protocol} has no seeds; leave it out")
    if members is None:
        members = 1 if structures else 8
    seeds = range(first_seed, first_seed + members)
    made = new_ensemble(request, seeds, _varied(vary or []), structures or ())
    _list_refused(made)
    typer.echo(
        f"{directory}: {len(made.members)} members; run it: "
        f"mofmd ensemble run {in_command(directory)}"
    )


@app.command()
def run(
    directory: Folder,
    workers: Annotated[int, typer.Option(help="Members at a time.")] = 1,
    ranks: Ranks = 1,
    threads: Threads = 1,
    gpus: Annotated[str, typer.Option(help="GPUs to deal out, one a worker: 0,1.")] = "",
    slurm: Annotated[
        bool, typer.Option("--slurm", help="In SLURM jobs, through Parsl (mofmd[slurm]).")
    ] = False,
    slurm_array: Annotated[
        bool, typer.Option("--slurm-array", help="Write a script for sbatch instead of running.")
    ] = False,
    slurm_options: Annotated[str, typer.Option(help="Further #SBATCH lines.")] = "",
    walltime: Annotated[str, typer.Option(help="Time limit of a SLURM job.")] = "24:00:00",
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run failed members again.")
    ] = False,
    allow_edited: Annotated[
        bool, typer.Option("--allow-edited", help="Run decks that were changed by hand.")
    ] = False,
) -> None:
    """Run all members that are not finished; run it again after whatever happened.

    Examples
    --------
    mofmd ensemble run glasses --workers 4
    mofmd ensemble run glasses --slurm-array --ranks 8
    """
    from mofmd.cli.base.progress import StepBar
    from mofmd.cli.base.verbosity import progress_console
    from mofmd.cli.simulation.member_lines import MemberLines
    from mofmd.engine.launch import Resources
    from mofmd.errors import STOPPED_STATUS, InputError, StoppedError
    from mofmd.simulation.ensemble.ensemble import count_states, read_ensemble
    from mofmd.simulation.ensemble.ensemble_run import (
        MembersError,
        Workers,
        run_ensemble,
        write_slurm_array,
    )

    ensemble = read_ensemble(directory)
    resources = Resources(ranks, threads)
    if slurm_array:
        if gpus:
            raise InputError(
                "gpus: SLURM deals them out to the tasks of an array; ask it for them: "
                "--slurm-options '#SBATCH --gpus-per-task=1'"
            )
        script = write_slurm_array(
            ensemble, resources, walltime, slurm_options, allow_edited=allow_edited
        )
        typer.echo(f"submit it with: sbatch {in_command(script)}")
        return
    chosen = Workers(
        count=workers,
        resources=resources,
        gpus=tuple(gpus.split(",")) if gpus else (),
        where="slurm" if slurm else "local",
        walltime=walltime,
        options=slurm_options,
        allow_edited=allow_edited,
    )
    told: set[str] = set()  # nothing is said twice

    def report(member: Any) -> None:
        told.add(member.name)
        typer.echo(_told(member))

    console = progress_console()
    lines = None
    if console is not None and not console.is_terminal:
        lines = MemberLines(typer.echo)
    try:
        with StepBar(console) as bar:

            def progress(done: int, total: int) -> None:
                running = (m for m in ensemble.members if m.state == "running")
                if lines is not None:
                    lines.look(running)
                    return
                texts = [f"{m.label} {m.progress}" for m in islice(running, MEMBERS_SHOWN)]
                bar.describe("; ".join(texts) or "members", done, total)

            run_ensemble(ensemble, chosen, report, retry_failed=retry_failed, progress=progress)
    except StoppedError as stopped:
        typer.echo(str(stopped))
        raise typer.Exit(STOPPED_STATUS) from stopped
    except MembersError as error:
        _list_unfinished(ensemble, but={*told, *error.reasons})
        raise
    if count_states(ensemble) != {"finished": len(ensemble.members)}:
        _list_unfinished(ensemble, but=told)
        raise typer.Exit(1)


@app.command()
def status(directory: Folder) -> None:
    """Count the members in each state; say how far those are that run, and why others failed.

    Examples
    --------
    mofmd ensemble status glasses
    """
    from mofmd.simulation.ensemble.ensemble import count_states, read_ensemble

    ensemble = read_ensemble(directory)
    for state, count in count_states(ensemble).items():
        typer.echo(f"{state:12}{count:5}")
    for member in ensemble.members:
        if member.state == "running":
            typer.echo(f"{member.label}: running: {member.progress}")
    _list_unfinished(ensemble)
    _list_refused(ensemble)


@app.command()
def collect(directory: Folder) -> None:
    """Write one table of all members: results.csv, and results.json.

    Examples
    --------
    mofmd ensemble collect glasses
    """
    from mofmd.simulation.ensemble.ensemble import read_ensemble
    from mofmd.simulation.ensemble.table import collect

    typer.echo(str(collect(read_ensemble(directory))))


def _list_unfinished(ensemble: Ensemble, but: Collection[str] = ()) -> None:
    for member in ensemble.members:
        unfinished = ("failed", "interrupted", "stopped", "missing")
        if member.name not in but and member.state in unfinished:
            typer.echo(_told(member))


def _told(member: Member) -> str:
    """State and reason, which may begin with the state itself (``stopped as asked``)."""
    state, reason = member.state, member.reason
    told = reason if reason.startswith(state) else f"{state}: {reason}".removesuffix(": ")
    return f"{member.label}: {told}"


def _list_refused(ensemble: Ensemble) -> None:
    for name, reason in ensemble.refused.items():
        typer.echo(f"{name}: left out: {reason}")


def _varied(words: list[str]) -> dict[str, list[Any]]:
    from mofmd.errors import InputError
    from mofmd.simulation.deck.protocol_file import parse_settings

    varied = {}
    for name, value in parse_settings(words).items():
        if value is None:
            raise InputError(f"vary {name}: no values; write {name}=first,second")
        text = str(next(word for word in words if word.startswith(f"{name}="))).partition("=")[2]
        varied[name] = [parse_settings([f"{name}={each}"])[name] for each in text.split(",")]
    return varied
