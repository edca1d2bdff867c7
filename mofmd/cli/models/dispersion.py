"""``mofmd dispersion``: the coefficients of D3 as a file for ``pair_style d3``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def dispersion(
    method: Annotated[str, typer.Argument(help="d3bj:FUNCTIONAL, d3zero:FUNCTIONAL, ...")],
    elements: Annotated[list[str], typer.Argument(help="Chemical symbols.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write.")] = Path(
        "dispersion.d3"
    ),
) -> None:
    """Write the coefficients of D3 for some elements; decks bring their own.

    Examples
    --------
    mofmd dispersion d3bj:pbe C H N Zn -o dispersion.d3
    """
    from mofmd.disk.atomic import write_atomic
    from mofmd.disk.output import make_folder
    from mofmd.models.dispersion.dispersion import parse_d3

    chosen = parse_d3(method)
    make_folder(output.parent)
    write_atomic(output, chosen.coefficients(elements))
    typer.echo(f"{output}: {chosen}, {' '.join(sorted(set(elements)))}")
    for line in chosen.pair_commands(output, elements):
        typer.echo(line)
