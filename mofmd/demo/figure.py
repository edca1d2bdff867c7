"""The figure of a melt-quench."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from mofmd.demo.melt_quench import MeltQuenchResults
from mofmd.figure_style import INK, STAGE_COLOURS, STYLE, moving_average

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATE_COLOURS = {"crystal": "#2e8b57", "melt": "#e6600a", "glass": "#2171b5"}
SMOOTHING_PS = 0.025  # moving average of Fig. 5 of Castel et al.


def plot_melt_quench(results: MeltQuenchResults, title: str) -> Figure:
    """Draw a melt-quench on one page of four panels.

    (a) Radial distribution functions of the metal and its donor in crystal, melt and glass; (b)
    their coordination number, (c) temperature, (d) potential energy and intact linkers, each
    against time.

    Parameters
    ----------
    results
        What the run gave.
    title
        Printed above the panels.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 5.4), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(2, 2)
        _draw_rdf(axes[0, 0], results)
        _draw_coordination(axes[0, 1], results)
        _draw_temperature(axes[1, 0], results)
        _draw_energy(axes[1, 1], results)
        for label, panel in zip("abcd", axes.flat, strict=True):
            panel.set_title(f"({label})", loc="left", fontsize=9, fontweight="bold")
        figure.suptitle(title, fontsize=9)
        _stage_legend(figure, results)
    return figure


def _draw_rdf(axes: Axes, results: MeltQuenchResults) -> None:
    for name, state in results.states.items():
        label = f"{name}, {state.temperature_K:.0f} K"
        r, g = (state.rdf.columns[key].values for key in ("r", "g"))
        axes.plot(r, g, color=STATE_COLOURS[name], label=label)
    axes.axhline(1.0, color=INK, linewidth=0.5, linestyle=":")
    axes.axvline(results.cutoff_A, color=INK, linewidth=0.5, linestyle="--")
    metal, donor = results.pair
    label = rf"$g_\mathrm{{{metal}\!-\!{donor}}}(r)$"
    axes.set(xlabel="r (Å)", ylabel=label, xlim=(0.6 * results.cutoff_A, 8.0))
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right")


def _draw_coordination(axes: Axes, results: MeltQuenchResults) -> None:
    _shade_stages(axes, results)
    _draw_series(axes, results.frame_times_ps, results.coordination_numbers)
    metal, donor = results.pair
    axes.set(xlabel="Time (ps)", ylabel=f"{metal}–{donor} coordination number")
    cutoff = f"{donor} within {results.cutoff_A:g} Å"
    axes.text(0.03, 0.05, cutoff, transform=axes.transAxes, ha="left", va="bottom")


def _draw_temperature(axes: Axes, results: MeltQuenchResults) -> None:
    _shade_stages(axes, results)
    _draw_series(axes, results.thermo["Time"], results.thermo["Temp"])
    axes.set(xlabel="Time (ps)", ylabel="Temperature (K)")
    axes.set_ylim(bottom=0)


def _draw_energy(axes: Axes, results: MeltQuenchResults) -> None:
    _shade_stages(axes, results)
    energy = results.thermo["PotEng"] / results.n_atoms - results.minimum_energy_eV_per_atom
    _draw_series(axes, results.thermo["Time"], energy)
    axes.set(xlabel="Time (ps)", ylabel="Potential energy (eV/atom)\nabove minimised crystal")
    # room above for the linkers
    axes.set_ylim(min(0.0, 1.1 * energy.min()), 1.45 * energy.max())
    linkers = axes.twinx()
    colour = "#7a0177"
    total = results.n_linkers
    linkers.step(results.frame_times_ps, results.intact, where="post", color=colour, linewidth=1.0)
    linkers.set_ylim(0, 1.12 * total)
    linkers.set_ylabel(f"Intact linkers (of {total})", color=colour)
    linkers.tick_params(axis="y", colors=colour)


def _draw_series(axes: Axes, times_ps: np.ndarray, values: np.ndarray) -> None:
    """Draw a quantity against time: as it is, faint, and its moving average."""
    axes.plot(times_ps, values, color=INK, alpha=0.25, linewidth=0.6)
    spacing = (times_ps[-1] - times_ps[0]) / max(1, len(times_ps) - 1)
    window = 1 + 2 * round(SMOOTHING_PS / spacing / 2) if spacing > 0 else 1
    axes.plot(times_ps, moving_average(values, window), color=INK)
    axes.set_xlim(times_ps[0], times_ps[-1])


def _shade_stages(axes: Axes, results: MeltQuenchResults) -> None:
    for stage in results.stages:
        colour = STAGE_COLOURS[stage.name]
        axes.axvspan(stage.start_ps, stage.end_ps, color=colour, alpha=0.16, linewidth=0)


def _stage_legend(figure: Figure, results: MeltQuenchResults) -> None:
    from matplotlib.patches import Patch

    names = _unique(stage.name for stage in results.stages)
    patches = [Patch(color=STAGE_COLOURS[name], alpha=0.3, linewidth=0) for name in names]
    figure.legend(patches, names, loc="outside lower center", ncols=len(names), title="Stages")


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
