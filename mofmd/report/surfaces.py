"""Figures of what depends on direction or place: elastic surfaces, slices of pores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import numpy as np

from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.analysis.pores.distance_field import distance_field
from mofmd.analysis.pores.radii import atom_radii
from mofmd.analysis.structure.density import cell_parameters
from mofmd.figure_style import COLOURS, RED, STYLE, empty_figure, new_figure
from mofmd.geometry.neighbours import cell_heights
from mofmd.trajectory.frame import Frame

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.projections.polar import PolarAxes

PLANES = {"xy": (0, 1), "xz": (0, 2), "yz": (1, 2)}


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
            axes.legend(frameon=False, fontsize=6, loc="lower left", bbox_to_anchor=(-0.25, -0.2))
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
    """Draw the distance to the nearest surface in the plane of a and b through the largest cavity.

    The title says how high above the cell's lower face the plane is.

    Parameters
    ----------
    frame, probe_radius_A, radii_A
        As for ``find_pores``.
    """
    radii = atom_radii(frame.species, radii_A)
    field = distance_field(frame.positions, radii, frame.cell, 0.3)
    figure, (axes,) = new_figure((4.6, 3.8))
    if field.max() > 0:
        level = int(field.argmax()) % field.shape[2]
        height_A = level / field.shape[2] * cell_heights(frame.cell)[2]
        plane = field[:, :, level]
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
        axes.set_title(
            f"Plane of a and b, {height_A:.2f} Å above the origin\n"
            f"(z/c = {level / field.shape[2]:.2f}), through the largest cavity",
            fontsize=8,
        )
        if np.nanmax(plane) > probe_radius_A:
            centres = [(edges[1:, 1:] + edges[:-1, :-1]) / 2 for edges in (x, y)]
            levels = [probe_radius_A]
            axes.contour(*centres, np.nan_to_num(plane, nan=-1.0), levels, colors=RED)
    else:
        axes.set_title("No point lies outside the atoms", fontsize=8)
    axes.set(xlabel="Along a (Å)", ylabel="Across a (Å)", aspect="equal")
    return figure
