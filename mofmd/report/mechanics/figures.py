"""Figures of the mechanics of variants of a framework: E(V) and P(V) on one figure each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.analysis.mechanics.branches import Curve
from mofmd.analysis.mechanics.equation_of_state import EquationOfState
from mofmd.analysis.mechanics.forms import Form, energy_of
from mofmd.figure_style import COLOURS, INK, new_figure
from mofmd.study.mechanics.table import Line, shown
from mofmd.study.mechanics.variants import Variant
from mofmd.units import EV_PER_A3_TO_GPA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (6.4, 3.6)
LINE_POINTS = 200
DASHES = ("-", "--", ":", "-.")  # where there are more structures than colours
APART = 1.5  # volumes that differ by more are drawn relative to V₀
# how points are drawn: marker and fill
MARKS = {
    "pressure": ("o", "full"),
    "volume": ("o", "none"),
    "cell": ("^", "none"),
    "static": ("s", "none"),
}


def plot_pressures(lines: Sequence[Line]) -> Figure:
    """Draw P(V) of all structures, as in Fig. 8 of Dobbelaere et al. 2025."""
    figure, (axes,) = new_figure(SIZE)
    names = list(dict.fromkeys(line.name for line in lines))
    known = [line for line in lines if line.curve is not None]
    scales = _scales([(line.name, line.fits, _middle(line.curve)) for line in known])
    for line in known:
        assert line.curve is not None
        colour, dashes = _style(names, line.name)
        scale = scales.get(line.name, 1.0)
        points = line.curve.points
        volumes = np.array([point.volume.value for point in points]) / scale
        pressures = np.array([point.pressure.value for point in points])
        axes.plot(volumes, pressures, color=colour, linewidth=0.5, alpha=0.6)
        for ensemble, (marker, fill) in MARKS.items():
            chosen = [k for k, point in enumerate(points) if point.ensemble == ensemble]
            if not chosen:
                continue
            errors = [np.nan_to_num(points[k].pressure.standard_error) for k in chosen]
            axes.errorbar(volumes[chosen], pressures[chosen], errors, fmt=marker, markersize=3.5,
                          capsize=1.5, fillstyle=fill, color=colour)  # fmt: skip
        if fit := line.fits.get("birch-murnaghan"):
            own = np.linspace(fit.volumes_A3.min(), fit.volumes_A3.max(), LINE_POINTS)
            axes.plot(own / scale, fit.pressure_GPa(own), dashes, color=colour, linewidth=1.4)
        text = f"{line.name}, {line.temperature_K:g} K"
        marker = "s" if line.method == "EV" else "o"
        axes.plot([], [], dashes, color=colour, marker=marker, markersize=3.5, label=text)
    axes.axhline(0, color=INK, linewidth=0.5)
    _finish(axes, scales, "Pressure (GPa)")
    return figure


def plot_energies(variants: Sequence[Variant]) -> Figure:
    """Draw E(V) of all structures, as in Fig. 9 of Dobbelaere et al. 2025."""
    figure, (axes,) = new_figure(SIZE)
    known = [variant for variant in variants if variant.energies is not None]
    names = [variant.name for variant in variants]
    scales = _scales(
        [
            (each.name, each.energies.fits, float(each.energies.volumes_A3.mean()))
            for each in known
            if each.energies is not None
        ]
    )
    for variant in known:
        found = variant.energies
        assert found is not None
        colour, dashes = _style(names, variant.name)
        scale = scales.get(variant.name, 1.0)
        lowest = float(found.energies_eV.min())
        fit = found.fits.get("birch-murnaghan")
        label = variant.name
        if fit is not None:
            parameters = (
                fit.bulk_modulus.value / EV_PER_A3_TO_GPA,
                fit.volume.value,
                fit.derivative.value,
            )
            own = np.linspace(fit.volumes_A3.min(), fit.volumes_A3.max(), LINE_POINTS)
            chosen = np.isin(found.volumes_A3, fit.volumes_A3)
            at_points = energy_of(fit.form, found.volumes_A3[chosen], 0.0, *parameters)
            lowest = float(np.mean(found.energies_eV[chosen] - at_points))
            energies = energy_of(fit.form, own, 0.0, *parameters)
            axes.plot(own / scale, energies, dashes, color=colour)
            label += f": K = {shown(fit.bulk_modulus, 'K', unit=True)}"
        style: dict[str, Any] = {"markersize": 3.5, "fillstyle": "none", "color": colour}
        axes.plot(found.volumes_A3 / scale, found.energies_eV - lowest, "s", **style)
        axes.plot([], [], dashes, marker="s", label=label, **style)
    _finish(axes, scales, "Energy of the cell (eV)")
    return figure


def _style(names: Sequence[str], name: str) -> tuple[str, str]:
    """Colour and dashes of a structure."""
    cycle, number = divmod(names.index(name), len(COLOURS))
    return COLOURS[number], DASHES[cycle % len(DASHES)]


def _middle(curve: Curve | None) -> float:
    assert curve is not None
    return float(np.mean([point.volume.value for point in curve.points]))


def _scales(
    known: Sequence[tuple[str, Mapping[Form, EquationOfState], float]],
) -> dict[str, float]:
    """V₀ by which volumes of each structure are divided; none where the cells are alike in size."""
    middles = {
        name: fits["birch-murnaghan"].volume.value if "birch-murnaghan" in fits else middle
        for name, fits, middle in known
    }
    alike = max(middles.values()) <= APART * min(middles.values())
    return {} if alike else middles


def _finish(axes: Axes, scales: Mapping[str, float], label: str) -> None:
    axes.set(xlabel="Volume / V₀" if scales else "Volume of the cell (Å³)", ylabel=label)
    axes.legend(fontsize=6.5, frameon=False)
