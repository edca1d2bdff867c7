"""``mofmd models``: the models in the package, and what a model file says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Models in the package, and what a file is.")


@app.command(name="list")
def list_models() -> None:
    """List the models that come with mofmd."""
    from mofmd.models.files.deployed import read_deployed
    from mofmd.models.files.embedded import embedded_models

    for name, path in embedded_models().items():
        model = read_deployed(path)
        elements = " ".join(model.type_names)
        typer.echo(f"{name}: {model.family}, {elements}, r_max {model.r_max} A, {path}")


@app.command(name="show")
def show(
    file: Annotated[Path, typer.Argument(help="a model file, or the name of an embedded model")],
    as_json: Annotated[bool, typer.Option("--json", help="the whole manifest")] = False,
) -> None:
    """Show the manifest of a model file; nothing in the file is executed."""
    from rich.console import Console

    from mofmd.models.files.deployed import read_deployed
    from mofmd.models.files.embedded import find_model

    model = read_deployed(find_model(file))
    if as_json:
        typer.echo(json.dumps(dict(model.manifest), indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for key, value in model.manifest.items():
        if key not in ("reference", "verification"):
            console.print(f"[bold]{key}[/]: ", end="")
            console.print(_plain(value), markup=False)
    reference = model.manifest.get("reference")
    if reference:
        energy = reference["energy_eV"]
        console.print(
            f"[bold]reference[/]: {len(reference['symbols'])} atoms, {energy:.6f} eV", markup=True
        )
    verification = model.manifest.get("verification")
    if verification is None:
        console.print("[bold]verification[/]: none recorded")
        return
    from mofmd.cli.models.gate_display import table
    from mofmd.models.gate.gate import Check

    console.print(table([Check(**check) for check in verification["checks"]]))


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_plain(entry) for entry in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {entry}" for key, entry in value.items())
    return str(value)
