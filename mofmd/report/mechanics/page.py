"""The page that lays E(V) and P(V) of variants of a framework beside each other."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import mofmd
from mofmd.analysis.mechanics.branches import Curve, disagreement
from mofmd.analysis.mechanics.forms import CITATIONS
from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.errors import counted
from mofmd.figure_style import save_figure
from mofmd.report.mechanics.figures import plot_energies, plot_pressures
from mofmd.report.page import html_page
from mofmd.report.svg import figure_svg
from mofmd.study.mechanics.table import COLUMNS, Line, alike, conditions, lines_of, shown
from mofmd.study.mechanics.variants import Variant

PUBLISHED = {"K_GPa": "K (GPa)", "V0_A3": "V₀ (Å³)", "Pmax_GPa": "P_max (GPa)"}


def write_mechanics(
    variants: Sequence[Variant],
    directory: str | Path,
    published: Sequence[Mapping[str, Any]] = (),
    left_out: Sequence[str] = (),
) -> Path:
    """Write ``report.html``, its figures, and ``mechanics.csv``.

    Parameters
    ----------
    variants
        What is known of each structure.
    directory
        Made if it is not there.
    published
        Numbers from elsewhere, shown beside: mappings with ``structure``, ``method`` and so on.
    left_out
        What gave nothing, and why.

    Returns
    -------
    Path
        The page.
    """
    directory = Path(directory)
    make_folder(directory / "figures")
    lines = lines_of(variants)
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: "" if v is None else v for k, v in line.row().items()} for line in lines)
    write_atomic(directory / "mechanics.csv", buffer.getvalue())
    figures = []
    if any(line.curve is not None for line in lines):
        figures.append(("pressure", plot_pressures(lines), PRESSURE_CAPTION))
    if any(variant.energies is not None for variant in variants):
        figures.append(("energy", plot_energies(variants), ENERGY_CAPTION))
    drawn = []
    for name, figure, caption in figures:
        save_figure(figure, directory / "figures" / name)
        drawn.append(
            f'<figure class="wide"><div>{_own_names(figure_svg(figure), name)}</div>'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    lead = f"{counted(len(variants), 'structure')} · mofmd {mofmd.__version__}"
    parts = [
        f'<header><h1>Mechanics</h1><p class="lead">{lead}</p></header>',
        _of_all(lines),
        *(f'<p class="note">{escape(note)}</p>' for note in notes(variants, lines, left_out)),
        _table(lines, published),
        f'<div class="figures">{"".join(drawn)}</div>',
        _method(),
    ]
    page = directory / "report.html"
    write_atomic(page, html_page("mofmd: mechanics", parts))
    return page


PRESSURE_CAPTION = (
    "Pressure against volume. Full: (N, P, T); open: volume fixed, shape free (triangles: shape "
    "fixed too); squares: at 0 K. Lines: the equation of state where it was fitted; thin: from "
    "point to point, beyond what is stable too."
)
ENERGY_CAPTION = (
    "Energy of the relaxed cell less the lowest, against volume. Lines: Birch-Murnaghan, over the "
    "points that it was fitted to."
)


def notes(variants: Sequence[Variant], lines: Sequence[Line], left_out: Sequence[str]) -> list[str]:
    """Tell what a reader of the numbers must know."""
    told = [f"Left out: {text}" for text in left_out]
    told += [f"{line.name}, {line.method}: {line.why_none}" for line in lines if line.why_none]
    for variant in variants:
        found = disagreement(variant.points)
        if found is not None and abs(found.value) > 3 * found.standard_error:
            told.append(
                f"{variant.name}: constant pressure and constant volume differ by {found}: longer "
                "runs are needed, or the framework is in two states"
            )
    return told


def _of_all(lines: Sequence[Line]) -> str:
    """Sentence of what is the same in all lines; what differs stands in the table."""
    told = "; ".join(f"{key}: {text}" for key, text in alike(lines).items())
    return f"<p>In all lines: {escape(told)}.</p>" if told else ""


def _table(lines: Sequence[Line], published: Sequence[Mapping[str, Any]]) -> str:
    known = alike(lines)
    different = [key for line in lines[:1] for key in conditions(line) if key not in known]
    heads = ["structure", *different, "K (GPa)", "K′", "K, Vinet (GPa)", "V₀ (Å³)", "P_max (GPa)"]
    given = [name for name in PUBLISHED if any(row.get(name) for row in published)]
    heads += [f"{PUBLISHED[name]}, elsewhere" for name in given]
    if given:
        heads.append("source")
    body = []
    for line in lines:
        birch, vinet = (line.fits.get(form) for form in ("birch-murnaghan", "vinet"))
        cells = [
            line.name,
            *(conditions(line)[key] for key in different),
            "–" if birch is None else shown(birch.bulk_modulus, "K"),
            "–" if birch is None else shown(birch.derivative, "K′"),
            "–" if vinet is None else shown(vinet.bulk_modulus, "K"),
            "–" if birch is None else shown(birch.volume, "V0"),
            _largest(line.curve),
        ]
        other = _published_of(line, published)
        cells += [str(other.get(name) or "–") for name in given]
        if given:
            cells.append(str(other.get("source") or "–"))
        row = "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells)
        body.append(f"<tr>{row}</tr>")
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    return (
        '<section><h2 id="numbers">Bulk modulus, volume, largest pressure</h2>'
        f'<div class="scroll wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(body)}</tbody></table></div></section>"
    )


def _largest(curve: Curve | None) -> str:
    if curve is None:
        return "–"
    return f"{'> ' if curve.is_bound else ''}{shown(curve.largest, 'Pmax')}"


def _published_of(line: Line, published: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for row in published:
        if row["structure"] == line.name and row.get("method", "") in ("", line.method):
            return row
    return {}


def _method() -> str:
    return (
        '<section><h2 id="method">How it was made</h2><p>At 0 K: E(V) of relaxed cells, fitted '
        "where it bends upwards. At a temperature: the mean volumes of (N, P, T) and the mean "
        "pressures of (N, V, σ_a = 0, T) on one curve (Rogge et al., J. Chem. Theory Comput. 2015, "
        "11, 5583), fitted within half of the largest pressure. P_max is the largest pressure of "
        "the branch around zero, with the error of its point; where the branch ends with the "
        f"points it is a lower bound (&gt;). Fits: {escape('; '.join(CITATIONS.values()))}; third "
        "order, errors from the fit. Shape: free where the cell's edges and angles moved at each "
        "volume, fixed where it was scaled alone. Values are rounded to their errors; "
        "<code>mechanics.csv</code> has all digits.</p></section>"
    )


def _own_names(svg: str, prefix: str) -> str:
    """Give identifiers that do not clash with those of the page's other figures."""
    svg = svg.replace('id="', f'id="{prefix}-').replace("url(#", f"url(#{prefix}-")
    return svg.replace('xlink:href="#', f'xlink:href="#{prefix}-')
