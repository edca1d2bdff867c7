"""Training with mace_run_train."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from mofmd.disk.atomic import write_atomic
from mofmd.errors import InputError
from mofmd.learning.data.dataset import bare, labels_of
from mofmd.learning.train.config import change, chosen_size
from mofmd.learning.train.options import Epoch, TrainOptions
from mofmd.learning.train.start import (
    Start,
    ask_start,
    check_elements,
    energy_offsets,
    start_labels,
    write_shifted,
)

RUN = "run"
NAME = "model"
START = "start.model"
EV_TO_MEV = 1e3
UNWEIGHTED_LOSSES = ("universal", "huber")  # take no account of a frame's config_weight
LAST_LR_SHARE = 0.1  # an exponential to less spends most epochs at rates that teach nothing
NEW_HEAD, OLD_HEAD = "Default", "pt_head"  # as mace_run_train calls them
# Elena et al., npj Comput. Mater. 11, 125 (2025); and every switch that mace_run_train otherwise
# turns by itself, without asking, when weights have a second head
WITH_REPLAY = {
    "lr": 0.005,
    "ema": True,
    "ema_decay": 0.995,
    "energy_weight": 1.0,
    "forces_weight": 10.0,
    "stress_weight": 100.0,
    "loss": "universal",  # whatever is asked for
    "multiheads_finetuning": True,
    "force_mh_ft_lr": True,  # else lr is 1e-4 and ema_decay 0.99999
    "real_pt_data_ratio_threshold": 0.0,  # else few new frames are repeated
    "subselect_pt": "fps",
    "filter_type_pt": "none",
    "weight_pt_head": 1.0,
    "E0s": "estimated",  # of the new labels, from what the weights predict
}
REPLAY_VAL_EVERY = 10
# what mace_run_train takes from the weights, whatever the configuration says
_OF_START = (
    *("num_channels", "max_L", "max_ell", "correlation", "MLP_irreps", "radial_MLP"),
    *("num_radial_basis", "pair_repulsion"),
)
_FIELDS = {
    "force_mae": "mae_f",
    "force_rmse": "rmse_f",
    "energy_mae": "mae_e_per_atom",
    "energy_rmse": "rmse_e_per_atom",
}


def write_data(
    folder: Path, train: Sequence[Atoms], val: Sequence[Atoms], replay: Sequence[Atoms] = ()
) -> None:
    """Write the frames with labels under the names that the configuration says.

    Of frames to replay every tenth is kept for validation, one at least.
    """
    from ase.io import write

    parts = {"train": train, "val": val}
    if replay:
        last = len(replay) - 1
        kept = {k for k in range(len(replay)) if k % REPLAY_VAL_EVERY == 9} or {last}
        parts["replay"] = [f for k, f in enumerate(replay) if k not in kept]
        parts["replay_val"] = [f for k, f in enumerate(replay) if k in kept]
    for name, frames in parts.items():
        rows = []
        for frame in frames:
            labels, row = labels_of(frame), bare(frame)
            row.info["REF_energy"] = labels.energy_eV
            row.arrays["REF_forces"] = labels.forces_eV_per_A
            if labels.stress_eV_per_A3 is not None:
                row.info["REF_stress"] = labels.stress_eV_per_A3.ravel()
            rows.append(row)
        buffer = io.StringIO()
        write(buffer, rows, format="extxyz")
        write_atomic(folder / f"{name}.extxyz", buffer.getvalue())


def forces(frame: Atoms) -> np.ndarray:
    """Return the forces (N, 3) [eV/Å] of a frame that `write_data` wrote."""
    return np.asarray(frame.arrays["REF_forces"])


def read_start(options: TrainOptions, train: Sequence[Atoms]) -> Start:
    """Ask the model to go on from.

    Raises
    ------
    InputError
        If it lacks elements, or has several heads and none was chosen.
    """
    assert options.start is not None
    path = options.start.resolve()
    head = _head_asked(options)
    facts = ask_start(path, "mace", train, *filter(None, [head]))
    heads = facts["heads"]
    if head not in (*heads, None) or (head is None and len(heads) > 1):
        raise InputError(
            f"start: {options.start} has the heads {', '.join(heads)}: choose the one to go on "
            "from with --set foundation_head=NAME"
        )
    check_elements(options.start, facts["type_names"], train)
    if options.replay is not None:  # the energies of a new head are another matter
        return Start(path, facts)
    return Start(path, facts, energy_offsets(train, facts["energies_eV"]))


def pseudo_labels(options: TrainOptions, frames: Sequence[Atoms]) -> list[Atoms]:
    """Label frames to replay by the model to go on from.

    mace_run_train could do it, but gives frames without labels no weight, and goes on with the
    labels that are there where the model fails.
    """
    assert options.start is not None
    head = _head_asked(options)
    return start_labels(options.start.resolve(), "mace", frames, *filter(None, [head]))


def _head_asked(options: TrainOptions) -> str | None:
    asked: dict[str, Any] = {}
    change(asked, [f"+{word.lstrip('+')}" for word in options.settings])
    head = asked.get("foundation_head")
    return None if head is None else str(head)


def write_start(folder: Path, start: Start) -> str | None:
    """Write the model to go on from, for the energies of the new labels; return its name."""
    if not start.offsets_eV:
        return None
    write_shifted(start, "mace", folder / START)
    return START


def _atom_energies(start: Start) -> dict[int, float]:
    """Energies of atoms [eV] by atomic number, moved to those of the new labels.

    ``E0s: foundation`` of mace_run_train takes the first of several heads, and fails where the
    start knows one element.
    """
    return {
        atomic_numbers[name]: energy + start.offsets_eV.get(name, 0.0)
        for name, energy in start.facts["atom_energies_eV"].items()
    }


def make_config(
    folder: Path,
    template: dict[str, Any],
    options: TrainOptions,
    train: Sequence[Atoms],
    start: Start | None = None,
) -> dict[str, Any]:
    """Fill in a configuration; all options on one level, as mace_run_train reads them."""
    size = chosen_size(template, options.size)
    config = {key: value for key, value in template.items() if key != "sizes"} | size
    config |= {
        "name": NAME,
        "seed": options.seed,
        "train_file": str((folder / "train.extxyz").resolve()),
        "valid_file": str((folder / "val.extxyz").resolve()),
        "work_dir": RUN,
        "device": options.device,
        "atomic_numbers": str(sorted({int(z) for frame in train for z in frame.numbers})),
        "restart_latest": True,
    }
    if options.epochs is not None:
        config["max_num_epochs"] = options.epochs
    if start is not None:
        config = {key: value for key, value in config.items() if key not in _OF_START}
        config |= {name: start.facts[name] for name in ("r_max", "num_interactions")}
        config |= {
            "foundation_model": str(start.path),
            "foundation_model_elements": False,  # those of the frames alone
            "foundation_filter_elements": True,  # else the readouts begin anew
            "multiheads_finetuning": False,
        }
        if start.offsets_eV:  # mace_run_train would log new energies, and keep those of the start
            config |= {
                "foundation_model": str((folder / START).resolve()),
                "E0s": str(_atom_energies(start)),
            }
    if options.replay is not None:
        if len({int(z) for frame in train for z in frame.numbers}) < 2:
            raise InputError(
                "replay: mace_run_train cannot give a second head to weights of one element; put "
                "old frames among the new ones"
            )
        config |= WITH_REPLAY
        config |= {
            "pt_train_file": str((folder / "replay.extxyz").resolve()),
            "pt_valid_file": str((folder / "replay_val.extxyz").resolve()),
            "pseudolabel_replay": False,  # the frames have them already
        }
    if not options.stress:  # energies and forces alone
        config |= {"loss": "weighted", "compute_stress": False, "error_table": "PerAtomRMSE"}
        config = {k: v for k, v in config.items() if k not in ("stress_weight", "stress_key")}
        if options.replay is not None:
            config["loss"] = WITH_REPLAY["loss"]
    change(config, [word if word.startswith("+") else f"+{word}" for word in options.settings])
    if config.get("lr_scheduler_gamma") == "auto":
        config["lr_scheduler_gamma"] = LAST_LR_SHARE ** (1.0 / int(config["max_num_epochs"]))
    return {key: value for key, value in config.items() if value is not None}


def ignore_missing_stress(config: dict[str, Any]) -> None:
    """Nothing: mace_run_train gives a stress that is missing no weight."""


def command(folder: Path, python: Path, fused: bool) -> list[str]:
    """Command line; ``restart_latest`` goes on from the last checkpoint where there is one."""
    del folder
    trainer = [str(python.parent / "mace_run_train")]
    if fused:
        trainer = [str(python), "-m", "mofmd_training.mace"]
    return [*trainer, "--config", "config.yaml"]


def weights(folder: Path) -> Path:
    """Return the model to deploy: the one of the lowest validation loss."""
    return folder / RUN / f"{NAME}.model"


def progress(folder: Path) -> list[Epoch]:
    """Read what the trainer logged: validation errors of each epoch."""
    epochs: dict[int, Epoch] = {}
    for path in sorted((folder / RUN / "results").glob("*_train.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # the line is being written
                continue
            if row.get("mode") != "eval" or row.get("epoch") is None:
                continue
            if row.get("head") == OLD_HEAD:
                continue
            values = {key: EV_TO_MEV * float(row[name]) for key, name in _FIELDS.items()}
            epochs[int(row["epoch"])] = Epoch(epoch=int(row["epoch"]), **values)
    return [epochs[number] for number in sorted(epochs)]
