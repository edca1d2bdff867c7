"""Figures of learning: parity, learning curves, accuracy against speed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mofmd.disk.output import make_folder
from mofmd.figure_style import COLOURS, INK, STYLE, empty_figure, save_figure
from mofmd.learning.data.dataset import Labels
from mofmd.learning.evaluate.evaluation import Evaluated
from mofmd.learning.evaluate.metrics import UNITS
from mofmd.units import EV_PER_A3_TO_GPA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAMES = {
    "force_mae": "Force MAE",
    "force_rmse": "Force RMSE",
    "force_mae_p95": "Force MAE above the 95th percentile",
    "energy_mae": "Energy MAE",
}
POINTS = 20000  # drawn at most in a panel


def plot_parity(result: Evaluated, atoms: Sequence[int]) -> Figure:
    """Draw model against reference: energies, forces, stresses.

    Parameters
    ----------
    result
        A model on labelled frames.
    atoms
        Number of atoms of each frame.
    """
    from matplotlib import rc_context

    counts = np.array(atoms)
    energy = np.array([[r.energy_eV, p.energy_eV] for r, p in _pairs(result)]).T / counts
    middle = float(np.median(energy[0]))
    panels = [
        (1e3 * (energy - middle), "Energy − median (meV/atom)"),
        (
            np.array(
                [
                    np.concatenate([labels.forces_eV_per_A.ravel() for labels in side])
                    for side in (result.references, result.predictions)
                ]
            ),
            "Force component (eV/Å)",
        ),
    ]
    both = [
        (r.stress_eV_per_A3, p.stress_eV_per_A3)
        for r, p in _pairs(result)
        if r.stress_eV_per_A3 is not None and p.stress_eV_per_A3 is not None
    ]
    if both:
        stress = np.array(both).reshape(len(both), 2, 9) * EV_PER_A3_TO_GPA
        panels.append((stress.transpose(1, 0, 2).reshape(2, -1), "Stress component (GPa)"))
    with rc_context(STYLE):
        figure = empty_figure((2.6 * len(panels), 2.7))
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, (values, label) in zip(axes, panels, strict=True):
            _draw_parity(panel, values, label)
        figure.suptitle(result.name, fontsize=9)
    return figure


def _pairs(result: Evaluated) -> list[tuple[Labels, Labels]]:
    return list(zip(result.references, result.predictions, strict=True))


def _draw_parity(axes: Axes, values: np.ndarray, label: str) -> None:
    reference, model = values
    if len(reference) > POINTS:
        chosen = np.random.default_rng(0).choice(len(reference), POINTS, replace=False)
        reference, model = reference[chosen], model[chosen]
    ends = [values.min(), values.max()]
    axes.plot(ends, ends, color=INK, linewidth=0.5)
    axes.plot(reference, model, ".", markersize=1.5, color=COLOURS[0], alpha=0.5, rasterized=True)
    axes.set_title(label, fontsize=8)
    axes.set(xlabel="reference", ylabel="model")


def plot_front(results: Sequence[Evaluated], metric: str = "force_mae") -> Figure:
    """Draw an error against the time of a step; models that no other beats in both are joined.

    Parameters
    ----------
    results
        Models whose speed was measured; others are left out.
    metric
        A field of ``Errors``.
    """
    from matplotlib import rc_context

    timed = [each for each in results if each.ms_per_step is not None]
    points = [(float(each.ms_per_step or 0.0), float(getattr(each.errors, metric)))
              for each in timed]  # fmt: skip
    with rc_context(STYLE):
        figure = empty_figure((6.4, 3.2))
        axes = figure.subplots()
        best = front(points)
        axes.plot(*zip(*(points[k] for k in best), strict=True), color=INK, linewidth=0.7, zorder=0)
        # names would lie over each other: numbers, from fast to slow
        for number, k in enumerate(sorted(range(len(points)), key=points.__getitem__), start=1):
            colour = COLOURS[(number - 1) % len(COLOURS)]
            text = f"{number}  {timed[k].name}"
            axes.plot(*points[k], "o", color=colour, fillstyle="full" if k in best else "none",
                      markersize=4.5, label=text)  # fmt: skip
            axes.annotate(str(number), points[k], xytext=(0, 5), textcoords="offset points",
                          ha="center", fontsize=6)  # fmt: skip
        axes.set(
            xlabel="Time of a step (ms)", ylabel=f"{_NAMES.get(metric, metric)} ({UNITS[metric]})"
        )
        axes.margins(x=0.1, y=0.1)
        _logarithmic(axes)
        axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    return figure


def _logarithmic(axes: Axes) -> None:
    """Make both axes logarithmic, with plain numbers at 1, 2, 5, 10, ..., closer if it is short."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axes.set(xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        low, high = axis.get_view_interval()
        short = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0)
        axis.set_major_locator(LogLocator(subs=short if high < 8 * low else (1.0, 2.0, 5.0)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(NullFormatter())


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Points that no other point beats in one coordinate without losing in the other, by the first.

    Examples
    --------
    >>> front([(1.0, 9.0), (2.0, 10.0), (3.0, 4.0)])
    [0, 2]
    """
    best: list[int] = []
    for k in sorted(range(len(points)), key=lambda each: points[each]):
        if not best or points[k][1] < points[best[-1]][1]:
            best.append(k)
    return best


def plot_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str
) -> Figure:
    """Draw learning curves on logarithmic axes.

    Parameters
    ----------
    curves
        Label to abscissae (epochs, or numbers of training frames) and errors.
    x, y
        What they are, with units.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = empty_figure((4.6, 3.0))
        axes = figure.subplots()
        for k, (label, (abscissae, errors)) in enumerate(curves.items()):
            marker = "o" if len(abscissae) < 30 else ""
            axes.plot(abscissae, errors, marker=marker, markersize=3, label=label,
                      color=COLOURS[k % len(COLOURS)])  # fmt: skip
        _logarithmic(axes)
        axes.set(xlabel=x, ylabel=y)
        if len(curves) > 1:
            axes.legend(fontsize=6)
    return figure


def plot_picking(
    points: Mapping[str, Sequence[tuple[int, float]]], title: str, without: str
) -> Figure:
    """Draw MAE_p95 against the number of added frames, as in Dobbelaere et al. 2025, Fig. 6B.

    Parameters
    ----------
    points
        Way of picking to numbers of added frames and MAE_p95 [meV/Å]; those of one number, of
        several trainings, are joined by their mean.
    title
        What the errors are of.
    without
        Way whose points add nothing: a level across the figure.
    """
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = empty_figure((4.6, 3.0))
        axes = figure.subplots()
        for k, (way, found) in enumerate(sorted(points.items())):
            colour = COLOURS[k % len(COLOURS)]
            counts = sorted({count for count, _ in found})
            means = [float(np.mean([e for c, e in found if c == count])) for count in counts]
            if way == without:
                axes.axhline(means[0], color=INK, linewidth=0.8, linestyle="--", label="none added")
                continue
            axes.plot([c for c, _ in found], [e for _, e in found], "o", markersize=3, color=colour)
            axes.plot(counts, means, color=colour, label=way)
        _logarithmic(axes)
        axes.set(xlabel="Frames added", ylabel="Force MAE_p95 (meV/Å)", title=title)
        axes.legend(fontsize=6)
    return figure


def write_figures(results: Sequence[Evaluated], atoms: Sequence[int], folder: Path) -> list[Path]:
    """Write a parity plot for each model and, for several timed ones, the front; PNG and SVG."""
    make_folder(folder)
    stems = []
    for each in results:
        stems.append(folder / f"parity-{each.name}")
        save_figure(plot_parity(each, atoms), stems[-1])
    if sum(each.ms_per_step is not None for each in results) > 1:
        stems.append(folder / "front")
        save_figure(plot_front(results), stems[-1])
    return stems
