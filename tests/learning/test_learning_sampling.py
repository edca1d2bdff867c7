"""Sampling runs, conditions, and evaluation tables."""

import csv
import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.io import write
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError, MissingFileError, RunError
from mofmd.learning.data.dataset import Labels, labelled, labels_of, read_frames, write_frames
from mofmd.learning.evaluate.evaluation import compare_labels, markdown, model_names, table_rows
from mofmd.learning.evaluate.figures import plot_front, plot_parity
from mofmd.learning.evaluate.prediction import predict
from mofmd.learning.loops.config import DistilConfig
from mofmd.learning.sample.conditions import deformed, make_conditions, read_conditions
from mofmd.learning.sample.sampling import SampleOptions, collect_frames, is_whole, sample
from mofmd.learning.train.config import change, read_template
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.limits import find_limits
from mofmd.simulation.deck.timestep import check_timesteps
from mofmd.simulation.run.status import read_status, write_status
from mofmd.structures.crystals.zif import zif4
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import TrajectoryFile
from tests.learning_sets import frame

MODEL = "zif4-nequip-s"  # the fastest


def test_conditions_are_all_combinations(tmp_path: Path) -> None:
    text = """
runs:
  - structure: zif-4
    origin: crystal
    fields: {time_ps: 2}
    vary: {temperature_K: [300, 600], volume_change: [-0.05, 0.1], seed: [1, 2, 3]}
  - {structure: uio-66, protocol: melt_quench, phase: melt}
"""
    (tmp_path / "c.yaml").write_text(text)
    found = read_conditions(tmp_path / "c.yaml")
    assert len(found) == 13
    assert len({each.name for each in found}) == 13
    first = found[0]
    assert (first.protocol.NAME, first.protocol.seed, first.volume_change) == ("nvt", 1, -0.05)
    assert first.protocol.supercell == (1, 1, 1)
    assert first.protocol.frame_interval_fs == 10.0
    assert found[-1].phase == "melt"
    assert found[-1].origin == "uio-66"


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"protocol": "nvt"}, "entry 1: needs at least `structure`"),
        ({"structure": "zif-4", "temperature_K": 3}, "temperature_K: unknown; keys are"),
        ({"structure": "zif-4", "vary": {"seed": 1}}, "vary seed: 1, expected a list"),
        ({"structure": "zif-4", "fields": {"temprature_K": 3}}, "temprature_K: unknown key"),
        ({"structure": "zif-4", "fields": [300]}, r"fields: \[300\], expected lines of the form"),
        ({"structure": "zif-4", "vary": "seed"}, "vary: 'seed', expected lines of the form key"),
        ({"structure": "zif-4", "fields": {"shear": "much"}}, "shear: 'much', expected a number"),
        (
            {"structure": "zif-4", "draw": {"temperature_K": 3}},
            r"draw temperature_K: 3, expected \[",
        ),
        (
            {"structure": "zif-4", "draw": {"shear": [2, 1]}},
            r"draw shear: \[2, 1\], expected \[low",
        ),
        ({"structure": "zif-4", "draw": {"temprature_K": [1, 2]}}, "temprature_K: unknown key"),
        ({"structure": "zif-4", "count": 0}, "count: 0, expected a whole number of at least 1"),
        (
            {"structure": "zif-4", "count": 2, "vary": {"seed": [1]}},
            "vary seed: runs that are draw",
        ),
        (
            {"structure": "zif-4", "draw": {"shear": [0, 1]}, "fields": {"shear": 0.1}},
            "draw shear: is given by fields or vary, too",
        ),
        ({"structure": ["zif-4", "zif-8"], "origin": "zif"}, "origin: names one structure, not"),
    ],
)
def test_conditions_that_mean_nothing(entry: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        make_conditions([entry], tmp_path)
    with pytest.raises(MissingFileError):
        read_conditions(tmp_path / "absent.yaml")


def test_drawn_conditions_of_several_structures(tmp_path: Path) -> None:
    entry = {
        "structure": ["zif-4", "uio-66"],
        "protocol": "npt",
        "fields": {"time_ps": 0.5, "seed": 7},
        "vary": {"temperature_K": [300, 600]},
        "count": 20,
        "draw": {"pressure_bar": [-15000, 15000], "volume_change": [-0.02, 0.02]},
    }
    found = make_conditions([entry], tmp_path)
    assert len(found) == len({each.name for each in found}) == 2 * 2 * 20
    assert len({each.protocol.seed for each in found}) == 80
    pressures = np.array([each.values["pressure_bar"] for each in found])
    assert [each.protocol.pressure_bar for each in found] == pressures.tolist()
    # uniform: mean and deviation of 80 draws, within four standard errors
    assert abs(pressures.mean()) < 4 * 15000 / np.sqrt(3 * 80)
    assert pressures.std() == pytest.approx(15000 / np.sqrt(3), rel=0.25)
    assert np.abs(pressures).max() <= 15000
    assert len({each.volume_change for each in found}) == 80
    assert found[0].name == "01-zif-4-temperature300-walk1"
    assert found[-1].name == "02-uio-66-temperature600-walk20"
    # the same again, and others in the next round of a loop
    again, later = make_conditions([entry], tmp_path), make_conditions([entry], tmp_path, 1)
    assert again == found
    assert {each.name for each in later} == {each.name for each in found}
    assert not set(pressures) & {each.values["pressure_bar"] for each in later}


def test_a_structure_of_several_in_a_file_beside_the_conditions(tmp_path: Path) -> None:
    write(tmp_path / "two.extxyz", [zif4(), zif4()[:10]])
    (found,) = make_conditions([{"structure": "two.extxyz#1"}], tmp_path)
    assert len(found.start()) == 10


def test_deformed_cells_have_the_volume_that_is_asked_for() -> None:
    crystal = zif4()
    made = deformed(crystal, -0.12, 0.03, np.random.default_rng(1))
    assert made.get_volume() / crystal.get_volume() == pytest.approx(0.88, rel=1e-12)
    np.testing.assert_allclose(
        made.get_scaled_positions(), crystal.get_scaled_positions(), atol=1e-12
    )
    assert np.abs(made.cell.angles() - 90).max() > 0.2
    np.testing.assert_allclose(
        deformed(crystal, 0.0, 0.0, np.random.default_rng(1)).positions, crystal.positions
    )
    with pytest.raises(InputError, match=r"volume_change: -0\.9"):
        deformed(crystal, -0.9, 0.0, np.random.default_rng(1))


def test_recipe_of_the_embedded_model() -> None:
    """The configurations that are told to make it again are read and mean what they say."""
    folder = Path(__file__).parents[2] / "deploy/models/zif4"
    for name, count in (
        ("runs", 6 + 6 + 4),
        ("train_runs", 2 + 4 + 6 + 6 + 2 + 10),
        ("test_runs", 11),
        ("teacher_runs", 18),
    ):
        conditions = read_conditions(folder / f"{name}.yaml")
        assert len(conditions) == len({each.name for each in conditions}) == count
        for each in conditions:
            check_timesteps(each.protocol, zif4())
    of_training = read_frames(folder / "frames_train.npz")
    held_out = {f"glass{number:02d}" for number in range(6, 11)}
    assert not held_out & {frame.info["origin"] for frame in of_training}
    assert held_out < {frame.info["origin"] for frame in read_frames(folder / "frames_test.npz")}
    values = yaml.safe_load((folder / "distil.yaml").read_text())
    config = read_template("allegro")
    change(config, [*values["training"]["settings"], *values["later_settings"]])
    assert config["per_edge_type_cutoff"]["Zn"]["Zn"] == 5.5
    assert config["lr"] == 0.004
    assert set(values) <= {each.name for each in fields(DistilConfig)}


def test_whole_and_broken_frames() -> None:
    crystal = zif4()
    limits = find_limits(crystal, ("C", "H", "N", "Zn"))

    def whole(atoms: Atoms) -> bool:
        return is_whole(Frame.from_ase(atoms), limits)

    moved = crystal.copy()
    moved.positions += [3.0, -7.0, 20.0]  # across the boundaries
    assert whole(crystal)
    assert whole(moved)
    hydrogen = int(np.flatnonzero(crystal.numbers == 1)[0])
    torn = moved.copy()
    torn.positions[hydrogen] += [1.2, 1.2, 1.2]
    assert not whole(torn)
    zinc = np.flatnonzero(crystal.symbols == "Zn")
    close = moved.copy()
    close.positions[zinc[0]] = close.positions[zinc[1]] + 0.5 + close.cell.array[2]
    assert not whole(close)


def runs_of(tmp_path: Path, **fields: Any) -> list[Any]:
    turned = zif4()
    turned.rotate(30, "z", rotate_cell=True)
    turned.rotate(20, "x", rotate_cell=True)
    turned.write(tmp_path / "turned.extxyz")
    entry = {"structure": "turned.extxyz", "origin": "crystal", "phase": "crystal",
             "fields": {"frame_interval_fs": 5.0, **fields}, "vary": {"shear": [0.02]}}  # fmt: skip
    return make_conditions([entry], tmp_path)


def test_frames_of_a_run_that_holds(tmp_path: Path) -> None:
    conditions = runs_of(tmp_path, time_ps=0.03, temperature_K=300)
    told: list[str] = []
    options = SampleOptions(every=3, threads=1)
    (found,) = sample(conditions, embedded_model(MODEL), tmp_path / "runs", options, told.append)
    assert (found.broken, found.time_ps) == ("", pytest.approx(0.03))
    assert len(found.frames) == 2  # of seven, every third
    start = conditions[0].start()
    assert "whole for 0.03 ps" in told[0]
    for atoms in found.frames:
        # in the axes of the structure, not in LAMMPS's
        np.testing.assert_allclose(atoms.cell.array, start.cell.array, atol=1e-5)
        moves = (atoms.positions - start.positions) @ np.linalg.inv(start.cell.array)
        moves = (moves - np.round(moves)) @ start.cell.array
        assert 0.0 < np.abs(moves).max() < 1.0
        assert atoms.info == {
            "trajectory": conditions[0].name, "origin": "crystal", "phase": "crystal",
            "temperature_K": 300.0,
        }  # fmt: skip
    before = (tmp_path / "runs" / conditions[0].name / "status.json").read_text()
    (again,) = sample(conditions, embedded_model(MODEL), tmp_path / "runs", options, told.append)
    assert (tmp_path / "runs" / conditions[0].name / "status.json").read_text() == before
    np.testing.assert_array_equal(again.frames[0].positions, found.frames[0].positions)
    # the last of seven, also where one in fifty is kept
    (last,), (sparse,) = (
        collect_frames(conditions[0], tmp_path / "runs" / conditions[0].name, each).frames
        for each in (SampleOptions(every=7), SampleOptions(every=50))
    )
    np.testing.assert_array_equal(sparse.positions, last.positions)
    longer = [replace(conditions[0], protocol=replace(conditions[0].protocol, time_ps=0.04))]
    with pytest.raises(InputError, match="of another model or other conditions"):
        sample(longer, embedded_model(MODEL), tmp_path / "runs", options, told.append)


def test_runs_of_other_conditions_are_not_taken_for_these(tmp_path: Path) -> None:
    """Names say little: what a run was begun with is compared, its structure and protocol too."""
    (first,) = runs_of(tmp_path, time_ps=0.005, temperature_K=300)
    model, runs = embedded_model(MODEL), tmp_path / "runs"
    sample([first], model, runs, SampleOptions(), str)
    nve = make_conditions(
        [{"structure": "turned.extxyz", "protocol": "nve", "fields": {"time_ps": 0.005}}], tmp_path
    )[0]
    for other in (
        replace(first, shear=0.03),
        replace(first, volume_change=0.01),
        replace(first, structure="zif-4"),
        replace(first, protocol=nve.protocol),
    ):
        with pytest.raises(InputError, match="of another model or other conditions"):
            sample([other], model, runs, SampleOptions(), str)
    with pytest.raises(InputError, match="of another model or other conditions"):
        sample([first], embedded_model("zif4-allegro-s"), runs, SampleOptions(), str)


@pytest.mark.long
def test_what_a_run_has_behind_it_is_kept_when_going_on_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions = runs_of(tmp_path, time_ps=0.05, temperature_K=300, restart_interval_ps=0.01)
    deck = tmp_path / "runs" / conditions[0].name
    (tmp_path / "no-plugin").mkdir()

    def go_on(*, plugin: bool) -> str:
        with monkeypatch.context() as patch:
            if not plugin:
                patch.setenv("MOFMD_PLUGIN_DIR", str(tmp_path / "no-plugin"))
            return sample(conditions, embedded_model(MODEL), tmp_path / "runs", None, str)[0].broken

    assert go_on(plugin=True) == ""
    write_status(deck, **{**read_status(deck), "state": "stopped", "step": 60})  # of 100
    restart = (deck / "restart.latest").read_bytes()
    for _ in range(2):
        with pytest.raises(RunError, match="before its first step"):
            go_on(plugin=False)
        assert (deck / "restart.latest").read_bytes() == restart
    assert go_on(plugin=True) == ""
    assert read_status(deck)["state"] == "finished"
    steps = [each.step for each in TrajectoryFile(deck / "trajectory.dump")]
    assert steps == list(range(0, 101, 10))


def test_a_run_that_never_began_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conditions = runs_of(tmp_path, time_ps=0.01, temperature_K=300)
    (tmp_path / "no-plugin").mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("MOFMD_PLUGIN_DIR", str(tmp_path / "no-plugin"))
        with pytest.raises(RunError, match="before its first step"):
            sample(conditions, embedded_model(MODEL), tmp_path / "runs", SampleOptions(), str)
    (found,) = sample(conditions, embedded_model(MODEL), tmp_path / "runs", SampleOptions(), str)
    assert found.broken == ""


def test_a_run_that_flies_apart_at_once(tmp_path: Path) -> None:
    """Nothing is on disk yet: what it began with stands for it, and it is not run again."""
    conditions = runs_of(tmp_path, time_ps=0.01, temperature_K=300)
    sample(conditions, embedded_model(MODEL), tmp_path / "runs", SampleOptions(), str)
    deck = tmp_path / "runs" / conditions[0].name
    for name in ("restart.latest", "restart.previous", "restart.stopped"):
        (deck / name).unlink(missing_ok=True)
    (deck / "trajectory.dump").write_text("")
    words = "LAMMPS stopped in stage nvt at step 0: ERROR: Non-numeric pressure"
    write_status(deck, **{**read_status(deck), "state": "failed", "step": 0, "error": words})
    (found,) = sample(conditions, embedded_model(MODEL), tmp_path / "runs", SampleOptions(), str)
    assert (found.broken, found.frames, found.time_ps) == (words, (), 0.0)
    (start,) = found.last_frames
    np.testing.assert_array_equal(start.positions, conditions[0].start().positions)
    assert start.info["trajectory"] == conditions[0].name
    assert "temperature_K" not in start.info  # it is at rest
    assert read_status(deck)["error"] == words


def test_last_frames_before_a_break(tmp_path: Path) -> None:
    conditions = runs_of(tmp_path, time_ps=1.0, temperature_K=4000, timestep_fs=0.25,
                         frame_interval_fs=1.0)  # fmt: skip
    options = SampleOptions(every=1000, before_break=3)
    (found,) = sample(conditions, embedded_model(MODEL), tmp_path / "runs", options, lambda _: None)
    assert "is broken" in found.broken or "apart" in found.broken
    assert found.time_ps < 1.0
    assert len(found.last_frames) == 3
    few = sample(conditions, embedded_model(MODEL), tmp_path / "runs", SampleOptions(1000, 99), str)
    assert 3 < len(few[0].last_frames) < 99  # all that are whole
    limits = find_limits(conditions[0].start(), ("C", "H", "N", "Zn"))
    for atoms in found.last_frames:
        assert is_whole(Frame.from_ase(atoms), limits)


def test_what_cannot_run_is_told_before_anything_runs(tmp_path: Path) -> None:
    cool, hot = runs_of(tmp_path, time_ps=0.03)[0], runs_of(tmp_path, temperature_K=3000)[0]
    with pytest.raises(InputError, match="too long for H at 3000 K"):
        sample([cool, replace(hot, name="hot")], embedded_model(MODEL), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(InputError, match="two are called"):
        sample([cool, cool], embedded_model(MODEL), tmp_path / "runs")


def offset_frames(count: int) -> list[Atoms]:
    """Frames whose labels are the embedded model's, off by known amounts."""
    frames = []
    for k in range(count):
        atoms = zif4()
        atoms.rattle(0.03, seed=k)
        atoms.info.update(
            trajectory=f"t{k}", phase="crystal" if k else "hot", temperature_K=300.0 + k
        )
        frames.append(atoms)
    result = []
    for k, (atoms, found) in enumerate(
        zip(frames, predict(embedded_model(MODEL), frames), strict=True)
    ):
        forces = found.forces_eV_per_A.copy()
        forces[atoms.symbols == "H"] -= 0.030 * (k + 1)
        energy = found.energy_eV - 272 * 0.001 * (k + 1)
        result.append(labelled(atoms, Labels(energy, forces, found.stress_eV_per_A3)))
    return result


def test_evaluation_by_command(tmp_path: Path) -> None:
    write_frames(tmp_path / "test.extxyz", offset_frames(2))
    words = ["learn", "evaluate", MODEL, "--frames", str(tmp_path / "test.extxyz")]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "out/evaluation.json").read_text())
    (model,) = record["models"]
    assert model["name"] == MODEL
    whole = model["all"]
    assert whole["energy_average"] == pytest.approx(1.5, abs=1e-3)  # 1 and 2 meV/atom
    assert whole["energy_deviation"] == pytest.approx(0.5, abs=1e-3)
    assert whole["force_mae"] == pytest.approx(45.0 * 96 / 272, abs=0.01)
    assert whole["force_mae_p95"] == pytest.approx(60.0, abs=0.01)
    assert whole["stress_mae"] == pytest.approx(0.0, abs=1e-5)
    assert model["phase"]["hot"]["force_mae"] == pytest.approx(30.0 * 96 / 272, abs=0.01)
    assert set(model["temperature"]) == {"300 K", "301 K"}
    assert model["elements"]["H"]["force_mae"] == pytest.approx(45.0, abs=0.01)
    assert model["elements"]["Zn"]["force_mae"] == pytest.approx(0.0, abs=0.01)
    assert record["units"]["force_mae"] == "meV/Å"
    with (tmp_path / "out/models.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["energy_average (meV/atom)"]) == pytest.approx(1.5, abs=1e-3)
    assert row["ms/step"] == ""
    page = (tmp_path / "out/models.md").read_text()
    assert f"| {MODEL} | 2 |" in page
    assert "## By phase" in page
    svg = (tmp_path / f"out/parity-{MODEL}.svg").read_text()
    for label in ("Energy − median (meV/atom)", "Force component (eV/Å)", "Stress component (GPa)"):
        assert label in svg
    assert (tmp_path / f"out/parity-{MODEL}.png").stat().st_size > 10000


def test_models_of_one_name_are_told_apart() -> None:
    paths = [Path(f"/a/round{k}/trainings/0/model.mofmd.pth") for k in range(2)]
    assert model_names(paths) == ["round0-trainings-0", "round1-trainings-0"]
    assert model_names([Path("/a/b/x.mofmd.pth"), Path("/a/c/x.mofmd.pth")]) == ["b-x", "c-x"]
    assert model_names([Path("/a/b/x.mofmd.pth"), Path("/a/b/y.pth")]) == ["x", "y"]


def test_front_figure_and_table() -> None:
    frames = [frame(), frame(-9.0)]
    labels = [labels_of(each) for each in frames]
    results = []
    for name, shift, ms in (("slow", 0.01, 50.0), ("fast", 0.1, 5.0), ("poor", 0.2, 60.0)):
        off = [
            Labels(each.energy_eV, each.forces_eV_per_A + shift, each.stress_eV_per_A3)
            for each in labels
        ]
        results.append(replace(compare_labels(name, frames, off), ms_per_step=ms))
    figure = plot_front(results)
    (axes,) = figure.axes
    assert axes.get_xlabel() == "Time of a step (ms)"
    assert axes.get_ylabel() == "Force MAE (meV/Å)"
    joined = axes.lines[0].get_xydata()
    np.testing.assert_allclose(joined, [[5.0, 100.0], [50.0, 10.0]])
    assert len(plot_parity(results[0], [4, 4]).axes) == 3
    rows = table_rows(results)
    assert [row[0] for row in rows] == ["model", "slow", "fast", "poor"]
    assert rows[2][-1] == "5"
    assert markdown(rows).splitlines()[1] == "|" + "---|" * len(rows[0])
