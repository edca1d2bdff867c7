"""Figures of results, each in one call."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mofmd.analysis.base.result import Column, Table, header
from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.analysis.mechanics.equation_of_state import EquationOfState
from mofmd.analysis.pores.distance_field import distance_field
from mofmd.analysis.pores.radii import atom_radii
from mofmd.analysis.structure.density import cell_parameters
from mofmd.engine.lammps_log import ThermoTable
from mofmd.report.style import INK, STAGE_COLOURS, STYLE, moving_average
from mofmd.structures.frame import Frame
from mofmd.units import BAR_TO_GPA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

COLOURS = ("#2171b5", "#e6600a", "#2e8b57", "#7a0177", "#7f7f7f", "#b8860b", "#c2185b", "#00838f")
PROTOCOL_COLOURS = {"deform": "#fd8d3c", "sample": "#2171b5"}
SMOOTHING_PS = 0.025  # Fig. 5 of Castel et al., Digital Discovery 2024, 3, 355
LINES = ("-", "--", ":", "-.")  # of systems
SIZE = (4.6, 3.0)
LEGEND_MAX = 16
STACKED_MAX = 3  # panels below each other; more stand in two columns
PLANES = {"xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}


def plot_table(tables: Mapping[str, Table], title: str = "") -> Figure:
    """Draw a table of results, or the same one of several systems over each other.

    Parameters
    ----------
    tables
        Label to table: all with the columns of the first.
    title
        Above the axes; empty takes the first table's.
    """
    first = next(iter(tables.values()))
    abscissa, *names = first.columns
    units = list(dict.fromkeys(first.columns[name].unit for name in names))
    figure, panels = _panels(len(units))
    for panel, unit in zip(panels, units, strict=True):
        chosen = [name for name in names if first.columns[name].unit == unit]
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
        panel.set_ylabel(header(_shared_words(chosen), first.columns[chosen[0]]))
        if first.kind == "series":
            _steady(panel)
        if 1 < k <= LEGEND_MAX:
            panel.legend(fontsize=6, ncols=1 + (k > 6))
    for panel in panels[-2 if len(units) > STACKED_MAX else -1 :]:
        panel.set_xlabel(header(abscissa, first.columns[abscissa]))
        panel.tick_params(labelbottom=True)
    panels[0].set_title(title or first.title, fontsize=9)
    return figure


def is_dynamics(table: ThermoTable) -> bool:
    """Whether a stage has temperatures at times."""
    return table.stage != "minimise" and "Time" in table.columns


def plot_temperature(tables: Sequence[ThermoTable]) -> Figure:
    """Draw temperature against time, stages in colours, as in the glass paper's Fig. 5."""
    figure, (axes,) = new_figure((7.0, 2.6), 1)
    named: set[str] = set()
    for table in tables:
        if not is_dynamics(table):
            continue
        time, temperature = table.columns["Time"], table.columns["Temp"]
        # sample_1, sample_2, ... are one kind of stage
        stage = re.sub(r"_\d+$", "", table.stage) or "run"
        colour = STAGE_COLOURS.get(stage, PROTOCOL_COLOURS.get(stage, INK))
        spacing = (time[-1] - time[0]) / max(1, len(time) - 1)
        window = 1 + 2 * round(SMOOTHING_PS / spacing / 2) if spacing > 0 else 1
        label = "_nolegend_" if stage in named else stage
        named.add(stage)
        axes.plot(time, temperature, color=colour, alpha=0.25, linewidth=0.6)
        axes.plot(time, moving_average(temperature, window), color=colour, label=label)
    axes.set(xlabel="Time (ps)", ylabel="Temperature (K)")
    axes.set_ylim(bottom=0)
    axes.legend(ncols=5, loc="upper center", bbox_to_anchor=(0.5, 1.18), frameon=False)
    return figure


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
    axes.legend(fontsize=6)
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
    axes.set(xlabel=header(x.capitalize(), horizontal), ylabel=header(y.capitalize(), vertical))
    axes.set_title(points.title + (f"\n{text}" if fit is not None else ""), fontsize=8)
    return figure


def plot_elastic_surfaces(tensor: ElasticTensor) -> Figure:
    """Draw Young's modulus and linear compressibility in three planes, and the first as a surface.

    Negative compressibility is dashed.
    """
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    from mofmd.analysis.mechanics.elastic_tensor import unit_vectors

    with rc_context(STYLE):
        figure = empty_figure((7.0, 2.8))
        angle = np.linspace(0, 2 * np.pi, 361)
        quantities = (
            (tensor.young_GPa, "Young's modulus (GPa)"),
            (tensor.linear_compressibility_per_TPa, "Linear compressibility (1/TPa)"),
        )
        for k, (function, label) in enumerate(quantities):
            axes = cast("PolarAxes", figure.add_subplot(1, 3, k + 1, projection="polar"))
            for colour, (name, (i, j)) in zip(COLOURS, PLANES.items(), strict=False):
                directions = np.zeros((len(angle), 3))
                directions[:, i], directions[:, j] = np.cos(angle), np.sin(angle)
                values = function(directions)
                axes.plot(angle, np.where(values >= 0, values, np.nan), color=colour, label=name)
                axes.plot(angle, np.where(values < 0, -values, np.nan), "--", color=colour)
            axes.set_title(label, fontsize=8)
            axes.tick_params(labelsize=6)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.set_rlabel_position(100)
            axes.legend(fontsize=6, loc="lower left", bbox_to_anchor=(-0.25, -0.2))
        polar, azimuth = np.meshgrid(np.linspace(0, np.pi, 46), np.linspace(0, 2 * np.pi, 91))
        directions = unit_vectors(polar, azimuth)
        young = tensor.young_GPa(directions)
        x, y, z = np.moveaxis(directions * young[..., None], -1, 0)
        solid = figure.add_subplot(1, 3, 3, projection="3d")
        solid.plot_surface(x, y, z, cmap="viridis", linewidth=0, rstride=1, cstride=1)
        solid.set_box_aspect((np.ptp(x), np.ptp(y), np.ptp(z)))
        solid.set_title("Young's modulus (GPa)", fontsize=8)
        solid.tick_params(labelsize=5, pad=-2)
    return figure


