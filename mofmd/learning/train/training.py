"""Training a model with its own framework, to a checked file for LAMMPS.

A training is a folder: ``training.json`` (what was asked, with hashes of the data), ``config.yaml``
(what the trainer reads), ``train.extxyz`` and ``val.extxyz``, ``run/`` (the trainer's own),
``train.log`` (what it said), ``progress.csv`` and, at the end, ``model.mofmd.pth``.
"""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import yaml
from ase import Atoms

import mofmd
from mofmd.disk import record as records
from mofmd.disk.atomic import folder_beside, write_atomic
from mofmd.disk.digest import file_sha256
from mofmd.disk.lock import lock_folder
from mofmd.engine.launch import Launch, how_it_ended
from mofmd.errors import InputError, RunError
from mofmd.learning.data.dataset import WEIGHT, bare, labels_of, read_frames, without_stress
from mofmd.learning.data.split import trajectory_of
from mofmd.learning.data.validation import Expectation, check_frames
from mofmd.learning.train import mace as train_mace
from mofmd.learning.train import nequip as train_nequip
from mofmd.learning.train import sevennet as train_sevennet
from mofmd.learning.train.config import chosen_size, read_template
from mofmd.learning.train.fused import EXTENSION, fused_environment
from mofmd.learning.train.options import Epoch, Family, TrainOptions
from mofmd.learning.train.start import FRAMEWORK, check_elements, check_family
from mofmd.learning.train.theory import theory_for
from mofmd.models.deploy.audience import Audience
from mofmd.models.deploy.deploy import deploy
from mofmd.models.deploy.options import Options
from mofmd.models.dispersion.theory import KEY, parse_theory, theory_of
from mofmd.models.environments import create_environment
from mofmd.models.files.deployed import DeployedModel, read_deployed
from mofmd.structures.molecules import is_molecule

RECORD = "training.json"
SCHEMA = "mofmd-training-1"
MODEL = "model.mofmd.pth"
POLL_S = 2.0
LEAST_REPLAYED = 2
# glibc hands the megabytes that each step frees back to the system, and fetches them anew, page by
# page: a fifth of the time of a training on a CPU
KEEP_FREED_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": f"{32 << 20}",
    "MALLOC_TRIM_THRESHOLD_": f"{1 << 36}",
}
_TRAINER: dict[Family, ModuleType] = {
    "allegro": train_nequip,
    "nequip": train_nequip,
    "mace": train_mace,
    "sevennet": train_sevennet,
}


