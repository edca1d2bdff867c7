"""Training with SevenNet's own trainer."""

from __future__ import annotations

import copy
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from ase import Atoms

from mofmd.disk.atomic import write_atomic
from mofmd.errors import InputError
from mofmd.learning.data.element_energies import energy_shifts
from mofmd.learning.train import frame_files
from mofmd.learning.train.config import change, chosen_size
from mofmd.learning.train.mace import LAST_LR_SHARE
from mofmd.learning.train.options import Epoch, TrainOptions
from mofmd.learning.train.start import (
    Start,
    ask_start,
    check_elements,
    energy_offsets,
    write_shifted,
)
from mofmd.models.environments import create_environment
from mofmd.models.universal import find_universal

RUN = "run"  # holds a folder for each time that the training was begun or gone on with: 1, 2, ...
START = "start.pth"
BEST = "checkpoint_best.pth"
EV_TO_MEV = 1e3
_COLUMNS = {
    "force_mae": "validset_Force_MAE",
    "force_rmse": "validset_Force_ComponentRMSE",
    "energy_mae": "validset_Energy_MAE",
    "energy_rmse": "validset_Energy_RMSE",
}
_CHOSEN_BY = "validset_TotalLoss"

write_data = frame_files.write_data
forces = frame_files.forces


def read_start(options: TrainOptions, train: Sequence[Atoms]) -> Start:
    """Ask the checkpoint to go on from, or the universal model of this name.

    Raises
    ------
    InputError
        If it lacks elements, or has several levels of theory.
    """
    assert options.start is not None
    path = options.start
    universal = find_universal(path)
    if universal is not None:
        path = universal.find(create_environment("sevennet", lambda _: None))
    facts = ask_start(path.resolve(), "sevennet", train)
    if facts["modalities"]:
        raise InputError(
            f"start: {options.start} has several levels of theory "
            f"({', '.join(facts['modalities'])}), which frames of one cannot train: take another"
        )
    check_elements(options.start, facts["type_names"], train)
    return Start(path.resolve(), facts, energy_offsets(train, facts["energies_eV"]))


def write_start(folder: Path, start: Start) -> str:
    """Write the weights to go on from, for the energies of the new labels; return their name."""
    write_shifted(start, "sevennet", folder / START)
    return START


def make_config(
    folder: Path,
    template: dict[str, Any],
    options: TrainOptions,
    train: Sequence[Atoms],
    start: Start | None = None,
) -> dict[str, Any]:
    """Fill in a configuration; with a start every key of its model, as sevenn would take defaults.

    Raises
    ------
    InputError
        If a setting does not fit.
    """
    config = {key: value for key, value in copy.deepcopy(template).items() if key != "sizes"}
    config["model"] |= chosen_size(template, options.size)
    config["train"] |= {"random_seed": options.seed, "device": options.device}
    if options.epochs is not None:
        config["train"]["epoch"] = options.epochs
    if start is None:
        names = sorted({str(s) for frame in train for s in frame.symbols})
        config["model"]["chemical_species"] = names
        shifts = energy_shifts(train)
        found = [shifts[name] for name in names] if isinstance(shifts, dict) else shifts
        config["data"]["shift"] = found
    else:
        config["model"] = {
            **start.facts["model"],
            **{k: v for k, v in config["model"].items() if k.startswith("train_")},
            "chemical_species": start.facts["type_names"],
        }
        # sevenn takes these from the checkpoint, whatever the configuration says
        names = start.facts["type_names"]
        moved = zip(names, start.facts["shifts"], strict=True)
        config["data"] |= {
            "shift": [value + start.offsets_eV.get(name, 0.0) for name, value in moved],
            "scale": start.facts["scales"],
        }
        config["train"]["continue"] = {
            "checkpoint": str((folder / START).resolve()),
            "reset_optimizer": True,
            "reset_scheduler": True,
            "reset_epoch": True,
            "use_statistic_values_of_checkpoint": True,
        }
    config["train"]["is_train_stress"] = options.stress
    config["data"] |= {
        "load_trainset_path": [str((folder / "train.extxyz").resolve())],
        "load_validset_path": [str((folder / "val.extxyz").resolve())],
    }
    architecture = copy.deepcopy(config["model"])
    change(config, options.settings)
    changed = [k for k, v in architecture.items() if config["model"].get(k) != v]
    if start is not None and (fixed := [k for k in changed if not k.startswith("train_")]):
        raise InputError(
            f"set model.{fixed[0]}: {options.start} has its own model, which cannot change: leave "
            "this setting out"
        )
    _fill_gamma(config["train"])
    return config


