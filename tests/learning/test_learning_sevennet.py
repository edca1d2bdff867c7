"""Training of SevenNet: its input, sessions of a training that was broken off, its own trainer."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.evaluate.evaluation import evaluate_model
from mofmd.learning.train import sevennet
from mofmd.learning.train.config import read_template
from mofmd.learning.train.options import TrainOptions
from mofmd.learning.train.start import Start, ask_start
from mofmd.learning.train.training import (
    deploy_training,
    prepare_training,
    read_record,
    run_training,
)
from mofmd.models.deploy.options import Options
from mofmd.models.environments import environment_python
from tests.learning.test_learning_training import argon_set, without_stresses

FACTS: dict[str, Any] = {
    "type_names": ["Ar", "Kr"],
    "modalities": [],
    "model": {"cutoff": 4.5, "channel": 7, "_normalize_sph": False, "train_shift_scale": False},
    "scales": [2.0, 3.0],
    "shifts": [-1.0, -2.0],
    "energies_eV": [],
}


def made(folder: Path, start: Start | None = None, **options: Any) -> dict[str, Any]:
    chosen = TrainOptions("sevennet", size="xs", **options)
    train = argon_set(range(2))
    return sevennet.make_config(folder, read_template("sevennet"), chosen, train, start)


def test_what_sevenn_changes_by_itself_is_in_the_configuration(tmp_path: Path) -> None:
    """It takes shifts and scales from a checkpoint, defaults for what the input does not say."""
    start = Start(tmp_path / "a.pth", FACTS, {"Ar": -0.5})
    config = made(tmp_path, start, epochs=7, seed=3)
    assert config["model"] == {
        **FACTS["model"],
        "train_denominator": False,
        "chemical_species": ["Ar", "Kr"],
    }
    assert config["data"]["shift"] == [-1.5, -2.0]
    assert config["data"]["scale"] == [2.0, 3.0]
    assert config["train"]["continue"] == {
        "checkpoint": str(tmp_path / "start.pth"),
        "reset_optimizer": True,
        "reset_scheduler": True,
        "reset_epoch": True,
        "use_statistic_values_of_checkpoint": True,
    }
    assert config["train"]["random_seed"] == 3
    assert config["train"]["scheduler_param"]["gamma"] ** 7 == pytest.approx(0.1)
    weights = [config["train"][f"{name}_loss_weight"] for name in ("force", "stress")]
    assert weights == [1.0, 0.01]
    changed = ("model.train_shift_scale=true", "train.force_loss_weight=10.0")
    config = made(tmp_path, start, settings=changed)
    assert config["model"]["train_shift_scale"] is True
    assert config["train"]["force_loss_weight"] == 10.0
    with pytest.raises(InputError, match=r"set model\.channel: .* has its own model"):
        made(tmp_path, start, settings=("model.channel=8",))
    assert made(tmp_path, stress=False)["train"]["is_train_stress"] is False


def test_a_new_model_begins_with_the_mean_energy(tmp_path: Path) -> None:
    train = argon_set(range(2))
    config = made(tmp_path)
    assert config["model"]["chemical_species"] == ["Ar"]
    assert "continue" not in config["train"]
    mean = sum(frame.get_potential_energy() / len(frame) for frame in train) / 2
    assert config["data"]["shift"] == [pytest.approx(mean)]
    assert config["model"]["channel"] == 4
    assert "sizes" not in config


def session(folder: Path, number: int, losses: dict[int, float], saved: tuple[int, ...]) -> None:
    """Write what sevenn leaves; the last line is half written."""
    where = folder / "run" / str(number)
    where.mkdir(parents=True)
    columns = (*sevennet._COLUMNS.values(), "validset_TotalLoss")
    lines = [",".join(("epoch", "lr", *columns))]
    lines += [",".join(map(str, (k, 0.1, *[loss] * len(columns)))) for k, loss in losses.items()]
    (where / "lc.csv").write_text("\n".join(lines) + "\n9,0.1,0.")
    for name in (0, *saved, "best"):
        (where / f"checkpoint_{name}.pth").touch()


def test_a_training_that_was_broken_off_goes_on(tmp_path: Path) -> None:
    """From the last whole checkpoint; the best weights may be those of an earlier session."""
    python = Path("/env/bin/python")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"train": {"epoch": 20}, "data": {}}))
    assert sevennet.command(tmp_path, python, fused=False) == [
        *("/env/bin/sevenn", "train", "config.yaml", "-w", "run/1", "-s")
    ]
    session(tmp_path, 1, {5: 0.4, 10: 0.1, 11: 0.3}, (5, 10))
    command = sevennet.command(tmp_path, python, fused=True)
    assert command[1:3] == ["-m", "mofmd_training.sevennet"]
    assert command[4:] == ["run/resume.yaml", "-w", "run/2", "-s"]
    again = yaml.safe_load((tmp_path / "run/resume.yaml").read_text())["train"]
    assert again["epoch"] == 20
    assert again["continue"]["checkpoint"] == str(tmp_path / "run/1/checkpoint_10.pth")
    assert not any(value for key, value in again["continue"].items() if key.startswith("reset"))
    session(tmp_path, 2, {11: 0.25, 12: 0.2}, ())
    assert sevennet.weights(tmp_path) == tmp_path / "run/1/checkpoint_best.pth"
    epochs = sevennet.progress(tmp_path)
    assert [each.epoch for each in epochs] == [4, 9, 10, 11]
    assert epochs[2].force_mae == pytest.approx(250.0)  # of the later session
    command = sevennet.command(tmp_path, python, fused=True)
    assert "run/3" in command


def test_levels_of_theory_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if environment_python("sevennet") is None:
        pytest.skip("the sevennet environment is absent: `mofmd env sevennet`")
    asked: list[Path] = []

    def ask(path: Path, *_: Any) -> dict[str, Any]:
        asked.append(path)
        return {**FACTS, "modalities": ["PBE", "R2SCAN"]}

    monkeypatch.setattr(sevennet, "ask_start", ask)
    options = TrainOptions("sevennet", start=Path("sevennet-mf-0"))
    with pytest.raises(InputError, match=r"sevennet-mf-0 has several levels of theory \(PBE, R2S"):
        prepare_training(tmp_path / "a", argon_set(range(1)), argon_set(range(2, 3)), options)
    assert asked[0].name == "checkpoint_sevennet_mf_0.pth"


@pytest.mark.long
@pytest.mark.frameworks
def test_the_trainer_goes_on_and_its_best_is_deployed(tmp_path: Path) -> None:
    """Five epochs, then as many more as if nothing had been: the same curve as in one go."""
    if environment_python("sevennet") is None:
        pytest.skip("the sevennet environment is absent: `mofmd env sevennet`")
    train, val = argon_set(range(4)), argon_set(range(20, 22))
    settings = ("train.optim_param.lr=0.02", "train.train_shuffle=false", "train.per_epoch=2")
    settings += ("train.scheduler_param.gamma=0.9",)
    options = TrainOptions("sevennet", size="xs", epochs=4, settings=settings)

    def curve(folder: Path, chosen: TrainOptions) -> list[float]:
        prepare_training(folder, train, val, chosen)
        return [each.force_mae for each in run_training(folder, lambda _: None)]

    whole = curve(tmp_path / "whole", options)
    assert len(whole) == 4
    assert whole[-1] < whole[0]
    half = curve(tmp_path / "half", replace(options, epochs=2))
    assert half == pytest.approx(whole[:2], rel=1e-4)
    # what was left by a trainer that was ended after two of four epochs
    broken = tmp_path / "broken"
    prepare_training(broken, train, val, options)
    (tmp_path / "half/run").rename(broken / "run")
    again = [each.force_mae for each in run_training(broken, lambda _: None)]
    assert again == pytest.approx(whole, rel=1e-4)
    model = deploy_training(broken, Options(), lambda _: None)
    assert model.family == "sevennet"
    assert read_record(broken)["state"] == "deployed"
    found = evaluate_model(model.path, val).errors
    assert min(abs(found.force_mae - each) for each in again) < 0.05


@pytest.mark.long
@pytest.mark.frameworks
def test_the_copy_of_an_old_checkpoint_is_the_same_model(tmp_path: Path) -> None:
    """SevenNet-0 is of a version that kept weights in another order."""
    if environment_python("sevennet") is None:
        pytest.skip("the sevennet environment is absent: `mofmd env sevennet`")
    frames = argon_set(range(1))
    options = TrainOptions("sevennet", start=Path("sevennet-0"))
    start = sevennet.read_start(options, frames)
    (before,) = start.facts["energies_eV"]
    name = sevennet.write_start(tmp_path, start)
    (after,) = ask_start(tmp_path / name, "sevennet", frames)["energies_eV"]
    assert after == pytest.approx(before + len(frames[0]) * start.offsets_eV["Ar"], abs=1e-3)
    assert after == pytest.approx(frames[0].get_potential_energy(), abs=1e-3)


@pytest.mark.long
@pytest.mark.frameworks
def test_frames_without_stress(tmp_path: Path) -> None:
    if environment_python("sevennet") is None:
        pytest.skip("the sevennet environment is absent: `mofmd env sevennet`")
    frames: list[Atoms] = without_stresses(argon_set(range(6)))
    options = TrainOptions("sevennet", size="xs", epochs=1, stress=False, fused=False)
    prepare_training(tmp_path / "a", frames[:4], frames[4:], options)
    (epoch,) = run_training(tmp_path / "a", lambda _: None)
    assert epoch.force_mae > 0
