import re
from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms

from mofmd.analysis.base.result import Column, Table
from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.analysis.mechanics.equation_of_state import fit_pressure_volume
from mofmd.analysis.mechanics.forms import birch_murnaghan_pressure
from mofmd.engine.lammps_log import ThermoTable
from mofmd.report.fits import plot_equation_of_state
from mofmd.report.plots import plot_table
from mofmd.report.stages import plot_temperature
from mofmd.report.surfaces import plot_elastic_surfaces, plot_pore_map
from mofmd.report.svg import colour_variables, figure_svg
from mofmd.structures.crystals.zif import zif4
from mofmd.trajectory.frame import Frame
from mofmd.units import BAR_TO_GPA


def test_equation_of_state():
    volumes = np.linspace(4000, 4800, 7)
    pressures = [
        Estimate(float(p), 100.0, 20, "bar")
        for p in birch_murnaghan_pressure(volumes, 1.7, 4400.0) / BAR_TO_GPA
    ]
    fit = fit_pressure_volume(volumes, pressures)
    figure = plot_equation_of_state({"crystal": (fit, volumes.tolist(), pressures)})
    (axes,) = figure.axes
    points, line = axes.lines[0], axes.lines[-2]
    assert points.get_ydata() == pytest.approx([p.value * BAR_TO_GPA for p in pressures])
    assert line.get_ydata() == pytest.approx(fit.pressure_GPa(line.get_xdata()))
    assert "K = 1.700" in axes.get_legend().get_texts()[0].get_text()


def test_elastic_surfaces_have_the_values_of_the_tensor():
    stiffness = np.diag([165.7] * 3 + [79.6] * 3)
    stiffness[:3, :3] += 63.9 * (1 - np.eye(3))
    tensor = ElasticTensor(stiffness)
    figure = plot_elastic_surfaces(tensor)
    young = figure.axes[0].lines[0].get_ydata()
    low, high = tensor.young_range()
    # in the plane of two cube axes: from ⟨100⟩ to ⟨110⟩
    assert young.min() == pytest.approx(low.value)
    assert young.max() < high.value
    assert len(figure.axes) == 3


def test_tables_over_each_other_and_bars():
    r = Column(np.array([1.0, 2.0, 3.0]), "Å")
    one = Table({"r": r, "g": Column(np.array([0.0, 2.0, 1.0]), "", np.full(3, 0.1))}, "curve", "g")
    two = Table({"r": r, "g": Column(np.array([0.0, 1.0, 1.0]))}, "curve", "g")
    (axes,) = plot_table({"glass": one, "crystal": two}).axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["glass", "crystal"]
    assert axes.get_xlabel() == "r (Å)"
    bars = Table({"n": Column(np.array([3.0, 4.0])), "f": Column(np.array([0.2, 0.8]))}, "bars", "")
    (axes,) = plot_table({"": bars}).axes
    assert [patch.get_height() for patch in axes.patches] == [0.2, 0.8]


def test_pore_map_of_a_cell_that_lies_anyhow_in_space():
    """A face-centred primitive cell: 60° between edges, none of them along an axis."""
    a = 12.0
    cell = a / 2 * np.array([[0, 1, 1], [1, 0, 1], [1, 1, 0]])
    frame = Frame.from_ase(Atoms("Xe", cell=cell, pbc=True))
    figure = plot_pore_map(frame, 1.0, {"Xe": 2.5})
    axes = figure.axes[0]
    edge = a / np.sqrt(2)
    corners = axes.collections[0].get_coordinates()[[0, 0, -1, -1], [0, -1, 0, -1]]
    sides = np.linalg.norm(corners[[1, 2, 3]] - corners[0], axis=1)
    assert sides == pytest.approx([edge, edge, np.sqrt(3) * edge])
    values = axes.collections[0].get_array()
    # the largest hole is half an edge of the cube from the atoms around it
    assert values.max() == pytest.approx(a / 2 - 2.5, abs=0.3)
    smaller = plot_pore_map(frame, 1.0, {"Xe": 1.5}).axes[0].collections[0].get_array()
    assert smaller.max() == pytest.approx(values.max() + 1.0, abs=1e-3)


def test_pore_map_is_a_figure():
    text = figure_svg(plot_pore_map(Frame.from_ase(zif4())))
    assert text.startswith("<svg")
    assert "Distance to the nearest surface" in text


