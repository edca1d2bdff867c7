"""The report: one HTML page that needs nothing else, with the figures beside it as files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import mofmd
from mofmd.analysis.base.result import Result, Table, file_stem
from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.disk.atomic import write_atomic
from mofmd.report.plots import (
    figure_svg,
    is_dynamics,
    plot_elastic_surfaces,
    plot_fit,
    plot_pore_map,
    plot_table,
    plot_temperature,
)
from mofmd.report.style import save_figure
from mofmd.report.tables import numbers_table, tensor_tables
from mofmd.report.view import view
from mofmd.study.notes import left_out, members_left_out, notes_of
from mofmd.study.study import Analysis, Member

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = tuple[str, "Figure", str, bool]  # name, figure, caption, whether it takes the whole width
SECTIONS = {
    "rdf": "Radial distribution functions",
    "angles": "Bond angles",
    "coordination": "Coordination",
    "rings": "Rings",
    "integrity": "Linkers",
    "pores": "Pores",
    "density": "Density and cell",
    "msd": "Displacements",
    "scattering": "Scattering",
    "reference": "Beside measured curves",
    "equation": "Equation of state",
    "elasticity": "Elasticity",
    "vacf": "Vibrations",
}


def write_page(analysis: Analysis, directory: Path) -> Path:
    """Write ``report.html``, and its figures as PNG and SVG in ``figures``.

    Parameters
    ----------
    analysis
        What was found.
    directory
        Made if it is not there.

    Returns
    -------
    Path
        The page.
    """
    (directory / "figures").mkdir(parents=True, exist_ok=True)
    member = analysis.members[0]
    parts = [_head(analysis), view(member.last)]
    if any(m.thermo for m in analysis.members):
        parts.append(_protocol(analysis, directory))
    for key, title in SECTIONS.items():
        results = [r for r in analysis.results if r.name.split()[0] == key]
        if results:
            parts.append(_section(key, title, results, analysis, directory))
    parts.append(_method(analysis))
    page = directory / "report.html"
    write_atomic(page, _page(analysis, parts))
    return page


def _page(analysis: Analysis, parts: list[str]) -> str:
    folder = resources.files("mofmd") / "report"
    css = (folder / "page.css").read_text(encoding="utf-8")
    title = escape(f"mofmd report: {_title(analysis)}")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<style>{css}</style></head>\n<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _title(analysis: Analysis) -> str:
    formula = analysis.members[0].last.to_ase().get_chemical_formula()
    kind = f", {analysis.group}" if analysis.group else ""
    return f"{analysis.settings.name}{kind}, {formula}"


def _head(analysis: Analysis) -> str:
    frame = analysis.members[0].last
    n = len(analysis.members)
    members = f"{n} members" if n > 1 else "one run"
    links = "".join(
        f'<a href="#{key}">{escape(title)}</a>'
        for key, title in SECTIONS.items()
        if any(result.name.split()[0] == key for result in analysis.results)
    )
    notes = "".join(
        f'<p class="note">{escape(name)}: the file ends within a frame, which was left out.</p>'
        for name in analysis.about["incomplete_frame"]
    )
    texts = (*members_left_out(analysis), *left_out(analysis))
    notes += "".join(f'<p class="note">{escape(text)}</p>' for text in texts)
    return (
        f"<h1>{escape(_title(analysis))}</h1>"
        f'<p class="lead">{len(frame)} atoms, {members}; mofmd {mofmd.__version__}</p>'
        f'<nav><a href="#structure">Structure</a>{links}<a href="#method">How it was made</a></nav>'
        f"{notes}{numbers_table(analysis)}"
    )


def _section(
    key: str, title: str, results: list[Result], analysis: Analysis, directory: Path
) -> str:
    figures = list(_figures(results, analysis))
    definition = "; ".join(dict.fromkeys(result.definition for result in results))
    tensors = [
        tensor_tables(ElasticTensor(result.tables["stiffness"].columns["C"].values.reshape(6, 6)))
        for result in results
        if "stiffness" in result.tables
    ]
    return (
        f'<h2 id="{key}">{escape(title)}</h2><p class="lead">{escape(definition)}</p>'
        + "".join(f'<p class="note">{escape(note)}</p>' for note in notes_of(results))
        + _figure_grid(figures, directory)
        + "".join(tensors)
    )


def _figures(results: list[Result], analysis: Analysis) -> Iterator[Drawn]:
    members = analysis.members
    for result in results:
        # series stay with the members of an ensemble
        series = [_series(result.name, member) for member in members] if len(members) > 1 else []
        for name in dict.fromkeys(name for own in series for name in own):
            tables = {
                m.name: own[name] for m, own in zip(members, series, strict=True) if name in own
            }
            yield f"{result.name} {name}", plot_table(tables), "", len(members) > 4
        for name, table in result.tables.items():
            if result.name == "equation of state":
                if name == "points":
                    found = [
                        f"{key.split()[-1]} = {scalar}"
                        for key, scalar in result.scalars.items()
                        if "order" not in key and "P_max" not in key
                    ]
                    text = "\n".join(", ".join(found[k : k + 2]) for k in range(0, len(found), 2))
                    figure = plot_fit(table, result.tables.get("fit"), text)
                    yield "equation of state", figure, "", False
                continue
            if name == "stiffness":
                tensor = ElasticTensor(table.columns["C"].values.reshape(6, 6))
                if not tensor.is_stable:
                    continue
                caption = "Young's modulus and linear compressibility of the mean tensor"
                yield (
                    "elastic surfaces",
                    plot_elastic_surfaces(tensor),
                    caption,
                    True,
                )
                continue
            if table.kind == "series" and len(next(iter(table.columns.values())).values) < 2:
                continue
            stem = f"{result.name} {name}"
            wide = len({column.unit for column in table.columns.values()}) > 3
            # the title stands in the figure
            yield stem, plot_table(_with_others(result.name, name, table, analysis)), "", wide
    if results[0].name == "pores":
        settings = results[0].settings
        figure = plot_pore_map(members[0].last, settings["probe_radius_A"], settings["radii_A"])
        yield "pore map", figure, "The last frame analysed", False


def _with_others(result: str, name: str, table: Table, analysis: Analysis) -> dict[str, Table]:
    """One of our tables and, of a curve or a histogram, those of the other analyses."""
    if table.kind not in ("curve", "bars"):
        return {"": table}
    others = {o.name: o.table(result, name, table) for o in analysis.settings.beside}
    found = {name: other for name, other in others.items() if other is not None}
    return {analysis.name if found else "": table, **found}


def _series(name: str, member: Member) -> dict[str, Table]:
    """Series over time of one result of a member; what was compared has none."""
    return {
        key: table
        for result in member.results
        if result.name == name
        for key, table in result.tables.items()
        if table.kind == "series" and len(next(iter(table.columns.values())).values) > 1
    }


def _figure_grid(figures: list[Drawn], directory: Path) -> str:
    parts = []
    for name, figure, caption, wide in figures:
        save_figure(figure, directory / "figures" / file_stem(name))
        # identifiers must not clash between the figures of one page
        svg = figure_svg(figure)
        prefix = file_stem(name).replace(".", "_").replace("+", "_")
        svg = svg.replace('id="', f'id="{prefix}-').replace("url(#", f"url(#{prefix}-")
        svg = svg.replace('xlink:href="#', f'xlink:href="#{prefix}-')
        parts.append(
            f'<figure{" class=wide" if wide else ""} data-name="{escape(name)}">{svg}'
            f"{f'<figcaption>{escape(caption)}</figcaption>' if caption else ''}</figure>"
        )
    return f'<div class="figures">{"".join(parts)}</div>'


def _protocol(analysis: Analysis, directory: Path) -> str:
    member = next(m for m in analysis.members if m.thermo)
    protocol = member.manifest.get("protocol", {})
    rows = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>"
        for name, value in protocol.items()
    )
    measured = f" Measured: the stage {member.stage}." if member.stage else ""
    figures: list[Drawn] = []
    if any(is_dynamics(table) for table in member.thermo):
        caption = f"Temperature of {member.name}, moving average over 25 fs.{measured}"
        figures.append(("temperature", plot_temperature(member.thermo), caption, True))
    return (
        '<h2 id="protocol">Protocol</h2>'
        + _figure_grid(figures, directory)
        + f"<table><tbody>{rows}</tbody></table>"
    )


def _method(analysis: Analysis) -> str:
    about = json.dumps(dict(analysis.about), indent=1)
    settings = {result.name: dict(result.settings) for result in analysis.results}
    sampling = [
        f"<tr><td>{escape(result.name)}</td><td>{result.sampling.frames} of "
        f"{result.settings.get('frames_analysed', result.sampling.frames)}</td>"
        f"<td>{result.sampling.cut}{' (found)' if result.sampling.automatic else ' (given)'}</td>"
        f"<td>{result.sampling.inefficiency:.1f}</td><td>{result.sampling.independent:.1f}</td></tr>"
        for result in analysis.members[0].results
        if result.sampling is not None
    ]
    versions = analysis.members[0].manifest.get("versions", {})
    potential = analysis.members[0].manifest.get("potential", {})
    return (
        '<h2 id="method">How it was made</h2>'
        "<p>Equilibration cut by the largest number of independent samples (Chodera 2016); "
        "standard errors from block averages and the autocorrelation time; of an ensemble from the "
        "spread of its members. All numbers are in results.json, results.npz and the CSV files "
        "beside this page; the figures are in figures/ as PNG and SVG.</p>"
        f"<p>Sampling of {escape(analysis.members[0].name)}:</p>"
        "<table><thead><tr><th>observable</th><th>frames measured</th><th>cut</th>"
        "<th>statistical inefficiency (frames)</th><th>independent samples</th></tr></thead><tbody>"
        + "".join(sampling)
        + "</tbody></table>"
        f"<pre>{escape(json.dumps({'versions': versions, 'potential': potential}, indent=1))}</pre>"
        f"<pre>{escape(about)}</pre><pre>{escape(json.dumps(settings, indent=1))}</pre>"
    )
