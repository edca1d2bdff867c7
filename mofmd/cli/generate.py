"""``mofmd generate``: a deck from a protocol, a structure and a potential."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def generate(
    protocol: Annotated[
        str, typer.Argument(help="Protocol by name (see --list), or a YAML file with one.")
    ] = "",
    structure: Annotated[
        str | None,
        typer.Option(help="CIF, extxyz, LAMMPS data or POSCAR file, or a built-in: zif-4, ..."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the deck.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="Model file, or the name of one in the package.")
    ] = None,
    potential_script: Annotated[
        Path | None, typer.Option(help="LAMMPS commands of another potential, instead of --model.")
    ] = None,
    potential_file: Annotated[
        list[Path] | None, typer.Option(help="File that the potential script names; repeatable.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="A field of the protocol: temperature_K=400; repeatable."),
    ] = None,
    supercell: Annotated[
        str | None, typer.Option(help="Repetitions: 2 2 2, or a matrix of nine whole numbers.")
    ] = None,
    atoms: Annotated[int | None, typer.Option(help="Supercell with about this many atoms.")] = None,
    keep_guests: Annotated[
        bool, typer.Option(help="Keep molecules in the pores, or remove them.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a deck.")] = False,
    list_protocols: Annotated[bool, typer.Option("--list", help="List the protocols.")] = False,
) -> None:
    """Write a deck: all that a simulation needs; run it with `mofmd run` or with plain LAMMPS."""
    from mofmd.simulation.generate import Request, generate_deck
    from mofmd.simulation.protocol_file import describe_protocols

    if list_protocols:
        typer.echo(describe_protocols())
        return
    deck = generate_deck(
        Request(
            protocol=protocol,
            structure=structure,
            output=output,
            model=model,
            potential_script=potential_script,
            potential_files=tuple(potential_file or ()),
            settings=tuple(settings or ()),
            supercell=supercell,
            atoms=atoms,
            keep_guests=keep_guests,
            overwrite=overwrite,
        )
    )
    manifest = deck.manifest
    typer.echo(
        f"{deck.directory}: {manifest['protocol']['name']}, {manifest['structure']['formula']}, "
        f"{manifest['structure']['n_atoms']} atoms, {manifest['total_steps']} steps\n"
        f"run it with: mofmd run {deck.directory}"
    )
