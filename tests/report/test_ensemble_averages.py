"""Means over members: only of what may be averaged, and nothing left out without a word."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.analysis.base.members import average_results
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import Estimate, Sampling
from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.report.page import write_page
from mofmd.simulation.deck.request import Request
from mofmd.simulation.ensemble.ensemble import Ensemble, new_ensemble
from mofmd.simulation.protocols import NVT, FiniteStrain
from mofmd.simulation.run.run import run_deck
from mofmd.simulation.run.status import read_status, write_status
from mofmd.study.notes import members_left_out
from mofmd.study.settings import AnalysisSettings
from mofmd.study.study import run_analyses, run_analysis
from tests.lennard_jones import CUTOFF_A, EDGE_A, EPSILON_EV, SIGMA_A, argon, argon_deck

SETTINGS = (
    "temperature_K=30",
    "timestep_fs=1",
    "time_ps=0.2",
    "restart_interval_ps=0.05",
    "frame_interval_fs=20",
    "thermo_interval_fs=20",
    "supercell=[2,2,2]",
)
STAGES = ("equilibrate", "melt", "anneal")
STEPS = 100  # of each stage


# results in memory


def result(value: float, n: int = 20, **more: object) -> Result:
    fields = {
        "name": "rdf Ar-Ar",
        "definition": "g(r)",
        "settings": {"cutoff_A": 5.0, "frames_measured": n},
        "scalars": {"peak": Estimate(value, 0.1, 9.0, "Å")},
        "tables": {"g": table(g=[value, 1.0])},
        "sampling": Sampling(n, 0, True, 1.0),
    }
    return Result(**{**fields, **more})  # type: ignore[arg-type]


def table(**columns: list[float]) -> Table:
    rows = len(next(iter(columns.values())))
    values = {"r": Column(np.arange(float(rows)), "Å")}
    values |= {name: Column(np.array(column)) for name, column in columns.items()}
    return Table(values, "curve", "g(r)")


def test_mean_and_its_error() -> None:
    (found,) = average_results({"a": [result(3.0)], "b": [result(5.0)]}).results
    peak = found.scalars["peak"]
    assert (peak.value, peak.standard_error, peak.independent) == (4.0, pytest.approx(1.0), 2)
    assert found.tables["g"].columns["g"].values.tolist() == [4.0, 1.0]
    assert found.tables["g"].columns["g"].standard_error == pytest.approx([1.0, 0.0])
    # of two, the spread is known to 71 %: 1/√(2(n − 1))
    assert "Mean over 2 members" in found.notes[0]
    assert "themselves uncertain by 71 %" in found.notes[0]
    many = average_results({f"{k}": [result(k)] for k in range(10)}).results[0]
    assert "uncertain" not in many.notes[0]


def test_one_member_is_itself() -> None:
    one = result(3.0)
    assert average_results({"a": [one]}).results == (one,)


def test_tables_columns_and_numbers_that_some_lack() -> None:
    """What all have is averaged, the rest is named: a bare KeyError 'pmf' it was."""
    whole = result(3.0, tables={"g": table(g=[3.0, 1.0], pmf=[0.1, 0.2]), "n": table(n=[1.0])})
    lacks = result(5.0, tables={"g": table(g=[5.0, 1.0])}, scalars={})
    (found,) = average_results({"000": [whole], "001": [lacks], "002": [whole]}).results
    assert list(found.tables["g"].columns) == ["r", "g"]
    assert found.tables["g"].columns["g"].values[0] == pytest.approx(11 / 3)
    assert list(found.scalars) == []
    (note,) = (note for note in found.notes if note.startswith("Not averaged"))
    assert "pmf of table g (missing in 001)" in note
    assert "table n (missing in 001)" in note
    assert "peak (missing in 001)" in note
    # in whichever order they come
    (other,) = average_results({"001": [lacks], "000": [whole]}).results
    assert "pmf of table g (missing in 001)" in "".join(other.notes)


def test_observables_that_some_lack() -> None:
    other = replace(result(1.0), name="rdf Ar-Kr")
    found = average_results({"000": [result(3.0), other], "001": [result(5.0)]})
    assert [each.name for each in found.results] == ["rdf Ar-Ar"]
    assert found.left_out == {"rdf Ar-Kr": "missing in 001"}
    with pytest.raises(InputError, match="no observable in common"):
        average_results({"000": [other], "001": [result(5.0)]})


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"scalars": {"peak": Estimate(5.0, 0.1, 9.0, "nm")}}, "peak (in Å in a, in nm in b)"),
        (
            {"tables": {"g": Table({"r": Column(np.array([0.0, 7.0]), "Å")}, "curve", "g")}},
            "table g (its r has other values in some members)",
        ),
        (
            {"tables": {"g": Table({"q": Column(np.array([0.0, 1.0]))}, "curve", "g")}},
            "table g (its first column is another in some members)",
        ),
        (
            {"tables": {"g": Table({"r": Column(np.arange(2.0), "nm")}, "curve", "g")}},
            "table g (in Å in a, in nm in b)",
        ),
    ],
)
def test_what_differs_is_not_averaged(other: dict, told: str) -> None:
    (found,) = average_results({"a": [result(3.0)], "b": [result(5.0, **other)]}).results
    assert told in "".join(found.notes)


def test_settings_that_differ_are_told() -> None:
    other = result(5.0, n=7, settings={"cutoff_A": 6.0, "frames_measured": 7})
    (found,) = average_results({"000": [result(3.0)], "001": [other]}).results
    assert found.settings["cutoff_A"] == {"000": 5.0, "001": 6.0}
    assert found.settings["frames_measured"] == {"000": 20, "001": 7}
    (note,) = (note for note in found.notes if note.startswith("Settings differ"))
    assert "cutoff_A 5.0 in 000, 6.0 in 001" in note
    assert "frames" not in note


def test_notes_of_members_are_kept() -> None:
    """Three members of one frame are no three good samples: each says so, and is named."""
    members = {f"{k:03}": [result(k, n=1 + k // 2, notes=("Odd atoms.",))] for k in range(4)}
    (found,) = average_results(members).results
    text = "\n".join(found.notes)
    assert text.count("Odd atoms.") == 1
    assert "Members 000, 001, 002, 003: Odd atoms." in text
    single = [note for note in found.notes if "000" in note and "Odd" not in note]
    assert len(single) == 1
    assert "frame" in single[0]
    assert any("002, 003" in note and "Too few independent samples" in note for note in found.notes)


# runs on disk


def leave_glass(directory: Path, edge_A: float, stages: int = 3, state: str = "finished") -> None:
    """Leave what a run of three stages leaves, the crystal larger in each."""
    deck = argon_deck(NVT(supercell=(2, 2, 2), timestep_fs=1, time_ps=0.3), directory, EDGE_A)
    log = f"mofmd stage minimise\n{HEADER}0 0 0 -1 5\nLoop time of 1 on 1 procs for 0 steps with 1"
    dump = ""
    for k, stage in enumerate(STAGES[:stages]):
        log += f"\nmofmd stage {stage}\n"
        for part in range(2):  # a stage is run in parts, at restart files
            first = STEPS * k + STEPS * part // 2
            log += HEADER
            for step in range(first, first + STEPS // 2 + 1, 25):
                log += f"{step} {step / 1000} {30 * (k + 1)} -1 0\n"
            log += f"Loop time of 1 on 1 procs for {STEPS // 2} steps with 32 atoms\n"
        for step in range(STEPS * k, STEPS * (k + 1) + 1, 25):
            if step > STEPS * k or k == 0:
                dump += frame(step, edge_A * (1 + 0.01 * k))
    status = {"state": state, "error": None if state == "finished" else "two atoms are close"}
    write_status(deck.directory, **status)
    (deck.directory / "log.lammps").write_text(log + "mofmd done\n" * (state == "finished"))
    (deck.directory / "trajectory.dump").write_text(dump)


HEADER = "   Step          Time           Temp          PotEng         Press\n"


def frame(step: int, edge_A: float) -> str:
    atoms = argon(edge_A).repeat(2)
    text = f"ITEM: UNITS\nmetal\nITEM: TIME\n{step / 1000}\nITEM: TIMESTEP\n{step}\n"
    text += f"ITEM: NUMBER OF ATOMS\n{len(atoms)}\nITEM: BOX BOUNDS pp pp pp\n"
    text += f"0 {2 * edge_A}\n" * 3 + "ITEM: ATOMS id type element xu yu zu\n"
    return text + "".join(
        f"{k} 1 Ar {x:.6f} {y:.6f} {z:.6f}\n" for k, (x, y, z) in enumerate(atoms.positions, 1)
    )


def volume(analysis, name: str = "volume") -> float:
    (found,) = (each for each in analysis.results if each.name == "density")
    return float(found.scalars[name].value)


@pytest.fixture
def glasses(tmp_path: Path) -> Path:
    """Two whole glasses, one that broke in the melt, one that waits."""
    leave_glass(tmp_path / "glasses" / "a", 5.2)
    leave_glass(tmp_path / "glasses" / "b", 5.3)
    leave_glass(tmp_path / "glasses" / "broken", 6.0, stages=2, state="failed")
    leave_glass(tmp_path / "glasses" / "waits", 5.2)
    for name in ("status.json", "trajectory.dump", "log.lammps"):
        (tmp_path / "glasses" / "waits" / "deck" / name).unlink()
    return tmp_path / "glasses"


def test_what_was_told_on_making_stands_on_the_page(glasses: Path, tmp_path: Path) -> None:
    """With the names of those that it is of, unless it is of all."""
    own = {"a": ["no solvent", "only in a"], "b": ["no solvent"], "broken": ["no solvent"]}
    for name, notes in own.items():
        file = glasses / name / "deck" / "manifest.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "notes": notes}))
    found = run_analysis(AnalysisSettings(glasses, ("density",)))
    page = write_page(found, tmp_path / "page").read_text()
    assert '<p class="note">no solvent</p>' in page
    assert '<p class="note">a-deck: only in a</p>' in page


def test_members_that_did_not_finish_are_left_out(glasses: Path) -> None:
    """A glass of 1.21 and a melt of 0.86 g/cm³ gave "1.04 ± 0.17"."""
    found = run_analysis(AnalysisSettings(glasses, ("density",)))
    assert [member.name for member in found.members] == ["a-deck", "b-deck"]
    expected = [(2 * edge * 1.02) ** 3 for edge in (5.2, 5.3)]
    assert volume(found) == pytest.approx(np.mean(expected), rel=1e-5)
    assert found.about["members_left_out"] == {
        "broken-deck": "failed: two atoms are close",
        "waits-deck": "waiting",
    }
    assert [member.name for member in found.apart] == ["broken-deck"]


def test_left_out_members_are_named_everywhere(glasses: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app,
        ["report", str(glasses), "-o", str(tmp_path / "out"), "--observables", "density"],
        catch_exceptions=False,
        env={"COLUMNS": "200"},
    )
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text()
    for text in (done.output, page):
        assert "broken-deck: left out of the mean: failed: two atoms are close" in text
        assert "waits-deck: left out of the mean: waiting" in text
    assert "<td>broken-deck</td><td>failed, left out</td>" in page
    assert "2 members" in page
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert set(document["about"]["members_left_out"]) == {"broken-deck", "waits-deck"}
    assert (tmp_path / "out" / "members" / "broken-deck" / "results.json").is_file()


def test_a_stage_that_all_came_through(glasses: Path, tmp_path: Path) -> None:
    """The one that broke had come through the first stage, but not through the melt."""
    first = run_analysis(AnalysisSettings(glasses, ("density",), stage="equilibrate"))
    assert [member.name for member in first.members] == ["a-deck", "b-deck", "broken-deck"]
    expected = [(2 * edge) ** 3 for edge in (5.2, 5.3, 6.0)]
    assert volume(first) == pytest.approx(np.mean(expected), rel=1e-5)
    melt = run_analysis(AnalysisSettings(glasses, ("density",), stage="melt"))
    assert [member.name for member in melt.members] == ["a-deck", "b-deck"]
    assert "broken-deck" in melt.about["members_left_out"]
    # all four frames of the melt, which is not the first part of it alone nor the anneal
    assert melt.members[0].results[0].tables["series"].columns["volume"].values == pytest.approx(
        [(2 * 5.2 * 1.01) ** 3] * 4, rel=1e-5
    )
    with pytest.raises(InputError, match=r"no stage 'quench'; its log holds equilibrate, melt"):
        run_analysis(AnalysisSettings(glasses / "a" / "deck", ("density",), stage="quench"))
    done = CliRunner().invoke(
        app,
        ["analyse", str(glasses), "-o", str(tmp_path / "out"), "--observables", "density",
         "--stage", "equilibrate"],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0
    about = json.loads((tmp_path / "out" / "results.json").read_text())["about"]
    assert about["stage"] == ["equilibrate"]


def test_temperature_of_a_chosen_stage(glasses: Path) -> None:
    """A potential of mean force of the melt at the temperature of the glass would be wrong."""
    run = glasses / "a" / "deck"
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["protocol"]["temperature_K"] = 90.0
    (run / "manifest.json").write_text(json.dumps(manifest))

    def temperature(stage: str | None, given: float | None = None) -> object:
        settings = AnalysisSettings(
            run,
            ("rdf",),
            stage=stage,
            temperature_K=given,
            options={"rdf": {"pairs": (("Ar", "Ar"),)}},
        )
        return run_analysis(settings).results[0].settings["temperature_K"]

    assert temperature(None) == temperature("anneal") == 90.0
    assert temperature("melt") is None
    assert temperature("melt", 60.0) == 60.0


def test_one_member_survives(glasses: Path) -> None:
    write_status(glasses / "b" / "deck", state="running")  # and was killed
    found = run_analysis(AnalysisSettings(glasses, ("density",)))
    assert [member.name for member in found.members] == ["a-deck"]
    assert volume(found) == pytest.approx((2 * 5.2 * 1.02) ** 3, rel=1e-5)
    assert found.results[0].sampling is not None  # its own errors, not those of a spread of none
    assert "Mean over" not in "".join(found.results[0].notes)
    told = members_left_out(found)
    assert "b-deck: left out of the mean: interrupted" in told
    assert "a-deck: these numbers are of this member alone." in told


def test_none_survives(glasses: Path) -> None:
    for name in "ab":
        write_status(glasses / name / "deck", state="stopped", error="asked to stop")
    with pytest.raises(InputError, match=r"no member can be averaged.*a-deck: stopped.*--stage"):
        run_analysis(AnalysisSettings(glasses, ("density",)))


def test_run_by_hand_without_an_end(glasses: Path) -> None:
    """No status tells, but its log does."""
    for name in "ab":
        (glasses / name / "deck" / "status.json").unlink()
    log = glasses / "b" / "deck" / "log.lammps"
    log.write_text(log.read_text().replace("mofmd done\n", ""))
    found = run_analysis(AnalysisSettings(glasses, ("density",)))
    assert [member.name for member in found.members] == ["a-deck"]
    assert found.about["members_left_out"]["b-deck"] == "interrupted: its log has no end"


def test_members_measured_in_other_stages(glasses: Path) -> None:
    leave_glass(glasses / "c", 5.4)
    leave_glass(glasses / "d", 5.2, stages=2)  # by a shorter table of stages
    found = run_analysis(AnalysisSettings(glasses, ("density",)))
    assert [member.name for member in found.members] == ["a-deck", "b-deck", "c-deck"]
    assert found.about["members_left_out"]["d-deck"] == "measured: melt, of the others anneal"


def test_a_member_that_cannot_be_analysed(glasses: Path) -> None:
    dump = glasses / "b" / "deck" / "trajectory.dump"
    dump.write_text(frame(0, 5.3))
    found = run_analysis(AnalysisSettings(glasses, ("density",)))
    assert [member.name for member in found.members] == ["a-deck"]
    assert "no frame after step 200" in found.about["members_left_out"]["b-deck"]


def test_a_stage_in_many_parts_is_analysed_as_one(tmp_path: Path) -> None:
    """A run of one stage with restart files was analysed from the last of them on."""
    protocol = NVT(
        temperature_K=30,
        time_ps=0.2,
        timestep_fs=1,
        frame_interval_fs=20,
        thermo_interval_fs=20,
        restart_interval_ps=0.05,
        supercell=(2, 2, 2),
    )
    deck = argon_deck(protocol, tmp_path, EDGE_A)
    run_deck(deck.directory)
    found = run_analysis(AnalysisSettings(deck.directory, ("density",)))
    assert found.results[0].sampling is not None
    assert found.results[0].sampling.frames == 11
    assert [table.stage for table in found.members[0].thermo] == ["minimise", "nvt"]


# runs of several kinds


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Ensemble]:
    argon(EDGE_A).write(tmp_path / "argon.cif")

    def make(name: str, vary: dict, seeds: tuple[int, ...] = (1, 2), epsilon=EPSILON_EV):
        script = tmp_path / f"{epsilon}.in"
        script.write_text(
            f"pair_style lj/cut {CUTOFF_A}\npair_coeff * * {epsilon} {SIGMA_A}\n"
            "pair_modify shift yes\n"
        )
        request = Request(
            protocol="nvt",
            structure=str(tmp_path / "argon.cif"),
            output=tmp_path / name,
            potential_script=script,
            settings=tuple(s for s in SETTINGS if s.partition("=")[0] not in vary),
        )
        made = new_ensemble(request, seeds, vary)
        for member in made.members:
            run_deck(member.directory)
        return made

    return make


def test_members_of_other_temperatures_are_kept_apart(make, tmp_path: Path) -> None:
    made = make("kinds", {"temperature_K": [30, 60], "frame_interval_fs": [10, 20]})
    settings = AnalysisSettings(made.directory, ("density",))
    found = run_analyses(settings)
    assert [each.group for each in found] == ["temperature_K=30.0", "temperature_K=60.0"]
    names = [[member.name for member in each.members] for each in found]
    assert names == [["000", "001", "002", "003"], ["004", "005", "006", "007"]]
    with pytest.raises(InputError, match=r"runs of 2 kinds: temperature_K=30\.0 \(4\); temp"):
        run_analysis(settings)
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app,
        ["report", str(made.directory), "-o", str(out), "--observables", "density"],
        catch_exceptions=False,
        env={"COLUMNS": "200"},
    )
    assert done.exit_code == 0, done.output
    assert "holds runs of 2 kinds, which are not averaged together" in done.output
    for kind, other in (("30.0", "60.0"), ("60.0", "30.0")):
        folder = out / f"temperature_K_{kind}"
        page = (folder / "report.html").read_text()
        assert f"<th>temperature_K={other}</th>" in page
        about = json.loads((folder / "results.json").read_text())["about"]
        assert about["group"] == f"temperature_K={kind}"
        assert len(about["members"]) == 4


def test_a_kind_that_has_not_begun(make) -> None:
    made = make("half", {"temperature_K": [30, 60]}, seeds=(1,))
    for name in ("status.json", "trajectory.dump", "log.lammps"):
        (made.members[1].directory / name).unlink()
    (found,) = run_analyses(AnalysisSettings(made.directory, ("density",)))
    assert found.group == "temperature_K=30.0"
    assert "temperature_K=60.0: no member can be averaged (001: waiting)" in "".join(
        members_left_out(found)
    )


def test_other_protocols_potentials_and_sizes_are_kept_apart(make, tmp_path: Path) -> None:
    one = make("one", {}, seeds=(1,)).members[0].directory
    other = make("other", {}, seeds=(1,), epsilon=2 * EPSILON_EV).members[0].directory
    larger = make("larger", {"supercell": [[2, 2, 3]]}, seeds=(1,)).members[0].directory
    longer = argon_deck(
        replace(NVT(temperature_K=30, timestep_fs=1, time_ps=0.1), supercell=(2, 2, 2)),
        tmp_path / "longer",
        EDGE_A,
    ).directory
    run_deck(longer)

    def groups(*directories: Path) -> list[str]:
        folder = tmp_path / "all"
        shutil.rmtree(folder, ignore_errors=True)
        for k, directory in enumerate(directories):
            shutil.copytree(directory, folder / str(k))
        return [each.group for each in run_analyses(AnalysisSettings(folder, ("density",)))]

    assert groups(one, one) == [""]
    potentials = groups(one, other)
    assert len(potentials) == 2
    assert all(group.startswith("potential=potential.in ") for group in potentials)
    assert groups(one, larger) == [
        "composition=Ar32, supercell=[2, 2, 2]",
        "composition=Ar48, supercell=[2, 2, 3]",
    ]
    assert [group.partition("time_ps=")[2] for group in groups(one, longer)] == ["0.2", "0.1"]


def test_bare_trajectories_of_other_compositions(tmp_path: Path) -> None:
    for name, edge in (("a", 5.2), ("b", 5.3), ("c", 5.2)):
        (tmp_path / "all" / name).mkdir(parents=True)
        (tmp_path / "all" / name / "trajectory.dump").write_text(frame(0, edge))
    dump = tmp_path / "all" / "c" / "trajectory.dump"
    dump.write_text(dump.read_text().replace("\n1 1 Ar", "\n1 2 Kr"))
    found = run_analysis(AnalysisSettings(tmp_path / "all", ("density",)))
    assert [member.name for member in found.members] == ["a", "b"]
    assert found.about["members_left_out"] == {"c": "composition: Ar31Kr, of the others Ar32"}


def test_copies_of_one_run_are_told(make, tmp_path: Path) -> None:
    one = make("one", {}, seeds=(1,)).members[0].directory
    for name in "ab":
        shutil.copytree(one, tmp_path / "all" / name)
    found = run_analysis(AnalysisSettings(tmp_path / "all", ("density",)))
    assert found.about["same_run"] == [["a", "b"]]
    assert "a, b: have the same deck, seed included" in "".join(members_left_out(found))


def test_headings_of_the_members_table(glasses: Path) -> None:
    """Two observables may have a number of one name."""
    found = run_analysis(AnalysisSettings(glasses, ("density",)))
    twins = tuple(
        replace(member, results=(*member.results, replace(member.results[0], name="other density")))
        for member in found.members
    )
    page = write_page(replace(found, members=twins), glasses / "page").read_text()
    heads = page[page.index('id="members"') :]
    heads = heads[: heads.index("</thead>")]
    assert "<th>density: volume (Å³)</th>" in heads
    assert "<th>other density: volume (Å³)</th>" in heads
    alone = write_page(found, glasses / "page").read_text()
    assert "<th>volume (Å³)</th>" in alone


def test_status_of_a_member_is_read_when_it_is_analysed(glasses: Path) -> None:
    assert read_status(glasses / "broken" / "deck")["state"] == "failed"
    found = run_analysis(AnalysisSettings(glasses / "broken" / "deck", ("density",)))
    assert found.about["unfinished"] == {"deck": "failed: two atoms are close"}
    assert members_left_out(found) == ["deck failed: two atoms are close"]


def test_results_of_all_stages_are_of_whole_runs(tmp_path: Path) -> None:
    """With a stage chosen, a run that broke later must not lend its half."""
    protocol = FiniteStrain(
        supercell=(3, 3, 3),
        timestep_fs=2,
        temperature_K=30,
        volume_ratios=(1.0, 0.99, 0.98),
        deformation_ps=0.1,
        equilibration_ps=0.1,
        sampling_ps=0.2,
        thermo_interval_fs=10,
        frame_interval_fs=50,
    )
    for name in "ab":
        run_deck(argon_deck(protocol, tmp_path / "all" / name, EDGE_A).directory)
    settings = AnalysisSettings(tmp_path / "all", ("density",), stage="sample_1")
    assert [each.name for each in run_analysis(settings).results] == [
        "density",
        "equation of state",
    ]
    write_status(tmp_path / "all" / "b" / "deck", state="failed", error="broke")
    found = run_analysis(settings)
    assert [each.name for each in found.results] == ["density"]
    assert len(found.members) == 2
    assert found.about["not_averaged"] == {"equation of state": "missing in b-deck"}
    reason = found.about["left_out"]["b-deck"]["FiniteStrain"]
    assert "did not come to its end (failed: broke)" in reason
