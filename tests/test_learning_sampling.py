"""Sampling runs, conditions, evaluation tables, and the loop that distils."""

import csv
import json
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError, MissingFileError, RunError
from mofmd.learning.conditions import deformed, make_conditions, read_conditions
from mofmd.learning.dataset import Labels, labelled, labels_of, read_frames, write_frames
from mofmd.learning.distil_config import DistilConfig, make_distil_config, read_distil_config
from mofmd.learning.distillation import Distillation
from mofmd.learning.evaluation import compare_labels, markdown, model_names, table_rows
from mofmd.learning.figures import plot_front, plot_parity
from mofmd.learning.prediction import predict
from mofmd.learning.sampling import SampleOptions, is_whole, sample
from mofmd.learning.train_config import change, read_template
from mofmd.models.deployed import read_deployed
from mofmd.models.embedded import DEFAULT_MODEL, embedded_model
from mofmd.models.environments import environment_python
from mofmd.simulation.integrity import find_limits
from mofmd.simulation.status import read_status, take_lock, write_status
from mofmd.simulation.timestep import check_timesteps
from mofmd.structures.zif import zif4
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import TrajectoryFile
from tests.learning_sets import argon, argon_labels, frame, write_calculators


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
    ],
)
def test_conditions_that_mean_nothing(entry: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        make_conditions([entry], tmp_path)
    with pytest.raises(MissingFileError):
        read_conditions(tmp_path / "absent.yaml")


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
    folder = Path(__file__).parents[1] / "deploy/models/zif4"
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
    (found,) = sample(conditions, embedded_model(), tmp_path / "runs", options, told.append)
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
    (again,) = sample(conditions, embedded_model(), tmp_path / "runs", options, told.append)
    assert (tmp_path / "runs" / conditions[0].name / "status.json").read_text() == before
    np.testing.assert_array_equal(again.frames[0].positions, found.frames[0].positions)
    longer = [replace(conditions[0], protocol=replace(conditions[0].protocol, time_ps=0.04))]
    with pytest.raises(InputError, match="of another model or other conditions"):
        sample(longer, embedded_model(), tmp_path / "runs", options, told.append)


def test_runs_of_other_conditions_are_not_taken_for_these(tmp_path: Path) -> None:
    """Names say little: what a run was begun with is compared, its structure and protocol too."""
    (first,) = runs_of(tmp_path, time_ps=0.005, temperature_K=300)
    model, runs = embedded_model(), tmp_path / "runs"
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
            return sample(conditions, embedded_model(), tmp_path / "runs", None, str)[0].broken

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
            sample(conditions, embedded_model(), tmp_path / "runs", SampleOptions(), str)
    (found,) = sample(conditions, embedded_model(), tmp_path / "runs", SampleOptions(), str)
    assert found.broken == ""


def test_last_frames_before_a_break(tmp_path: Path) -> None:
    conditions = runs_of(tmp_path, time_ps=1.0, temperature_K=4000, timestep_fs=0.25,
                         frame_interval_fs=1.0)  # fmt: skip
    options = SampleOptions(every=1000, before_break=3)
    (found,) = sample(conditions, embedded_model(), tmp_path / "runs", options, lambda _: None)
    assert "is broken" in found.broken or "apart" in found.broken
    assert found.time_ps < 1.0
    assert len(found.last_frames) == 3
    few = sample(conditions, embedded_model(), tmp_path / "runs", SampleOptions(1000, 99), str)
    assert 3 < len(few[0].last_frames) < 99  # all that are whole
    limits = find_limits(conditions[0].start(), ("C", "H", "N", "Zn"))
    for atoms in found.last_frames:
        assert is_whole(Frame.from_ase(atoms), limits)


def test_what_cannot_run_is_told_before_anything_runs(tmp_path: Path) -> None:
    cool, hot = runs_of(tmp_path, time_ps=0.03)[0], runs_of(tmp_path, temperature_K=3000)[0]
    with pytest.raises(InputError, match="too long for H at 3000 K"):
        sample([cool, replace(hot, name="hot")], embedded_model(), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(InputError, match="two are called"):
        sample([cool, cool], embedded_model(), tmp_path / "runs")


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
    for k, (atoms, found) in enumerate(zip(frames, predict(embedded_model(), frames), strict=True)):
        forces = found.forces_eV_per_A.copy()
        forces[atoms.symbols == "H"] -= 0.030 * (k + 1)
        energy = found.energy_eV - 272 * 0.001 * (k + 1)
        result.append(labelled(atoms, Labels(energy, forces, found.stress_eV_per_A3)))
    return result


def test_evaluation_by_command(tmp_path: Path) -> None:
    write_frames(tmp_path / "test.extxyz", offset_frames(2))
    words = ["learn", "evaluate", DEFAULT_MODEL, "--frames", str(tmp_path / "test.extxyz")]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    record = json.loads((tmp_path / "out/evaluation.json").read_text())
    (model,) = record["models"]
    assert model["name"] == DEFAULT_MODEL
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
    assert f"| {DEFAULT_MODEL} | 2 |" in page
    assert "## By phase" in page
    svg = (tmp_path / f"out/parity-{DEFAULT_MODEL}.svg").read_text()
    for label in ("Energy − median (meV/atom)", "Force component (eV/Å)", "Stress component (GPa)"):
        assert label in svg
    assert (tmp_path / f"out/parity-{DEFAULT_MODEL}.png").stat().st_size > 10000


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


def argon_files(folder: Path) -> dict[str, Any]:
    """All that a distillation of argon needs; returns its configuration."""
    write_calculators(folder)
    for name, seeds in {"train": range(6), "val": range(20, 22), "test": range(30, 32)}.items():
        frames = []
        for seed in seeds:
            atoms = argon(seed, 0.15)
            atoms.info["trajectory"] = f"t{seed}"
            frames.append(labelled(atoms, argon_labels(atoms)))
        write_frames(folder / f"{name}.extxyz", frames)
    argon(1, 0.05).write(folder / "argon.extxyz")
    runs = [{"structure": "argon.extxyz", "fields": {"time_ps": 0.1, "timestep_fs": 1.0},
             "vary": {"temperature_K": [30, 60]}}]  # fmt: skip
    (folder / "runs.yaml").write_text(yaml.safe_dump({"runs": runs}))
    return {
        "labeller": "argon_calculators:good",
        "train_files": "train.extxyz",
        "val_files": ["val.extxyz"],
        "test_files": "test.extxyz",
        "conditions": "runs.yaml",
        "training": {"family": "allegro", "size": "xs", "epochs": 3, "settings": ["lr=0.01"]},
        "rounds": 1,
        "frames_per_round": 4,
        "later_epochs": 2,
        "sampling": {"every": 3},
    }


def configured(folder: Path, **changes: Any) -> DistilConfig:
    values = {**argon_files(folder), **changes}
    (folder / "distil.yaml").write_text(yaml.safe_dump(values))
    return read_distil_config(folder / "distil.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"find": "guess"}, "find: 'guess', expected features, committee"),
        ({"find": "committee"}, "needs committee: 2 or more"),
        ({"frames": 3}, "frames: unknown key; keys are"),
        ({"rounds": -1}, "rounds: -1, expected a whole number of at least 0"),
        ({"training": {"family": "gap"}}, "family: 'gap'"),
        ({"sampling": {"every": 0}}, "every: expected 1 or more"),
        ({"distortion": {"bond_share": 2}}, "bond_share: 2, expected 0 to 1"),
        ({"distortion": {"bonds": 2}}, "unexpected keyword argument 'bonds'"),
    ],
)
def test_distillations_that_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        configured(tmp_path, **changes)


def test_distillation_needs_its_files(tmp_path: Path) -> None:
    values = argon_files(tmp_path)
    del values["test_files"]
    with pytest.raises(InputError, match="test_files: missing"):
        make_distil_config(values, "", tmp_path)
    with pytest.raises(MissingFileError, match=r"nowhere\.extxyz: no such file"):
        configured(tmp_path, val_files="nowhere.extxyz")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, as the current one: a labeller looks there for its module, and adds it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labeller": "argon_calculators:god"}, "has no function 'god'"),
        ({"labeller": "teacher.pth"}, "no such model file"),
        ({"conditions": "train.extxyz"}, "train.extxyz"),
        ({"test_files": "spoilt.extxyz"}, "energy is not a number"),
    ],
)
def test_what_a_distillation_needs_later_is_looked_at_first(
    changes: dict[str, Any], message: str, here: Path
) -> None:
    spoilt = argon(40)
    good = argon_labels(spoilt)
    bad = Labels(float("nan"), good.forces_eV_per_A, good.stress_eV_per_A3)
    write_frames(here / "spoilt.extxyz", [labelled(spoilt, bad)])
    with pytest.raises((InputError, MissingFileError), match=message):
        Distillation(here / "out", configured(here, **changes))
    assert not (here / "out").exists()


