"""Figures of thermal expansion."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mofmd.figure_style import COLOURS, SIZE, new_figure
from mofmd.phonons.temperature.expansion import Expansion
from mofmd.phonons.temperature.measured import Measured

if TYPE_CHECKING:
    from matplotlib.figure import Figure

EDGES = "abc"


def expansion_figure(expansion: Expansion, beside: tuple[Measured, ...] = ()) -> Figure:
    """Draw volume, volumetric expansion with its error, and linear expansion of each edge."""
    figure, panels = new_figure((SIZE[0], 6.4), 3)
    for qha, colour, dash in (
        (expansion.birch_murnaghan, COLOURS[0], "-"),
        (expansion.vinet, COLOURS[1], "--"),
    ):
        t = qha.temperatures_K
        for axes, y, error in (
            (panels[0], qha.volumes_A3, qha.volume_errors_A3),
            (panels[1], 1e6 * qha.alpha_V_per_K, 1e6 * qha.alpha_V_errors_per_K),
        ):
            axes.plot(t, y, dash, color=colour, label=qha.equation)
            axes.fill_between(t, y - error, y + error, color=colour, alpha=0.2, lw=0)
    for k, name in enumerate(dict.fromkeys(_series(each) for each in beside)):
        points = [each for each in beside if _series(each) == name]
        panels[0].errorbar(
            [each.temperature_K for each in points],
            [each.volume_A3 for each in points],
            np.nan_to_num([each.volume_error_A3 for each in points]),
            fmt="os^D"[k % 4],
            ms=3,
            capsize=2,
            color=COLOURS[2 + k % 6],
            label=name,
        )
    panels[0].set_ylabel("Volume (Å³)")
    panels[0].legend(fontsize=6, frameon=False)
    panels[1].set_ylabel("α_V (10⁻⁶/K)")
    qha = expansion.birch_murnaghan
    for k, edge in enumerate(EDGES):
        panels[2].plot(
            qha.temperatures_K, 1e6 * qha.alpha_L_per_K[:, k], color=COLOURS[2 + k], label=edge
        )
    panels[2].plot(
        qha.temperatures_K, 1e6 * qha.mean_alpha_L_per_K, color=COLOURS[0], ls=":", label="α_V/3"
    )
    panels[2].set_ylabel("α_L (10⁻⁶/K)")
    panels[2].legend(fontsize=6, frameon=False)
    panels[-1].set_xlabel("Temperature (K)")
    return figure


def _series(measured: Measured) -> str:
    """Name the series of a point: all runs are one, each file another."""
    return "dynamics" if measured.of_run else measured.name


def free_energy_figure(expansion: Expansion) -> Figure:
    """Draw free energies against volume at some temperatures, and their minima."""
    figure, (axes,) = new_figure(SIZE)
    qha = expansion.birch_murnaghan
    total = expansion.energies_eV[:, None] + expansion.free_energies_eV
    low = total.min(axis=0)
    for k in np.linspace(0, len(qha.temperatures_K) - 1, 6).astype(int):
        axes.plot(
            expansion.volumes_A3,
            total[:, k] - low[k],
            "o-",
            ms=3,
            lw=0.8,
            label=f"{qha.temperatures_K[k]:g} K",
        )
    axes.set(xlabel="Volume (Å³)", ylabel="Free energy above the lowest (eV)")
    axes.legend(fontsize=6, frameon=False)
    return figure
