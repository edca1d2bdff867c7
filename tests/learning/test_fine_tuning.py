"""Fine-tuning with frames to replay: switches, heads, the table of what is forgotten."""

import csv
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones
from ase.io import read
from typer.testing import CliRunner

from mofmd.calculator import DeployedModel
from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels, bare, labelled, labels_of, write_frames
from mofmd.learning.evaluate.evaluation import evaluate_model
from mofmd.learning.train import mace as train_mace
from mofmd.learning.train import training
from mofmd.learning.train.config import read_template
from mofmd.learning.train.mace import WITH_REPLAY
from mofmd.learning.train.options import Family, TrainOptions
from mofmd.learning.train.start import Start, check_family, energy_offsets
from mofmd.learning.train.training import (
    deploy_training,
    prepare_training,
    read_record,
    run_training,
)
from mofmd.models.deploy.deploy import deploy
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
    path, replay = tmp_path / "start.model", tmp_path / "old.extxyz"
    path.write_bytes(b"")
    write_frames(replay, old(range(12)))
    chosen = TrainOptions("mace", size="xs", start=path, replay=replay, pseudo=True)
    start = Start(path, {"type_names": ["Ar", "Kr"], "r_max": 4.0, "num_interactions": 2})
    template, folder = read_template("mace"), tmp_path / "a"
    config = train_mace.make_config(folder, template, chosen, new(range(3)), start)
    for name, value in WITH_REPLAY.items():
        assert config[name] == value, name
    assert (config["energy_weight"], config["forces_weight"], config["stress_weight"]) == (
        1.0,
        10.0,
        100.0,
    )
    assert config["pseudolabel_replay"] is False  # labelled before the trainer begins
    assert config["foundation_model"] == str(path)
    assert config["r_max"] == 4.0  # of the start, as is all of its layers
    assert "num_channels" not in config
    folder.mkdir()
    train_mace.write_data(folder, new(range(3)), new(range(20, 22)), old(range(12)))
    parts = [(folder / f"{name}.extxyz").read_text() for name in ("replay", "replay_val")]
    assert [text.count("Lattice") for text in parts] == [11, 1]
    with pytest.raises(InputError, match="family mace"):
        TrainOptions("nequip", start=path, replay=replay)
    with pytest.raises(InputError, match="family mace"):
        TrainOptions("sevennet", start=Path("sevennet-0"), replay=replay)
    with pytest.raises(InputError, match="--replay"):
        TrainOptions("mace", start=path, pseudo=True)
    with pytest.raises(InputError, match="weights of one element"):
        train_mace.make_config(folder, template, chosen, argon_set(range(3)), start)
    write_frames(replay, old(range(1)))
    with pytest.raises(InputError, match="too few to replay"):
        prepare_training(tmp_path / "b", new(range(3)), new(range(20, 22)), chosen)


def test_starts_of_another_family(tmp_path: Path) -> None:
    """Said before anything is loaded."""
    for name, family, message in (
        (
            "a.model",
            "nequip",
            r"is a model \(\.model\) of MACE; a training of nequip needs a check",
        ),
        ("a.ckpt", "mace", "a training of mace needs a model"),
        ("a.pth", "allegro", r"is a checkpoint \(\.pth\) of SevenNet"),
        ("a.mofmd.pth", "sevennet", "is deployed, and cannot be trained on: give what it was made"),
        ("a.xyz", "sevennet", "is of no known kind"),
    ):
        with pytest.raises(InputError, match=message):
            check_family(tmp_path / name, family)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="sevennet-0 is a SevenNet, which --family sevennet"):
        TrainOptions("mace", start=Path("sevennet-0"))


def moved(frames: list[Atoms], eV: dict[str, float]) -> list[Atoms]:
    """Labels of a reference whose elements have other energies."""
    found = []
    for frame in frames:
        labels = labels_of(frame)
        added = sum(eV[str(symbol)] for symbol in frame.symbols)
        labels = Labels(labels.energy_eV + added, labels.forces_eV_per_A, labels.stress_eV_per_A3)
        found.append(labelled(frame, labels))
        found[-1].info["trajectory"] = frame.info["trajectory"]
    return found


def test_energies_of_elements_by_what_predictions_leave() -> None:
    frames = old(range(2))
    frames[1].symbols[1:9] = "Kr"
    predicted = [labels_of(frame).energy_eV for frame in frames]
    labels = moved(frames, {"Ar": -10.0, "Kr": 3.0})
    assert energy_offsets(labels, predicted) == pytest.approx({"Ar": -10.0, "Kr": 3.0})
    assert energy_offsets(labels[:1], predicted[:1]) == pytest.approx({"Ar": -3.5, "Kr": -3.5})


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize("family", ["nequip", "mace", "sevennet"])
def test_another_reference_does_not_begin_with_its_energies(family: Family, tmp_path: Path) -> None:
    """No trainer changes the energies of a start: MACE's says that it does, and does not."""
    settings = {
        "nequip": ("lr=1e-5", "ema_decay=0.1"),
        "mace": ("lr=1e-5", "ema=False"),
        "sevennet": ("train.optim_param.lr=1e-5", "train.scheduler_param.gamma=1.0"),
    }
    chosen = TrainOptions(family, size="xs", epochs=1, settings=settings[family])
    prepare_training(tmp_path / "base", old(range(4)), old(range(20, 22)), chosen)
    (base,) = run_training(tmp_path / "base", lambda _: None)
    weights = training._TRAINER[family].weights(tmp_path / "base")
    eV = {"Ar": -10.0, "Kr": -10.0}
    again = replace(chosen, start=weights)
    parts = moved(old(range(4)), eV), moved(old(range(20, 22)), eV)
    prepare_training(tmp_path / "tuned", *parts, again)
    offsets = read_record(tmp_path / "tuned")["energy_offsets_eV"]
    assert offsets == pytest.approx(eV, abs=1.0)  # and what the start itself misses
    (tuned,) = run_training(tmp_path / "tuned", lambda _: None)
    assert tuned.energy_mae < base.energy_mae + 20.0  # meV/atom, of 10 000
    assert tuned.force_mae == pytest.approx(base.force_mae, rel=0.05)
    model = deploy_training(tmp_path / "tuned", Options(), lambda _: None)
    found = evaluate_model(model.path, parts[1]).errors
    assert found.energy_mae == pytest.approx(tuned.energy_mae, abs=0.1)
    missing = old(range(2))
    missing[0].symbols[0] = "Xe"
    with pytest.raises(InputError, match=r"knows Ar Kr, the frames hold Xe"):
        prepare_training(tmp_path / "xenon", missing[:1], missing[1:], again)


