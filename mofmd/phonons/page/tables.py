"""Tables of a page, and what tells how good phonons are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.phonons.ladder import Rung
from mofmd.phonons.spectrum.spectrum import Spectrum
from mofmd.report.svg import figure_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAME_AND_VALUE = 2  # columns of a table that lists quantities
FIT_A_PHONE = 6  # columns


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table of texts.

    On a phone a table of two columns, a name and its value, has the value below the name; one of
    many columns scrolls and says so.
    """
    is_list = len(heads) == NAME_AND_VALUE
    top = "".join(f"<th>{escape(head)}</th>" for head in heads)
    body = "".join(f"<tr>{''.join(_cells(row, names=is_list))}</tr>" for row in rows)
    kind = ' class="stack"' if is_list else ""
    wide = " wide" if len(heads) > FIT_A_PHONE else ""
    return (
        f'<div class="scroll{wide}"><table{kind}><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _cells(row: Sequence[str], *, names: bool) -> Iterator[str]:
    """Cells of a row, the first of which may be a name: it breaks where it is long."""
    for k, cell in enumerate(row):
        kind = "" if names and k == 0 else ' class="number"'
        yield f"<td{kind}>{escape(cell)}</td>"


def figure_html(figure: Figure, caption: str) -> str:
    """Set a figure with its caption."""
    return (
        f'<div class="figures"><figure><div>{figure_svg(figure)}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure></div>"
    )


def quality(spectrum: Spectrum, facts: dict[str, Any], ladder: tuple[Rung, ...]) -> str:
    """Lay out what tells how good the force constants are, and what the results depend on."""
    values = spectrum.force_constants
    rows = [
        ("drift of the force constants before the sum rule", f"{values.drift_eV_per_A2:.2e} eV/Å²"),
        ("asymmetry, root mean square", f"{values.asymmetry_eV_per_A2:.2e} eV/Å²"),
        ("asymmetry, largest", f"{values.asymmetry_max_eV_per_A2:.2e} eV/Å²"),
        *(
            []
            if values.mirror_share is None
            else [("difference of mirror images", f"{100.0 * values.mirror_share:.2g} %")]
        ),
        ("sum rule put in", "yes" if values.sum_rule else "no"),
        (
            "states counted by the density of states",
            f"{spectrum.dos.total_per_THz @ np.diff(spectrum.dos.edges_THz):.6f} of "
            f"{3 * len(spectrum.atoms)}",
        ),
    ]
    rungs = [
        (f"{r.tolerance_A:g}", r.space_group, str(r.operations), str(r.displacements))
        for r in ladder
    ]
    return (
        '<h2 id="quality">How good it is</h2>'
        + table(("quantity", "value"), rows)
        + (
            "<h3>Symmetry at a ladder of tolerances</h3>"
            + table(("tolerance (Å)", "space group", "operations", "displacements"), rungs)
            if rungs
            else ""
        )
        + _convergence(spectrum)
        + f"<details><summary>Settings</summary><pre>{escape(json.dumps(facts, indent=1))}</pre>"
        "</details>"
    )


def _convergence(spectrum: Spectrum) -> str:
    """Tables of what changes with the mesh and with the displacement."""
    steps = spectrum.convergence
    last = steps[-1] if steps else None
    rows = [
        (
            step.mesh,
            f"{step.free_energy_kJ_per_mol:.4f}",
            f"{step.free_energy_kJ_per_mol - last.free_energy_kJ_per_mol:+.4f}",
            f"{step.entropy_J_per_K_mol:.3f}",
            f"{step.heat_capacity_J_per_K_mol:.3f}",
            f"{step.lowest_THz:.4f}",
        )
        for step in steps
        if last is not None
    ]
    heads = (
        "mesh",
        "F (kJ/mol)",
        "F to the last (kJ/mol)",
        "S (J/K/mol)",
        "C (J/K/mol)",
        "lowest (THz)",
    )
    values = spectrum.force_constants
    distances = [
        (f"{h:g}", f"{d:.2e}")
        for h, d in zip(values.distances_A, values.differences_eV_per_A2, strict=True)
    ]
    return (
        "<h3>Convergence with the mesh, at 300 K, per mole of primitive cells</h3>"
        + table(heads, rows)
        if rows
        else ""
    ) + (
        "<h3>Force constants of one displacement, to those of all</h3>"
        + table(("displacement (Å)", "differ by, rms (eV/Å²)"), distances)
        if distances
        else ""
    )
