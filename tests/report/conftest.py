"""A melt-quench run that was filled in, and its report, for all tests of this folder."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.simulation.deck.deck import Potential, write_deck
from mofmd.structures.crystals.zif import zif4
from tests.melt_quench_runs import PROTOCOL, fill

FAST = "rdf,angles,coordination,density,integrity,rings,pores"


@pytest.fixture(scope="session")
def run_directory(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    model = directory / "model.pth"
    model.write_bytes(b"weights")
    potential = Potential("allegro", model, ("C", "H", "N", "Zn"))
    fill(write_deck(PROTOCOL, zif4(), potential, directory / "glass1"))
    return directory / "glass1"


@pytest.fixture(scope="session")
def report(run_directory, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("report") / "out"
    found = CliRunner().invoke(
        app,
        ["report", str(run_directory), "-o", str(output), "--observables", FAST],
        catch_exceptions=False,
    )
    assert found.exit_code == 0, found.output
    assert "report.html" in found.output.replace("\n", "")
    return output
