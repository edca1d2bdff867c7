"""Training with nequip-train: NequIP and Allegro."""

from __future__ import annotations

import copy
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.data.element_energies import energy_shifts
from mofmd.learning.train import frame_files
from mofmd.learning.train.config import change
from mofmd.learning.train.options import Epoch, TrainOptions
from mofmd.learning.train.start import Start, ask_start, check_elements, energy_offsets

RUN = "run"
CHECKPOINT = f"{RUN}/last.ckpt"
FUSED = "mofmd_training.nequip.FusedConvolutions"
MISSING = "mofmd_training.nequip_losses.MissingStresses"
NAN = "nequip.data.transforms.AddNaNStressTransform"
_COLUMNS = {
    "force_mae": "val0_epoch/forces_mae",
    "force_rmse": "val0_epoch/forces_rmse",
    "energy_mae": "val0_epoch/per_atom_energy_mae",
    "energy_rmse": "val0_epoch/per_atom_energy_rmse",
}
EV_TO_MEV = 1e3

write_data = frame_files.write_data
forces = frame_files.forces


def read_start(options: TrainOptions, train: Sequence[Atoms]) -> Start:
    """Ask the checkpoint or package to go on from.

    Raises
    ------
    InputError
        If nequip cannot load it, or it lacks elements.
    """
    assert options.start is not None
    path = options.start.resolve()
    facts = ask_start(path, "nequip", train)
    check_elements(options.start, facts["type_names"], train)
    return Start(path, facts, energy_offsets(train, facts["energies_eV"]))


def write_start(folder: Path, start: Start) -> None:
    """Nothing: nequip changes the energies of a start as the configuration says."""


def make_config(
    folder: Path,
    template: dict[str, Any],
    options: TrainOptions,
    train: Sequence[Atoms],
    start: Start | None = None,
) -> dict[str, Any]:
    """Fill in a configuration.

    Raises
    ------
    InputError
        If a setting does not fit.
    """
    config = copy.deepcopy(template)
    config["size"] = options.size
    config["data_dir"] = str(folder.resolve())
    config["model_type_names"] = sorted({str(s) for frame in train for s in frame.symbols})
    config["accelerator"] = "gpu" if options.device == "cuda" else "cpu"
    config["seed"] = options.seed
    if options.epochs is not None:
        config["max_epochs"] = options.epochs
    if start is None:
        config["energy_shifts"] = energy_shifts(train)
        change(config, options.settings)
    else:
        config["start"] = "packaged" if start.path.suffix == ".zip" else "trained"
        config["checkpoint"] = str(start.path)
        _take_over(config, start)
        change(config, options.settings)
        if _cutoffs(config) != start.facts["cutoffs"]:
            raise InputError(
                f"cutoff_radius, per_edge_type_cutoff: {options.start} has its own cutoffs, which "
                "cannot change: leave these settings out"
            )
    if not options.stress:
        _leave_out_stress(config)
    if options.has_fused_convolution:
        config["trainer"].setdefault("callbacks", []).append({"_target_": FUSED})
    if config.get("compile_mode") == "compile" and int(config.get("batch_size", 2)) < 2:
        raise InputError("compile_mode=compile: nequip compiles batches only; set batch_size=2")
    if "batch_size" in config:  # a configuration of the user's own may count its steps itself
        config["steps_per_epoch"] = -(-len(train) // int(config["batch_size"]))
    return config


def _take_over(config: dict[str, Any], start: Start) -> None:
    """Give the data the types and edges of the model that is trained on, and it their energies.

    Neither is compared by nequip: other types would be other elements, other cutoffs other edges.
    """
    config["model_type_names"] = start.facts["type_names"]
    config["cutoff_radius"] = start.facts["r_max"]
    config["per_edge_type_cutoff"] = copy.deepcopy(start.facts["cutoffs"])
    shifts = start.facts["shifts"]
    if shifts is None:  # a model without such a layer: nothing to move
        config["energy_shifts"] = None
        return
    moved = {name: value + start.offsets_eV.get(name, 0.0) for name, value in shifts.items()}
    config["energy_shifts"] = moved
    models = config.get("models")
    if not isinstance(models, dict) or config["start"] not in models:
        raise InputError(
            f"config: has no models.{config['start']}, which is what --start goes on with: write "
            "it as in mofmd's own configuration (mofmd/learning/train/configs/nequip.yaml)"
        )
    models[config["start"]] = {
        "_target_": "nequip.model.modify",
        "modifiers": [{"modifier": "modify_PerTypeScaleShift", "shifts": "${energy_shifts}"}],
        "model": models[config["start"]],
    }


def _cutoffs(config: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Cutoffs by centre and neighbour [Å] that a configuration asks for."""
    given = config["per_edge_type_cutoff"] or {}
    names, r_max = config["model_type_names"], float(config["cutoff_radius"])
    full: dict[str, dict[str, float]] = {}
    for centre in names:
        row = given.get(centre, {})
        full[centre] = {
            name: float(row.get(name, r_max) if isinstance(row, dict) else row) for name in names
        }
    return full


def _leave_out_stress(config: dict[str, Any]) -> None:
    """Train on energies and forces alone, with nequip's own losses for them."""
    module = config["training_module"]
    for name, target in (("loss", "EnergyForceLoss"), ("val_metrics", "EnergyForceMetrics")):
        module[name]["_target_"] = f"nequip.train.{target}"
        coefficients = module[name]["coeffs"]
        module[name]["coeffs"] = {k: v for k, v in coefficients.items() if "stress" not in k}


def ignore_missing_stress(config: dict[str, Any]) -> None:
    """Take the means of stresses over the frames that have one, of training and validation.

    nequip wants a stress of every frame of a batch: those that are missing are NaN.

    Raises
    ------
    InputError
        If the configuration is another than mofmd's own, and has no place for it.
    """
    try:
        transforms, module = config["data"]["transforms"], config["training_module"]
        for name in ("loss", "val_metrics"):
            module[name]["ignore_nan"] = {**(module[name].get("ignore_nan") or {}), "stress": True}
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "config: some frames have no stress, which needs data.transforms, training_module.loss "
            "and training_module.val_metrics as in mofmd's own configuration "
            "(mofmd/learning/train/configs/nequip.yaml); or train without stress (--no-stress)"
        ) from error
    if not any(each.get("_target_") == NAN for each in transforms):
        transforms.append({"_target_": NAN})
    config["trainer"].setdefault("callbacks", []).append({"_target_": MISSING})


def command(folder: Path, python: Path, fused: bool) -> list[str]:
    """Command line; goes on from the last checkpoint where there is one.

    Which convolution it is, is said by the configuration.
    """
    del fused
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
