"""The page of a screening: one table of all structures, figures, and what failed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mofmd
from mofmd.disk.atomic import write_atomic
from mofmd.errors import in_command
from mofmd.figure_style import new_figure, save_figure
from mofmd.report.page import html_page
from mofmd.report.svg import figure_svg
from mofmd.simulation.deck.deck import read_deck
from mofmd.simulation.deck.notes import notes_of
from mofmd.simulation.ensemble.ensemble import STRUCTURE, Ensemble
from mofmd.simulation.ensemble.table import Row, collect, table_rows
from mofmd.simulation.statics.task import TASK, is_static

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROW_IN = 0.17  # height of a structure in a figure
# quantities that are drawn: name, its error, label, factor
DRAWN = (
    ("bulk_modulus_GPa", "bulk_modulus_error_GPa", "Bulk modulus (GPa)", 1.0),
    ("volume_change", None, "Change of the volume (%)", 100.0),
    ("heat_capacity_J_per_K_g", "heat_capacity_error_J_per_K_g", "Heat capacity (J/K/g)", 1.0),
)
LATER = ("state", "reason", "model", "dispersion")  # columns that stand apart
UNITS = {
    "eV_per_A": "eV/Å",
    "eV_per_A2": "eV/Å²",
    "eV": "eV",
    "A3": "Å³",
    "GPa": "GPa",
    "J_per_K_g": "J/K/g",
    "K": "K",
    "bar": "bar",
}


def write_screening(ensemble: Ensemble, directory: str | Path) -> Path:
    """Write ``report.html``, its figures, and the table as CSV and JSON beside the ensemble.

    Parameters
    ----------
    ensemble
        Its members differ by structure.
    directory
        Made if it is not there.

    Returns
    -------
    Path
        The page.
    """
    directory = Path(directory)
    (directory / "figures").mkdir(parents=True, exist_ok=True)
    rows = table_rows(ensemble)
    table = collect(ensemble)
    good = [row for row in rows if row["state"] == "finished" and not row["reason"]]
    bad = [row for row in rows if row not in good]
    name = ensemble.directory.resolve().name
    lead = f"{len(rows)} structures · {len(good)} finished · mofmd {mofmd.__version__}"
    parts = [
        f'<header><h1>{escape(name)}</h1><p class="lead">{lead}</p></header>',
        *(f"<p>{escape(text)}</p>" for text in _computed(ensemble)),
        _notes(ensemble),
        _warnings(good),
        _figures(good, directory),
        _results(good),
        _others(bad),
        f"<p>All numbers are in {escape(str(table))} and in the JSON file beside it.</p>",
        _means(ensemble, good),
    ]
    page = directory / "report.html"
    write_atomic(page, html_page(f"mofmd screening: {name}", parts))
    return page


def _computed(ensemble: Ensemble) -> list[str]:
    """Say what was computed with which model; a line for each way in which members differ."""
    told: dict[str, None] = {}
    for member in ensemble.members:
        if is_static(member.directory):
            record = json.loads((member.directory / TASK).read_text(encoding="utf-8"))
            task, settings = record["task"], record["settings"]
            model, dispersion = Path(record["model"]).name, record["dispersion"]
        else:
            manifest = read_deck(member.directory, allow_edited=True).manifest
            settings = dict(manifest["protocol"])
            task, potential = settings.pop("name"), manifest["potential"]
            model, dispersion = potential.get("model"), potential.get("dispersion")
        told[
            f"{task}, {model or 'commands of LAMMPS'}, dispersion {dispersion or 'none'}. "
            + ", ".join(f"{name} {value}" for name, value in settings.items())
        ] = None
    return list(told)


def _notes(ensemble: Ensemble) -> str:
    """Tell what was told when the members were made."""
    owners: dict[str, list[str]] = {}
    for member in ensemble.members:
        for text in notes_of(member.record):
            owners.setdefault(text, []).append(str(member.values.get(STRUCTURE) or member.name))
    everyone = len(ensemble.members)
    return "".join(
        f'<p class="note">{escape(text if len(names) == everyone else _of(names, text))}</p>'
        for text, names in owners.items()
    )


def _means(ensemble: Ensemble, finished: Sequence[Row]) -> str:
    """Tell how means come about, where there are several structures of one composition.

    Static tasks have no frames to measure.
    """
    names = {row["member"] for row in finished}
    formulas = [
        read_deck(member.directory, allow_edited=True).manifest["structure"]["formula"]
        for member in ensemble.members
        if member.name in names and not is_static(member.directory)
    ]
    if len(set(formulas)) == len(formulas):
        return ""
    where = in_command(ensemble.directory)
    command = f"mofmd report {where} --observables rdf,coordination -o means"
    return (
        "<p>Means over structures of one composition, with their spread, and other results beside "
        f"them: <code>{escape(command)}</code>.</p>"
    )


def _of(names: Sequence[str], text: str) -> str:
    return f"{', '.join(dict.fromkeys(names))}: {text}"


def _label(row: Row) -> str:
    return str(row.get(STRUCTURE) or row["member"])


def _warnings(rows: Sequence[Row]) -> str:
    """Name frameworks that are no longer what they were, or are at no minimum."""
    told = []
    for row in rows:
        if row.get("imaginary_modes"):
            told.append(f"{_label(row)}: imaginary modes: {row['imaginary_modes']}")
        for what in ("linkers", "caps"):
            if row.get(what, 0) != row.get(f"{what}_intact", 0):
                whole = f"{row[f'{what}_intact']} of {row[what]}"
                told.append(f"{_label(row)}: {whole} {what} whole")
        for name, before in row.items():
            if not name.endswith("_before"):
                continue
            pair, after = name.removesuffix("_before"), row[name.replace("_before", "_after")]
            if abs(after - before) > 0.05 * before:
                told.append(f"{_label(row)}: coordination {pair} {before:.2f} → {after:.2f}")
    return "".join(f'<p class="note">{escape(text)}</p>' for text in told)


def _figures(rows: Sequence[Row], directory: Path) -> str:
    drawn = []
    for name, error, label, factor in DRAWN:
        chosen = [row for row in rows if isinstance(row.get(name), float)]
        if not chosen:
            continue
        figure = plot_quantity(chosen, name, error, label, factor)
        save_figure(figure, directory / "figures" / name)
        drawn.append(f"<figure><div>{figure_svg(figure)}</div></figure>")
    return f'<div class="figures">{"".join(drawn)}</div>' if drawn else ""


def plot_quantity(
    rows: Sequence[Row], name: str, error: str | None, label: str, factor: float
) -> Figure:
    """Draw a quantity of each structure, in the order of its size.

    Parameters
    ----------
    rows
        Lines of the table.
    name, error
        Columns of the quantity and its standard error; None where it has none.
    label
        With the unit.
    factor
        By which both are multiplied.
    """
    ordered = sorted(rows, key=lambda row: row[name])
    figure, (axes,) = new_figure((4.6, 0.7 + ROW_IN * len(ordered)))
    values = [factor * row[name] for row in ordered]
    errors = [factor * row[error] if error else 0.0 for row in ordered]
    places = range(len(ordered))
    axes.errorbar(values, places, xerr=errors, fmt="o", markersize=3, color="#2171b5")
    axes.set_yticks(list(places), [_label(row) for row in ordered])
    axes.axvline(0.0, color="#7f7f7f", linewidth=0.7)
    axes.set_xlabel(label)
    return figure


def _results(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    names = [name for name in dict.fromkeys(n for row in rows for n in row) if name not in LATER]
    head = "".join(f"<th>{escape(_heading(name))}</th>" for name in names)
    body = "".join(
        "<tr>"
        + "".join(f'<td class="number">{_text(row.get(name))}</td>' for name in names)
        + "</tr>"
        for row in rows
    )
    return (
        '<section><h2 id="results">Results</h2><div class="scroll wide"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _others(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    body = "".join(
        f"<tr><td>{escape(_label(row))}</td><td>{escape(str(row['state']))}</td>"
        f"<td>{escape(str(row['reason']))}</td></tr>"
        for row in rows
    )
    return (
        '<section><h2 id="others">Not finished, or left out</h2><div class="scroll"><table>'
        "<thead><tr><th>structure</th><th>state</th><th>why</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div></section>"
    )


def _heading(name: str) -> str:
    """Name of a column as people write it: its unit in brackets."""
    for suffix, unit in UNITS.items():
        if name.endswith(f"_{suffix}"):
            return f"{name.removesuffix(f'_{suffix}').replace('_', ' ')} ({unit})"
    return name.replace("_", " ")


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return escape(str("" if value is None else value))