def test_a_distillation_whose_files_were_changed(here: Path) -> None:
    work = Distillation(here / "out", configured(here), lambda _: None)
    config = work.config
    source = here / "argon_calculators.py"
    text = source.read_text()
    source.write_text(text + "\n# another version\n")
    sys.modules.pop("argon_calculators")
    with pytest.raises(InputError, match="the labeller argon_calculators:good has changed"):
        Distillation(here / "out", config)
    source.write_text(text)
    sys.modules.pop("argon_calculators")
    Distillation(here / "out", config)
    write_frames(here / "train.extxyz", read_frames(here / "train.extxyz")[:5])
    with pytest.raises(InputError, match="another configuration or other files"):
        Distillation(here / "out", config)


def test_two_at_a_time(here: Path) -> None:
    work = Distillation(here / "out", configured(here), lambda _: None)
    with (
        take_lock(here / "out"),
        pytest.raises(RunError, match="another distillation is going on"),
    ):
        work.run()


def test_a_round_that_breaks(here: Path) -> None:
    """What breaks is labelled: last whole frames first, then those that a committee disputes."""
    crystal = zif4()
    model, other = embedded_model("zif4-allegro-s"), embedded_model()
    frames = []
    for seed in range(3):
        atoms = crystal.copy()
        atoms.rattle(0.03, seed=seed)
        atoms.info["trajectory"] = f"t{seed}"
        frames.append(atoms)
    known = [
        labelled(atoms, found) for atoms, found in zip(frames, predict(model, frames), strict=True)
    ]
    for name, each in zip(("train", "val", "test"), known, strict=True):
        write_frames(here / f"{name}.extxyz", [each])
    fields = {"time_ps": 1.0, "temperature_K": 4000, "timestep_fs": 0.25, "frame_interval_fs": 1.0}
    run = {"structure": "zif-4", "origin": "crystal", "fields": fields}
    (here / "runs.yaml").write_text(yaml.safe_dump({"runs": [run]}))
    values = {
        "labeller": str(model),
        "train_files": "train.extxyz",
        "val_files": "val.extxyz",
        "test_files": "test.extxyz",
        "conditions": "runs.yaml",
        "training": {"family": "allegro"},
        "committee": 2,
        "find": "committee",
        "frames_per_round": 4,
        "distorted_per_round": 1,
        "sampling": {"every": 2, "before_break": 3},
        "largest_force": 1e3,
    }
    config = make_distil_config(values, yaml.safe_dump(values), here)
    work = Distillation(here / "out", config, lambda _: None)
    for path, file in zip(work.models(0), (model, other), strict=True):
        path.parent.mkdir(parents=True)
        path.symlink_to(file)
    found = work._run(0)
    assert (found["runs"], found["broken"]) == (1, 1)
    assert 0.0 < found["time_ps"] < 1.0
    found = work._find(0)
    assert found["picked"] == 5  # four, and one of them distorted
    assert found["largest_disagreement_eV_per_A"] > 0.1
    picked = read_frames(here / "out/round0/picked.extxyz")
    (sampled,) = work._sampled(0)
    assert len(sampled.last_frames) == 3
    worst = [np.abs(picked[0].positions - f.positions).max() for f in sampled.last_frames]
    assert min(worst) < 1e-6
    assert picked[-1].info["trajectory"].endswith("~distorted0")
    found = work._label(0)
    assert found["labelled"] + found["left_out"] == 5
    assert found["labelled"] >= 4
    made = read_frames(here / "out/round0/labelled.extxyz")
    (expected,) = predict(model, made[:1])
    assert labels_of(made[0]).energy_eV == pytest.approx(expected.energy_eV, abs=1e-3)
    assert len(work.training_frames(1)) == 1 + found["labelled"]


