import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.analysis.base.members import average_results
from mofmd.analysis.base.registry import known_observables
from mofmd.cli.main import app
from mofmd.errors import InputError, MissingFileError
from mofmd.report.page import write_page
from mofmd.simulation.run.status import write_status
from mofmd.structures.crystals.zif import zif4
from mofmd.study.reference import read_reference
from mofmd.study.settings import AnalysisSettings
from mofmd.study.sources import find_runs
from mofmd.study.study import run_analysis


def test_results_of_a_run(report):
    document = json.loads((report / "results.json").read_text())
    assert document["about"]["stage"] == ["anneal"]
    by_name = {result["name"]: result for result in document["results"]}
    assert by_name["coordination Zn-N"]["scalars"]["coordination number"]["value"] == 4
    # a frame each 5 fs: in a stage of 20 fs every one is measured
    assert by_name["rdf Zn-N"]["sampling"]["frames"] == 4
    assert by_name["pores"]["sampling"]["frames"] == 4
    assert by_name["rdf Zn-N"]["settings"]["temperature_K"] == 300
    assert by_name["rings"]["scalars"]["rings per node"]["value"] == pytest.approx(52 / 16)
    assert by_name["pores"]["scalars"]["total volume"]["unit"] == "cm³/kg"


def test_page_is_complete_without_network(report):
    page = (report / "report.html").read_text()
    assert not re.search(r'(src|href)="(https?:)?//', page)
    assert "<script src" not in page
    figures = re.findall(r'<figure[^>]*data-name="([^"]+)"', page)
    assert "temperature" in figures
    assert "pore map" in figures
    assert "rings sizes" in figures
    for name in figures:
        stem = re.sub(r"[^\w.+-]+", "_", name)
        assert (report / "figures" / f"{stem}.png").read_bytes().startswith(b"\x89PNG")
        assert (report / "figures" / f"{stem}.svg").is_file()
    identifiers = re.findall(r'<[^>]*\bid="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))
    assert "Measured: the stage anneal" in page


def test_ensemble(run_directory, tmp_path):
    for k in (1, 2, 3):
        shutil.copytree(run_directory, tmp_path / "all" / f"glass{k}")
    found = CliRunner().invoke(
        app,
        [
            "analyse",
            str(tmp_path / "all"),
            "-o",
            str(tmp_path / "out"),
            "--observables",
            "coordination,angles",
            "--workers",
            "2",
            "--start-ps",
            "0.05",
        ],
        catch_exceptions=False,
    )
    assert found.exit_code == 0, found.output
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["about"]["members"] == ["glass1", "glass2", "glass3"]
    assert document["results"][0]["notes"][0].startswith("Mean over 3 members")
    angle = document["results"][1]["scalars"]["mean angle"]
    assert angle["standard_error"] == pytest.approx(0, abs=1e-9)
    assert (tmp_path / "out" / "members" / "glass2" / "results.json").is_file()


def test_runs_that_broke_or_wait_are_told(run_directory, tmp_path):
    for k in (1, 2, 3):
        shutil.copytree(run_directory, tmp_path / "all" / f"glass{k}")
    (tmp_path / "all" / "glass3" / "trajectory.dump").unlink()
    write_status(tmp_path / "all" / "glass1", state="finished", error=None)
    write_status(tmp_path / "all" / "glass2", state="failed", error="linker 14 is broken")
    (tmp_path / "all" / "glass3" / "status.json").unlink(missing_ok=True)
    out = tmp_path / "out"
    found = CliRunner().invoke(
        app,
        ["report", str(tmp_path / "all"), "-o", str(out), "--observables", "integrity"],
        catch_exceptions=False,
    )
    assert found.exit_code == 0, found.output
    assert "glass2: left out of the mean: failed: linker 14 is broken" in found.output
    assert "glass3: left out of the mean: waiting" in found.output
    assert "glass1: these numbers are of this member alone" in found.output
    page = (out / "report.html").read_text()
    assert "glass2: left out of the mean: failed: linker 14 is broken" in page
    about = json.loads((out / "results.json").read_text())["about"]
    assert about["unfinished"] == {"glass2": "failed: linker 14 is broken", "glass3": "waiting"}
    assert about["members_left_out"] == about["unfinished"]
    assert about["members"] == ["glass1"]


def test_page_of_an_ensemble(run_directory, tmp_path):
    for k in (1, 2):
        shutil.copytree(run_directory, tmp_path / "all" / f"glass{k}")
    curve = tmp_path / "measured.txt"
    curve.write_text("".join(f"{0.1 * k} {k % 3}\n" for k in range(1, 60)))
    reference = read_reference(f"g Zn-N:measured curve={curve}")
    settings = AnalysisSettings(
        tmp_path / "all",
        ("rdf", "density", "coordination"),
        start_ps=0.0,
        references=(reference,),
    )
    page = write_page(run_analysis(settings), tmp_path / "out").read_text()
    figures = re.findall(r'<figure[^>]*data-name="([^"]+)"', page)
    # series stay with the members and are drawn over each other
    assert "coordination Zn-N series" in figures
    assert "reference measured curve curves" in figures
    assert "Beside measured curves" in page
    legend = page[page.index('data-name="density series"') :]
    assert "glass1" in legend
    assert "glass2" in legend


def test_all_parts_of_the_last_stage_are_measured(run_directory, tmp_path):
    """A run is cut into parts at its restarts; each writes a table of its own to the log."""
    shutil.copytree(run_directory, tmp_path / "glass")
    log = tmp_path / "glass" / "log.lammps"
    lines = log.read_text().splitlines()
    cut = next(k for k, line in enumerate(lines) if line.startswith("180 "))
    again = [lines[cut], *lines[cut + 1 :]]
    head = next(line for line in lines if line.split()[:1] == ["Step"])
    parts = [*lines[: cut + 1], "Loop time of 0.2 on 1 procs for 20 steps with 272 atoms"]
    log.write_text("\n".join([*parts, "mofmd stage anneal", head, *again]) + "\n")
    found = run_analysis(AnalysisSettings(tmp_path / "glass", ("density",)))
    assert found.members[0].stage == "anneal"
    # frames at 170, 180, 190 and 200; the last part holds the last two alone
    assert found.results[0].sampling.frames == 4


def test_a_run_that_has_not_come_to_its_last_stage(run_directory, tmp_path):
    shutil.copytree(run_directory, tmp_path / "glass")
    dump = tmp_path / "glass" / "trajectory.dump"
    dump.write_text("ITEM: TIMESTEP".join(dump.read_text().split("ITEM: TIMESTEP")[:10]))
    with pytest.raises(InputError, match=r"glass: no frame after step 160, where its stage anneal"):
        run_analysis(AnalysisSettings(tmp_path / "glass", ("density",)))


def test_structure_in_lammps_data(tmp_path):
    zif4().write(tmp_path / "a.data", format="lammps-data", masses=True)
    found = run_analysis(AnalysisSettings(tmp_path / "a.data", ("coordination",)))
    assert found.results[0].scalars["coordination number"].value == 4


def test_ensemble_of_unlike_members():
    with pytest.raises(InputError, match="ensemble: has no members"):
        average_results({})


def test_a_structure_and_a_bare_trajectory(run_directory, tmp_path):
    zif4().write(tmp_path / "crystal.cif")
    settings = AnalysisSettings(tmp_path / "crystal.cif", ("coordination", "rings"))
    found = run_analysis(settings)
    assert found.results[0].scalars["coordination number"].value == 4
    dump = tmp_path / "my.dump"
    shutil.copy(run_directory / "trajectory.dump", dump)
    found = run_analysis(AnalysisSettings(dump, ("density", "msd"), timestep_fs=50))
    assert found.results[1].tables["msd"].columns["lag"].values == pytest.approx(
        0.5 * np.arange(21)
    )
    # the whole file, as nothing is known of stages
    assert found.results[0].sampling.frames == 21


def test_a_structure_in_the_folder_of_a_run(run_directory, tmp_path, monkeypatch):
    """The log beside it is of the run, not of the file; nor is it of a crystal by name."""
    shutil.copytree(run_directory, tmp_path / "glass")
    zif4().write(tmp_path / "glass" / "final.cif")
    monkeypatch.chdir(tmp_path / "glass")
    for source in ("final.cif", "zif-4"):
        (member,) = run_analysis(AnalysisSettings(Path(source), ("coordination",))).members
        assert (member.frames, member.manifest, member.thermo, member.state) == (1, {}, (), "")
    assert find_runs(Path("zif-4"))[0].unfinished == ""


def test_no_free_energies_at_another_temperature(run_directory, tmp_path):
    """The last stage of a run that was broken off is its melt, not its glass."""
    shutil.copytree(run_directory, tmp_path / "melt")
    manifest = tmp_path / "melt" / "manifest.json"
    told = json.loads(manifest.read_text())
    told["protocol"]["temperature_K"] = 1500.0
    manifest.write_text(json.dumps(told))
    found = run_analysis(AnalysisSettings(tmp_path / "melt", ("rdf",)))
    assert "pmf" not in found.results[0].tables
    assert "the protocol's temperature is 1500 K" in found.members[0].left_out["free energies"]
    whole = run_analysis(AnalysisSettings(tmp_path / "melt", ("rdf",), start_ps=0.0))
    assert "pmf" not in whole.results[0].tables
    given = run_analysis(AnalysisSettings(tmp_path / "melt", ("rdf",), 300.0))
    assert "pmf" in given.results[0].tables
    for wrong in (0.0, -300.0, float("nan")):
        with pytest.raises(InputError, match="expected more than zero"):
            AnalysisSettings(tmp_path / "melt", ("rdf",), wrong)


def test_refusals(run_directory, tmp_path):
    with pytest.raises(MissingFileError, match="no such run, ensemble or trajectory"):
        run_analysis(AnalysisSettings(tmp_path / "none"))
    with pytest.raises(MissingFileError, match=r"holds a trajectory\.dump"):
        run_analysis(AnalysisSettings(tmp_path))
    with pytest.raises(InputError, match=r"'rdfs' is unknown; did you mean rdf\? There are rdf, a"):
        run_analysis(AnalysisSettings(run_directory, ("rdfs",)))
    zif4().write(tmp_path / "crystal.cif")
    with pytest.raises(InputError, match="elasticity: needs the temperature"):
        run_analysis(AnalysisSettings(tmp_path / "crystal.cif", ("elasticity",)))
    bare = zif4()
    del bare[[atom.symbol == "Zn" for atom in bare]]
    bare.write(tmp_path / "bare.cif")
    with pytest.raises(InputError, match="no metal is bonded to a donor"):
        run_analysis(AnalysisSettings(tmp_path / "bare.cif", ("rdf",)))


def test_help_names_every_observable():
    text = CliRunner().invoke(app, ["analyse", "--help"], env={"COLUMNS": "200"}).output
    assert all(name in text for name in known_observables())
