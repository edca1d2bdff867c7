import xml.etree.ElementTree as ET

import numpy as np
import pytest

from mofmd.demo.figure import plot_melt_quench
from mofmd.demo.melt_quench import MeltQuenchResults, analyse_melt_quench
from mofmd.figure_style import moving_average, save_figure
from mofmd.simulation.deck.deck import Potential, write_deck
from mofmd.structures.crystals.zif import zif4
from tests.melt_quench_runs import PROTOCOL, fill


@pytest.fixture
def results(tmp_path) -> MeltQuenchResults:
    model = tmp_path / "model.pth"
    model.write_bytes(b"weights")
    potential = Potential("allegro", model, ("C", "H", "N", "Zn"))
    return analyse_melt_quench(
        fill(write_deck(PROTOCOL, zif4(), potential, tmp_path / "deck")), zif4()
    )


def test_panels_show_the_results(results, tmp_path):
    figure = plot_melt_quench(results, "ZIF-4")
    rdf, coordination, temperature, energy, linkers = figure.axes
    assert [line.get_label().split(",")[0] for line in rdf.lines[:3]] == [
        "crystal",
        "melt",
        "glass",
    ]
    assert (rdf.lines[1].get_ydata() == results.states["melt"].rdf.columns["g"].values).all()
    assert coordination.lines[0].get_ydata().min() == 3.75
    assert temperature.lines[0].get_ydata().max() == 2000
    assert energy.lines[0].get_ydata()[0] == pytest.approx(1.5 * 8.617333e-5 * 300, abs=1e-7)
    assert (linkers.lines[0].get_ydata() == results.intact).all()
    assert all("(" in axes.get_xlabel() for axes in (rdf, coordination, temperature, energy))
    assert len(temperature.patches) == 5

    save_figure(figure, tmp_path / "figure")
    png = (tmp_path / "figure.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert ET.parse(tmp_path / "figure.svg").getroot().tag.endswith("svg")


def test_drawing_leaves_matplotlib_as_it_was(results):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    plot_melt_quench(results, "ZIF-4")
    assert dict(mpl.rcParams) == before


def test_moving_average():
    values = np.array([0.0, 3.0, 6.0, 0.0])
    assert moving_average(values, 1) == pytest.approx(values)
    assert moving_average(values, 3) == pytest.approx([1.5, 3, 3, 3])
    assert moving_average(np.full(7, 2.5), 5) == pytest.approx(np.full(7, 2.5))