def prepare_training(
    folder: Path,
    train: Sequence[Atoms],
    val: Sequence[Atoms],
    options: TrainOptions,
    report: Callable[[str], None] = print,
) -> None:
    """Check the frames and write the folder of a training; nothing runs yet.

    Raises
    ------
    InputError
        If the folder is in use, the frames are not fit for training, training and validation share
        a trajectory, labels are of another level of theory than is asked for, or the configuration
        cannot be made.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: not empty; choose another folder, or resume the training")
    check_frames(train, Expectation(needs_stress=options.stress))
    species = tuple(sorted({str(s) for frame in train for s in frame.symbols}))
    check_frames(val, Expectation(species, options.stress))
    replay = _read_replay(options)
    frames = [*train, *val, *replay]
    _refuse_weights(frames, options.family)
    if not options.stress:  # frames that have one would be of another kind than the others
        train, val = ([without_stress(frame) for frame in part] for part in (train, val))
    shared = {trajectory_of(f) for f in train} & {trajectory_of(f) for f in val}
    if shared:
        raise InputError(
            f"trajectory {sorted(shared)[0]!r} has frames in training and validation: their "
            "frames are correlated, the validation would tell nothing; split by trajectories "
            "(`mofmd learn split`)"
        )
    asked = options.level_of_theory
    theory = theory_for([*train, *val], None if asked is None else parse_theory(asked))
    trainer = _TRAINER[options.family]
    template = read_template(options.family, options.config)
    chosen_size(template, options.size)
    start = None
    if options.start is not None:
        if options.start.is_file():  # and no name
            check_family(options.start, options.family)
        report(f"{options.start}: its energies of the {len(train)} training frames")
        start = trainer.read_start(options, train)
        check_elements(options.start, start.facts["type_names"], replay)
    if options.pseudo:
        replay = train_mace.pseudo_labels(options, replay)
    if options.replay is not None:
        check_frames(replay, Expectation(needs_stress=options.stress))
    if not options.stress:
        replay = [without_stress(frame) for frame in replay]
    config = trainer.make_config(folder, template, options, train, start)
    _refuse_weights(frames, options.family, config.get("loss"))
    if options.stress and any(labels_of(f).stress_eV_per_A3 is None for f in [*train, *val]):
        trainer.ignore_missing_stress(config)
    # written beside it and renamed: a training is there as a whole or not at all
    with folder_beside(folder) as work:
        if replay:
            trainer.write_data(work, train, val, replay)
        else:
            trainer.write_data(work, train, val)
        written = None if start is None else trainer.write_start(work, start)
        write_atomic(work / "config.yaml", yaml.safe_dump(config, sort_keys=False))
        record = {
            "schema": SCHEMA,
            "options": {
                k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()
            },
            "frames": {"train": len(train), "val": len(val), "replay": len(replay)},
            "species": species,
            KEY: None if theory is None else str(theory),
            **({} if start is None else {"energy_offsets_eV": start.offsets_eV}),
            "fused": options.has_fused_convolution,
            "files": {
                name: file_sha256(work / name)
                for name in (
                    *("train.extxyz", "val.extxyz", "config.yaml"),
                    *(("replay.extxyz", "replay_val.extxyz") if replay else ()),
                    *((written,) if written else ()),
                )
            },
            "mofmd_version": mofmd.__version__,
            "state": "prepared",
        }
        _write_record(work, record)
        work.replace(folder)


def _refuse_weights(frames: Sequence[Atoms], family: Family, loss: str | None = None) -> None:
    """Refuse frames with weights of their own where the trainer would leave these out."""
    weighted = sum(WEIGHT in frame.info for frame in frames)
    if not weighted or (family == "mace" and loss not in train_mace.UNWEIGHTED_LOSSES):
        return
    who = f"MACE's loss {loss!r}" if family == "mace" else f"the trainer of {family}"
    raise InputError(
        f"{weighted} frames have a {WEIGHT}, which {who} leaves out; repeat these frames instead "
        f"(a file can be named twice to `mofmd learn import`), and take {WEIGHT} out (`--weight 1`)"
    )


def _read_replay(options: TrainOptions) -> list[Atoms]:
    """Read the frames to replay; none where none are asked for."""
    if options.replay is None:
        return []
    replay = read_frames(options.replay)
    if len(replay) < LEAST_REPLAYED:
        raise InputError(
            f"{options.replay}: {len(replay)} frames are too few to replay; give "
            f"{LEAST_REPLAYED} or more"
        )
    return replay


def run_training(folder: Path, report: Callable[[str], None] = print) -> list[Epoch]:
    """Train to the end; a training that was broken off goes on from its last checkpoint.

    Returns
    -------
    list of Epoch
        Validation errors after each epoch, also in ``progress.csv``.

    Raises
    ------
    RunError
        If another process trains it, or the trainer fails; its last words are in the message, all
        of them in ``train.log``.
    """
    with lock_folder(folder, "training"):
        return _run_training(folder, report)


def _run_training(folder: Path, report: Callable[[str], None]) -> list[Epoch]:
    record = read_record(folder)
    family: Family = record["options"]["family"]
    trainer = _TRAINER[family]
    if record["state"] == "prepared":
        python = create_environment(FRAMEWORK[family], report)
        report(f"training {family} on {record['frames']['train']} frames")
        threads = str(record["options"]["threads"])
        fused = record.get("fused", False)  # of trainings begun before there was one
        env = {**KEEP_FREED_MEMORY, **os.environ, "OMP_NUM_THREADS": threads}
        env["PYTHONPATH"] = str(EXTENSION)
        if fused:
            env |= fused_environment(FRAMEWORK[family], python)
        env["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4.4 reads its own constants
        last: list[str] = []
        with (
            (folder / "train.log").open("a", encoding="utf-8") as log,
            _watching(lambda: trainer.progress(folder), report),
            Launch(trainer.command(folder, python, fused), folder, env) as launch,
        ):
            for line in launch.lines():
                log.write(line + "\n")
                last = [*last[-7:], line] if line.strip() else last
            status = launch.wait()
        if status != 0 or not trainer.weights(folder).exists():
            raise RunError(
                f"{folder}: the trainer {how_it_ended(status)}; its last words "
                f"(all in {folder / 'train.log'}):\n" + "\n".join(last)
            )
        _write_record(folder, {**record, "state": "trained"})
    epochs = trainer_progress(folder)
    write_atomic(folder / "progress.csv", _table(epochs))
    return epochs


def deploy_training(
    folder: Path, options: Options | None = None, report: Callable[[str], None] = print
) -> DeployedModel:
    """Turn trained weights into ``model.mofmd.pth``, through the physics gate.

    Without structures in the options it is checked on the validation frame of the smallest forces:
    what the model was made for, and near rest; where all of them are molecules, on a structure of
    random atoms. A file that is there stays, unless it is to say
    something else: name, licence, citations, level of theory.

    Raises
    ------
    InputError
        If the training is not complete, or the model fails the gate.
    """
    record = read_record(folder)
    options = _with_theory(options or Options(), record, folder)
    if record["state"] == "deployed" and (folder / MODEL).exists():
        model = read_deployed(folder / MODEL)
        if _says(model, options):
            return model
    if record["state"] == "prepared":
        raise InputError(f"{folder}: is not trained yet; run the training first")
    trainer = _TRAINER[record["options"]["family"]]
    named = replace(
        options,
        name=options.name or folder.resolve().name,
        # of two heads the new one; what is asked for goes first
        head=options.head or (train_mace.NEW_HEAD if record["options"].get("replay") else None),
        structures=options.structures or _calmest_frame(trainer, folder / "val.extxyz"),
    )
    model = deploy(trainer.weights(folder), folder / MODEL, named, Audience(report))
    _write_record(folder, {**record, "state": "deployed"})
    return model


def _with_theory(options: Options, record: dict[str, Any], folder: Path) -> Options:
    """Add the level of theory that the training was begun with.

    Raises
    ------
    InputError
        If another one is asked for.
    """
    if not record.get(KEY):  # nothing told it, or the training is of an earlier version
        return options
    begun = parse_theory(record[KEY])
    if options.level_of_theory not in (None, begun):
        raise InputError(
            f"level_of_theory: {options.level_of_theory}, but {folder} holds a training on labels "
            f"of {begun}: leave it out"
        )
    return replace(options, level_of_theory=begun)


def _calmest_frame(trainer: ModuleType, path: Path) -> tuple[Atoms, ...]:
    """Give the frame of the smallest forces; none where all are molecules."""
    frames = [frame for frame in read_frames(path) if not is_molecule(frame)]
    frames.sort(key=lambda frame: float(np.abs(trainer.forces(frame)).max()))
    return tuple(map(bare, frames[:1]))


def _says(model: DeployedModel, options: Options) -> bool:
    """Whether a file says of itself what is asked; what is not asked may be anything."""
    return (
        options.name in (None, model.manifest["name"])
        and options.licence in (None, model.manifest["licence"])
        and set(options.citations) <= set(model.manifest["citations"])
        and options.level_of_theory in (None, theory_of(model.manifest))
    )


def trainer_progress(folder: Path) -> list[Epoch]:
    """Read the validation errors of the epochs that a training has behind it."""
    epochs: list[Epoch] = _TRAINER[read_record(folder)["options"]["family"]].progress(folder)
    return epochs


def read_record(folder: Path) -> dict[str, Any]:
    """Read what a training was asked to do, and how far it is.

    Raises
    ------
    MissingFileError, InputError
        If the folder holds no training, or its files were changed since.
    """
    mend = "prepare the training again"
    record = records.read_record(folder / RECORD, SCHEMA, kind="a training", mend=mend)
    for name, digest in record["files"].items():
        if not (folder / name).is_file() or file_sha256(folder / name) != digest:
            raise InputError(f"{folder / name}: was changed or removed; prepare the training again")
    return record


def _write_record(folder: Path, record: dict[str, Any]) -> None:
    write_atomic(folder / RECORD, json.dumps(record, indent=1, default=list) + "\n")


def _table(epochs: Sequence[Epoch]) -> str:
    """Render validation errors as CSV, units in the names of the columns."""
    units = {"epoch": "epoch", "force": "meV/A", "energy": "meV/atom"}
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    names = [each.name for each in fields(Epoch)]
    writer.writerow([n if n == "epoch" else f"{n} ({units[n.partition('_')[0]]})" for n in names])
    writer.writerows([[getattr(epoch, name) for name in names] for epoch in epochs])
    return buffer.getvalue()


@contextmanager
def _watching(progress: Callable[[], list[Epoch]], report: Callable[[str], None]) -> Iterator[None]:
    """Report epochs as they come, from another thread."""
    over = threading.Event()

    def watch() -> None:
        told = -1
        while True:
            ended = over.wait(POLL_S)
            for epoch in progress():
                if epoch.epoch > told:
                    told = epoch.epoch
                    report(
                        f"epoch {epoch.epoch}: validation force MAE {epoch.force_mae:.1f} meV/Å, "
                        f"energy MAE {epoch.energy_mae:.2f} meV/atom"
                    )
            if ended:
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