def _fill_gamma(train: dict[str, Any]) -> None:
    parameters = train.get("scheduler_param") or {}
    if parameters.get("gamma") == "auto":
        parameters["gamma"] = LAST_LR_SHARE ** (1.0 / int(train["epoch"]))


def ignore_missing_stress(config: dict[str, Any]) -> None:
    """Nothing: a stress that is missing is NaN to sevenn, and left out of its means."""


def command(folder: Path, python: Path, fused: bool) -> list[str]:
    """Command line; goes on from the last checkpoint where there is one."""
    config, sessions = "config.yaml", _sessions(folder)
    last = [path for each in sessions for path in _numbered(each)]
    if last:
        again = yaml.safe_load((folder / config).read_text())
        again["train"]["continue"] = {
            **again["train"].get("continue", {}),
            "checkpoint": str(last[-1].resolve()),
            "reset_optimizer": False,
            "reset_scheduler": False,
            "reset_epoch": False,
        }
        config = f"{RUN}/resume.yaml"
        write_atomic(folder / config, yaml.safe_dump(again, sort_keys=False))
    trainer = [str(python.parent / "sevenn")]
    if fused:
        trainer = [str(python), "-m", "mofmd_training.sevennet"]
    number = 1 + max((int(each.name) for each in sessions), default=0)
    return [*trainer, "train", config, "-w", f"{RUN}/{number}", "-s"]


def _sessions(folder: Path) -> list[Path]:
    """Return the folders of `RUN`, the oldest first."""
    found = [path for path in (folder / RUN).glob("*") if path.name.isdigit()]
    return sorted(found, key=lambda path: int(path.name))


def _numbered(session: Path) -> list[Path]:
    """Return its checkpoints of whole epochs, the oldest first."""
    found = {path.stem.partition("_")[2]: path for path in session.glob("checkpoint_*.pth")}
    return [found[name] for name in sorted(filter(str.isdigit, found), key=int) if name != "0"]


def weights(folder: Path) -> Path:
    """Return the checkpoint to deploy: the one of the lowest validation loss.

    The trainer forgets the lowest loss when it goes on, so that each session has a best of its own.
    """
    chosen, lowest = folder / RUN / "1" / BEST, np.inf
    for session in _sessions(folder):
        losses = [float(row[_CHOSEN_BY]) for row in _rows(session)]
        if losses and min(losses) < lowest and (session / BEST).exists():
            chosen, lowest = session / BEST, min(losses)
    return chosen


def progress(folder: Path) -> list[Epoch]:
    """Read what the trainer logged: validation errors of each epoch."""
    epochs: dict[int, Epoch] = {}
    for session in _sessions(folder):
        for row in _rows(session):
            values = {key: EV_TO_MEV * float(row[name]) for key, name in _COLUMNS.items()}
            number = int(row["epoch"]) - 1
            epochs[number] = Epoch(epoch=number, **values)
    return [epochs[number] for number in sorted(epochs)]


def _rows(session: Path) -> list[dict[str, str]]:
    """Return the whole lines of a session's table."""
    table = session / "lc.csv"
    if not table.exists():
        return []
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    return list(csv.DictReader(whole))
