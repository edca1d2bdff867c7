"""Configurations of trainers, trainings on disk, and the frameworks' own trainers at work."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.io import read
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.disk.lock import lock_folder
from mofmd.errors import InputError, MissingFileError, RunError
from mofmd.learning.data.dataset import (
    Labels,
    labelled,
    labels_of,
    read_frames,
    without_stress,
    write_frames,
)
from mofmd.learning.data.distort import Distortion, distort_frames
from mofmd.learning.data.strain import strain_frames
from mofmd.learning.evaluate.curves import write_curves
from mofmd.learning.evaluate.evaluation import evaluate_model
from mofmd.learning.select.features import ModelFeatures
from mofmd.learning.train import mace as train_mace
from mofmd.learning.train import nequip as train_nequip
from mofmd.learning.train import training
from mofmd.learning.train.config import CONFIGS, change, chosen_size, read_template
from mofmd.learning.train.options import TrainOptions
from mofmd.learning.train.start import check_elements
from mofmd.learning.train.training import (
    deploy_training,
    prepare_training,
    read_record,
    run_training,
    trainer_progress,
)
from mofmd.models.deploy.options import Options
from mofmd.models.environments import environment_python
from mofmd.models.files.model_file import Family
from mofmd.structures.read import read_structure
from tests.learning_sets import argon, argon_labels, frame

FAMILIES: tuple[Family, ...] = ("allegro", "nequip", "mace")
# tiny: what is tested is that the trainers run and are read right
SETTINGS: dict[Family, tuple[str, ...]] = {
    "allegro": ("lr=0.02", "models.new.model_dtype=float64"),
    "nequip": ("lr=0.02", "models.new.model_dtype=float64"),
    "mace": ("lr=0.02", "default_dtype=float64", "batch_size=1"),
}

FALLS: dict[Family, str] = {"allegro": "energy_mae", "nequip": "energy_mae", "mace": "force_mae"}


def argon_set(seeds: range) -> list[Atoms]:
    frames = []
    for seed in seeds:
        atoms = argon(seed, 0.2)
        atoms.info["trajectory"] = f"t{seed}"
        frames.append(labelled(atoms, argon_labels(atoms)))
    return frames


def needs(family: Family) -> None:
    framework = "mace" if family == "mace" else "nequip"
    if environment_python(framework) is None:
        pytest.skip(f"the {framework} environment is absent: `mofmd env {framework}`")


def prepared(folder: Path, family: Family, epochs: int = 2, **options: Any) -> Path:
    settings = options.pop("settings", SETTINGS[family])
    chosen = TrainOptions(family, size="xs", epochs=epochs, settings=settings, **options)
    prepare_training(folder, argon_set(range(4)), argon_set(range(20, 22)), chosen)
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_package_configurations(family: Family, tmp_path: Path) -> None:
    template = read_template(family)
    assert {"xs", "s", "m"} <= set(template["sizes"])
    assert (CONFIGS / f"{family}.yaml").read_text().startswith("#")
    folder = prepared(tmp_path / "a", family, epochs=3, seed=5)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["seed"] == 5
    assert config["lr"] == 0.02
    if family == "mace":
        assert config["max_num_epochs"] == 3
        assert config["num_channels"] == template["sizes"]["xs"]["num_channels"]
        assert config["atomic_numbers"] == "[18]"
    else:
        assert config["max_epochs"] == 3
        assert config["steps_per_epoch"] == 4
        assert config["size"] == "xs"
        assert config["model_type_names"] == ["Ar"]
    assert "???" not in (folder / "config.yaml").read_text()
    assert read_record(folder)["state"] == "prepared"


def test_zif4_recipe_is_the_configuration_of_the_package() -> None:
    """The shipped model's architecture stays written down as size s."""
    size = chosen_size(read_template("allegro"), "s")
    assert size == {
        "l_max": 3, "num_layers": 1, "num_scalar_features": 48, "num_tensor_features": 8,
    }  # fmt: skip


