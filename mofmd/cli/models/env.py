"""``mofmd env``: the isolated environments of the model frameworks."""

from typing import Annotated

import typer

from mofmd.models.environments import Framework, create_environment


def env(
    framework: Annotated[Framework, typer.Argument(help="which framework")],
) -> None:
    """Create the isolated environment in which models of a framework are trained and compiled.

    Examples
    --------
    mofmd env nequip    # also for Allegro
    mofmd env mace
    mofmd env sevennet
    """
    python = create_environment(framework)
    typer.echo(f"ready: {python}")
