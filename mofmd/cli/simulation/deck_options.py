"""What `mofmd generate` and `mofmd ensemble new` are asked alike: the options, and the request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mofmd.models.dispersion.dispersion import HELP as DISPERSION_HELP

if TYPE_CHECKING:
    from mofmd.simulation.deck.request import Request

Model = Annotated[str | None, typer.Option(help="Model file, or a name (mofmd models list).")]
Dispersion = Annotated[str | None, typer.Option(help=DISPERSION_HELP)]
PotentialScript = Annotated[
    Path | None, typer.Option(help="LAMMPS commands of another potential, instead of --model.")
]
PotentialFiles = Annotated[
    list[Path] | None, typer.Option(help="File that the potential script names; repeatable.")
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="A field of the protocol: temperature_K=400; repeatable."),
]
Watch = Annotated[
    list[str] | None,
    typer.Option(
        help="Look how new atoms are to the model: every=20, keep_above=1 or stop_above=3; "
        "repeatable."
    ),
]
Supercell = Annotated[
    str | None, typer.Option(help="Repetitions: 2x2x2, or a matrix of nine whole numbers.")
]
AtomCount = Annotated[int | None, typer.Option(help="Supercell with about this many atoms.")]
KeepGuests = Annotated[bool, typer.Option(help="Keep molecules in the pores, or remove them.")]
GuestTypes = Annotated[
    bool,
    typer.Option("--guest-types", help="LAMMPS types of their own for molecules in the pores."),
]


def deck_request(
    protocol: str,
    structure: str | None,
    output: Path | None,
    potential: tuple[str | None, Path | None, list[Path] | None, str | None],
    settings: list[str] | None,
    size: tuple[str | None, int | None],
    guests: tuple[bool, bool],
    watch: list[str] | None = None,
) -> Request:
    """Make a request from options as the command line gives them.

    Parameters
    ----------
    protocol, structure, output, settings
        As in ``Request``.
    potential
        Model, script, files and dispersion.
    size
        Supercell, number of atoms.
    guests
        Whether they stay, and whether they have types of their own.
    watch
        As in ``Request``.
    """
    from mofmd.simulation.deck.request import Request

    model, script, files, dispersion = potential
    supercell, atoms = size
    keep_guests, guest_types = guests
    return Request(
        protocol=protocol,
        structure=structure,
        output=output,
        model=model,
        potential_script=script,
        potential_files=tuple(files or ()),
        settings=tuple(settings or ()),
        dispersion=dispersion,
        watch=tuple(watch or ()),
        supercell=supercell,
        atoms=atoms,
        keep_guests=keep_guests,
        guest_types=guest_types,
    )
