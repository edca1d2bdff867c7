"""What a comparison of ways to pick frames is asked to do, from a YAML file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from mofmd.disk.digest import file_sha256
from mofmd.disk.yaml_file import read_mapping
from mofmd.errors import InputError
from mofmd.learning.loops.reading import check_keys, read_files, read_training
from mofmd.learning.train.options import TrainOptions

Way = Literal["found", "random", "fps"]
_REQUIRED = ("train_files", "val_files", "test_files", "pool", "training")


@dataclass(frozen=True)
class PickingConfig:
    """A comparison of ways to pick frames.

    Parameters
    ----------
    train_files
        Labelled frames that every model is trained on.
    val_files
        Labelled frames on which the trainer is validated.
    test_files
        Labelled frames on which every model is evaluated; by their ``origin`` (the defect).
    pool
        Labelled frames, such as the clusters of a distillation, of which some are added.
    training
        Family, size, epochs and so on, the same for all.
    counts
        Frames of the pool that are added.
    ways
        ``found``: the first ones of the pool, where a distillation by density puts the newest
        first; ``random``; ``fps``: farthest-point sampling by the features of the model that has
        none of them.
    repeats
        Trainings of each with other seeds (and other random choices).
    stress
        Learn stresses.
    """

    train_files: tuple[Path, ...]
    val_files: tuple[Path, ...]
    test_files: tuple[Path, ...]
    pool: tuple[Path, ...]
    training: TrainOptions
    counts: tuple[int, ...] = (2, 10, 50, 200, 500)
    ways: tuple[Way, ...] = ("found", "random", "fps")
    repeats: int = 1
    stress: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        for way in self.ways:
            if way not in get_args(Way):
                raise InputError(f"ways: {way!r}, expected some of {', '.join(get_args(Way))}")
        whole = [
            isinstance(n, int) and not isinstance(n, bool) for n in (*self.counts, self.repeats)
        ]
        if not all(whole) or not self.counts or min(self.counts) < 1 or self.repeats < 1:
            raise InputError("counts, repeats: expected whole numbers of at least 1")
        if not self.ways or len(set(self.counts)) < len(self.counts):
            raise InputError("counts, ways: expected one or more, each once")

    @property
    def digest(self) -> str:
        """Hash of all that decides the outcome of a training, whichever are asked for."""
        named = (*self.train_files, *self.val_files, *self.test_files, *self.pool)
        values = [str(self.training), self.stress, [file_sha256(path) for path in named]]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def read_picking_config(path: Path) -> PickingConfig:
    """Read a YAML file; file names in it are relative to its folder.

    Raises
    ------
    MissingFileError, InputError
        If a file does not exist, or a key or value means nothing.
    """
    values = read_mapping(path)
    try:
        return _make(values, path.resolve().parent)
    except (InputError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error


def _make(values: Mapping[str, Any], folder: Path) -> PickingConfig:
    check_keys(values, [each.name for each in fields(PickingConfig)], _REQUIRED)
    given = dict(values)
    for name in ("train_files", "val_files", "test_files", "pool"):
        given[name] = read_files(given[name], folder)
    for name in ("counts", "ways"):
        if name in given:
            value = given[name]
            given[name] = tuple(value) if isinstance(value, list) else (value,)
    given["training"] = read_training(given, folder)
    return PickingConfig(**given)
