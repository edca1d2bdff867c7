"""Fine-tuning with frames to replay: switches, heads, the table of what is forgotten."""

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml
from ase import Atoms
from ase.calculators.lj import LennardJones
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels, labelled, write_frames
from mofmd.learning.train.mace import WITH_REPLAY
from mofmd.learning.train.options import TrainOptions
from mofmd.learning.train.training import (
    deploy_training,
    prepare_training,
    read_record,
    run_training,
)
from mofmd.models.deploy.options import Options
from tests.learning.test_learning_training import argon_set
from tests.learning_sets import argon


def mixed(seed: int = 0) -> Atoms:
    """Heads need two elements."""
    atoms = argon(seed, 0.2)
    atoms.symbols[::2] = "Kr"
    return atoms


def frames(seeds: range, epsilon_eV: float, name: str) -> list[Atoms]:
    """Two noble gases off their sites, by a potential of some depth."""
    found = []
    for seed in seeds:
        atoms = mixed(seed)
        atoms.calc = LennardJones(sigma=3.4, epsilon=epsilon_eV, rc=8.0, smooth=True)
        energy, forces = float(atoms.get_potential_energy()), atoms.get_forces()
        labels = Labels(energy, forces, atoms.get_stress(voigt=False))
        atoms.calc = None
        atoms.info["trajectory"] = f"{name}{seed}"
        found.append(labelled(atoms, labels))
    return found


def old(seeds: range) -> list[Atoms]:
    return frames(seeds, 0.0104, "old")


def new(seeds: range) -> list[Atoms]:
    """Another reference: three times as deep."""
    return frames(seeds, 0.0312, "new")


def options(**more: Any) -> TrainOptions:
    settings = ("default_dtype=float64", "batch_size=2", "lr=0.01")
    return TrainOptions("mace", size="xs", settings=settings, fused=False, **more)


def test_switches_are_set_and_recorded(tmp_path: Path) -> None:
    """None of those that mace_run_train turns by itself is left to it."""
    start, replay = tmp_path / "start.model", tmp_path / "old.extxyz"
    start.write_bytes(b"")
    write_frames(replay, old(range(12)))
    chosen = TrainOptions("mace", size="xs", start=start, replay=replay, pseudo=True)
    assert not chosen.has_fused_convolution
    prepare_training(tmp_path / "a", new(range(3)), new(range(20, 22)), chosen)
    config = yaml.safe_load((tmp_path / "a/config.yaml").read_text())
    for name, value in WITH_REPLAY.items():
        assert config[name] == value, name
    assert (config["energy_weight"], config["forces_weight"], config["stress_weight"]) == (
        1.0,
        10.0,
        100.0,
    )
    assert config["pseudolabel_replay"] is True
    assert read_record(tmp_path / "a")["frames"] == {"train": 3, "val": 2, "replay": 12}
    parts = [(tmp_path / f"a/{name}.extxyz").read_text() for name in ("replay", "replay_val")]
    assert [text.count("Lattice") for text in parts] == [11, 1]
    with pytest.raises(InputError, match="family mace"):
        TrainOptions("nequip", start=start, replay=replay)
    with pytest.raises(InputError, match="--replay"):
        TrainOptions("mace", start=start, pseudo=True)
    with pytest.raises(InputError, match="weights of one element"):
        prepare_training(tmp_path / "b", argon_set(range(3)), argon_set(range(20, 22)), chosen)
    write_frames(replay, old(range(1)))
    with pytest.raises(InputError, match="too few to replay"):
        prepare_training(tmp_path / "b", new(range(3)), new(range(20, 22)), chosen)


@pytest.mark.long
def test_two_heads_are_trained_and_the_new_one_deployed(tmp_path: Path) -> None:
    """At the rate that is asked for; the curve is the new head's, and so is the deployed model."""
    replayed = tmp_path / "replay.extxyz"
    write_frames(replayed, old(range(6)))
    prepare_training(tmp_path / "base", old(range(4)), old(range(20, 22)), options(epochs=3))
    run_training(tmp_path / "base", lambda _: None)
    start = tmp_path / "base/run/model.model"
    chosen = options(epochs=2, start=start, replay=replayed)
    prepare_training(tmp_path / "tuned", new(range(4)), new(range(20, 22)), chosen)
    epochs = run_training(tmp_path / "tuned", lambda _: None)
    log = (tmp_path / "tuned/train.log").read_text()
    assert "Using heads: ['Default', 'pt_head']" in log
    assert "Param group 0: lr = 0.01" in log
    model = deploy_training(tmp_path / "tuned", Options(), lambda _: None)
    assert model.manifest["head"] == "Default"
    val = tmp_path / "val.extxyz"
    write_frames(val, new(range(20, 22)))
    line = ["learn", "forgetting", str(model.path), str(model.path), "--frames", str(val)]
    done = CliRunner().invoke(app, [*line, "-o", str(tmp_path / "forgetting")])
    assert done.exit_code == 0, done.output
    with (tmp_path / "forgetting/forgetting.csv").open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["before: force_mae (meV/Å)"] == row["after: force_mae (meV/Å)"]
    chosen_epoch = min(epochs, key=lambda each: each.force_rmse)
    found = float(row["after: force_mae (meV/Å)"])
    assert found == pytest.approx(chosen_epoch.force_mae, rel=0.02)
