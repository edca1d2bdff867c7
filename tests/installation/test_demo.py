import json
import re
from dataclasses import replace

import pytest
import typer
from typer.testing import CliRunner

from mofmd.cli.demo import demo
from mofmd.demo import demo as demo_module
from mofmd.demo.demo import DemoSettings, run_demo
from mofmd.engine.launch import Resources
from mofmd.engine.plugin_path import mismatches, read_record
from mofmd.errors import InputError
from mofmd.models.files.embedded import DEFAULT_MODEL, embedded_model
from mofmd.simulation.protocols import MeltQuench
from tests import melt_quench_runs
from tests.melt_quench_runs import PROTOCOL, pretended_run

FILES = ["deck", "figure.png", "figure.svg", "rdf.csv", "summary.json", "timeseries.csv"]


@pytest.fixture
def pretended(monkeypatch):
    """Neither a model nor LAMMPS: the run's files are made from the crystal."""
    monkeypatch.setattr(demo_module, "run_deck", pretended_run)
    monkeypatch.setattr(MeltQuench, "fast", classmethod(lambda _: PROTOCOL))


@pytest.mark.usefixtures("pretended")
def test_command(tmp_path):
    model = embedded_model("zif4-mace-s")
    app = typer.Typer()
    app.command()(demo)
    found = CliRunner().invoke(
        app, ["--output", str(tmp_path / "out"), "--model", str(model)], catch_exceptions=False
    )
    assert found.exit_code == 0
    rows = [line.split() for line in found.output.splitlines()]
    melt = next(row for row in rows if "melt" in row)
    assert "3.75" in melt
    assert "linkers intact: 32/32 at the end, 31/32 at the fewest" in found.output
    assert "linkers are broken" not in found.output
    assert "200 steps in 2 s, 10.0 ms/step" in found.output
    assert str(tmp_path / "out") in found.output.replace("\n", "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES


def test_help_names_the_default():
    app = typer.Typer()
    app.command()(demo)
    told = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    (line,) = [line for line in told.splitlines() if "--model" in line]
    assert f"[default: {DEFAULT_MODEL}]" in line
    others = {"zif4-nequip-s", "allegro", "uio66"} - {DEFAULT_MODEL}
    assert not re.search("|".join(others), told, re.IGNORECASE)


@pytest.mark.usefixtures("pretended")
@pytest.mark.parametrize("words", [[], ["--model", "zif4-mace-s"]])
def test_models_of_the_package_by_name(words, tmp_path):
    app = typer.Typer()
    app.command()(demo)
    found = CliRunner().invoke(app, ["--output", str(tmp_path / "out"), *words])
    assert found.exit_code == 0
    manifest = json.loads((tmp_path / "out" / "deck" / "manifest.json").read_text())
    name = words[1] if words else DEFAULT_MODEL
    assert embedded_model(name).name in manifest["files"]


@pytest.mark.usefixtures("pretended")
def test_broken_linkers_are_called_by_their_name(tmp_path, monkeypatch):
    monkeypatch.setattr(melt_quench_runs, "MELT_STEPS", range(90, 201))
    model = embedded_model("zif4-mace-s")
    app = typer.Typer()
    app.command()(demo)
    found = CliRunner().invoke(app, ["--output", str(tmp_path / "out"), "--model", str(model)])
    assert found.exit_code == 0
    assert "1 of 32 linkers are broken at the end: the model was driven beyond" in found.output


@pytest.mark.usefixtures("pretended")
def test_again_in_the_same_folder(tmp_path):
    model = embedded_model("zif4-mace-s")
    for seed in (1, 2):
        done = run_demo(DemoSettings(tmp_path / "out", model=model, seed=seed))
        assert done.run.deck.manifest["protocol"]["seed"] == seed
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES


def test_refuses_a_file_as_output(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(InputError, match=r"output: .*out is a file, expected a folder"):
        run_demo(DemoSettings(tmp_path / "out"))


def test_paper_schedule_is_the_protocol_as_published(tmp_path, monkeypatch):
    def stop(directory, *_):
        manifest = json.loads((directory / "manifest.json").read_text())
        raise InputError(f"{manifest['total_steps']} steps of {manifest['structure']['n_atoms']}")

    monkeypatch.setattr(demo_module, "run_deck", stop)
    with pytest.raises(InputError, match="580000 steps of 2176"):
        run_demo(DemoSettings(tmp_path, schedule="paper"))


@pytest.mark.parametrize("ranks", [1, pytest.param(2, marks=pytest.mark.long)])
def test_short_demonstration_with_the_embedded_model(tmp_path, monkeypatch, ranks):
    record = read_record()
    if record is None or mismatches(record):
        pytest.skip("the plugin is not built or stale: mofmd build")
    short = replace(PROTOCOL, temperature_max_K=600, rate_K_per_ps=15000)
    monkeypatch.setattr(MeltQuench, "fast", classmethod(lambda _: short))
    done = run_demo(DemoSettings(tmp_path, resources=Resources(ranks=ranks)))
    assert done.run.steps == 200
    # a tenth of a picosecond below 600 K: nothing can have broken yet
    assert done.results.intact.tolist() == [32] * 21
    assert done.results.states["crystal"].coordination > 3.8
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES
