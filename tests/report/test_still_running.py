"""A run that is going on is told of as it is at one moment, whatever its files have by then."""

import json
import shutil
from pathlib import Path

import pytest

from mofmd.disk.lock import lock_run
from mofmd.report.page import write_page
from mofmd.simulation.run.status import write_status
from mofmd.study.settings import AnalysisSettings
from mofmd.study.sources import find_runs
from mofmd.study.study import run_analysis, write_analysis
from mofmd.study.verdict import finished, known

SETTINGS = ("integrity",)


@pytest.fixture
def going_on(run_directory: Path, tmp_path: Path) -> Path:
    """Return a run of 200 steps at step 190: its last whole frame is of 170, its look of 180."""
    glass = tmp_path / "glass"
    shutil.copytree(run_directory, glass)
    frames = (glass / "trajectory.dump").read_text().split("ITEM: TIMESTEP\n")
    place = next(k for k, frame in enumerate(frames) if frame.startswith("180\n"))
    half = frames[place][: len(frames[place]) // 2]
    (glass / "trajectory.dump").write_text("ITEM: TIMESTEP\n".join([*frames[:place], half]))
    log = (glass / "log.lammps").read_text()
    (glass / "log.lammps").write_text(log[: log.rindex("\n200 ") + 1])
    (glass / "novelty.csv").write_text(
        "step,time_ps,novelty_largest,atoms_above_keep,newest_atom,newest_type\n"
        "0,0,0.4,0,3,1\n90,0.045,0.7,0,4,1\n180,0.09,9.5,6,5,1\n190,0.0"
    )
    write_status(glass, state="running", stage="anneal", step=190, error=None)
    return glass


def test_all_files_are_read_up_to_the_step_that_they_share(going_on: Path, tmp_path: Path) -> None:
    with lock_run(going_on):
        found = run_analysis(AnalysisSettings(going_on, SETTINGS))
        (member,) = found.members
        assert member.last.step == 170
        assert member.thermo[-1].columns["Step"].tolist() == [160, 170]
        assert not member.incomplete_frame
        assert finished(found).answer == "no"
        assert finished(found).text == "Still running: up to step 170."
        # the newest atom, at step 180, comes after it
        assert member.watched is not None
        assert [look.step for look in member.watched.looks] == [0, 90]
        verdict = known(found)
        assert verdict is not None
        assert verdict.answer == "yes"
        page = write_page(found, tmp_path / "report").read_text()
        assert "glass still running: up to step 170" in page
        write_analysis(found, tmp_path / "report")
    about = json.loads((tmp_path / "report" / "results.json").read_text())["about"]
    assert about["unfinished"] == {"glass": "still running: up to step 170"}


def test_the_moment_is_that_of_the_first_look(going_on: Path) -> None:
    with lock_run(going_on):
        (run,) = find_runs(going_on)
        assert run.last_step == 170
    write_status(going_on, state="finished", error=None)
    assert run.unfinished == "still running: up to step 170"
    assert run.thermo[-1].columns["Step"][-1] == 170


def test_a_damaged_table_is_left_out_and_named(going_on: Path) -> None:
    with (going_on / "novelty.csv").open("a") as table:
        table.write("5,oops\n")
    with lock_run(going_on):
        (member,) = run_analysis(AnalysisSettings(going_on, SETTINGS)).members
    assert member.last.step == 170
    assert member.watched is None
    assert "is no line of the table" in member.left_out["novelty"]


def test_a_run_that_nobody_is_at_work_on_is_read_to_its_end(going_on: Path) -> None:
    (run,) = find_runs(going_on)
    assert run.unfinished == "interrupted"
    assert run.thermo[-1].columns["Step"][-1] == 190


def test_a_run_without_a_whole_frame_says_only_that_it_runs(going_on: Path) -> None:
    text = (going_on / "trajectory.dump").read_text()
    (going_on / "trajectory.dump").write_text(text[: text.index("ITEM: ATOMS")])
    with lock_run(going_on):
        (run,) = find_runs(going_on)
        assert run.unfinished == "running"
