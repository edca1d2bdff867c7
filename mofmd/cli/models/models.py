"""``mofmd models``: models by name, and what a model file says of itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mofmd.cli.base.app import App

if TYPE_CHECKING:
    from rich.console import Console

    from mofmd.models.universal import Variant

app = App(no_args_is_help=True, help="Models by name, and what a file is.")
MANY_ELEMENTS = 12


@app.command(name="list")
def list_models(
    as_json: Annotated[bool, typer.Option("--json", help="all of it, for programs")] = False,
) -> None:
    """List the models of the package and universal ones, and what each is good for.

    Examples
    --------
    mofmd models list
    mofmd models list --json
    """
    from rich.console import Console

    from mofmd.models.listing import list_models as find

    models = find()
    if as_json:
        typer.echo(json.dumps([each.as_dict() for each in models], indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for model in models:
        where = "not made yet: the first use makes it, in minutes"
        if model.file is not None:
            where = f"{model.size_MiB:.1f} MiB, {model.file}"
        console.print(f"[bold]{model.name}[/]: {model.kind}; ", end="")
        console.print(where, markup=False)
        rows = (
            ("elements", element_text(model.elements)),
            ("good for", model.good_for),
            ("trained on", model.level_of_theory),
            ("licence", model.licence),
        )
        for title, text in rows:
            console.print(f"    {title + ':':11} {text}", markup=False)


def element_text(elements: Sequence[str]) -> str:
    """Name a few elements; of many say how many, and which are missing between the first and last.

    Parameters
    ----------
    elements
        Symbols.
    """
    from ase.data import atomic_numbers, chemical_symbols

    if len(elements) <= MANY_ELEMENTS:
        return " ".join(elements)
    numbers = sorted(atomic_numbers[each] for each in elements)
    missing = [chemical_symbols[z] for z in range(1, numbers[-1]) if z not in numbers]
    without = f" but {' '.join(missing)}" if missing else ""
    return f"{len(elements)}: H to {chemical_symbols[numbers[-1]]}{without}"


@app.command(name="make")
def make_model(
    name: Annotated[str, typer.Argument(help="a universal model, see `mofmd models list`")],
    again: Annotated[bool, typer.Option("--again", help="though it is there")] = False,
) -> None:
    """Make a universal model now, as its first use would: environment, deployment, physics gate.

    Examples
    --------
    mofmd models make sevennet-l3i5
    """
    from mofmd.errors import InputError, choices
    from mofmd.models.made import make
    from mofmd.models.universal import VARIANTS

    if name not in VARIANTS:
        raise InputError(f"{name}: is no universal model{choices(name, VARIANTS)}")
    typer.echo(str(make(VARIANTS[name], again=again)))


@app.command(name="show")
def show(
    file: Annotated[Path, typer.Argument(help="a model file, or a name")],
    as_json: Annotated[bool, typer.Option("--json", help="the whole manifest")] = False,
) -> None:
    """Show the manifest of a model file; nothing in the file is executed.

    Of a universal model that was not made on this machine it shows what is known without a file.

    Examples
    --------
    mofmd models show zif4-nequip-s
    mofmd models show sevennet-l3i5
    mofmd models show my.mofmd.pth --json
    """
    from rich.console import Console

    from mofmd.calculator.density.density import one_in
    from mofmd.calculator.density.scorer import read_density
    from mofmd.models.files.deployed import read_density_record, read_deployed
    from mofmd.models.names import find_model, not_made

    variant = not_made(file)
    if variant is not None:
        _show_not_made(variant, as_json=as_json)
        return
    model = read_deployed(find_model(file))
    if as_json:
        typer.echo(json.dumps(dict(model.manifest), indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for key, value in model.manifest.items():
        if key == "per_edge_type_cutoff" and value is not None:
            text = pair_cutoffs(model.type_names, value)
        elif key in ("reference", "verification"):
            continue
        else:
            text = _plain(value)
        console.print(f"[bold]{key}[/]: ", end="")
        console.print(text, markup=False)
    reference = model.manifest.get("reference")
    if reference:
        energy = reference["energy_eV"]
        console.print(
            f"[bold]reference[/]: {len(reference['symbols'])} atoms, {energy:.6f} eV", markup=True
        )
    verification = model.manifest.get("verification")
    if verification is None:
        console.print("[bold]verification[/]: none recorded")
    else:
        from mofmd.cli.models.gate_display import table
        from mofmd.models.gate.gate import Check

        console.print(table([Check(**check) for check in verification["checks"]]))
    if read_density_record(model.path) is not None:
        density = read_density(model.path)
        console.print(
            f"[bold]density of its features[/]: of {' '.join(sorted(density.mixtures))}; novelty 1 "
            f"is as rare as one atom in {one_in(density.quantile)} (--watch)"
        )
    _show_card(console, model.path)


def _show_not_made(variant: Variant, *, as_json: bool) -> None:
    """Print what is known of a universal model of which there is no file yet."""
    from rich.console import Console

    making = f"mofmd models make {variant.name}"
    facts = {**variant.as_dict(), "file": None, "made_by": making}
    if as_json:
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
        return
    console = Console(highlight=False, soft_wrap=True)
    for key, value in variant.as_dict().items():
        console.print(f"[bold]{key}[/]: ", end="")
        text = element_text(value) if key == "type_names" else _plain(value)
        console.print(text, markup=False)
    console.print("[bold]file[/]: ", end="")
    console.print(
        f"none on this machine yet: `{making}`, or its first use, makes it in minutes; then it has "
        "a manifest with cutoffs and the checks of its physics",
        markup=False,
    )


def pair_cutoffs(names: Sequence[str], cutoffs: Sequence[Sequence[float]]) -> str:
    """Cutoffs of pairs as text: those of each length [Å] together.

    Parameters
    ----------
    names
        Types of the model.
    cutoffs
        (types, types) cutoffs [Å], first the atom, then its neighbour.
    """
    by_length: dict[float, list[str]] = {}
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            if cutoffs[i][j] != cutoffs[j][i]:
                by_length.setdefault(cutoffs[i][j], []).append(f"{first}→{second}")
            elif i <= j:
                by_length.setdefault(cutoffs[i][j], []).append(f"{first}-{second}")
    return "; ".join(
        f"{length:g} Å: {', '.join(pairs)}" for length, pairs in sorted(by_length.items())
    )


def _show_card(console: Console, path: Path) -> None:
    """Print the errors and the range of validity of a model that has a card."""
    from rich.table import Table

    from mofmd.models.files.card import RANGE, read_card

    card = read_card(path)
    if card is None:
        console.print("[bold]errors, range of validity[/]: no card beside the file")
        return
    if card.errors:
        head, *rows = card.errors
        errors = Table(title="errors")
        for number, name in enumerate(head):
            errors.add_column(name, justify="left" if number == 0 else "right")
        for row in rows:
            errors.add_row(*row)
        console.print(errors)
    console.print("[bold]range of validity[/]: ", end="")
    console.print(" ".join(card.section(RANGE).split()), markup=False)
    console.print(f"[bold]card[/]: {card.path}")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_plain(entry) for entry in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {entry}" for key, entry in value.items())
    return str(value)
