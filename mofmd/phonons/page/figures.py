"""Figures of phonons."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mofmd.figure_style import COLOURS, INK, SIZE, STYLE, empty_figure, new_figure
from mofmd.phonons.spectrum.mesh import Dos
from mofmd.phonons.spectrum.path import BandPath
from mofmd.phonons.spectrum.spectrum import Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOW_THZ = 6.0
"""Up to here the low modes are drawn apart: those in which units of a framework move whole."""
RASTER_POINTS = 20000  # of curves; more are drawn as an image within the figure
IMAGE_DPI = 200  # of what is drawn as an image in an SVG
SMOOTH_SHARE = 0.004  # of the range: width of what a density of states is drawn with
REACH_WIDTHS = 4.0  # of a Gaussian: beyond it nothing is drawn


def band_figure(spectrum: Spectrum, top_THz: float | None = None) -> Figure:
    """Draw bands, and the density of states with its elements at their side.

    Parameters
    ----------
    spectrum
        What was found.
    top_THz
        Highest frequency drawn; None: all.
    """
    from matplotlib import rc_context

    frequencies = spectrum.bands.frequencies_THz
    bottom = min(0.0, float(frequencies.min()) * 1.05)
    high = max(float(frequencies.max()), float(spectrum.dos.edges_THz[-1]))
    top = 1.02 * high if top_THz is None else top_THz
    with rc_context(STYLE):
        figure = empty_figure((7.0, 3.8))
        figure.set_dpi(IMAGE_DPI)
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.0, 1.0))
    _draw_bands(left, spectrum.path, frequencies, top, COLOURS[0])
    _draw_ticks(left, spectrum.path, (bottom, top))
    elements = spectrum.groups.dividing(units=False)
    _draw_dos(right, spectrum.dos, elements, (bottom, top), upright=True)
    right.set_xlabel("States (1/THz)")
    figure.draw_without_rendering()
    return figure


def overlay_figure(
    path: BandPath, bands_THz: dict[str, np.ndarray], top_THz: float | None = None
) -> Figure:
    """Draw bands of several models along one path over each other, the first on top.

    Parameters
    ----------
    path
        Of all.
    bands_THz
        Name to (points, modes).
    top_THz
        Highest frequency drawn; None: all.
    """
    figure, (axes,) = new_figure((5.6, 3.8))
    figure.set_dpi(IMAGE_DPI)
    low = min(float(each.min()) for each in bands_THz.values())
    high = max(float(each.max()) for each in bands_THz.values())
    top = 1.02 * high if top_THz is None else top_THz
    colours = dict(zip(bands_THz, COLOURS, strict=False))
    for name in reversed(bands_THz):
        _draw_bands(axes, path, bands_THz[name], top, colours[name], name)
    _draw_ticks(axes, path, (min(0.0, 1.05 * low), top))
    axes.legend(fontsize=6, loc="upper right")
    return figure


def dos_figure(spectrum: Spectrum, *, units: bool, top_THz: float | None = None) -> Figure:
    """Draw the density of states with its parts: elements, or building units, if it has any.

    Parameters
    ----------
    spectrum
        What was found.
    units
        Building units instead of elements.
    top_THz
        Highest frequency drawn; None: all.
    """
    figure, (axes,) = new_figure(SIZE)
    dos = spectrum.dos
    low, high = float(dos.edges_THz[0]), float(dos.edges_THz[-1])
    top = 1.03 * high if top_THz is None else top_THz
    bottom = min(0.0, low)
    if spectrum.imaginary:  # room for a peak at the lowest frequency, as above for the highest
        bottom -= 0.03 * (top - bottom)
    _draw_dos(axes, dos, spectrum.groups.dividing(units=units), (bottom, top))
    axes.set(xlim=(bottom, top), xlabel="Frequency (THz)", ylabel="States (1/THz)")
    return figure


def thermal_figure(spectrum: Spectrum) -> Figure:
    """Draw heat capacity, entropy and free energy, with their bounds where there are any."""
    thermal = spectrum.thermal
    figure, panels = new_figure((SIZE[0], 5.4), 3)
    rows = (
        (2, thermal.heat_capacity_J_per_K_mol, "Heat capacity\n(J/K/mol)"),
        (1, thermal.entropy_J_per_K_mol, "Entropy\n(J/K/mol)"),
        (0, thermal.free_energy_kJ_per_mol, "Free energy\n(kJ/mol)"),
    )
    for axes, (k, values, label) in zip(panels, rows, strict=True):
        axes.plot(thermal.temperatures_K, values, color=COLOURS[0])
        if thermal.imaginary_share > 0.0:
            axes.fill_between(
                thermal.temperatures_K,
                thermal.low[k],
                thermal.high[k],
                color=COLOURS[0],
                alpha=0.25,
                lw=0,
            )
        axes.set_ylabel(label)
    panels[0].axhline(3 * len(spectrum.atoms) * 8.31446261815324, color="#7f7f7f", lw=0.7, ls="--")
    panels[-1].set_xlabel("Temperature (K)")
    return figure


def participation_figure(spectrum: Spectrum) -> Figure | None:
    """Draw the share of nodes in the modes at Γ; None for a structure without nodes and linkers."""
    names = spectrum.groups.names
    nodes = [k for k, name in enumerate(names) if name.startswith("node ")]
    if not nodes or not any(name.startswith("linker ") for name in names):
        return None
    gamma = spectrum.gamma
    figure, (axes,) = new_figure(SIZE)
    optical = ~gamma.acoustic
    marks = axes.scatter(
        gamma.frequencies_THz[optical],
        gamma.shares[optical][:, nodes].sum(axis=1),
        c=gamma.participation[optical],
        s=9,
        cmap="viridis",
        vmin=0.0,
        linewidths=0,
    )
    bar = figure.colorbar(marks, ax=axes)
    bar.set_label("Participation ratio", fontsize=8)
    axes.set(xlabel="Frequency at Γ (THz)", ylabel="Share of the nodes", ylim=(-0.03, 1.03))
    return figure


def smooth(dos: Dos, values: np.ndarray, width_THz: float) -> tuple[np.ndarray, np.ndarray]:
    """Widen a density of states by a Gaussian, for drawing; the integral stays.

    Parameters
    ----------
    dos
        Whose bins they are.
    values
        (bins,) states [1/THz], of all or of a group.
    width_THz
        Standard deviation of the Gaussian.

    Returns
    -------
    tuple of np.ndarray
        (points,) frequencies [THz], beyond the bins on both sides as far as the Gaussian reaches,
        so that a peak in the last bin is whole; (points,) states there [1/THz].
    """
    from scipy.ndimage import gaussian_filter1d

    step = float(dos.edges_THz[1] - dos.edges_THz[0])
    width = width_THz / step
    beyond = 1 + int(REACH_WIDTHS * width)
    widened = gaussian_filter1d(
        np.pad(values, beyond), width, mode="constant", truncate=REACH_WIDTHS
    )
    first = float(dos.edges_THz[0]) + 0.5 * step
    return first + step * np.arange(-beyond, len(values) + beyond), widened


def _draw_bands(  # noqa: PLR0913, PLR0917 - one argument per part
    axes: Axes,
    path: BandPath,
    frequencies: np.ndarray,
    top_THz: float,
    colour: str,
    name: str = "",
) -> None:
    """Draw bands as one set of lines: hundreds of them, in each segment, are slow one by one."""
    from matplotlib.collections import LineCollection

    x = path.distances_per_A
    shown = frequencies[:, frequencies.min(axis=0) <= top_THz]
    lines = [
        np.column_stack([x[first:end], shown[first:end, k]])
        for first, end in path.segments
        for k in range(shown.shape[1])
    ]
    axes.add_collection(
        LineCollection(
            lines,
            colors=colour,
            linewidths=0.8,
            label=name or None,
            rasterized=shown.size > RASTER_POINTS,
        )
    )


def _draw_ticks(axes: Axes, path: BandPath, limits_THz: tuple[float, float]) -> None:
    """Name the points of high symmetry."""
    ticks = path.ticks()
    axes.set_xticks([place for place, _ in ticks], [name for _, name in ticks])
    for place, _ in ticks[1:-1]:
        axes.axvline(place, color="#7f7f7f", lw=0.5)
    axes.axhline(0.0, color="#7f7f7f", lw=0.5)
    axes.set(xlim=(ticks[0][0], ticks[-1][0]), ylim=limits_THz, ylabel="Frequency (THz)")


def _draw_dos(
    axes: Axes,
    dos: Dos,
    parts: tuple[int, ...],
    range_THz: tuple[float, float],
    *,
    upright: bool = False,
) -> None:
    """Draw the total and parts over a range of frequencies, which alone sets the scale."""
    width = SMOOTH_SHARE * (range_THz[1] - range_THz[0])
    curves = [("total", dos.total_per_THz, INK)]
    curves += [
        (dos.names[k], dos.parts_per_THz[k], COLOURS[i % len(COLOURS)]) for i, k in enumerate(parts)
    ]
    highest = 0.0
    for name, values, colour in curves:
        x, y = smooth(dos, values, width)
        inside = (x > range_THz[0]) & (x < range_THz[1])
        highest = max(highest, float(y[inside].max(initial=0.0)))
        axes.plot(*((y, x) if upright else (x, y)), color=colour, lw=0.9, label=name)
    limits = (0.0, 1.08 * highest or 1.0)
    if upright:
        axes.set_xlim(*limits)
    else:
        axes.set_ylim(*limits)
    if parts:
        axes.legend(fontsize=6, frameon=False)
