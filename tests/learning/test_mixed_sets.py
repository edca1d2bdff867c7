"""Training sets of periodic frames, which have a stress, and molecules, which have none."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.calculators.lj import LennardJones
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels, labelled, without_stress, write_frames
from mofmd.learning.data.validation import check_frames
from mofmd.learning.evaluate.evaluation import evaluate_model
from mofmd.learning.label.labeller_check import compare_labels_with
from mofmd.learning.label.labellers import find_labeller
from mofmd.learning.train.fused import EXTENSION
from mofmd.learning.train.options import Family, TrainOptions
from mofmd.learning.train.start import FRAMEWORK
from mofmd.learning.train.training import prepare_training, run_training
from mofmd.models.environments import environment_python
from mofmd.units import EV_PER_A3_TO_GPA
from tests.learning.test_learning_training import SETTINGS, argon_set
from tests.learning_sets import argon, argon_labels, write_calculators

SCRIPT = Path(__file__).parents[1] / "frameworks" / "missing_stresses.py"
RATES: dict[Family, tuple[str, ...]] = {**SETTINGS, "sevennet": ("train.optim_param.lr=0.02",)}
BATCH: dict[Family, str] = {"sevennet": "data.batch_size"}


def needs(family: Family) -> Path:
    python = environment_python(FRAMEWORK[family])
    if python is None:
        pytest.skip(f"the {FRAMEWORK[family]} environment is absent: `mofmd env {family}`")
    return python


def droplets(seeds: range) -> list[Atoms]:
    """Argon without periodicity: energies and forces alone."""
    frames = []
    for seed in seeds:
        atoms = argon(seed, 0.2)
        atoms.pbc = False
        atoms.set_cell(None)
        atoms.info["trajectory"] = f"m{seed}"
        atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)
        labels = Labels(float(atoms.get_potential_energy()), atoms.get_forces(), None)
        frames.append(labelled(atoms, labels))
    return frames


def mixed(train: int, val: int) -> tuple[list[Atoms], list[Atoms]]:
    """As many crystals as molecules; all molecules come first."""
    return (
        [*droplets(range(train)), *argon_set(range(train))],
        [*droplets(range(20, 20 + val)), *argon_set(range(20, 20 + val))],
    )


def test_molecules_among_periodic_frames_need_no_stress() -> None:
    frames = [*droplets(range(2)), *argon_set(range(2))]
    check_frames(frames)
    with pytest.raises(InputError, match=r"frame 3 .*: has no stress; label it with a method"):
        check_frames([*frames[:3], without_stress(frames[3])])
    with pytest.raises(
        InputError, match=r"frame 0 .*no stress, and so are all others.*--no-stress"
    ):
        check_frames(frames[:2])


def test_stored_labels_of_a_mixed_set_against_a_labeller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stresses of the periodic frames, also where the first frames are molecules."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    write_calculators(tmp_path)
    crystals = []
    for seed in range(2):
        atoms = argon(seed, 0.2)
        atoms.set_cell(atoms.cell.array @ [[0.99, 0.02, 0.0], [0, 1, 0.01], [0, 0, 0.98]], True)
        atoms.info["trajectory"] = f"t{seed}"
        crystals.append(labelled(atoms, argon_labels(atoms)))
    frames = [*droplets(range(4)), *crystals]
    with find_labeller("argon_calculators:good").session() as label_now:
        ratios = compare_labels_with(frames[2:], label_now)
    assert (ratios.force, ratios.stress_shear) == pytest.approx((1.0, 1.0), abs=1e-6)
    write_frames(tmp_path / "frames.extxyz", frames)
    words = ["learn", "check", "frames.extxyz", "--labeller", "argon_calculators:good"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "normal stress 1.0000" in done.output


@pytest.mark.parametrize("family", ["allegro", "nequip"])
def test_what_nequip_is_told_of_missing_stresses(family: Family, tmp_path: Path) -> None:
    """Whether they are missing in training or in validation; nothing where none is."""
    molecules, crystals = droplets(range(2)), argon_set(range(2, 4))

    def config(name: str, train: list[Atoms], val: list[Atoms], **changes: Any) -> dict[str, Any]:
        chosen = TrainOptions(family, size="xs", epochs=1, settings=SETTINGS[family], **changes)
        prepare_training(tmp_path / name, train, val, chosen)
        return dict(yaml.safe_load((tmp_path / name / "config.yaml").read_text()))

    later = argon_set(range(6, 8))
    for name, train in (("a", [*molecules, *crystals]), ("b", crystals)):
        val = later if name == "a" else [*droplets(range(6, 7)), *later]
        found = config(name, train, val)
        assert found["data"]["transforms"][-1]["_target_"].endswith("AddNaNStressTransform")
        for part in ("loss", "val_metrics"):
            assert found["training_module"][part]["ignore_nan"] == {"stress": True}
        callbacks = [each["_target_"] for each in found["trainer"]["callbacks"]]
        assert "mofmd_training.nequip_losses.MissingStresses" in callbacks
    assert "NaN" not in yaml.safe_dump(config("c", crystals, later))
    assert "NaN" not in yaml.safe_dump(config("d", [*molecules, *crystals], later, stress=False))
    own = yaml.safe_load((tmp_path / "c/config.yaml").read_text())
    del own["data"]["transforms"]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(own))
    with pytest.raises(InputError, match=r"some frames have no stress, which needs data\.transfor"):
        config("e", [*molecules, *crystals], later, config=tmp_path / "own.yaml")
    assert not (tmp_path / "e").exists()


@pytest.mark.frameworks
def test_a_batch_of_molecules_has_a_loss(tmp_path: Path) -> None:
    """Of energies and forces; means of stresses are over the frames that have one."""
    python = needs("nequip")
    answer = tmp_path / "answer.json"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(EXTENSION)}
    subprocess.run([str(python), str(SCRIPT), str(answer)], env=env, check=True, timeout=300)
    own, mended = (json.loads(answer.read_text())[name] for name in ("False", "True"))
    # a weight w is every prediction, energies and forces are zero: terms w², w² and (w − s)² with
    # the coefficients 1, 1 and 2 of 4; batches with the stresses none, 0, none, 3 and 2, 0
    stresses = [0.0, 1.0, 0.0, 4.0, 1.0]
    gradients = [1.0, 2.0, 1.0, -1.0, 1.0]
    for found, stress, gradient in zip(mended["batches"], stresses, gradients, strict=True):
        assert found == pytest.approx([stress, 0.5 + 0.5 * stress, gradient])
    assert mended["epoch"]["stress_mse"] == pytest.approx((1.0 + 4.0 + 1.0 + 1.0) / 4)
    assert mended["epoch"]["weighted_sum"] == pytest.approx(0.5 + 0.5 * 7 / 4)
    # what is mended: nequip's own loss of a batch of molecules is no number, its gradient is right
    assert np.isnan(own["batches"][0][:2]).all()
    for k, (theirs, ours) in enumerate(zip(own["batches"], mended["batches"], strict=True)):
        assert theirs[2] == ours[2]
        assert k in {0, 2} or theirs == ours


def losses_of_steps(folder: Path) -> list[float]:
    (table,) = (folder / "run/lightning_logs").glob("*/metrics.csv")
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [float(row[name]) for row in rows if row[name := "train_loss_step/weighted_sum"]]


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("family", "batch_size"),
    [("nequip", 1), ("nequip", 3), ("allegro", 2), ("mace", 2), ("sevennet", 1), ("sevennet", 3)],
)
def test_a_training_on_a_mixed_set(family: Family, batch_size: int, tmp_path: Path) -> None:
    """By the command: it learns, no loss is NaN, and errors of stresses are those of crystals."""
    needs(family)
    train, val = mixed(4, 2)
    data, folder = tmp_path / "data", tmp_path / "a"
    write_frames(data / "train.extxyz", train)
    write_frames(data / "val.extxyz", val)
    settings = (*RATES[family], f"{BATCH.get(family, 'batch_size')}={batch_size}")
    words = ["learn", "train", "-o", folder, "--family", family, "--data", data, "--size", "xs"]
    words += ["--epochs", 3, *(word for each in settings for word in ("--set", each))]
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    model = folder / "model.mofmd.pth"
    found = evaluate_model(model, val).errors
    assert np.isfinite([found.force_mae, found.energy_mae, found.stress_rmse]).all()
    epochs = run_training(folder, lambda _: None)
    assert len(epochs) == 3
    assert np.isfinite([each.force_mae for each in epochs]).all()
    assert epochs[-1].energy_mae < epochs[0].energy_mae
    if family in {"nequip", "allegro"}:
        losses = losses_of_steps(folder)
        assert len(losses) == 3 * -(-8 // batch_size)
        assert np.isfinite(losses).all()
        # over both crystals, not over all four frames
        (table,) = (folder / "run/lightning_logs").glob("*/metrics.csv")
        with table.open(newline="") as file:
            last = [row for row in csv.DictReader(file) if row["val0_epoch/stress_rmse"]][-1]
        assert found.stress_rmse == pytest.approx(
            float(last["val0_epoch/stress_rmse"]) * EV_PER_A3_TO_GPA, rel=1e-3
        )
