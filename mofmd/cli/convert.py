"""``mofmd convert``: a structure in another cell, or in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    structure: Annotated[
        str, typer.Argument(help="A file (FILE#WHICH: one of several), or a built-in crystal.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File: .extxyz, .cif or .data (LAMMPS).")
    ],
    primitive: Annotated[
        bool, typer.Option("--primitive", help="The smallest cell, as symmetry has it.")
    ] = False,
    symmetry_tolerance: Annotated[
        float | None,
        typer.Option(help="Within which atoms are images of one another [Å]; default: 0.001."),
    ] = None,
    supercell: Annotated[
        str | None,
        typer.Option(help="Repetitions: 2x2x2, or nine numbers; of the primitive cell with both."),
    ] = None,
) -> None:
    """Write a structure in its primitive cell, as a supercell, or in another format.

    It is read and checked as by every command; atoms are not moved. Disordered and partly occupied
    sites are refused.

    Examples
    --------
    mofmd convert uio-66 --primitive -o pr.extxyz
    mofmd convert my.cif --supercell 2x2x2 -o large.data
    """
    from mofmd.disk.output import check_output
    from mofmd.engine.structure_file import check_writable, write_structure
    from mofmd.structures.primitive import PRIMITIVE_TOLERANCE_A, primitive_cell
    from mofmd.structures.read import read_structure
    from mofmd.structures.supercell import repeat

    check_writable(output)
    check_output(output.parent)
    atoms = read_structure(structure)
    told = f"{len(atoms)} atoms"
    if primitive:
        given = symmetry_tolerance
        smaller = primitive_cell(atoms, PRIMITIVE_TOLERANCE_A if given is None else given)
        if len(smaller) == len(atoms):
            told += ", primitive already"
        atoms = smaller
    if supercell is not None:
        atoms = repeat(atoms, supercell)
    write_structure(output, atoms)
    lengths = ", ".join(f"{value:.4f}" for value in atoms.cell.lengths())
    angles = ", ".join(f"{value:.3f}" for value in atoms.cell.angles())
    typer.echo(
        f"{output}: {len(atoms)} atoms {atoms.get_chemical_formula('hill')} (from {told}), cell "
        f"{lengths} Å, {angles}°"
    )
