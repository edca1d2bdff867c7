"""The rotatable view of the report."""

from __future__ import annotations

import base64
import json
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from mofmd.structures.frame import Frame
from mofmd.topology.bond_graph import find_bonds

ATOMS_SHOWN = 8000


def view(frame: Frame) -> str:
    """Canvas with the atoms, bonds and cell of a frame, and the script that draws them."""
    data, note = _scene(frame)
    script = (resources.files("mofmd") / "report" / "viewer.js").read_text(encoding="utf-8")
    legend = "".join(
        f'<div><span style="background:rgb({",".join(map(str, element["colour"]))})"></span>'
        f"{escape(element['name'])}</div>"
        for element in data["elements"]
    )
    # a closing tag within the data would end the script
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return (
        '<h2 id="structure">Structure</h2><div class="viewer"><canvas id="view" tabindex="0" '
        'aria-label="rotatable view of the last frame"></canvas>'
        f'<div class="legend">{legend}<p class="lead">{note} Drag to turn, wheel to zoom.</p></div>'
        f"</div><script>{script}\nstartViewer(document.getElementById('view'), {text});</script>"
    )


def _scene(frame: Frame) -> tuple[dict[str, Any], str]:
    """Atoms inside the cell, bonds that do not cross its faces, and the cell, about its centre."""
    from ase.data import atomic_numbers, covalent_radii
    from ase.data.colors import jmol_colors

    note = "Last frame analysed."
    shown = np.arange(len(frame))
    if len(frame) > ATOMS_SHOWN:
        hydrogen = np.array(frame.species.elements)[frame.species.codes] == "H"
        shown = np.flatnonzero(~hydrogen)[:: 1 + (~hydrogen).sum() // ATOMS_SHOWN]
        note = f"Last frame analysed; {len(shown)} of {len(frame)} atoms are drawn."
    fractional = frame.positions @ np.linalg.inv(frame.cell)
    wraps = np.floor(fractional).astype(np.int64)
    centre = frame.cell.sum(axis=0) / 2
    positions = ((fractional - wraps) @ frame.cell - centre)[shown].astype("<f4")
    graph = find_bonds(frame)
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
            "colour": [int(255 * c) for c in jmol_colors[atomic_numbers[name]]],
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
        "radius": round(float(np.linalg.norm(corners @ frame.cell - centre, axis=1).max()), 3),
    }
    return data, note
