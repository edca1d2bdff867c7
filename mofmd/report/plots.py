"""Figures of tables of results, each in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.analysis.base.result import Column, Table, axis_label, header
from mofmd.figure_style import COLOURS, INK, SIZE, STYLE, empty_figure, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = ("-", "--", ":", "-.")  # of systems
LEGEND_MAX = 16
SERIES_LEGEND_COLUMNS = 3
LEGEND_ROW = 0.13  # of the height of a panel
STACKED_MAX = 3  # panels below each other; more stand in two columns
EMPTY_SHARE = 0.08  # of the range: a longer end in which nothing is, is not drawn
MARGIN_SHARE = 0.04  # of what is drawn, left on both sides of it
MARGIN_POINTS = 4  # at least so many points of the curve
BAR_LEAST = 0.004  # of the highest bar: what is lower is no pixel high
TICKED_BARS = 14  # as many bars at most have a tick each


def plot_table(tables: Mapping[str, Table], title: str = "") -> Figure:
    """Draw a table of results, or the same one of several systems over each other.

    Ends of curves and histograms in which nothing is are left out.

    Parameters
    ----------
    tables
        Label to table: all with the columns of the first. A map is drawn of the first alone.
    title
        Above the axes; empty takes the first table's.
    """
    first = next(iter(tables.values()))
    if first.kind == "map":
        return plot_map(first, title)
    abscissa, *names = first.columns
    groups = _axes_of(first, names)
    figure, panels = _panels(len(groups))
    for panel, chosen in zip(panels, groups, strict=True):
        entries = _draw_panel(panel, tables, chosen)
        panel.set_ylabel(_shared_label(first, chosen))
        if first.kind == "series":
            _steady(panel)
        if 1 < entries <= LEGEND_MAX and first.kind == "series":
            _legend_above_series(panel, entries)
        elif 1 < entries <= LEGEND_MAX:
            panel.legend(frameon=False, fontsize=6, ncols=1 + (entries > 6))
    for panel in panels[-2 if len(groups) > STACKED_MAX else -1 :]:
        panel.set_xlabel(axis_label(abscissa, first.columns[abscissa]))
        panel.tick_params(labelbottom=True)
    if first.kind in ("curve", "bars"):
        _leave_out_empty_ends(panels, list(tables.values()))
    panels[0].set_title(title or first.title, fontsize=9)
    return figure


def plot_map(table: Table, title: str = "") -> Figure:
    """Draw the third column of a table over an even grid of the first two.

    Parameters
    ----------
    table
        Of the kind ``map``.
    title
        Above the axes; empty takes the table's.
    """
    (x_name, x), (y_name, y), (name, values) = list(table.columns.items())[:3]
    shape = len(np.unique(x.values)), len(np.unique(y.values))
    figure, (axes,) = new_figure((SIZE[0], 0.83 * SIZE[0]))
    grid = [column.values.reshape(shape) for column in (x, y, values)]
    # as an image: thousands of small shapes would show their seams
    mesh = axes.pcolormesh(*grid, cmap="viridis", shading="nearest", rasterized=True)
    bar = figure.colorbar(mesh, ax=axes)
    bar.set_label(axis_label(name, values), fontsize=8)
    bar.ax.tick_params(labelsize=7)
    axes.set(xlabel=axis_label(x_name, x), ylabel=axis_label(y_name, y))
    axes.set_title(title or table.title, fontsize=9)
    return figure


def known_error(column: Column) -> np.ndarray | None:
    """Errors of a column, zero where one is not known; None where none is."""
    error = column.standard_error
    return None if error is None or not np.isfinite(error).any() else np.nan_to_num(error)


def _axes_of(table: Table, names: Sequence[str]) -> list[list[str]]:
    """Columns that share an axis: those of one unit that are called alike, or not called at all."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        column = table.columns[name]
        groups.setdefault((column.unit, column.label), []).append(name)
    return list(groups.values())