def test_axes_say_what_they_show_and_leave_out_empty_ends():
    sizes = np.arange(4.0, 33.0, 2.0)
    counts = np.where(np.isin(sizes, (8, 12, 16)), 1.0, 0.0)
    rings = Table(
        {
            "size": Column(sizes, label="Ring size"),
            "rings per node": Column(counts, label="Rings per node"),
        },
        "bars",
        "",
    )
    (axes,) = plot_table({"": rings}).axes
    assert axes.get_xlabel() == "Ring size"
    assert axes.get_ylabel() == "Rings per node"
    assert (4, 18) <= axes.get_xlim() <= (8, 20)
    assert next(text.get_text() for text in axes.get_xticklabels()) == "8"
    r = np.linspace(0.025, 9.975, 200)
    g = np.where((r > 1.8) & (r < 8), 1 + 0 * r, 0)
    curve = Table({"r": Column(r, "Å"), "g": Column(g, label="g(r)")}, "curve", "")
    (axes,) = plot_table({"": curve}).axes
    assert axes.get_ylabel() == "g(r)"
    assert axes.get_xlim() == pytest.approx((1.575, 8.225), abs=0.06)
    # nothing is left out where something is
    full = Table({"r": Column(r, "Å"), "g": Column(g + 1)}, "curve", "")
    low, high = plot_table({"": full}).axes[0].get_xlim()
    assert low < 0.03
    assert high > 9.97


def test_temperature_runs_through_the_stages_of_all_members():
    def stage(name, first, last, shift):
        steps = np.arange(first, last + 1, 10.0)
        columns = {"Step": steps, "Time": steps * 5e-4, "Temp": 300 + steps / 10 + shift}
        return ThermoTable(name, columns)

    members = {
        f"glass{k}": [
            ThermoTable("minimise", {"Step": np.zeros(1)}),
            stage("equilibrate", 0, 200, k),
            stage("sample_1", 200, 500, k),
            stage("sample_2", 500, 900, k),
        ]
        for k in range(3)
    }
    figure = plot_temperature(members)
    (axes,) = figure.axes
    lines = [line for line in axes.lines if len(line.get_xdata())]
    assert len(lines) == 9
    for k in range(3):
        own = lines[3 * k : 3 * k + 3]
        # each stage begins where the one before it ends, in time and in temperature
        for one, other in pairwise(own):
            assert one.get_xdata()[-1] == other.get_xdata()[0]
            assert one.get_ydata()[-1] == other.get_ydata()[0]
        whole = np.concatenate([own[0].get_ydata(), *(line.get_ydata()[1:] for line in own[1:])])
        # a straight line stays one where stages meet: the average does not begin anew
        assert whole[5:-5] == pytest.approx(300 + np.arange(0, 901, 10)[5:-5] / 10 + k)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["equilibrate", "sample"]


def test_a_map_of_a_table():
    a, b = np.meshgrid([0.25, 0.75], [1 / 6, 0.5, 5 / 6], indexing="ij")
    values = np.arange(6.0)
    columns = {"a": Column(a.ravel()), "b": Column(b.ravel()), "density": Column(values, "1/Å³")}
    axes, bar = plot_table({"": Table(columns, "map", "guests")}).axes
    mesh = axes.collections[0]
    # along a to the right, along b upwards: the value at a = 0.75, b = 1/6 is the fourth
    corners = mesh.get_coordinates()
    middles = (corners[1:, 1:] + corners[:-1, :-1]) / 2
    at = np.abs(middles - [0.75, 1 / 6]).sum(axis=-1).argmin()
    assert mesh.get_array().ravel()[at] == 3
    assert bar.get_ylabel() == "Density (1/Å³)"


def test_colours_of_figures_in_a_page_are_those_of_the_page():
    bars = Table({"n": Column(np.array([3.0, 4.0])), "f": Column(np.array([0.2, 0.8]))}, "bars", "")
    text = figure_svg(plot_table({"": bars}))
    assert "var(--ink)" in text
    assert "#222222" not in text
    assert re.search(r"fill: var\(--c-2171b5, #2171b5\)", text)
    assert "--c-2171b5:" in colour_variables()
    assert "<style" not in text
    # nothing white behind it
    assert "fill: #ffffff" not in text


def test_a_legend_of_series_lies_on_no_curve() -> None:
    time = Column(np.arange(50.0), "ps")
    rng = np.random.default_rng(2)
    names = ("total volume", "accessible volume", "inaccessible volume")
    columns = {n: Column(rng.uniform(0, 9, 50), "Å³", label="Pore volume") for n in names}
    figure = plot_table({"": Table({"time": time, **columns}, "series", "Pores over time")})
    figure.canvas.draw()
    (panel,) = figure.axes
    legend = panel.get_legend().get_window_extent()
    heights = [panel.transData.transform(line.get_xydata())[:, 1].max() for line in panel.lines]
    assert max(heights) < legend.y0
