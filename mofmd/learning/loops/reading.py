"""What the configurations of loops have in common: keys, files of frames, how to train."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mofmd.errors import InputError, MissingFileError, absent, choices
from mofmd.learning.train.options import TrainOptions


def check_keys(values: Mapping[str, Any], known: Sequence[str], required: Sequence[str]) -> None:
    """Refuse keys that mean nothing, and the lack of those that are needed.

    Raises
    ------
    InputError
        Naming the first, with the known ones that are near.
    """
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise InputError(f"{unknown[0]}: unknown key{choices(unknown[0], known)}")
    missing = [name for name in required if name not in values]
    if missing:
        raise InputError(f"{missing[0]}: missing")


def read_files(value: Any, folder: Path) -> tuple[Path, ...]:
    """Return the files of a list, or the one that stands alone; relative to a folder.

    Raises
    ------
    MissingFileError
        If one does not exist.
    """
    names = value if isinstance(value, list) else [value]
    return tuple(existing(folder / str(each)) for each in names)


def read_training(given: Mapping[str, Any], folder: Path) -> TrainOptions:
    """Return how to train, of the keys ``training`` and ``stress``; files relative to a folder.

    Raises
    ------
    MissingFileError, InputError
        If a file does not exist or a value means nothing.
    """
    training = dict(given["training"])
    for name in ("start", "config"):
        if training.get(name) is not None:
            training[name] = existing(folder / str(training[name]))
    training["settings"] = read_words(training.get("settings"))
    training["stress"] = given.get("stress", True)
    return TrainOptions(**training)


def read_words(value: Any) -> tuple[str, ...]:
    """Words of a list; one that stands alone is a list of one.

    Raises
    ------
    InputError
        If it is neither.
    """
    if isinstance(value, str):
        return (value,)
    if value is not None and not isinstance(value, list):
        raise InputError(f"{value!r}, expected a list of words")
    return tuple(str(each) for each in value or ())


def existing(path: Path) -> Path:
    """Return a path to a file that is there.

    Raises
    ------
    MissingFileError
        If it is not.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: {absent(path)}")
    return path
