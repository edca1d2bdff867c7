"""Section of the report: how new the atoms of watched runs were to the model."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mofmd.calculator.density.density import one_in
from mofmd.figure_style import COLOURS, INK, new_figure, save_figure
from mofmd.report.shade import Shade
from mofmd.report.svg import figure_svg
from mofmd.report.view import view
from mofmd.study.novelty import Watched

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY, TITLE = "novelty", "How new the atoms were"
SIZE = (6.4, 2.6)
LABEL = "novelty"
LOGARITHMIC = 20.0  # times the bound: with more the axis is logarithmic above the bound


def novelty_section(runs: Sequence[Watched], directory: Path) -> str:
    """Lay out the novelty over time, and the frame with the newest atom in colours.

    Parameters
    ----------
    runs
        Those that were watched; empty text where there are none.
    directory
        Folder of the page; the figure goes to ``figures`` in it.
    """
    if not runs:
        return ""
    figure = plot_novelty(runs)
    save_figure(figure, directory / "figures" / KEY)
    svg = figure_svg(figure).replace('id="', f'id="{KEY}-').replace("url(#", f"url(#{KEY}-")
    svg = svg.replace('xlink:href="#', f'xlink:href="#{KEY}-')
    parts = [
        f'<section><h2 id="{KEY}">{TITLE}</h2>',
        '<p class="lead">Score of the density of features in the model\'s file: 0 is ordinary, 1 '
        f"as rare as one in {_rarity(runs)} of the atoms that the model knows, infinite an element "
        "that it never saw.</p>",
        f'<div class="figures"><figure class="wide"><div>{svg}</div></figure></div>',
    ]
    kept = [run for run in runs if run.frame is not None]
    if kept:
        newest = max(kept, key=lambda run: run.largest)
        assert newest.frame is not None
        atom = int(np.argmax(newest.scores))
        time_ps = newest.frame.time_ps
        when = f"step {newest.frame.step}" if time_ps is None else f"{time_ps:g} ps"
        what = (
            f"Newest frame, {when}: atom {atom + 1} ({newest.frame.species[atom]}) has "
            f"{newest.scores[atom]:.3g}; {int((newest.scores > newest.keep_above).sum())} atoms "
            f"are above {newest.keep_above:g}"
        )
        bound = newest.keep_above if newest.keep_above > 0 else None
        shade = Shade(newest.scores, LABEL, bound)
        of = f"{newest.name}." if len(runs) > 1 else ""
        parts.append(view(newest.frame, of, what, shade, name="newest"))
    else:
        above = max(run.keep_above for run in runs)
        parts.append(f"<p>{escape(f'No atom was above {above:g}.')}</p>")
    return "".join(parts) + "</section>"


def _finite(run: Watched) -> list[float]:
    return [look.largest for look in run.looks if np.isfinite(look.largest)]


def plot_novelty(runs: Sequence[Watched]) -> Figure:
    """Draw the novelty of the newest atom against time."""
    figure, (axes,) = new_figure(SIZE)
    for k, run in enumerate(runs):
        times = [look.time_ps for look in run.looks]
        # an element that was never seen has no place on the axis
        values = [look.largest if np.isfinite(look.largest) else np.nan for look in run.looks]
        axes.plot(times, values, ".-", markersize=3, color=COLOURS[k % len(COLOURS)],
                  label=run.name)  # fmt: skip
    for bound in sorted({run.keep_above for run in runs}):
        axes.axhline(bound, color=INK, linewidth=0.7, linestyle="--")
    axes.set(xlabel="Time (ps)", ylabel="Novelty of the newest atom")
    highest = max((v for run in runs for v in _finite(run)), default=0.0)
    lowest_bound = min(run.keep_above for run in runs)
    if highest > LOGARITHMIC * lowest_bound > 0:
        axes.set_yscale("symlog", linthresh=lowest_bound)
    axes.set_ylim(bottom=0.0)
    if len(runs) > 1:
        axes.legend(fontsize=6)
    return figure


def _rarity(runs: Sequence[Watched]) -> str:
    """Of how many atoms one has a novelty above 1, by the densities of the runs' models."""
    found = sorted({one_in(run.quantile) for run in runs})
    return " or ".join(str(each) for each in found)
