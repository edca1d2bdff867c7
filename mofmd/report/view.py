"""The rotatable view of the report."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from mofmd.report.shade import Shade
from mofmd.topology.building_units import BuildingUnits, find_units
from mofmd.trajectory.frame import Frame

ATOMS_SHOWN = 8000
PALE = 205  # an element whose colours are all paler is drawn in this grey: white is no colour here
BUTTONS = (
    ("a", "look along a", "a"),
    ("b", "look along b", "b"),
    ("c", "look along c", "c"),
    ("in", "nearer", "+"),
    ("out", "farther", "−"),
)


def view(
    frame: Frame,
    of: str = "",
    what: str = "Last frame analysed",
    shade: Shade | None = None,
    name: str = "view",
) -> str:
    """Canvas with the atoms, bonds and cell of a frame, and the script that draws them.

    Parameters
    ----------
    frame
        Any periodic cell.
    of, what
        Of whom the frame is, and what it is, for people.
    shade
        A number of each atom by which they are coloured; a switch shows the elements.
    name
        Of the canvas: another one for each view of a page.
    """
    data, note = _scene(frame, what, shade)
    script = (resources.files("mofmd") / "report" / "viewer.js").read_text(encoding="utf-8")
    legend = "".join(
        f'<li><span style="background:rgb({",".join(map(str, element["colour"]))})"></span>'
        f"{escape(element['name'])}</li>"
        for element in data["elements"]
    )
    buttons = "".join(
        f'<button type="button" data-view="{key}" title="{title}">{text}</button>'
        for key, title, text in BUTTONS
    )
    if "H" in frame.species.elements:
        buttons += '<label><input type="checkbox" data-switch="hydrogens" checked> H</label>'
    if shade is not None:
        buttons += (
            f'<label><input type="checkbox" data-switch="shade" checked> colours</label>'
            f"{shade.legend()}"
        )
    identity = ' id="structure"' if name == "view" else ""
    # a closing tag within the data would end the script
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return (
        f'<div class="viewer"{identity}><canvas id="{name}" tabindex="0" role="img" '
        f'aria-label="{escape(f"rotatable view: {note}")}"></canvas>'
        f'<div class="handles">{buttons}<ul class="legend">{legend}</ul></div>'
        f'<p class="hint">{escape(f"{of} {note}".strip())} Drag to turn, wheel or + and − to '
        "zoom.</p></div>"
        f"<script>{script}\nstartViewer(document.getElementById('{name}'), {text});</script>"
    )


def _scene(frame: Frame, what: str, shade: Shade | None) -> tuple[dict[str, Any], str]:
    """Nodes and linkers, each whole, bonds that do not cross the cell, and it, about its centre."""
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors

    note = f"{what}."
    shown = np.arange(len(frame))
    if len(frame) > ATOMS_SHOWN:
        hydrogen = np.array(frame.species.elements)[frame.species.codes] == "H"
        shown = np.flatnonzero(~hydrogen)[:: 1 + (~hydrogen).sum() // ATOMS_SHOWN]
        note = f"{what}; {len(shown)} of {len(frame)} atoms are drawn."
    units = find_units(frame)
    graph = units.graph
    wraps = drawn_cells(units, frame)
    centre = frame.cell.sum(axis=0) / 2
    positions = (frame.positions - wraps @ frame.cell - centre)[shown].astype("<f4")
    inside = ((graph.images + wraps[graph.second] - wraps[graph.first]) == 0).all(axis=1)
    place = np.full(len(frame), -1, dtype=np.int64)
    place[shown] = np.arange(len(shown))
    bonds = np.stack([place[graph.first[inside]], place[graph.second[inside]]], axis=1)
    bonds = bonds[(bonds >= 0).all(axis=1)]
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    box = [
        [(a @ frame.cell - centre).round(3).tolist(), (b @ frame.cell - centre).round(3).tolist()]
        for i, a in enumerate(corners)
        for b in corners[i + 1 :]
        if abs(a - b).sum() == 1
    ]
    elements = [
        {
            "name": name,
            "colour": _visible([int(255 * c) for c in jmol_colors[atomic_numbers[name]]]),
            "radius": round(0.45 * float(covalent_radii[atomic_numbers[name]]), 3),
        }
        for name in frame.species.elements
    ]
    data = {
        "positions": base64.b64encode(positions.tobytes()).decode(),
        "codes": frame.species.codes[shown].tolist(),
        "elements": elements,
        "bonds": bonds.ravel().tolist(),
        "box": box,
        "cell": frame.cell.round(4).tolist(),
        "radius": round(max(_farthest(corners @ frame.cell - centre), _farthest(positions)), 3),
    }
    if shade is not None:
        own = replace(shade, values=shade.values[shown], largest=shade.top)
        data["shade"] = own.scene(elements, frame.species.codes[shown])
    return data, note


def _visible(colour: list[int]) -> list[int]:
    """Colour of an element, or grey in the place of white, which a white page would hide."""
    return [PALE - 10, PALE - 4, PALE + 4] if min(colour) > PALE else colour


def drawn_cells(units: BuildingUnits, frame: Frame) -> np.ndarray:
    """(atoms, 3) cells to move each atom back by: units stay whole, their middles in the cell."""
    n = len(frame)
    # atoms of no unit are units of their own
    unit = np.where(units.linker_of_atom >= 0, units.linker_of_atom, np.arange(n) + units.n_linkers)
    nodes = units.node_of_atom >= 0
    unit[nodes] = units.n_linkers + n + units.node_of_atom[nodes]
    _, unit = np.unique(unit, return_inverse=True)
    whole = frame.positions @ np.linalg.inv(frame.cell) + units.images
    middles = np.zeros((unit.max() + 1, 3))
    np.add.at(middles, unit, whole)
    middles /= np.bincount(unit)[:, None]
    # an atom on a face stays on this side of it, whatever the last digits
    return np.asarray(np.floor(middles + 1e-6).astype(np.int64)[unit] - units.images)


def _farthest(points: np.ndarray) -> float:
    return float(np.linalg.norm(points, axis=1).max())
