import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.analysis.base.result import Column, Result, Table, read_results, write_results
from mofmd.analysis.base.statistics import Estimate
from mofmd.cli.main import app
from mofmd.errors import InputError, MissingFileError
from mofmd.structures.crystals.zif import zif4
from mofmd.study.beside import read_beside

ROOT = Path(__file__).parents[2]


def result() -> Result:
    r = Column(np.array([1.0, 2.0]), "Å")
    error = np.array([0.1, np.nan])
    g = Table({"r": r, "g": Column(np.array([0.5, np.nan]), "", error)}, "curve", "g(r)")
    scalars = {"peak": Estimate(2.0, np.nan, np.inf, "Å"), "barrier": Estimate(26, 1, 40, "kJ/mol")}
    return Result("rdf Zn-N", "g(r)", {"bin_width_A": 0.05}, scalars, {"g": g}, notes=("short",))


def test_results_are_read_as_they_were_written(tmp_path: Path):
    write_results([result()], tmp_path, {"source": "here"})
    (found,) = read_results(tmp_path / "results.json")
    assert found.as_dict() == result().as_dict()
    assert str(found.scalars["barrier"]) == "26.0 ± 1.0 kJ/mol"
    assert np.isnan(found.tables["g"].columns["g"].values[1])


def test_a_table_of_other_columns_or_units_is_not_laid_beside(tmp_path: Path):
    write_results([result()], tmp_path)
    other = read_beside(f"ab initio = {tmp_path}")
    assert other.name == "ab initio"
    ours = result().tables["g"]
    assert other.table("rdf Zn-N", "g", ours) is not None
    in_nm = {**ours.columns, "r": Column(np.array([0.1, 0.2]), "nm")}
    assert other.table("rdf Zn-N", "g", Table(in_nm, "curve", "")) is None
    assert other.table("rdf Zn-N", "g", Table({"r": ours.columns["r"]}, "curve", "")) is None
    assert other.scalar("rdf Zn-Zn", "peak") is None


def test_numbers_of_a_paper_written_by_hand():
    other = read_beside(f"paper={ROOT / 'deploy' / 'models' / 'zif4' / 'published_glass.json'}")
    assert str(other.scalar("rdf Zn-N", "PMF barrier")) == "26 kJ/mol"
    assert str(other.scalar("coordination Zn-N", "coordination number")) == "3.93"


def test_refusals(tmp_path: Path):
    with pytest.raises(InputError, match="expected NAME=FILE"):
        read_beside(str(tmp_path))
    with pytest.raises(MissingFileError, match=r"results\.json: no such file"):
        read_beside(f"other={tmp_path}")
    file = tmp_path / "results.json"
    for text in ("{", "[]", '{"schema": "mofmd-analysis-1", "results": [{}]}', '{"a": 1}'):
        file.write_text(text)
        with pytest.raises(InputError, match=r"no results\.json of mofmd"):
            read_beside(f"other={tmp_path}")
    (first,) = read_results(write_results([result()], tmp_path)[0])
    write_results([first, first], tmp_path)
    with pytest.raises(InputError, match="holds two results of the name 'rdf Zn-N'; remove one"):
        read_beside(f"other={tmp_path}")
    file.write_text(json.dumps({"schema": "other-2", "results": []}))
    with pytest.raises(InputError, match=r"results\.json: its schema is 'other-2'"):
        read_beside(f"other={tmp_path}")


def test_a_crystal_beside_a_strained_one(tmp_path: Path):
    for name, stretch in (("crystal", 1.0), ("strained", 1.02)):
        atoms = zif4()
        atoms.set_cell(atoms.cell * stretch, scale_atoms=True)
        atoms.write(tmp_path / f"{name}.cif")
    observables = ["--observables", "rdf,coordination,density"]

    def command(*words: str):
        return CliRunner().invoke(
            app, [*words, *observables], catch_exceptions=False, env={"COLUMNS": "200"}
        )

    done = command("analyse", str(tmp_path / "strained.cif"), "-o", str(tmp_path / "strained"))
    assert done.exit_code == 0, done.output
    source, out = str(tmp_path / "crystal.cif"), tmp_path / "report"
    beside = f"2 % longer={tmp_path / 'strained'}"
    done = command("report", source, "-o", str(out), "--beside", beside)
    assert done.exit_code == 0, done.output
    page = (out / "report.html").read_text()
    other = {r.name: r for r in read_results(tmp_path / "strained" / "results.json")}
    density = str(other["density"].scalars["density"])
    assert f'<td class="number" data-label="2 % longer">{density}</td>' in page
    assert density in done.output
    assert "<th>2 % longer</th>" in page
    # in the legend of each curve that both have
    assert page.count("2 % longer") > 3
    assert json.loads((out / "results.json").read_text())["about"]["beside"] == {
        "2 % longer": str(tmp_path / "strained" / "results.json")
    }
    done = CliRunner().invoke(
        app, ["report", source, "-o", str(out), "--beside", f"crystal.cif={tmp_path / 'strained'}"]
    )
    assert done.exit_code != 0
    assert "names two analyses" in str(done.exception or done.output)
