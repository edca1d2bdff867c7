"""``mofmd mechanics``: E(V) and P(V) of variants of a framework on one page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer


def mechanics(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="folders: ensembles whose members are structures, or runs (NAME=FOLDER names the "
            "structure of a run)"
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="folder")] = Path("mechanics"),
    published: Annotated[
        Path | None,
        typer.Option(
            help="table of numbers to show beside: CSV with the columns structure, method (EV or "
            "PV), K_GPa, V0_A3, Pmax_GPa, source"
        ),
    ] = None,
) -> None:
    """Bulk modulus, volume and largest pressure of structures, with their curves on one page.

    Of runs of pressure_grid, volume_grid, finite_strain and energy_volume, and of tasks of
    equation_of_state; runs of one structure make one curve.

    Examples
    --------
    mofmd mechanics screen -o mechanics --published paper.csv
    mofmd mechanics pr=grid pr=volumes reo=reo-grid reo=reo-volumes -o mechanics
    """
    from mofmd.disk.output import check_output
    from mofmd.report.mechanics.page import write_mechanics
    from mofmd.study.mechanics.table import alike, conditions, lines_of, shown
    from mofmd.study.mechanics.variants import read_published, read_variants

    check_output(output)
    table = [] if published is None else read_published(published)
    variants, left_out = read_variants(sources)
    for text in left_out:
        typer.echo(f"left out: {text}", err=True)
    lines = lines_of(variants)
    of_all = alike(lines)
    for line in lines:
        fit = line.fits.get("birch-murnaghan")
        found = line.why_none
        if fit is not None:
            modulus = shown(fit.bulk_modulus, "K", unit=True)
            found = f"K = {modulus}, K' = {shown(fit.derivative, 'K′')}"
            found += f", V0 = {shown(fit.volume, 'V0', unit=True)}"
        if line.curve is not None:
            sign = ">" if line.curve.is_bound else "="
            found += f", P_max {sign} {shown(line.curve.largest, 'Pmax', unit=True)}"
        typer.echo(f"{line.name}, {line.method}: {found}")
        made = {key: text for key, text in conditions(line).items() if key not in of_all}
        if made:
            typer.echo(f"  {_told(made)}")
    if of_all:
        typer.echo(f"in all: {_told(of_all)}")
    typer.echo(f"Report: {write_mechanics(variants, output, table, left_out)}")


def _told(made: Mapping[str, str]) -> str:
    return "; ".join(f"{key}: {text}" for key, text in made.items())
