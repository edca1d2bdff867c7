"""Files of arrays."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from mofmd.errors import InputError


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