def test_state_of_a_distillation(here: Path) -> None:
    tmp_path = here
    config = configured(tmp_path)
    work = Distillation(tmp_path / "out", config, lambda _: None)
    assert (work.state["round"], work.state["stage"], work.is_complete) == (0, "train", False)
    work._advance({"force_mae": 50.0, "training_frames": 6})
    work._advance({"broken": 1})
    again = Distillation(tmp_path / "out", config, lambda _: None)
    assert (again.state["stage"], again.state["history"]) == (
        "find", [{"round": 0, "force_mae": 50.0, "training_frames": 6, "broken": 1}],
    )  # fmt: skip
    again._advance({})
    again._advance({})
    assert (again.state["round"], again.state["stage"]) == (1, "train")
    again._advance({"force_mae": 40.0})
    again._advance({"broken": 1})
    assert again.state["done"] == "rounds"
    assert again.is_complete
    more = Distillation(tmp_path / "out", configured(tmp_path, rounds=2), lambda _: None)
    assert not more.is_complete
    with pytest.raises(InputError, match="was begun with another configuration"):
        Distillation(tmp_path / "out", configured(tmp_path, frames_per_round=9))


def test_distillation_ends_when_the_runs_hold(here: Path) -> None:
    tmp_path = here
    config = configured(tmp_path, target_force_mae=45.0, rounds=5)
    work = Distillation(tmp_path / "out", config, lambda _: None)
    work._advance({"force_mae": 50.0})
    work._advance({"broken": 0})
    assert not work.is_complete  # the error is too large
    work._advance({})
    work._advance({})
    work._advance({"force_mae": 44.0})
    work._advance({"broken": 0})
    assert (work.state["done"], work.is_complete) == ("target", True)


