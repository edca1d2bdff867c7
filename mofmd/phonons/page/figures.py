"""Figures of phonons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.figure_style import COLOURS, INK, SIZE, STYLE, empty_figure, new_figure
from mofmd.phonons.spectrum.mesh import Dos
from mofmd.phonons.spectrum.spectrum import Spectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOW_THZ = 6.0
"""Up to here the low modes are drawn apart: those in which units of a framework move whole."""
RASTER_POINTS = 20000  # of curves; more are drawn as an image within the figure
SMOOTH_SHARE = 0.004  # of the range: width of what a density of states is drawn with


def band_figure(
    spectrum: Spectrum, top_THz: float | None = None, beside: dict[str, Any] | None = None
) -> Figure:
    """Draw bands, and the density of states with its elements at their side.

    Parameters
    ----------
    spectrum
        What was found.
    top_THz
        Highest frequency drawn; None: all.
    beside
        Name to (distances, frequencies) of bands of others along the same path.
    """
    from matplotlib import rc_context

    frequencies = spectrum.bands.frequencies_THz
    bottom = min(0.0, float(frequencies.min()) * 1.05)
    top = float(frequencies.max()) * 1.02 if top_THz is None else top_THz
    with rc_context(STYLE):
        figure = empty_figure((7.0, 3.8))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.0, 1.0))
    x = spectrum.path.distances_per_A
    curves = frequencies[:, (frequencies.min(axis=0) <= top)]
    raster = curves.size > RASTER_POINTS
    for name, (other_x, other) in (beside or {}).items():
        for first, end in spectrum.path.segments:
            drawn = other[first:end]
            drawn = drawn[:, drawn.min(axis=0) <= top]
            lines = left.plot(
                other_x[first:end], drawn, color=COLOURS[1], lw=1.0, rasterized=raster
            )
        lines[0].set_label(name)
    for first, end in spectrum.path.segments:
        left.plot(x[first:end], curves[first:end], color=COLOURS[0], lw=0.8, rasterized=raster)
    if beside:
        left.legend(fontsize=6)
    ticks = spectrum.path.ticks()
    left.set_xticks([place for place, _ in ticks], [name for _, name in ticks])
    for place, _ in ticks[1:-1]:
        left.axvline(place, color="#7f7f7f", lw=0.5)
    left.axhline(0.0, color="#7f7f7f", lw=0.5)
    left.set(xlim=(x[0], x[-1]), ylim=(bottom, top), ylabel="Frequency (THz)")
    _draw_dos(right, spectrum.dos, spectrum.groups.n_elements, top - bottom, upright=True)
    right.set_xlim(left=0.0)
    right.set_xlabel("States (1/THz)")
    figure.draw_without_rendering()
    return figure


def dos_figure(spectrum: Spectrum, *, units: bool, top_THz: float | None = None) -> Figure:
    """Draw the density of states with its parts: elements, or building units.

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
    n = spectrum.groups.n_elements
    dos = spectrum.dos
    top = float(dos.edges_THz[-1]) if top_THz is None else top_THz
    bottom = min(0.0, float(dos.edges_THz[0]))
    chosen = range(n, len(dos.names)) if units else range(n)
    _draw_dos(axes, dos, chosen, top - bottom)
    axes.set(xlim=(bottom, top), xlabel="Frequency (THz)", ylabel="States (1/THz)")
    axes.set_ylim(bottom=0.0)
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


def smooth(dos: Dos, values: np.ndarray, width_THz: float) -> np.ndarray:
    """Widen a density of states by a Gaussian, for drawing; the integral stays."""
    from scipy.ndimage import gaussian_filter1d

    step = float(dos.edges_THz[1] - dos.edges_THz[0])
    return np.asarray(gaussian_filter1d(values, width_THz / step, mode="constant"))


def _draw_dos(
    axes: Axes, dos: Dos, parts: int | range, span_THz: float, *, upright: bool = False
) -> None:
    width = SMOOTH_SHARE * span_THz
    chosen = range(parts) if isinstance(parts, int) else parts
    curves = [("total", dos.total_per_THz, INK)]
    curves += [
        (dos.names[k], dos.parts_per_THz[k], COLOURS[i % len(COLOURS)])
        for i, k in enumerate(chosen)
    ]
    for name, values, colour in curves:
        x, y = dos.centres_THz, smooth(dos, values, width)
        axes.plot(*((y, x) if upright else (x, y)), color=colour, lw=0.9, label=name)
    axes.legend(fontsize=6)
