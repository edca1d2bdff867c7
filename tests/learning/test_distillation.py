"""The loop that distils: what it refuses, its state on disk, a round, and all of it."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mofmd.calculator.density.scorer import Scorer
from mofmd.disk.lock import lock_folder
from mofmd.errors import InputError, MissingFileError, RunError
from mofmd.learning.data.dataset import Labels, labelled, labels_of, read_frames, write_frames
from mofmd.learning.evaluate.prediction import predict
from mofmd.learning.loops.config import DistilConfig, make_distil_config, read_distil_config
from mofmd.learning.loops.distil import Distillation
from mofmd.learning.loops.known_frames import frames_until
from mofmd.learning.sample.conditions import read_conditions
from mofmd.learning.sample.sampling import Sampled
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.zif import zif4
from tests.known_models import rattled, write_known
from tests.learning.test_learning_training import needs
from tests.learning_sets import argon, argon_labels, write_calculators


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
        ({"find": "guess"}, "find: 'guess', expected features, density, committee"),
        ({"clusters": {"per_round": 5}}, "clusters: are cut around new atoms, which takes find"),
        ({"find": "density", "density": {"quantile": 2}}, "quantile: 2, expected more than 0.5"),
        ({"find": "density", "clusters": {"per_round": 0}}, "clusters: expected per_round"),
        ({"find": "committee"}, "needs committee: 2 or more"),
        ({"frames": 3}, "frames: unknown key.*There are labeller"),
        ({"rounds": -1}, "rounds: -1, expected a whole number of at least 0"),
        ({"training": {"family": "gap"}}, "family: 'gap'"),
        ({"sampling": {"every": 0}}, "every: expected 1 or more"),
        ({"distortion": {"bond_share": 2}}, "bond_share: 2, expected 0 to 1"),
        ({"distortion": {"bonds": 2}}, "unexpected keyword argument 'bonds'"),
        ({"later_settings": 3}, "3, expected a list of words"),
    ],
)
def test_distillations_that_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        configured(tmp_path, **changes)


def test_a_setting_that_stands_alone_is_one(tmp_path: Path) -> None:
    assert configured(tmp_path, later_settings="lr=0.1").later_settings == ("lr=0.1",)


def test_distillation_needs_its_files(tmp_path: Path) -> None:
    values = argon_files(tmp_path)
    del values["test_files"]
    with pytest.raises(InputError, match="test_files: missing"):
        make_distil_config(values, "", tmp_path)
    with pytest.raises(MissingFileError, match=r"nowhere\.extxyz: no such file"):
        configured(tmp_path, val_files="nowhere.extxyz")


def test_a_share_of_the_runs_is_held_out(tmp_path: Path) -> None:
    """Whole runs, the same ones each time; together they are all that was labelled."""
    files = []
    for number in range(2):
        frames = []
        for run in range(10):
            for seed in range(2):
                atoms = argon(100 * number + 10 * run + seed)
                atoms.info["trajectory"] = f"r{number}-walk{run}"
                frames.append(labelled(atoms, argon_labels(atoms)))
        files.append(tmp_path / f"{number}.extxyz")
        write_frames(files[-1], frames)
    empty = tmp_path / "empty.extxyz"
    write_frames(empty, [])
    kept, held = (
        frames_until([files[0]], [empty, files[1]], 0.2, held_out=out) for out in (False, True)
    )
    runs = [{str(frame.info["trajectory"]) for frame in part[20:]} for part in (kept, held)]
    assert (len(kept), len(held)) == (20 + 16, 20 + 4)
    assert (len(runs[0]), len(runs[1])) == (8, 2)
    assert not runs[0] & runs[1]
    again = frames_until([], [empty, files[1]], 0.2, held_out=True)
    assert {str(frame.info["trajectory"]) for frame in again} == runs[1]
    assert len(frames_until([], [files[1]], 0.0, held_out=True)) == 0


def test_elements_that_the_first_model_will_not_know(here: Path) -> None:
    runs = [{"structure": "zif-4", "fields": {"time_ps": 0.1}}]
    values = argon_files(here)
    (here / "runs.yaml").write_text(yaml.safe_dump({"runs": runs}))
    config = make_distil_config(values, yaml.safe_dump(values), here)
    with pytest.raises(InputError, match="zif-4: holds C, H, N, Zn, which no frame of train_files"):
        Distillation(here / "out", config)
    assert not (here / "out").exists()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, as the current one: a labeller looks there for its module, and adds it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
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
    state = (here / "out" / "state.json").read_text()
    (here / "out" / "state.json").write_text(state[:-5])
    with pytest.raises(InputError, match=r"state\.json: is not JSON .*; take a new folder"):
        Distillation(here / "out", config)
    (here / "out" / "state.json").write_text(state)
    write_frames(here / "train.extxyz", read_frames(here / "train.extxyz")[:5])
    with pytest.raises(InputError, match="another configuration or other files"):
        Distillation(here / "out", config)


def test_two_at_a_time(here: Path) -> None:
    work = Distillation(here / "out", configured(here), lambda _: None)
    with (
        lock_folder(here / "out", "test"),
        pytest.raises(RunError, match="another distillation is going on"),
    ):
        work.run()


def test_a_round_that_breaks(here: Path) -> None:
    """What breaks is labelled: last whole frames first, then those that a committee disputes."""
    crystal = zif4()
    model, other = embedded_model("zif4-allegro-s"), embedded_model("zif4-nequip-s")
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


def test_frames_about_to_break_are_not_labelled(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those before breaks nor others; a round in which all are too new is refused."""
    model = write_known("zif4-allegro-s", here / "known.mofmd.pth")
    (torn, new), before_break = rattled(2, 50), rattled(1, 60)[0]
    hydrogen = int(np.flatnonzero(torn.symbols == "H")[0])
    for frame, distance in ((torn, 1.5), (new, 0.3), (before_break, 1.5)):
        frame.positions[hydrogen] += distance / np.sqrt(3)
        frame.info["trajectory"] = "walk"
    score = Scorer(model).of_atoms
    high, low = (float(score(frame).max()) for frame in (torn, new))
    assert high > 1.5 * low > 1.5

    def work(name: str, at_most: float | None) -> Distillation:
        values = {**argon_files(here), "find": "density", "density": {"at_most": at_most}}
        config = make_distil_config(values, yaml.safe_dump(values), here)
        made = Distillation(here / name, config, lambda _: None)
        made.models(0)[0].parent.mkdir(parents=True)
        made.models(0)[0].symlink_to(model)
        (condition, _) = read_conditions(config.conditions)
        run = Sampled(condition, (torn, new), (before_break,), "broke", 0.1)
        monkeypatch.setattr(made, "_sampled", lambda _: [run])
        monkeypatch.setattr(made, "training_frames", lambda _: rattled(1))
        return made

    loop = work("bound", 1.2 * low)
    assert loop._find(0)["picked"] == 1
    (picked,) = read_frames(here / "bound/round0/picked.extxyz")
    assert np.abs(picked.positions - new.positions).max() < 1e-6
    assert work("free", None)._find(0)["picked"] == 3
    with pytest.raises(InputError, match=r"round 0: there are new atoms, but all were left out"):
        work("strict", 1.0 + 1e-6)._find(0)
    assert not (here / "strict/round0/picked.extxyz").exists()


def test_state_of_a_distillation(here: Path) -> None:
    config = configured(here)
    work = Distillation(here / "out", config, lambda _: None)
    assert (work.state["round"], work.state["stage"], work.is_complete) == (0, "train", False)
    work._advance({"force_mae": 50.0, "training_frames": 6})
    work._advance({"broken": 1})
    again = Distillation(here / "out", config, lambda _: None)
    assert (again.state["stage"], again.state["history"]) == (
        "find", [{"round": 0, "force_mae": 50.0, "training_frames": 6, "broken": 1}],
    )  # fmt: skip
    again._advance({"picked": 2})
    again._advance({})
    assert (again.state["round"], again.state["stage"]) == (1, "train")
    again._advance({"force_mae": 40.0})
    again._advance({"broken": 1})
    assert again.state["done"] == "rounds"
    assert again.is_complete
    more = Distillation(here / "out", configured(here, rounds=2), lambda _: None)
    assert not more.is_complete
    with pytest.raises(InputError, match="was begun with another configuration"):
        Distillation(here / "out", configured(here, frames_per_round=9))


def test_distillation_ends_when_the_runs_hold(here: Path) -> None:
    config = configured(here, target_force_mae=45.0, rounds=5)
    work = Distillation(here / "out", config, lambda _: None)
    work._advance({"force_mae": 50.0})
    work._advance({"broken": 0})
    assert not work.is_complete  # the error is too large
    work._advance({"picked": 2})
    work._advance({})
    work._advance({"force_mae": 44.0})
    work._advance({"broken": 0})
    assert (work.state["done"], work.is_complete) == ("target", True)


@pytest.mark.long
@pytest.mark.frameworks
def test_distillation(here: Path) -> None:
    """Two trainings, runs, a round of labels; broken off before each stage and taken up again."""
    needs("nequip")
    told = {"licence": "CC-BY-4.0", "cite": "Jones 1924"}
    config = configured(here, distorted_per_round=1, distortion={"kick_share": 0.5}, **told)
    for _ in range(6):
        work = Distillation(here / "out", config, lambda _: None)
        number, stage = work.state["round"], work.state["stage"]
        work._advance(getattr(work, f"_{stage}")(number))
    assert work.is_complete
    Distillation(here / "out", config).run()  # nothing left to do
    first, second = work.state["history"]
    assert (first["training_frames"], first["runs"], first["broken"]) == (6, 2, 0)
    assert first["picked"] == 5  # four, and one of them distorted
    assert second["training_frames"] == 6 + first["labelled"]
    picked = read_frames(here / "out/round0/labelled.extxyz")
    assert {each.info["source"] for each in picked} == {"argon_calculators:good"}
    expected = argon_labels(picked[0])
    assert labels_of(picked[0]).energy_eV == pytest.approx(expected.energy_eV, abs=1e-6)
    for model in (*work.models(0), *work.models(1)):
        manifest = read_deployed(model).manifest
        assert manifest["verification"]["passed"]
        assert manifest["licence"] == "CC-BY-4.0"
        assert "Jones 1924" in manifest["citations"]
