import numpy as np
import pytest
from ase import Atoms

from mofmd.analysis.base.result import Column, Table
from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.analysis.mechanics.equation_of_state import birch_murnaghan_pressure, fit_pressure_volume
from mofmd.report.fits import plot_equation_of_state
from mofmd.report.plots import plot_table
from mofmd.report.surfaces import plot_elastic_surfaces, plot_pore_map
from mofmd.report.svg import figure_svg
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
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