@pytest.mark.long
def test_two_heads_are_trained_and_the_new_one_deployed(tmp_path: Path) -> None:
    """At the rate that is asked for; the curve is the new head's, and so is the deployed model.

    With the framework's own convolution and with the fused one.
    """
    replayed = tmp_path / "replay.extxyz"
    write_frames(replayed, old(range(6)))
    prepare_training(tmp_path / "base", old(range(4)), old(range(20, 22)), options(epochs=3))
    run_training(tmp_path / "base", lambda _: None)
    start = tmp_path / "base/run/model.model"
    chosen = options(epochs=2, start=start, replay=replayed)
    for name, each in (("plain", chosen), ("tuned", replace(chosen, fused=True))):
        prepare_training(tmp_path / name, new(range(4)), new(range(20, 22)), each)
    own = run_training(tmp_path / "plain", lambda _: None)
    epochs = run_training(tmp_path / "tuned", lambda _: None)
    assert read_record(tmp_path / "tuned")["fused"] is True
    np.testing.assert_allclose(*(list(map(astuple, curve)) for curve in (epochs, own)), rtol=1e-4)
    log = (tmp_path / "tuned/train.log").read_text()
    assert "Using heads: ['Default', 'pt_head']" in log
    assert "Param group 0: lr = 0.01" in log
    model = deploy_training(tmp_path / "tuned", Options(), lambda _: None)
    assert model.manifest["head"] == "Default"
    val = tmp_path / "val.extxyz"
    write_frames(val, new(range(20, 22)))
    old_head = tmp_path / "old_head.mofmd.pth"
    weights = tmp_path / "tuned/run/model.model"
    deploy(weights, old_head, Options(head=train_mace.OLD_HEAD, structures=(mixed(),)))
    known = tmp_path / "known/val.extxyz"  # two domains whose files have one name
    write_frames(known, old(range(20, 22)))
    line = ["learn", "forgetting", str(old_head), str(old_head), str(model.path)]
    line += ["--frames", str(val), "--frames", str(known)]
    done = CliRunner().invoke(app, [*line, "-o", str(tmp_path / "forgetting")])
    assert done.exit_code == 0, done.output
    with (tmp_path / "forgetting/forgetting.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == ["old_head", "tuned"] * 2
    assert len({row["domain"] for row in rows}) == 2
    same, other, _, known_row = rows
    assert same["before: force_mae (meV/Å)"] == same["after: force_mae (meV/Å)"]
    chosen_epoch = min(epochs, key=lambda each: each.force_rmse)
    found = float(other["after: force_mae (meV/Å)"])
    assert found == pytest.approx(chosen_epoch.force_mae, rel=0.02)
    by_old, by_new = "before: energy_mae (meV/atom)", "after: energy_mae (meV/atom)"
    assert float(other[by_new]) < 0.5 * float(other[by_old])  # each head has its own energies
    assert float(known_row[by_old]) < 0.5 * float(known_row[by_new])


@pytest.mark.long
def test_pseudo_labels_are_those_of_the_start(tmp_path: Path) -> None:
    """In float64, of frames with other labels or with none; what the start lacks is refused."""
    prepare_training(tmp_path / "base", old(range(4)), old(range(20, 22)), options(epochs=1))
    run_training(tmp_path / "base", lambda _: None)
    model = deploy_training(tmp_path / "base", Options(), lambda _: None)
    replayed = tmp_path / "replay.extxyz"
    frames = [*new(range(2)), *map(bare, old(range(2, 4)))]
    write_frames(replayed, frames)
    start = tmp_path / "base/run/model.model"
    chosen = options(start=start, replay=replayed, pseudo=True)
    prepare_training(tmp_path / "tuned", new(range(4)), new(range(20, 22)), chosen)
    written = [
        frame
        for part in ("replay", "replay_val")
        for frame in read(tmp_path / f"tuned/{part}.extxyz", ":")
    ]
    assert len(written) == len(frames)
    assert read_record(tmp_path / "tuned")["options"]["pseudo"] is True
    calculator = DeployedModel(model.path, dtype="float64")
    for frame in written:
        found = frame.copy()
        found.calc = calculator
        assert frame.info["REF_energy"] == pytest.approx(found.get_potential_energy(), abs=1e-6)
        assert frame.arrays["REF_forces"] == pytest.approx(found.get_forces(), abs=1e-6)
        stress = np.reshape(frame.info["REF_stress"], (3, 3))
        assert stress == pytest.approx(found.get_stress(voigt=False), abs=1e-8)
    frames[0].symbols[0] = "Xe"
    write_frames(replayed, frames)
    with pytest.raises(InputError, match=r"knows Ar Kr, the frames hold Xe"):
        prepare_training(tmp_path / "xenon", new(range(4)), new(range(20, 22)), chosen)