def test_changes_of_a_configuration() -> None:
    config: dict[str, Any] = {"lr": 0.1, "model": {"layers": {"count": 2}}, "none": None}
    change(config, ["lr=1e-3", "model.layers.count=4", "+model.kind=fast", "none=[1, 2]"])
    assert config == {
        "lr": 1e-3, "model": {"layers": {"count": 4}, "kind": "fast"}, "none": [1, 2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("learning_rat=1", "no 'learning_rat'; did you mean learning_rate"),
        ("model.layer=1", "no 'layer'; did you mean layers"),
        ("learning_rate", "expected key=value"),
        ("learning_rate=[1", "is not a YAML value"),
        ("+learning_rate.deeper=1", "is no group of keys"),
    ],
)
def test_changes_that_are_refused(setting: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        change({"learning_rate": 0.1, "model": {"layers": 2}}, [setting])


def test_what_a_training_refuses(tmp_path: Path) -> None:
    train, val = argon_set(range(3)), argon_set(range(20, 21))
    options = TrainOptions("nequip", size="xs")
    with pytest.raises(InputError, match="'xxl' is not one of xs, s, m"):
        prepare_training(tmp_path / "a", train, val, TrainOptions("nequip", size="xxl"))
    with pytest.raises(InputError, match="trajectory 't0' has frames in training and validation"):
        prepare_training(tmp_path / "a", train, [*val, train[0]], options)
    with pytest.raises(InputError, match="holds C, H, N, Zn; this set is of Ar"):
        prepare_training(tmp_path / "a", train, [frame()], options)
    spoilt = argon_set(range(1))
    spoilt[0].calc.results["forces"][2, 1] = np.nan
    with pytest.raises(InputError, match="forces of atom 2 is not a number"):
        prepare_training(tmp_path / "a", spoilt, val, options)
    assert not (tmp_path / "a").exists()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine").touch()
    with pytest.raises(InputError, match="not empty"):
        prepare_training(tmp_path / "b", train, val, options)
    compiled = TrainOptions("nequip", size="xs", settings=("compile_mode=compile",))
    with pytest.raises(InputError, match="set batch_size=2"):
        prepare_training(tmp_path / "c", train, val, compiled)
    assert not (tmp_path / "c").exists()
    with pytest.raises(InputError, match="family: 'gap', expected allegro, nequip, mace, sevennet"):
        TrainOptions("gap")  # type: ignore[arg-type]
    with pytest.raises(MissingFileError, match="no such checkpoint"):
        TrainOptions("mace", start=tmp_path / "absent.model")


def test_frames_with_weights(tmp_path: Path) -> None:
    """MACE's trainer finds them where it looks for them; of the others they are no part."""
    light, heavy = (argon_set(range(k, k + 2)) for k in (0, 2))
    for name, frames, words in (("l", light, []), ("h", heavy, ["--weight", "15"])):
        write_frames(tmp_path / f"{name}.extxyz", frames)
        command = ["learn", "import", str(tmp_path / f"{name}.extxyz"), *words]
        done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / f"{name}2.extxyz")])
        assert done.exit_code == 0
    train = [f for name in "lh" for f in read_frames(tmp_path / f"{name}2.extxyz")]
    val = argon_set(range(20, 22))
    prepare_training(tmp_path / "a", train, val, TrainOptions("mace", size="xs"))
    written = read(tmp_path / "a/train.extxyz", index=":", format="extxyz")
    assert [f.info.get("config_weight", 1.0) for f in written] == [1.0, 1.0, 15.0, 15.0]
    with pytest.raises(InputError, match="2 frames have a config_weight, which the trainer of neq"):
        prepare_training(tmp_path / "b", train, val, TrainOptions("nequip", size="xs"))
    leaves_out = TrainOptions("mace", size="xs", settings=("loss=universal",))
    with pytest.raises(InputError, match="which MACE's loss 'universal' leaves out"):
        prepare_training(tmp_path / "b", train, val, leaves_out)
    back = ["learn", "import", str(tmp_path / "h2.extxyz"), "--weight", "1"]
    assert CliRunner().invoke(app, [*back, "-o", str(tmp_path / "h3.extxyz")]).exit_code == 0
    assert not any("config_weight" in f.info for f in read_frames(tmp_path / "h3.extxyz"))
    for weight in ("-1", "nan"):
        command = ["learn", "import", str(tmp_path / "l.extxyz"), "--weight", weight, "-o", "x"]
        done = CliRunner().invoke(app, command)
        assert "expected a number of 0 or more" in str(done.exception)
    train[0].info["config_weight"] = "much"
    write_frames(tmp_path / "wrong.extxyz", train)
    with pytest.raises(InputError, match="config_weight: 'much', expected a number of 0 or more"):
        read_frames(tmp_path / "wrong.extxyz")


def test_copies_that_are_changed_have_no_weight() -> None:
    """A weight is that of the frame as it came: of small forces at rest, say."""
    atoms = read_structure("zif-4")
    atoms.info["config_weight"] = 15.0
    copies = [*strain_frames([atoms], linear=[0.01]), *distort_frames([atoms], Distortion(), 1)]
    assert len(copies) == 2
    assert not any("config_weight" in copy.info for copy in copies)


