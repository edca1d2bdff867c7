"""The page of a phonon calculation: one HTML file that needs nothing else."""

from __future__ import annotations

import json
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import mofmd
from mofmd.disk.atomic import write_atomic
from mofmd.figure_style import save_figure
from mofmd.phonons.cells import sufficient_supercell
from mofmd.phonons.ladder import Rung
from mofmd.phonons.output import THZ_TO_PER_CM
from mofmd.phonons.page.figures import (
    LOW_THZ,
    band_figure,
    dos_figure,
    participation_figure,
    thermal_figure,
)
from mofmd.phonons.page.movements import movements
from mofmd.phonons.page.tables import quality, table
from mofmd.phonons.spectrum.spectrum import Spectrum
from mofmd.phonons.spectrum.verdict import verdict
from mofmd.report.page import html_page
from mofmd.report.svg import figure_svg
from mofmd.report.view import view
from mofmd.trajectory.frame import Frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from phonopy import Phonopy

MODES_LISTED = 60
BANDS = ("bands_low", "bands")  # figures that can be clicked
STYLE = (
    # the mark of a mode is placed on the figure as a whole, which scrolls where it is wide
    "<style>.bands{position:relative;min-width:560px}@media print{.bands{min-width:0}}"
    ".mode-dot{position:absolute;width:11px;height:11px;"
    "margin:-5.5px 0 0 -5.5px;border:2px solid #e6000a;border-radius:50%;pointer-events:none}"
    ".mode-handles{gap:.6rem}"
    "</style>"
)