def plot_pore_map(
    frame: Frame, probe_radius_A: float = 1.2, radii_A: Mapping[str, float] | None = None
) -> Figure:
    """Draw the distance to the nearest atom in the plane of a and b through the largest cavity.

    Parameters
    ----------
    frame, probe_radius_A, radii_A
        As for ``find_pores``.
    """
    radii = atom_radii(frame.species, radii_A)
    field = distance_field(frame.positions, radii, frame.cell, 0.3)
    figure, (axes,) = new_figure((4.2, 3.6), 1)
    if field.max() > 0:
        plane = field[:, :, int(field.argmax()) % field.shape[2]]
        plane = np.where(plane >= 0, plane, np.nan)
        u, v = np.meshgrid(
            np.linspace(0, 1, field.shape[0] + 1),
            np.linspace(0, 1, field.shape[1] + 1),
            indexing="ij",
        )
        # in the plane itself, however the cell lies in space: x along a
        a, b, *_, gamma = cell_parameters(frame.cell)
        x = u * a + v * b * np.cos(np.radians(gamma))
        y = v * b * np.sin(np.radians(gamma))
        # as an image: thousands of small shapes would show their seams
        mesh = axes.pcolormesh(
            x, y, np.ma.masked_invalid(plane), cmap="viridis", vmin=0, rasterized=True
        )
        bar = figure.colorbar(mesh, ax=axes)
        bar.set_label("Distance to the nearest surface (Å)", fontsize=8)
        bar.ax.tick_params(labelsize=7)
        if np.nanmax(plane) > probe_radius_A:
            centres = [(edges[1:, 1:] + edges[:-1, :-1]) / 2 for edges in (x, y)]
            levels = [probe_radius_A]
            axes.contour(*centres, np.nan_to_num(plane, nan=-1.0), levels, colors="#e6000a")
    axes.set(xlabel="Along a (Å)", ylabel="Across a (Å)", aspect="equal")
    axes.set_title(f"Pores in the a-b plane; red: {probe_radius_A:g} Å probe fits", fontsize=8)
    return figure


def new_figure(size: tuple[float, float], panels: int) -> tuple[Figure, list[Axes]]:
    """Make a figure in the house's style, panels below each other."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = empty_figure(size)
        axes = figure.subplots(panels, 1, squeeze=False, sharex=True)[:, 0]
    return figure, list(axes)


def _panels(n: int) -> tuple[Figure, list[Axes]]:
    """Make panels that share their abscissa."""
    from matplotlib import rc_context

    if n <= STACKED_MAX:
        return new_figure((SIZE[0], SIZE[1] * (0.45 + 0.55 * n)), n)
    rows = (n + 1) // 2
    with rc_context(STYLE):
        figure = empty_figure((1.75 * SIZE[0], SIZE[1] * (0.3 + 0.6 * rows)))
        axes = figure.subplots(rows, 2, squeeze=False, sharex=True).ravel()
    for spare in axes[n:]:
        spare.remove()
    return figure, list(axes[:n])


def empty_figure(size: tuple[float, float]) -> Figure:
    """Make a figure that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def figure_svg(figure: Figure) -> str:
    """Text of a figure as SVG, without date and prologue, for a page."""
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _draw(
    axes: Axes, table: Table, name: str, style: Mapping[str, Any], place: tuple[int, int]
) -> None:
    """Draw a column; ``place`` is the number of its system, and how many there are."""
    x, column = next(iter(table.columns.values())).values, table.columns[name]
    error = _known(column)
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
        _known(vertical),
        _known(horizontal),
        fmt="o",
        markersize=3.5,
        capsize=2,
        color=colour,
    )
    if line is not None:
        axes.plot(*line, color=colour, label=text)


def _shared_words(names: Sequence[str]) -> str:
    """Words that all names begin with."""
    shared = []
    for words in zip(*(name.split() for name in names), strict=False):
        if len(set(words)) > 1:
            break
        shared.append(words[0])
    return " ".join(shared)


def _steady(axes: Axes) -> None:
    """Show a series that never changes on a scale from zero."""
    values = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    values = values[np.isfinite(values)]
    if len(values) and np.ptp(values) <= 1e-6 * abs(values).max() and values[0] > 0:
        axes.set_ylim(0, 1.25 * values[0])


def _known(column: Column) -> np.ndarray | None:
    error = column.standard_error
    return None if error is None or not np.isfinite(error).any() else np.nan_to_num(error)
