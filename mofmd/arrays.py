"""Arrays: those of results and structures, which nobody may change, and those of npz files."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from mofmd.errors import InputError


def freeze(instance: object, *names: str) -> None:
    """Make array fields of a frozen dataclass read-only; fields that are None stay so.

    They become views: the arrays that the dataclass was made of stay their owner's to write to.

    Parameters
    ----------
    instance
        The dataclass, in its ``__post_init__``.
    names
        Its fields.
    """
    for name in names:
        array = getattr(instance, name)
        if array is not None:
            view = array.view()
            view.setflags(write=False)
            object.__setattr__(instance, name, view)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an npz file.

    Raises
    ------
    InputError
        If it is no such file, or is damaged.
    """
    try:
        with path.open("rb") as stream, np.load(stream) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(f"{path}: is no npz file of arrays, or is damaged: {error}") from error