def write_page(  # noqa: PLR0913 - one argument per part
    phonopy: Phonopy,
    spectrum: Spectrum,
    folder: Path,
    facts: dict[str, Any],
    *,
    ladder: tuple[Rung, ...] = (),
    sections: tuple[str, ...] = (),
) -> Path:
    """Write ``report.html``, and its figures as PNG and SVG in ``figures``.

    Parameters
    ----------
    phonopy
        With force constants: movements of modes are made of them.
    spectrum
        What was found.
    folder
        Of the calculation.
    facts
        Of the calculation, for people.
    ladder
        Of the structure's symmetry.
    sections
        More of the page, HTML, before the quality of the force constants.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    figures = _figures(spectrum)
    drawn = []
    for name, (figure, caption) in figures.items():
        save_figure(figure, folder / "figures" / name)
        svg = figure_svg(figure)
        wide = ""
        if name in BANDS:
            svg, wide = f'<div class="bands">{svg}</div>', ' class="wide"'
        drawn.append(
            f'<figure id="figure-{name}"{wide}><div>{svg}</div>'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    title = f"Phonons of {spectrum.atoms.get_chemical_formula()}"
    parts = [
        STYLE,
        f"<header><h1>{escape(title)}</h1>"
        f'<p class="lead">{escape(_lead(phonopy, spectrum, facts))}</p></header>',
        '<div class="first"><div>',
        view(Frame.from_ase(spectrum.atoms), what="Primitive cell"),
        '<div class="handles mode-handles"><button type="button" id="mode-stop">stop</button>'
        '<label>amplitude <input type="range" id="mode-amplitude" min="0.1" max="2" step="0.1" '
        'value="1"></label><span id="mode-told">Click a band: its mode moves here.</span></div>',
        "</div>",
        f'<div class="facts">{_verdicts(spectrum)}{_numbers(spectrum)}</div></div>',
        '<h2 id="figures">Bands and densities of states</h2>',
        f'<div class="figures">{"".join(drawn)}</div>',
        *sections,
        quality(spectrum, facts, ladder),
        _modes(spectrum),
        _script(phonopy, spectrum, {name: figures[name][0] for name in BANDS if name in figures}),
    ]
    page = folder / "report.html"
    write_atomic(page, html_page(f"mofmd: {title}", parts))
    return page


def _figures(spectrum: Spectrum) -> dict[str, tuple[Figure, str]]:
    """Figures that tell something of this crystal, and their captions, by the names of files."""
    groups = spectrum.groups
    found: dict[str, tuple[Figure, str]] = {}
    # where nothing is above, the low modes are all of them
    has_low = float(spectrum.bands.frequencies_THz.max()) > LOW_THZ
    if has_low:
        text = f"Bands below {LOW_THZ:g} THz and densities of states. Click a band."
        found["bands_low"] = (band_figure(spectrum, LOW_THZ), text)
    found["bands"] = (
        band_figure(spectrum),
        "All bands and densities of states. Click a band.",
    )
    by_element = bool(groups.dividing(units=False))
    found["dos_elements" if by_element else "dos"] = (
        dos_figure(spectrum, units=False),
        f"Density of states{' by element' if by_element else ''}.",
    )
    if groups.dividing(units=True):
        found["dos_units"] = (dos_figure(spectrum, units=True), "By building unit.")
        if has_low:
            found["dos_units_low"] = (
                dos_figure(spectrum, units=True, top_THz=LOW_THZ),
                f"By building unit, below {LOW_THZ:g} THz.",
            )
    participation = participation_figure(spectrum)
    if participation is not None:
        text = "Share of the nodes in each mode at Γ, and the share of all atoms that take part."
        found["participation"] = (participation, text)
    is_bounded = spectrum.thermal.imaginary_share > 0.0
    found["thermal"] = (
        thermal_figure(spectrum),
        "Thermal functions at constant volume, per mole of primitive cells; dashed: 3NR."
        + (" Shaded: bounds, since modes are imaginary." if is_bounded else ""),
    )
    return found


def _lead(phonopy: Phonopy, spectrum: Spectrum, facts: dict[str, Any]) -> str:
    words = [
        str(facts.get("model", "")),
        f"{len(spectrum.atoms)} atom{'s' if len(spectrum.atoms) > 1 else ''} in the primitive cell",
        _supercell(phonopy, facts),
        f"mesh {'×'.join(map(str, spectrum.mesh.numbers))}",
        "no non-analytical correction",
        f"mofmd {mofmd.__version__}",
    ]
    return " · ".join(word for word in words if word)


def _supercell(phonopy: Phonopy, facts: dict[str, Any]) -> str:
    """Name the supercell, and say where it is too small, or nobody knows how large it must be."""
    rows = np.asarray(phonopy.supercell_matrix)
    diagonal = (rows == np.diag(np.diag(rows))).all()
    size = "×".join(map(str, np.diag(rows))) if diagonal else str(rows.tolist())
    if not facts.get("reach_known", True):
        return f"supercell {size} (the reach of the model is not known)"
    if max(sufficient_supercell(phonopy.supercell.cell, facts.get("reach_A", 0.0))) > 1:
        return (
            f"supercell {size}, smaller than twice the reach of the model: sound and frequencies "
            "away from its own wave vectors are not those of the model"
        )
    return f"supercell {size}"


def _verdicts(spectrum: Spectrum) -> str:
    found = verdict(spectrum)
    sign = {"yes": "✓", "no": "✗", "unknown": "?"}[found.stable]
    return (
        f'<ul class="verdicts" aria-label="verdict"><li class="{found.stable}"><b>'
        f'<span aria-hidden="true">{sign}</span> {escape(found.head)}</b> '
        f"{escape(found.text)}</li></ul>"
    )


def _numbers(spectrum: Spectrum) -> str:
    thermal = spectrum.thermal
    # without the sign of a zero
    slow, fast = (
        round(float(v), 2) + 0.0 for v in np.sort(spectrum.speeds.speeds_km_per_s.ravel())[[0, -1]]
    )
    rows = [
        ("Heat capacity at 300 K", f"{thermal.heat_capacity_J_per_K_g(300.0):.4f} J/K/g"),
        (
            "Zero-point energy, per mole of primitive cells",
            f"{thermal.zero_point_kJ_per_mol:.2f} kJ/mol",
        ),
        (
            "Slowest and fastest sound",
            f"{slow:.2f} and {fast:.2f} km/s" if slow > 0.0 else f"imaginary, and {fast:.2f} km/s",
        ),
    ]
    if spectrum.lowest_optical_THz is not None:
        rows.insert(0, ("Lowest optical frequency at Γ", f"{spectrum.lowest_optical_THz:.3f} THz"))
    cards = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows
    )
    return f'<dl class="numbers">{cards}</dl>'


def _modes(spectrum: Spectrum) -> str:
    gamma = spectrum.gamma
    groups = spectrum.groups
    columns = groups.dividing(units=True) or groups.dividing(units=False)
    rows = [
        (
            str(k + 1),
            f"{gamma.frequencies_THz[k]:.4f}",
            f"{gamma.frequencies_THz[k] * THZ_TO_PER_CM:.1f}",
            "translation" if gamma.acoustic[k] else "",
            f"{gamma.participation[k]:.2f}",
            *(f"{gamma.shares[k, c]:.2f}" for c in columns),
        )
        for k in range(min(MODES_LISTED, len(gamma.frequencies_THz)))
    ]
    heads = ("mode", "THz", "1/cm", "", "participation", *(groups.names[c] for c in columns))
    return (
        f'<h2 id="modes">The lowest modes at Γ</h2><details><summary>{len(rows)} modes; all are in '
        f"gamma.csv</summary>{table(heads, rows)}</details>"
    )


def _script(phonopy: Phonopy, spectrum: Spectrum, figures: dict[str, Figure]) -> str:
    folder = resources.files("mofmd") / "phonons" / "page"
    script = (folder / "modes.js").read_text(encoding="utf-8")
    data = json.dumps(movements(phonopy, spectrum), separators=(",", ":"))
    made = ",".join(
        f"bandFigure(document.querySelector('#figure-{name} .bands'),{json.dumps(_frame(figure))})"
        for name, figure in figures.items()
    )
    return (
        f"<script>{script}\n{{const figures=[{made}];"
        "const modes=startModes(document.getElementById('view'),figures,"
        f"{data});for(const figure of figures)figure.start(modes);}}</script>"
    )


def _frame(figure: Figure) -> dict[str, Any]:
    """Where the bands' axes stand in the figure, from its upper left corner, and what they span."""
    axes = figure.axes[0]
    box = axes.get_position()
    return {
        "left": box.x0,
        "top": 1.0 - box.y1,
        "width": box.width,
        "height": box.height,
        "x": list(axes.get_xlim()),
        "y": list(axes.get_ylim()),
    }
