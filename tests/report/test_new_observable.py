"""A new observable is one file: help, results and report have it."""

import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mofmd.analysis import structure
from mofmd.analysis.base import registry
from mofmd.analysis.base.result import read_results
from mofmd.cli.main import app
from mofmd.structures.crystals.zif import zif4

FILE = '''
"""Volume of the cell."""

from dataclasses import dataclass

from mofmd.analysis.base.observable import Observable, Record, series_table
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result
from mofmd.analysis.base.statistics import mean_of_series
from mofmd.analysis.option_text import number


@observable(
    "volume", title="Cell volume", interval_ps=0.1, frames=200, options={"factor": number}, place=1
)
@dataclass(eq=False)
class Volume(Observable):
    """Volume of the cell, times a factor."""

    factor: float = 1.0

    def __post_init__(self):
        self._record = Record()

    @property
    def name(self):
        return "volume"

    def measure(self, frame):
        return self.factor * frame.volume_A3

    def add(self, stamp, value):
        self._record.add(stamp, value)

    def result(self):
        sampling = self._record.sampling(self.cut)
        series = self._record.series
        return Result(
            name=self.name,
            definition="volume of the cell, as a test measures it",
            settings={"factor": self.factor},
            scalars={"V": mean_of_series(series, sampling, "Å³")},
            tables={"series": series_table(self._record.stamps, "Volume over time",
                                           V=Column(series, "Å³"))},
            sampling=sampling,
        )
'''


@pytest.fixture
def new_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry.known_observables()  # those that are there
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms" / "volume_of_a_test.py").write_text(FILE)
    monkeypatch.setattr(structure, "__path__", [*structure.__path__, str(tmp_path / "rooms")])
    monkeypatch.setattr(registry, "_ENTRIES", dict(registry._ENTRIES))
    yield
    sys.modules.pop(f"{structure.__name__}.volume_of_a_test", None)


@pytest.mark.usefixtures("new_file")
def test_one_file_is_enough(tmp_path: Path) -> None:
    run = CliRunner()
    text = run.invoke(app, ["analyse", "--help"]).output
    assert "Cell volume; --set: factor" in text
    assert text.index("volume") < text.index("rdf *")  # its place
    words = ["report", "zif-4", "-o", str(tmp_path / "out"), "--observables", "volume,density",
             "--set", "volume.factor=2"]  # fmt: skip
    done = run.invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    volume, density = read_results(tmp_path / "out" / "results.json")
    assert volume.name == "volume"
    assert density.name == "density"
    assert volume.scalars["V"].value == pytest.approx(2 * zif4().get_volume())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert '<h2 id="volume">Cell volume</h2>' in page
    assert "volume of the cell, as a test measures it" in page


def test_it_is_gone_again() -> None:
    assert "volume" not in registry.known_observables()
