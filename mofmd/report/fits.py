"""Figures of equations of state: measured points and what is fitted to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mofmd.analysis.base.result import Column, Table, axis_label
from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.equation_of_state import EquationOfState
from mofmd.figure_style import COLOURS, INK, SIZE, new_figure
from mofmd.report.plots import known_error
from mofmd.units import BAR_TO_GPA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def plot_equation_of_state(
    fits: Mapping[str, tuple[EquationOfState, Sequence[float], Sequence[Estimate]]],
) -> Figure:
    """Draw pressure against volume with its fit, as in the glass paper's Fig. 9.

    Parameters
    ----------
    fits
        Label to fit, volumes [Å³] and pressures [bar].
    """
    figure, (axes,) = new_figure(SIZE, 1)
    for k, (label, (fit, volumes, pressures)) in enumerate(fits.items()):
        values = np.array([p.value * BAR_TO_GPA for p in pressures])
        errors = np.array([p.standard_error * BAR_TO_GPA for p in pressures])
        line = np.linspace(min(volumes), max(volumes), 200)
        text = f"{label}: K = {fit.bulk_modulus}, V₀ = {fit.volume}"
        points = Column(np.array(volumes), "Å³"), Column(values, "GPa", errors)
        _draw_points(axes, points, (line, fit.pressure_GPa(line)), text, COLOURS[k % len(COLOURS)])
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.set(xlabel="Volume (Å³)", ylabel="Pressure (GPa)")
    axes.legend(frameon=False, fontsize=6)
    return figure


def plot_fit(points: Table, fit: Table | None, text: str) -> Figure:
    """Draw measured points with errors, and the line fitted to them.

    Parameters
    ----------
    points
        Its first two columns are drawn.
    fit
        The same two columns of the line; None draws none.
    text
        What the fit gave, under the title.
    """
    figure, (axes,) = new_figure(SIZE, 1)
    (x, horizontal), (y, vertical), *_ = points.columns.items()
    line = None
    if fit is not None:
        first, second = fit.columns.values()
        line = first.values, second.values
    _draw_points(axes, (horizontal, vertical), line, text, COLOURS[0])
    if vertical.values.min() < 0 < vertical.values.max():
        axes.axhline(0, color=INK, linewidth=0.5)
    axes.ticklabel_format(useOffset=False)
    axes.set(xlabel=axis_label(x, horizontal), ylabel=axis_label(y, vertical))
    axes.set_title(points.title + (f"\n{text}" if fit is not None else ""), fontsize=8)
    return figure


def _draw_points(
    axes: Axes,
    points: tuple[Column, Column],
    line: tuple[np.ndarray, np.ndarray] | None,
    text: str,
    colour: str,
) -> None:
    horizontal, vertical = points
    axes.errorbar(
        horizontal.values,
        vertical.values,
        known_error(vertical),
        known_error(horizontal),
        fmt="o",
        markersize=3.5,
        capsize=2,
        color=colour,
    )
    if line is not None:
        axes.plot(*line, color=colour, label=text)
