"""Training with nequip-train: NequIP and Allegro."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.dataset import write_frames
from mofmd.learning.train_config import change
from mofmd.learning.training_types import Epoch, TrainOptions

RUN = "run"
CHECKPOINT = f"{RUN}/last.ckpt"
_COLUMNS = {
    "force_mae": "val0_epoch/forces_mae",
    "force_rmse": "val0_epoch/forces_rmse",
    "energy_mae": "val0_epoch/per_atom_energy_mae",
    "energy_rmse": "val0_epoch/per_atom_energy_rmse",
}
EV_TO_MEV = 1e3


def write_data(folder: Path, train: Sequence[Atoms], val: Sequence[Atoms]) -> None:
    """Write the frames as nequip reads them."""
    write_frames(folder / "train.extxyz", train)
    write_frames(folder / "val.extxyz", val)


def make_config(
    folder: Path, template: dict[str, Any], options: TrainOptions, train: Sequence[Atoms]
) -> dict[str, Any]:
    """Fill in a configuration.

    Raises
    ------
    InputError
        If a setting does not fit.
    """
    config = dict(template)
    config["size"] = options.size
    config["data_dir"] = str(folder.resolve())
    config["model_type_names"] = sorted({str(s) for frame in train for s in frame.symbols})
    config["accelerator"] = "gpu" if options.device == "cuda" else "cpu"
    config["seed"] = options.seed
    if options.epochs is not None:
        config["max_epochs"] = options.epochs
    if options.start is not None:
        config["start"] = "packaged" if options.start.suffix == ".zip" else "trained"
        config["checkpoint"] = str(options.start.resolve())
    change(config, options.settings)
    if config.get("compile_mode") == "compile" and int(config.get("batch_size", 2)) < 2:
        raise InputError("compile_mode=compile: nequip compiles batches only; set batch_size=2")
    if "batch_size" in config:  # a configuration of the user's own may count its steps itself
        config["steps_per_epoch"] = -(-len(train) // int(config["batch_size"]))
    return config


def command(folder: Path, python: Path) -> list[str]:
    """Command line; goes on from the last checkpoint where there is one."""
    words = [
        str(python.parent / "nequip-train"),
        *("-cp", str(folder.resolve()), "-cn", "config"),
        f"hydra.run.dir={RUN}",
    ]
    if (folder / CHECKPOINT).exists():
        words.append(f"++ckpt_path={CHECKPOINT}")
    return words


def weights(folder: Path) -> Path:
    """Return the checkpoint to deploy: the last one, moving averages of the end of the schedule."""
    return folder / CHECKPOINT


def progress(folder: Path) -> list[Epoch]:
    """Read what the trainer logged: validation errors of each epoch."""
    epochs: dict[int, Epoch] = {}
    versions = (folder / RUN / "lightning_logs").glob("version_*/metrics.csv")
    for path in sorted(versions, key=lambda each: int(each.parent.name.partition("_")[2])):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                if not row.get(_COLUMNS["force_mae"]):
                    continue  # a step of training, or half a line
                values = {key: EV_TO_MEV * float(row[name]) for key, name in _COLUMNS.items()}
                epochs[int(row["epoch"])] = Epoch(epoch=int(row["epoch"]), **values)
    return [epochs[number] for number in sorted(epochs)]