@pytest.mark.parametrize("weights", [np.array(["much", "x"]), np.ones((2, 2))])
def test_weights_of_an_npz_file_that_are_none(weights: np.ndarray, tmp_path: Path) -> None:
    write_frames(tmp_path / "a.npz", argon_set(range(2)))
    with np.load(tmp_path / "a.npz") as arrays:
        np.savez(tmp_path / "b.npz", **arrays, config_weight=weights)
    with pytest.raises(InputError, match="config_weight"):
        read_frames(tmp_path / "b.npz")


def test_a_training_whose_data_were_changed(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a", "nequip")
    write_frames(folder / "train.extxyz", argon_set(range(1)))
    with pytest.raises(InputError, match=r"train\.extxyz: was changed or removed"):
        run_training(folder)
    with pytest.raises(MissingFileError, match="is not a training"):
        read_record(tmp_path)
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(InputError, match=r"training\.json: is not JSON .*prepare the training aga"):
        read_record(tmp_path)


def test_one_trainer_at_a_time(tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a", "nequip")
    with lock_folder(folder, "test"), pytest.raises(RunError, match="another training is going on"):
        run_training(folder)


def without_stresses(frames: list[Atoms]) -> list[Atoms]:
    return [without_stress(each) for each in frames]


@pytest.mark.parametrize("family", FAMILIES)
def test_training_without_stress(family: Family, tmp_path: Path) -> None:
    train, val = without_stresses(argon_set(range(4))), argon_set(range(20, 22))
    options = TrainOptions(family, size="xs", epochs=1, settings=SETTINGS[family], stress=False)
    with pytest.raises(InputError, match=r"has no stress; .*train without .--no-stress"):
        prepare_training(tmp_path / "a", train, val, replace(options, stress=True))
    prepare_training(tmp_path / "a", train, val, options)
    config = yaml.safe_load((tmp_path / "a/config.yaml").read_text())
    if family == "mace":
        assert config["compute_stress"] is False
        assert not {"stress_weight", "stress_key"} & set(config)
    else:
        loss = config["training_module"]["loss"]
        assert loss["_target_"] == "nequip.train.EnergyForceLoss"
        assert set(loss["coeffs"]) == {"total_energy", "forces"}
    assert "stress=" not in (tmp_path / "a/val.extxyz").read_text()


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize("family", FAMILIES)
def test_the_trainers_take_frames_without_stress(family: Family, tmp_path: Path) -> None:
    needs(family)
    frames = without_stresses(argon_set(range(6)))
    options = TrainOptions(family, size="xs", epochs=2, settings=SETTINGS[family], stress=False)
    prepare_training(tmp_path / "a", frames[:4], frames[4:], options)
    epochs = run_training(tmp_path / "a", lambda _: None)
    assert len(epochs) >= 2
    assert epochs[-1].force_mae > 0
    model = deploy_training(tmp_path / "a", report=lambda _: None)
    assert model.manifest["name"] == "a"
    said = deploy_training(tmp_path / "a", Options(licence="MIT", citations=("Jones 1924",)), str)
    assert (said.manifest["licence"], said.manifest["citations"][0]) == ("MIT", "Jones 1924")
    written = said.path.stat().st_mtime_ns
    assert deploy_training(tmp_path / "a", Options(licence="MIT"), str).path == said.path
    assert said.path.stat().st_mtime_ns == written


@pytest.mark.frameworks
def test_a_model_that_is_trained_on_keeps_its_types_and_edges(tmp_path: Path) -> None:
    """nequip compares neither: without a word the model's hydrogen would be the data's carbon."""
    needs("nequip")
    sources = Path(__file__).parents[2] / "deploy/models/zif4/sources"
    start = sources / "zif4-nequip-s.nequip.zip"
    options = TrainOptions("nequip", start=start)
    pair = frame()
    del pair[[1, 2]]  # C and Zn are left
    found = labels_of(frame())
    left = labelled(pair, Labels(-1.0, found.forces_eV_per_A[[0, 3]], found.stress_eV_per_A3))
    facts = train_nequip.read_start(options, [left])
    folder, template = tmp_path / "a", read_template("nequip")
    config = train_nequip.make_config(folder, template, options, [left], facts)
    assert config["model_type_names"] == ["C", "H", "N", "Zn"]
    assert config["cutoff_radius"] == 5.0
    assert config["per_edge_type_cutoff"]["H"] == {"C": 4.0, "H": 3.5, "N": 4.0, "Zn": 4.5}
    # the model's energies are moved to those of the labels, of elements that there are
    (predicted,) = facts.facts["energies_eV"]
    added = (-1.0 - predicted) / len(left)
    for name, before in facts.facts["shifts"].items():
        moved = before + (added if name in "CZn" else 0.0)
        assert config["energy_shifts"][name] == pytest.approx(moved, abs=1e-9)
    modify = config["models"]["packaged"]
    assert modify["_target_"] == "nequip.model.modify"
    assert modify["model"]["_target_"] == "nequip.model.ModelFromPackage"
    with pytest.raises(InputError, match="knows C H N Zn, the frames hold Ar"):
        check_elements(start, facts.facts["type_names"], argon_set(range(1)))
    shorter = replace(options, settings=("per_edge_type_cutoff.H.C=3.0",))
    with pytest.raises(InputError, match="has its own cutoffs, which cannot change"):
        train_nequip.make_config(folder, template, shorter, [left], facts)
    del template["models"]["packaged"]
    with pytest.raises(InputError, match=r"has no models\.packaged, which is what --start goes on"):
        train_nequip.make_config(folder, template, options, [left], facts)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_gate_takes_the_calmest_frame(family: Family, tmp_path: Path) -> None:
    """Whatever the names are under which a trainer reads labels."""
    folder = prepared(tmp_path / "a", family)
    calmest = min(argon_set(range(20, 22)), key=lambda f: np.abs(f.get_forces()).max())
    (found,) = training._calmest_frame(training._TRAINER[family], folder / "val.extxyz")
    np.testing.assert_allclose(found.positions, calmest.positions, atol=1e-6)


def test_deploying_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not trained yet"):
        deploy_training(prepared(tmp_path / "a", "mace"))


def test_commands_of_a_training(tmp_path: Path) -> None:
    def refused(*words: str) -> str:
        done = CliRunner().invoke(app, ["learn", "train", "-o", str(tmp_path / "a"), *words])
        assert isinstance(done.exception, InputError)
        return str(done.exception)

    assert "give --family and --data" in refused("--family", "mace")
    prepared(tmp_path / "a", "mace")
    assert "holds a training of mace" in refused("--family", "nequip")


def test_logs_of_nequip_with_a_resumed_run(tmp_path: Path) -> None:
    header = (
        "epoch,step,train_loss_step/weighted_sum,val0_epoch/forces_mae,val0_epoch/forces_rmse,"
        "val0_epoch/per_atom_energy_mae,val0_epoch/per_atom_energy_rmse\n"
    )
    for version, rows in {
        2: "0,1,0.5,,,,\n0,1,,0.5,0.6,0.01,0.02\n1,3,,0.4,0.5,0.01,0.02\n",
        10: "1,3,,0.3,0.4,0.005,0.006\n2,5,0.2,,,,\n",
    }.items():
        folder = tmp_path / f"run/lightning_logs/version_{version}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text(header + rows)
    epochs = train_nequip.progress(tmp_path)
    assert [each.epoch for each in epochs] == [0, 1]
    assert epochs[0].force_mae == pytest.approx(500.0)
    assert epochs[1].force_mae == pytest.approx(300.0)  # of the resumed run
    assert epochs[1].energy_rmse == pytest.approx(6.0)


def test_logs_of_mace_with_half_a_line(tmp_path: Path) -> None:
    (tmp_path / "run/results").mkdir(parents=True)
    row = {"mode": "eval", "mae_f": 0.1, "rmse_f": 0.2, "mae_e_per_atom": 3e-3,
           "rmse_e_per_atom": 4e-3}  # fmt: skip
    lines = [json.dumps({**row, "epoch": None}), json.dumps({"mode": "opt", "epoch": 0}),
             json.dumps({**row, "epoch": 0}), json.dumps({**row, "epoch": 1})[:-9]]  # fmt: skip
    (tmp_path / "run/results/model_run-1_train.txt").write_text("\n".join(lines))
    (epoch,) = train_mace.progress(tmp_path)
    assert (epoch.epoch, epoch.energy_mae) == (0, pytest.approx(3.0))


@pytest.mark.frameworks
@pytest.mark.parametrize("family", FAMILIES)
def test_training(family: Family, tmp_path: Path) -> None:
    needs(family)
    folder = prepared(tmp_path / family, family)
    told: list[str] = []
    epochs = run_training(folder, told.append)
    assert [each.epoch for each in epochs] == [0, 1]
    # it learns: what weighs most in the loss falls
    first, last = (getattr(each, FALLS[family]) for each in epochs)
    assert last < first
    assert 0.1 < epochs[1].force_mae < 1e3
    assert any(line.startswith("epoch 1: validation force MAE") for line in told)
    assert read_record(folder)["state"] == "trained"
    table = (folder / "progress.csv").read_text().splitlines()
    assert table[0].startswith("epoch,force_mae (meV/A)")
    assert len(table) == 3
    assert run_training(folder) == epochs  # complete: nothing is run again
    assert [path.name for path in write_curves([folder], [], tmp_path / "out")] == ["epochs"]
    assert (tmp_path / "out/epochs.svg").read_text().count("Validation force MAE") == 1


@pytest.mark.long
@pytest.mark.frameworks
def test_a_trainer_that_fails_is_quoted(tmp_path: Path) -> None:
    needs("mace")
    settings = (*SETTINGS["mace"], "correlation=many")
    folder = prepared(tmp_path / "a", "mace", settings=settings)
    with pytest.raises(
        RunError, match=r"(?s)the trainer ended with status .*correlation: invalid int"
    ):
        run_training(folder, lambda _: None)
    assert read_record(folder)["state"] == "prepared"


RUN = (
    "import sys; from pathlib import Path; from mofmd.learning.train.training import run_training\n"
)


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize("family", ["nequip", "mace"])
def test_a_killed_training_goes_on(family: Family, tmp_path: Path) -> None:
    needs(family)
    folder = prepared(tmp_path / "a", family, epochs=40)
    program = RUN + "run_training(Path(sys.argv[1]))"
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    end = time.monotonic() + 300
    while len(trainer_progress(folder)) < 3 and time.monotonic() < end:
        assert process.poll() is None
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    before = trainer_progress(folder)
    assert 3 <= len(before) < 40
    assert read_record(folder)["state"] == "prepared"
    epochs = run_training(folder, lambda _: None)
    assert [each.epoch for each in epochs] == list(range(40))
    assert epochs[1] == before[1]  # the first epochs were not run again
    log = (folder / "train.log").read_text()
    assert ("Continuing training" in log) if family == "nequip" else ("Loading checkpoint" in log)


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize("family", FAMILIES)
def test_from_frames_to_a_checked_model(family: Family, tmp_path: Path) -> None:
    """Train, deploy through the gate, evaluate in LAMMPS, go on from the weights."""
    needs(family)
    folder = prepared(tmp_path / family, family, epochs=4)
    epochs = run_training(folder, lambda _: None)
    model = deploy_training(folder, report=lambda _: None)
    assert model.family == family
    assert model.manifest["verification"]["passed"]
    assert deploy_training(folder).path == model.path  # once
    val = argon_set(range(20, 22))
    errors = evaluate_model(model.path, val).errors
    # the trainer's own validation errors and LAMMPS's are of the same model: the last one, of
    # MACE that of the lowest loss, in which the squared forces weigh most
    chosen = epochs[-1] if family != "mace" else min(epochs, key=lambda each: each.force_rmse)
    assert errors.force_mae == pytest.approx(chosen.force_mae, rel=1e-4)
    assert errors.energy_mae == pytest.approx(chosen.energy_mae, rel=1e-3)
    written = write_curves([folder], val, tmp_path / "curves")
    assert [path.name for path in written] == ["epochs", "frames.csv", "frames"]
    rows = (tmp_path / "curves/frames.csv").read_text().splitlines()
    assert rows[1].startswith(f"{family} xs,4,2,")
    turned = val[0].copy()
    turned.rotate(40, "z", rotate_cell=True)
    turned.rotate(70, "x", rotate_cell=True)
    features, same, other = ModelFeatures(model.path).of_frames([val[0], turned, val[1]])
    assert features["Ar"].shape[0] == 32
    size = np.abs(features["Ar"]).max()
    np.testing.assert_allclose(same["Ar"], features["Ar"], atol=1e-6 * size)
    assert np.abs(other["Ar"] - features["Ar"]).max() > 1e-3 * size
    for number, start in enumerate(train_weights(folder, family)):
        again = prepared(tmp_path / f"later{number}", family, start=start,
                         settings=() if family == "mace" else ("lr=0.001",))  # fmt: skip
        later = run_training(again, lambda _: None)
        assert getattr(later[0], FALLS[family]) < getattr(epochs[0], FALLS[family])  # not anew


def train_weights(folder: Path, family: Family) -> list[Path]:
    if family == "mace":
        return [folder / "run/model.model"]
    checkpoint, package = folder / "run/last.ckpt", folder / "packaged.nequip.zip"
    python = environment_python("nequip")
    assert python is not None
    program = python.parent / "nequip-package"
    subprocess.run([program, "build", checkpoint, package], check=True, cwd=folder, timeout=300)
    return [checkpoint, package]