def _draw_panel(panel: Axes, tables: Mapping[str, Table], chosen: Sequence[str]) -> int:
    """Draw some columns of all systems; return how many entries the legend has."""
    first = next(iter(tables.values()))
    # of several systems the quantities are told apart by colour, of one quantity the systems
    alike = len(tables) > 1 and len(chosen) > 1
    k = 0
    for system, (label, table) in enumerate(tables.items()):
        for name in chosen:
            colour = COLOURS[(chosen.index(name) if alike else k) % len(COLOURS)]
            again = alike and system > 0
            text = name if len(chosen) > 1 else label
            style = {"color": colour, "label": "_nolegend_" if again else text}
            _draw(panel, table, name, style, (system, len(tables)))
            k += not again
    if alike and first.kind == "curve":
        for system, label in enumerate(tables):
            panel.plot([], [], color=INK, linestyle=LINES[system % len(LINES)], label=label)
        k += len(tables)
    return k


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    """Make panels that share their abscissa."""
    from matplotlib import rc_context

    if n <= STACKED_MAX:
        return new_figure((SIZE[0], SIZE[1] * (0.45 + 0.55 * n)), n)
    rows = (n + 1) // 2
    with rc_context(STYLE):
        figure = empty_figure((2 * SIZE[0], SIZE[1] * (0.3 + 0.6 * rows)))
        axes = figure.subplots(rows, 2, squeeze=False, sharex=True).ravel()
    for spare in axes[n:]:
        spare.remove()
    return figure, list(axes[:n])


def _draw(
    axes: Axes, table: Table, name: str, style: Mapping[str, Any], place: tuple[int, int]
) -> None:
    """Draw a column; ``place`` is the number of its system, and how many there are."""
    x, column = next(iter(table.columns.values())).values, table.columns[name]
    error = known_error(column)
    system, systems = place
    if table.kind == "bars":
        width = 0.8 * (np.diff(x).min() if len(x) > 1 else 1.0) / systems
        x = x + (system - (systems - 1) / 2) * width  # beside each other
        axes.bar(x, column.values, width, yerr=error, alpha=0.75, **style)
        return
    line = LINES[system % len(LINES)] if table.kind == "curve" else "-"
    axes.plot(x, column.values, linestyle=line, **style)
    if error is not None:
        low, high = column.values - error, column.values + error
        axes.fill_between(x, low, high, color=style["color"], alpha=0.25, linewidth=0)


def _leave_out_empty_ends(panels: Sequence[Axes], tables: Sequence[Table]) -> None:
    """Draw no more than where a curve is not zero or a bar has a height."""
    found = [ends for ends in map(_occupied, tables) if ends is not None]
    if not found:
        return
    low, high = min(ends[0] for ends in found), max(ends[1] for ends in found)
    x = np.concatenate([next(iter(table.columns.values())).values for table in tables])
    whole = float(np.ptp(x))
    if tables[0].kind == "bars":
        step = float(np.diff(np.unique(x)).min()) if len(np.unique(x)) > 1 else 1.0
        panels[0].set_xlim(low - step, high + step)
        places = np.unique(x[(x >= low - step / 2) & (x <= high + step / 2)])
        if len(places) <= TICKED_BARS and (places == np.rint(places)).all():
            panels[0].set_xticks(places, [f"{place:.0f}" for place in places])
        return
    # a lone point is drawn with what is around it
    margin = max(MARGIN_SHARE * (high - low), MARGIN_POINTS * whole / max(1, len(np.unique(x)) - 1))
    if low - x.min() > EMPTY_SHARE * whole:
        panels[0].set_xlim(left=low - margin)
    if x.max() - high > EMPTY_SHARE * whole:
        panels[0].set_xlim(right=high + margin)


def _occupied(table: Table) -> tuple[float, float] | None:
    """Find the ends of the abscissa between which something is to be seen."""
    x, *columns = (column.values for column in table.columns.values())
    filled = np.zeros(len(x), dtype=np.bool_)
    for values in columns:
        heights = np.abs(np.nan_to_num(values))
        filled |= heights > (BAR_LEAST * heights.max() if table.kind == "bars" else 0)
    places = np.flatnonzero(filled)
    return (float(x[places[0]]), float(x[places[-1]])) if len(places) else None


def _shared_label(table: Table, names: Sequence[str]) -> str:
    """Name the axis of some columns: their label, or the words that their names begin with."""
    column = table.columns[names[0]]
    if column.label or len(names) == 1:
        return axis_label(names[0], column)
    shared = []
    for words in zip(*(name.split() for name in names), strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return axis_label(" ".join(shared), column) if shared else header("", column).strip()


def _legend_above_series(axes: Axes, entries: int) -> None:
    """Put a legend where no curve is: series fill their panel from side to side."""
    rows = -(-entries // SERIES_LEGEND_COLUMNS)
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + LEGEND_ROW * rows * (high - low))
    axes.legend(frameon=False, fontsize=6, ncols=SERIES_LEGEND_COLUMNS, loc="upper center")


def _steady(axes: Axes) -> None:
    """Show a series that never changes on a scale from zero."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    values = values[np.isfinite(values)]
    if len(values) and np.ptp(values) <= 1e-6 * abs(values).max() and values[0] > 0:
        axes.set_ylim(0, 1.25 * values[0])
