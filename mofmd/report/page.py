"""The report: one HTML page that needs nothing else, with the figures beside it as files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path

from mofmd.analysis.base.registry import known_observables
from mofmd.analysis.base.result import Result
from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.report.front import front, remarks, title_of
from mofmd.report.novelty import KEY, TITLE, novelty_section
from mofmd.report.sections import protocol, section
from mofmd.report.svg import colour_variables
from mofmd.report.tables import numbers_table
from mofmd.study.study import Analysis

# of results that no observable makes
OTHER_SECTIONS = {"reference": "Beside measured curves", "equation": "Equation of state"}


def write_page(analysis: Analysis, directory: str | Path) -> Path:
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
    directory = Path(directory)
    make_folder(directory / "figures")
    is_run = any(m.thermo for m in analysis.members)
    everyone = (*analysis.members, *analysis.apart)
    watched = [member.watched for member in everyone if member.watched is not None]
    novelty = novelty_section(watched, directory)
    # what has no title of its own comes last, under its name
    titles = section_titles()
    keys = dict.fromkeys((*titles, *(_key(result) for result in analysis.results)))
    chosen = {key: [r for r in analysis.results if _key(r) == key] for key in keys}
    chosen = {key: results for key, results in chosen.items() if results}
    titles = {key: titles.get(key, key.capitalize()) for key in chosen}
    parts = [
        front(analysis),
        _navigation({KEY: TITLE, **titles} if novelty else titles, is_run=is_run),
        remarks(analysis),
        numbers_table(analysis),
    ]
    if is_run:
        parts.append(protocol(analysis, directory))
    parts.append(novelty)
    parts += [
        section(key, titles[key], results, analysis, directory) for key, results in chosen.items()
    ]
    parts.append(_method(analysis))
    page = directory / "report.html"
    write_atomic(page, html_page(f"mofmd report: {title_of(analysis)}", parts))
    return page


def _key(result: Result) -> str:
    """Family of a result: the first word of its name."""
    return result.name.split()[0]


def section_titles() -> dict[str, str]:
    """Headings by the first word of the names of their results: those that observables register."""
    found: dict[str, str] = {}
    for entry in known_observables().values():
        found.setdefault(entry.results, entry.title)
    return {**found, **OTHER_SECTIONS}


def html_page(title: str, parts: list[str]) -> str:
    """Put parts into a page in the house's style, which needs no other file.

    Parameters
    ----------
    title
        In the window's bar.
    parts
        HTML, one below the other.
    """
    folder = resources.files("mofmd") / "report"
    css = (folder / "page.css").read_text(encoding="utf-8")
    dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {colour_variables()} }} }}"
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<style>{css}\n{dark}</style></head>\n<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _navigation(titles: Mapping[str, str], *, is_run: bool) -> str:
    targets = {"numbers": "Numbers"}
    if is_run:
        targets["protocol"] = "Protocol"
    targets |= titles
    targets["method"] = "How it was made"
    links = "".join(f'<a href="#{key}">{escape(title)}</a>' for key, title in targets.items())
    return f'<nav aria-label="sections">{links}</nav>'


def _sampling_row(result: Result) -> str:
    sampling = result.sampling
    if sampling is None:
        return ""
    cells = {
        "frames measured": f"{sampling.frames} of "
        f"{result.settings.get('frames_analysed', sampling.frames)}",
        "cut": f"{sampling.cut} ({'found' if sampling.automatic else 'given'})",
        "statistical inefficiency (frames)": f"{sampling.inefficiency:.1f}",
        "independent samples": f"{sampling.independent:.1f}",
    }
    row = "".join(f'<td data-label="{name}">{text}</td>' for name, text in cells.items())
    return f"<tr><td>{escape(result.name)}</td>{row}</tr>"


def _method(analysis: Analysis) -> str:
    settings = {result.name: dict(result.settings) for result in analysis.results}
    sampling = "".join(map(_sampling_row, analysis.members[0].results))
    manifest = analysis.members[0].manifest
    records = {
        "Versions and model": {
            name: manifest[name] for name in ("versions", "potential") if name in manifest
        },
        "What was analysed": dict(analysis.about),
        "Settings of the observables": settings,
    }
    return (
        '<section><h2 id="method">How it was made</h2>'
        "<p>Equilibration cut by the largest number of independent samples (Chodera 2016); "
        "standard errors from block averages and the autocorrelation time; of an ensemble from the "
        "spread of its members. All numbers are in results.json, results.npz and the CSV files "
        "beside this page; the figures are in figures/ as PNG and SVG.</p>"
        f"<h3>Sampling of {escape(analysis.members[0].name)}</h3>"
        '<div class="scroll"><table class="stack"><thead><tr><th>observable</th>'
        "<th>frames measured</th>"
        "<th>cut</th><th>statistical inefficiency (frames)</th><th>independent samples</th></tr>"
        f"</thead><tbody>{sampling}</tbody></table></div>"
        + "".join(
            f"<details><summary>{name}</summary>"
            f"<pre>{escape(json.dumps(record, indent=1))}</pre></details>"
            for name, record in records.items()
            if record
        )
        + "</section>"
    )
