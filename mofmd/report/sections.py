"""Sections of the report: figures and what is said with them."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mofmd.analysis.base.result import Result, Table, file_stem
from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.figure_style import save_figure
from mofmd.report.fits import plot_fit
from mofmd.report.plots import plot_table
from mofmd.report.stages import SMOOTHING_PS, is_dynamics, plot_temperature
from mofmd.report.surfaces import plot_elastic_surfaces, plot_pore_map
from mofmd.report.svg import figure_svg
from mofmd.report.tables import tensor_tables
from mofmd.study.member import Member
from mofmd.study.notes import common_notes, notes_of
from mofmd.study.study import Analysis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = tuple[str, "Figure", str]  # name, figure, caption
PIXELS = 125  # of the page to an inch of a figure, at most
WIDE_IN = 6.0  # a figure that is wider than this takes the whole width of the page


def section(
    key: str, title: str, results: list[Result], analysis: Analysis, directory: Path
) -> str:
    """One family of results: what it is, what to know, its figures and tensors.

    Parameters
    ----------
    key, title
        Name of the section in the page's address, and for people.
    results
        Those of the family.
    analysis
        All that was found.
    directory
        Folder of the page; figures go to ``figures`` in it.
    """
    figures = [drawn for result in results for drawn in _figures(result, analysis)]
    if results[0].name == "pores":
        settings = results[0].settings
        last = analysis.members[0].last
        figure = plot_pore_map(last, settings["probe_radius_A"], settings["radii_A"])
        caption = (
            f"The last frame analysed. The red line surrounds where the centre of a probe of "
            f"{settings['probe_radius_A']:g} Å fits; the framework is left blank."
        )
        figures.append(("pore map", figure, caption))
    told = notes_of(results, common_notes(analysis))
    definition = "; ".join(dict.fromkeys(result.definition for result in results))
    tensors = [
        tensor_tables(ElasticTensor(result.tables["stiffness"].columns["C"].values.reshape(6, 6)))
        for result in results
        if "stiffness" in result.tables
    ]
    return (
        f'<section><h2 id="{key}">{escape(title)}</h2><p class="lead">{escape(definition)}</p>'
        + "".join(f'<p class="note">{escape(note)}</p>' for note in told)
        + _figure_grid(figures, directory)
        + "".join(tensors)
        + "</section>"
    )


def _figures(result: Result, analysis: Analysis) -> Iterator[Drawn]:
    """Figures of one result: series of every member, then each of its tables."""
    members = analysis.members
    # series stay with the members of an ensemble
    series = [_series(result.name, member) for member in members] if len(members) > 1 else []
    for name in dict.fromkeys(name for own in series for name in own):
        tables = {m.name: own[name] for m, own in zip(members, series, strict=True) if name in own}
        yield f"{result.name} {name}", plot_table(tables), ""
    if result.name == "equation of state" and "points" in result.tables:
        yield result.name, _equation_of_state(result), ""
        return
    if result.name == "equation of state":  # a mean over members whose volumes differ
        points = {
            member.name: own.tables["points"]
            for member in members
            for own in member.results
            if own.name == result.name
        }
        yield result.name, plot_table(points), "Each of its own volumes: their points have no mean."
        return
    for name, table in result.tables.items():
        if name == "stiffness":
            tensor = ElasticTensor(table.columns["C"].values.reshape(6, 6))
            if tensor.is_stable:
                caption = "Young's modulus and linear compressibility of the mean tensor."
                yield "elastic surfaces", plot_elastic_surfaces(tensor), caption
        elif table.kind != "series" or len(next(iter(table.columns.values())).values) > 1:
            # the title stands in the figure
            tables = _with_others(result.name, name, table, analysis)
            yield f"{result.name} {name}", plot_table(tables), ""


def _equation_of_state(result: Result) -> Figure:
    found = [
        f"{key.split()[-1]} = {scalar}"
        for key, scalar in result.scalars.items()
        if "order" not in key and "P_max" not in key
    ]
    text = "\n".join(", ".join(found[k : k + 2]) for k in range(0, len(found), 2))
    return plot_fit(result.tables["points"], result.tables.get("fit"), text)


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
    for name, figure, caption in figures:
        save_figure(figure, directory / "figures" / file_stem(name))
        # identifiers must not clash between the figures of one page
        svg = figure_svg(figure)
        prefix = file_stem(name).replace(".", "_").replace("+", "_")
        svg = svg.replace('id="', f'id="{prefix}-').replace("url(#", f"url(#{prefix}-")
        svg = svg.replace('xlink:href="#', f'xlink:href="#{prefix}-')
        wide = ' class="wide"' if figure.get_figwidth() > WIDE_IN else ""
        # letters of one size in all figures
        svg = svg.replace(
            "<svg", f'<svg style="max-width:{figure.get_figwidth() * PIXELS:.0f}px"', 1
        )
        told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
        parts.append(f'<figure{wide} data-name="{escape(name)}"><div>{svg}</div>{told}</figure>')
    return f'<div class="figures">{"".join(parts)}</div>' if parts else ""


def protocol(analysis: Analysis, directory: Path) -> str:
    """Tell what was run: temperatures of all runs, those left out of the mean too, and settings."""
    runs = {
        member.name: member.thermo
        for member in (*analysis.members, *analysis.apart)
        if any(is_dynamics(table) for table in member.thermo)
    }
    figures: list[Drawn] = []
    if runs:
        stages = sorted({member.stage for member in analysis.members} - {""})
        one = len(runs) == 1
        caption = (
            f"Temperature{'' if one else f' of {len(runs)} members'}, moving average over "
            f"{1e3 * SMOOTHING_PS:g} fs{', the values behind it' if one else ''}."
        )
        caption += f" Measured: the stage {' or '.join(stages)}." if stages else ""
        figures.append(("temperature", plot_temperature(runs), caption))
    member = next(m for m in analysis.members if m.thermo)
    rows = "".join(
        f"<tr><td>{escape(str(name))}</td><td>{escape(_words(value))}</td></tr>"
        for name, value in member.manifest.get("protocol", {}).items()
    )
    return (
        '<section><h2 id="protocol">Protocol</h2>'
        + _figure_grid(figures, directory)
        + f"<details><summary>Settings of the protocol</summary>"
        f'<div class="scroll"><table class="stack"><tbody>{rows}</tbody></table></div>'
        "</details></section>"
    )


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