@pytest.mark.long
@pytest.mark.frameworks
def test_distillation(here: Path) -> None:
    """Two trainings, runs, a round of labels; broken off before each stage and taken up again."""
    if environment_python("nequip") is None:
        pytest.skip("the nequip environment is absent: `mofmd env nequip`")
    tmp_path = here
    told = {"licence": "CC-BY-4.0", "cite": "Jones 1924"}
    config = configured(tmp_path, distorted_per_round=1, distortion={"kick_share": 0.5}, **told)
    for _ in range(6):
        work = Distillation(tmp_path / "out", config, lambda _: None)
        number, stage = work.state["round"], work.state["stage"]
        work._advance(getattr(work, f"_{stage}")(number))
    assert work.is_complete
    Distillation(tmp_path / "out", config).run()  # nothing left to do
    first, second = work.state["history"]
    assert (first["training_frames"], first["runs"], first["broken"]) == (6, 2, 0)
    assert first["picked"] == 5  # four, and one of them distorted
    assert second["training_frames"] == 6 + first["labelled"]
    picked = read_frames(tmp_path / "out/round0/labelled.extxyz")
    assert {each.info["source"] for each in picked} == {"argon_calculators:good"}
    expected = argon_labels(picked[0])
    assert labels_of(picked[0]).energy_eV == pytest.approx(expected.energy_eV, abs=1e-6)
    for model in (*work.models(0), *work.models(1)):
        manifest = read_deployed(model).manifest
        assert manifest["verification"]["passed"]
        assert manifest["licence"] == "CC-BY-4.0"
        assert "Jones 1924" in manifest["citations"]
