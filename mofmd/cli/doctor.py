"""``mofmd doctor``: whether everything fits together and a model runs."""

from typing import Annotated

import typer
from rich.console import Console


def doctor(
    json: Annotated[bool, typer.Option("--json", help="findings as JSON")] = False,
) -> None:
    """Examine the installation; exit status 0 only when a model runs.

    Examples
    --------
    mofmd doctor
    mofmd doctor --json
    """
    from mofmd.doctor import as_json, examine

    console = Console(highlight=False, soft_wrap=True)
    marks = {"ok": "[green]ok   [/]", "note": "[yellow]note [/]", "error": "[red]ERROR[/]"}
    checks = []
    for check in examine():
        checks.append(check)
        if not json:
            console.print(f"{marks[check.status]} [bold]{check.name}[/]: ", end="")
            console.print(check.detail, markup=False)
            if check.mend:
                console.print(f"      -> {check.mend}", markup=False)
    if json:
        typer.echo(as_json(checks))
    if any(check.status == "error" for check in checks):
        raise typer.Exit(1)
