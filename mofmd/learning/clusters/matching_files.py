"""Tables and the figure of force matching."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mofmd.disk.atomic import write_atomic
from mofmd.figure_style import COLOURS, STYLE, empty_figure
from mofmd.learning.clusters.force_matching import Agreement, Matched, by_depth

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MATCH = "match.csv"
DEPTH = "depth.csv"


def write_tables(folder: Path, summary: Sequence[Agreement], matched: Sequence[Matched]) -> None:
    """Write match.csv, a line for each kind and size, and depth.csv, by distance to the caps.

    Parameters
    ----------
    folder
        Where; it exists.
    summary, matched
        Of ``mofmd.learning.clusters.force_matching``; differences in meV/Å, depths in Å.
    """
    elements = sorted({name for each in summary for name in each.elements})
    head = ["core", "shells", "clusters", "atoms", "core_rmse_meV_per_A"]
    head += ["core_worst_atom_meV_per_A", "mantle_rmse_meV_per_A"]
    rows = [
        [each.signature, each.shells, each.clusters, each.atoms,
         *(f"{value:.4f}" for value in (each.core, each.worst, each.mantle)),
         *(f"{each.elements[name]:.4f}" if name in each.elements else "" for name in elements)]
        for each in summary
    ]  # fmt: skip
    _write(folder / MATCH, [*head, *(f"core_{name}_meV_per_A" for name in elements)], rows)
    depths = [
        [shells, f"{depth:g}", f"{rmse:.4f}", atoms]
        for shells, found in _by_shells(matched).items()
        for depth, rmse, atoms in by_depth(found)
    ]
    _write(folder / DEPTH, ["shells", "depth_A", "rmse_meV_per_A", "atoms"], depths)


def plot_matching(matched: Sequence[Matched]) -> Figure:
    """Draw the differences of forces against the distance to the nearest cap.

    Parameters
    ----------
    matched
        Clusters of all candidates.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = empty_figure((3.6, 2.7))
        axes = figure.subplots()
        for colour, (shells, found) in zip(
            COLOURS * len(matched), _by_shells(matched).items(), strict=False
        ):
            points = by_depth(found)
            atoms = max(len(each.cluster.atoms) for each in found)
            axes.plot(
                [depth for depth, _, _ in points],
                [rmse for _, rmse, _ in points],
                marker="o",
                markersize=3,
                color=colour,
                label=f"{shells} shells, {atoms} atoms",
            )
        axes.set_yscale("symlog", linthresh=1.0)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("Distance to the nearest cap (Å)")
        axes.set_ylabel("Force, cluster − framework (meV/Å, RMS)")
        axes.legend(fontsize=7)
    return figure


def _by_shells(matched: Sequence[Matched]) -> dict[int, list[Matched]]:
    found: dict[int, list[Matched]] = {}
    for each in sorted(matched, key=lambda one: one.shells):
        found.setdefault(each.shells, []).append(each)
    return found


def _write(path: Path, head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    write_atomic(path, buffer.getvalue())
