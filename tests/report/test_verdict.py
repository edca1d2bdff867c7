"""The verdict and the key numbers, from runs whose answers are known."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import Estimate
from mofmd.engine.lammps_log import ThermoTable
from mofmd.simulation.deck.novelty_watch import Look
from mofmd.simulation.run.newest import newest_of
from mofmd.simulation.run.status import write_status
from mofmd.structures.crystals.zif import zif4
from mofmd.study.key_numbers import key_numbers
from mofmd.study.linkers import LinkerCount
from mofmd.study.member import Member
from mofmd.study.novelty import Watched
from mofmd.study.settings import AnalysisSettings
from mofmd.study.study import Analysis, run_analysis
from mofmd.study.verdict import Verdict, equilibrated, finished, intact, known, verdicts
from mofmd.trajectory.frame import Frame
from tests.melt_quench_runs import MELT_STEPS

FRAME = Frame.from_ase(zif4())
RNG = np.random.default_rng(5)


def table(stage: str, spacing_ps: float = 0.05, **columns: np.ndarray) -> ThermoTable:
    n = len(next(iter(columns.values())))
    time = np.arange(n) * spacing_ps
    return ThermoTable(stage, {"Step": np.arange(n) * 20.0, "Time": time, **columns})


def analysis(protocol: str, *tables: ThermoTable, results: tuple[Result, ...] = ()) -> Analysis:
    stage = tables[-1].stage if protocol == "MeltQuench" and tables else ""
    manifest = {"protocol": {"name": protocol}}
    member = Member(
        "run", results, manifest, tables, stage, FRAME, False, "", {}, 20, LinkerCount(32, 32)
    )
    return Analysis(AnalysisSettings(Path("run")), (member,), results, {"unfinished": {}})


def test_equilibrium_is_found_by_drift_and_by_samples() -> None:
    noise = RNG.normal(size=400)
    steady = analysis("NVT", table("nvt", PotEng=noise))
    assert equilibrated(steady).answer == "yes"
    assert "potential energy steady" in equilibrated(steady).text.lower()
    # a drift of as much as the noise, over the whole run
    drifting = analysis("NVT", table("nvt", PotEng=noise + np.linspace(0, 4, 400)))
    assert equilibrated(drifting).answer == "no"
    few = analysis("NVT", table("nvt", 1.0, PotEng=noise[:6]))
    assert equilibrated(few).answer == "unknown"
    assert "10 are wanted" in equilibrated(few).text
    assert "run longer" in equilibrated(few).text
    # many samples of fast vibrations, in too short a time for anything slow to be seen
    short = analysis("NVT", table("nvt", 0.0025, PotEng=noise[:41], Temp=noise[:41]))
    assert equilibrated(short).answer == "unknown"
    assert equilibrated(short).text.startswith("0.1 ps is too short to tell")
    falling = np.concatenate([np.linspace(600, 300, 250), np.full(150, 300.0)])
    cooling = analysis("NVT", table("nvt", PotEng=noise, Temp=falling + noise))
    assert equilibrated(cooling).answer == "no"
    assert "temperature" in equilibrated(cooling).text.lower()
    # the last stage counts, not how it was come to
    glass = analysis(
        "MeltQuench", table("quench", PotEng=np.linspace(9, 0, 400)), table("anneal", PotEng=noise)
    )
    assert equilibrated(glass).answer == "yes"
    # of the volume and the energy the worse one
    npt = analysis("NPT", table("npt", PotEng=noise, Volume=4e3 + np.linspace(0, 90, 400)))
    assert equilibrated(npt).answer == "no"
    assert equilibrated(npt).text.startswith("Volume")
    assert equilibrated(analysis("Elastic")).answer == "none"


def test_what_was_before_the_time_that_counts_is_no_drift() -> None:
    """--start-ps: of a melt that was quenched, the glass alone is judged."""
    energies = np.concatenate([np.linspace(400, 0, 600), RNG.normal(size=200)])
    whole = analysis("NVT", table("nvt", PotEng=energies))
    assert equilibrated(whole).answer == "no"
    (member,) = whole.members
    glass = replace(whole, members=(replace(member, start_ps=30.0),))
    assert equilibrated(glass).answer == "yes"
    after = replace(whole, members=(replace(member, start_ps=1e3),))
    assert equilibrated(after).answer == "unknown"


def test_what_was_measured_must_not_drift_either() -> None:
    """The energy of a framework may be steady while its pores still open."""

    def pores(diameter: np.ndarray) -> Result:
        time = Column(np.arange(len(diameter)) * 1.0, "ps")
        return Result(
            "pores",
            "",
            {},
            {},
            {"series": Table({"time": time, "D": Column(diameter)}, "series", "")},
        )

    steady = table("nvt", PotEng=RNG.normal(size=400))
    noise = 0.02 * RNG.normal(size=20)
    opening = analysis("NVT", steady, results=(pores(np.linspace(5, 6, 20) + noise),))
    assert equilibrated(opening).answer == "no"
    assert equilibrated(opening).text.startswith("D (pores): changed all the way")
    assert equilibrated(analysis("NVT", steady, results=(pores(5 + noise),))).answer == "yes"
    # a file without a log: times of frames are those of its results
    numbers = [RNG.normal(4, 0.1, size=n) for n in (40, 400)]
    for values, answer in zip(numbers, ("unknown", "yes"), strict=True):
        columns = {"time": Column(np.arange(len(values)) * 0.1), "number": Column(values)}
        found = Result("coordination Zn-N", "", {}, {}, {"series": Table(columns, "series", "")})
        assert equilibrated(analysis("", results=(found,))).answer == answer


def test_every_point_of_a_grid_counts() -> None:
    noise = RNG.normal(size=(2, 300))
    points = [table(f"sample_{k + 1}", Press=row) for k, row in enumerate(noise)]
    assert equilibrated(analysis("VolumeGrid", *points)).answer == "yes"
    points[1] = table("sample_2", Press=noise[1] + np.linspace(0, 5, 300))
    found = equilibrated(analysis("VolumeGrid", *points))
    assert found.answer == "no"
    assert "sample_2" in found.text


def test_linkers_are_those_of_the_deck(run_directory: Path, tmp_path: Path) -> None:
    """A linker that broke before the stage that is measured is broken."""
    shutil.copytree(run_directory, tmp_path / "glass")
    dump = tmp_path / "glass" / "trajectory.dump"
    frames = dump.read_text().split("ITEM: TIMESTEP\n")
    # from the melt on, one linker has lost a hydrogen: frames of the melt in the place of the rest
    broken = 1 + MELT_STEPS[-1] // 10  # a frame each 10 steps, after the units
    melt = frames[broken].split("\n", 1)[1]
    for k in range(broken + 1, len(frames)):
        frames[k] = f"{frames[k].split(chr(10), 1)[0]}\n{melt}"
    dump.write_text("ITEM: TIMESTEP\n".join(frames))
    found = run_analysis(AnalysisSettings(tmp_path / "glass", ("integrity",)))
    assert found.members[0].stage == "anneal"
    assert found.members[0].linkers == LinkerCount(32, 31)
    assert found.results[0].scalars["intact, last frame"].value == 31
    assert intact(found).answer == "no"
    assert intact(found).text == "31 of 32 linkers are whole in the last frame."


def test_a_run_that_the_watch_stopped_is_not_intact(run_directory: Path, tmp_path: Path) -> None:
    """It has whole frames only, as it ended at once."""
    shutil.copytree(run_directory, tmp_path / "glass")
    error = "linker 3 is broken: C 7-H 12 is 2.14 Å, intact below 1.87 Å, in stage melt"
    write_status(tmp_path / "glass", state="failed", error=error)
    found = run_analysis(AnalysisSettings(tmp_path / "glass", ("integrity",)))
    assert intact(found).answer == "no"
    assert intact(found).text == (
        "32 of 32 linkers are whole in the last frame; after it one broke, and the watch stopped "
        "the run."
    )


def test_how_a_run_ended(run_directory: Path, tmp_path: Path) -> None:
    settings = AnalysisSettings(run_directory, ("integrity",))
    assert finished(run_analysis(settings)).answer == "yes"
    assert "200 steps, 0.1 ps" in finished(run_analysis(settings)).text
    shutil.copytree(run_directory, tmp_path / "glass")
    write_status(tmp_path / "glass", state="failed", error="linker 14 is broken")
    found = finished(run_analysis(AnalysisSettings(tmp_path / "glass", ("integrity",))))
    assert (found.answer, found.text) == ("no", "Failed: linker 14 is broken.")
    zif4().write(tmp_path / "crystal.cif")
    crystal = run_analysis(AnalysisSettings(tmp_path / "crystal.cif", ("density",)))
    assert [verdict.answer for verdict in verdicts(crystal)] == ["none"] * 3


def test_members_that_failed_are_counted(run_directory: Path, tmp_path: Path) -> None:
    for k in (1, 2, 3):
        shutil.copytree(run_directory, tmp_path / "all" / f"glass{k}")
        write_status(tmp_path / "all" / f"glass{k}", state="finished", error=None)
    write_status(tmp_path / "all" / "glass2", state="failed", error="linker 14 is broken")
    found = run_analysis(AnalysisSettings(tmp_path / "all", ("integrity",)))
    assert finished(found).answer == "no"
    assert finished(found).text == (
        "2 of 3 members came to their end; glass2: failed: linker 14 is broken."
    )
    assert intact(found).text == "64 of 64 linkers are whole in the last frames of 2 runs."


def watched(name: str, *looks: Look, keep_above: float = 1.0, quantile: float = 0.999) -> Member:
    """Return a run of 272 atoms with these looks at its novelty."""
    manifest = {
        "watch": {"keep_above": keep_above},
        "potential": {"type_names": ["C", "H", "N", "Zn"]},
    }
    newest = newest_of(looks, manifest)
    assert newest is not None
    found = Watched(name, looks, newest, None, np.zeros(0), quantile)
    return replace(analysis("NVT").members[0], name=name, watched=found)


def known_of(*members: Member, apart: tuple[Member, ...] = ()) -> Verdict | None:
    return known(Analysis(AnalysisSettings(Path("run")), members, (), {}, "", apart))


def test_whether_the_model_knew_what_it_saw() -> None:
    """By one in a thousand above 1, as the scale is made, and none far above."""
    calm = tuple(Look(20 * k, 0.01 * k, 0.4, 0, 1, 1) for k in range(50))
    assert known(analysis("NVT")) is None
    assert len(verdicts(analysis("NVT"))) == 3
    quiet = known_of(watched("run", *calm, Look(1000, 0.5, 0.789, 0, 105, 4)))
    assert quiet == Verdict(
        "Known to the model",
        "yes",
        "No atom with a novelty above 1; the newest, Zn 105, has 0.789 at step 1000.",
    )
    few = known_of(watched("run", *calm, Look(1000, 0.5, 1.31, 3, 105, 4)))
    assert few is not None
    assert few.answer == "yes"
    assert few.text == (
        "3 of 13872 scores are above 1, as few as is ordinary; the newest, Zn 105, has 1.31 at "
        "step 1000."
    )
    # one atom far above, in one look; many that are little above
    for look in (Look(1000, 0.5, 12.34, 1, 105, 4), Look(1000, 0.5, 1.31, 14, 105, 4)):
        found = known_of(watched("run", *calm, look))
        assert found is not None
        assert found.answer == "no"
    assert found.text == (
        "Up to 14 atoms at once with a novelty above 1; the newest, Zn 105, has 1.31 at step 1000. "
        "The model was not trained on such surroundings: what comes of them may be wrong."
    )
    # a bound that is lower than 1 counts what is ordinary
    low = known_of(watched("run", Look(0, 0.0, 0.9, 200, 5, 1), keep_above=0.0))
    assert low is not None
    assert low.answer == "yes"
    # nor does one that is higher hide what is new
    for look, keep, answer, text in (
        (Look(0, 0.0, 30.0, 0, 5, 1), 100.0, "no", "A novelty above 2: the newest, C 5, has 30"),
        (Look(0, 0.0, 1.9, 0, 5, 1), 5.0, "unknown", "scores were counted above 5, not above 1"),
        (Look(0, 0.0, 1.9, 200, 5, 1), 0.5, "unknown", "--watch keep_above=1 counts them"),
        (Look(0, 0.0, 1.9, 0, 5, 1), 0.5, "yes", "No atom with a novelty above 0.5"),
    ):
        found = known_of(watched("run", look, keep_above=keep))
        assert found is not None
        assert found.answer == answer
        assert text in found.text
    # where one in a hundred is as rare as 1, ten times as many are ordinary, and a higher score
    for looks, answer in (
        ((*calm, Look(1000, 0.5, 1.31, 138, 105, 4)), "yes"),
        ((*calm, Look(1000, 0.5, 1.31, 139, 105, 4)), "no"),
        ((*calm, Look(1000, 0.5, 3.1, 1, 105, 4)), "yes"),
        ((*calm, Look(1000, 0.5, 3.3, 1, 105, 4)), "no"),
    ):
        found = known_of(watched("run", *looks, quantile=0.99))
        assert found is not None
        assert found.answer == answer
    # of several runs the newest tells, also of one that the watch stopped
    new = watched("hot", Look(40, 0.02, np.inf, 2, 7, 1))
    found = known_of(watched("cold", *calm), apart=(new,))
    assert found is not None
    assert found.answer == "no"
    assert "in 1 of 2 runs; the newest, C 7, has inf at step 40 of hot." in found.text
    assert new.watched is not None
    assert new.watched.as_dict()["novelty"] is None


def test_numbers_follow_the_protocol() -> None:
    def result(name: str, **scalars: float) -> Result:
        numbers = {k.replace("_", " "): Estimate(v, 0.1, 20.0) for k, v in scalars.items()}
        return Result(name, "", {}, numbers, {})

    results = (
        result("density", density=1.2, volume=4380.0),
        result("coordination Zn-N", coordination_number=4.0),
        result("pores", total_volume=53.0, largest_cavity_diameter=5.0),
        result("equation of state", bulk_modulus_K=2.0),
    )

    def labels(protocol: str, *tables: ThermoTable) -> list[str]:
        return [each.label for each in key_numbers(analysis(protocol, *tables, results=results))]

    assert labels("MeltQuench") == ["Density", "Zn–N coordination", "Pore volume"]
    # what is missing gives its place to the usual numbers
    assert labels("VolumeGrid") == ["Bulk modulus", "Density", "Zn–N coordination"]
    time = np.arange(50) * 0.01
    log = table("nve", 0.01, Temp=300 + RNG.normal(size=50), TotEng=-5.0 + 272e-3 * 2 * time)
    assert labels("NVE", log) == ["Drift of the energy", "Temperature", "Zn–N coordination"]
    drift, temperature, _ = key_numbers(analysis("NVE", log, results=results))
    assert drift.estimate.value == pytest.approx(2.0)
    assert drift.estimate.unit == "meV/atom/ps"
    assert temperature.estimate.value == pytest.approx(300, abs=1)
