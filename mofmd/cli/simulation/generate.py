"""``mofmd generate``: a deck from a protocol, a structure and a potential."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mofmd.cli.simulation import deck_options as options
from mofmd.errors import counted, in_command

if TYPE_CHECKING:
    from mofmd.simulation.deck.request import Request


def generate(
    protocol: Annotated[
        str, typer.Argument(help="Protocol by name (see --list), or a YAML file with one.")
    ] = "",
    structure: Annotated[
        str | None,
        typer.Option(
            help="CIF, extxyz, POSCAR, LAMMPS data or dump (FILE#WHICH: one of several), or a "
            "built-in: zif-4, ..."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the deck.")
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
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a deck.")] = False,
    list_protocols: Annotated[bool, typer.Option("--list", help="List the protocols.")] = False,
) -> None:
    """Write a deck: all that a simulation needs; run it with `mofmd run` or with plain LAMMPS.

    `relax`, `equation_of_state` and `heat_capacity` are done by `mofmd run` without LAMMPS.

    Examples
    --------
    mofmd generate --list
    mofmd generate melt_quench --structure zif-4 --model zif4-nequip-s -o glass
    mofmd generate npt --structure my.cif --model my.pth -o npt --set temperature_K=400
    mofmd generate my.yaml --structure my.cif --model my.pth -o deck --supercell 2x2x2
    mofmd generate nvt --structure my.cif --model my.pth -o deck --dispersion d3bj:pbe
    mofmd generate nvt --structure my.cif --model known.pth -o deck --watch every=20
    """
    from mofmd.simulation.deck.duration import duration_hint
    from mofmd.simulation.deck.protocol_file import describe_protocols
    from mofmd.simulation.deck.request import generate_deck
    from mofmd.simulation.statics.task import describe_statics, static_kind

    if list_protocols:
        typer.echo(f"{describe_protocols()}\n{describe_statics()}")
        return
    potential = (model, potential_script, potential_file, dispersion)
    size, guests = (supercell, atoms), (keep_guests, guest_types)
    request = options.deck_request(
        protocol, structure, output, potential, settings, size, guests, watch
    )
    if static_kind(protocol) is not None:
        _generate_static(request, overwrite=overwrite)
        return
    deck = generate_deck(replace(request, overwrite=overwrite))
    manifest = deck.manifest
    typer.echo(
        f"{deck.directory}: {manifest['protocol']['name']}, {manifest['structure']['formula']}, "
        f"{counted(manifest['structure']['n_atoms'], 'atom')}, {manifest['total_steps']} steps\n"
        f"run it with: mofmd run {in_command(deck.directory)}"
    )
    if hint := duration_hint(deck):
        typer.echo(f"mofmd: note: {hint}", err=True)


def _generate_static(request: Request, *, overwrite: bool) -> None:
    from mofmd.errors import InputError
    from mofmd.simulation.statics.request import generate_static

    if overwrite:
        raise InputError(f"overwrite: is for decks; remove {request.output} yourself")
    task = generate_static(request)
    typer.echo(
        f"{task.directory}: {task.settings.NAME}, {task.record['formula']}, "
        f"{counted(task.record['n_atoms'], 'atom')}\n"
        f"run it with: mofmd run {in_command(task.directory)}"
    )
