"""``mofmd env``: the isolated environments of the model frameworks."""

from typing import Annotated

import typer

from mofmd.models.environments import Framework, create_environment


def env(
    framework: Annotated[Framework, typer.Argument(help="which framework")],
    exports: Annotated[
        bool,
        typer.Option("--exports", help="print lines for a shell that trains in it by itself"),
    ] = False,
) -> None:
    """Create the isolated environment in which models of a framework are trained and compiled.

    Examples
    --------
    mofmd env nequip    # also for Allegro
    mofmd env mace
    mofmd env sevennet
    mofmd env nequip --exports    # to be evaluated by a shell: eval "$(...)"; then nequip-train
    """
    if not exports:
        typer.echo(f"ready: {create_environment(framework)}")
        return
    from shlex import quote

    from mofmd.learning.train.fused import fused_environment

    python = create_environment(framework, lambda line: typer.echo(line, err=True))
    for name, value in fused_environment(framework, python).items():
        typer.echo(f"export {name}={quote(value)}")
    typer.echo(f'export PATH={quote(str(python.parent))}:"$PATH"')
