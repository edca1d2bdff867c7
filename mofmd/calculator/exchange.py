"""Files by which a calculator in a process of its own gets structures and gives results."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mofmd.disk.atomic import writing


def write_exchanged(path: Path, arrays: Mapping[str, np.ndarray | float]) -> None:
    """Write arrays over what the file holds; only mofmd's own processes may read it.

    In place: ext4 brings a file to the disk at once that was truncated or replaced, which takes
    longer than a small model. What is left of longer arrays at the end is not read. ``pickle``
    takes a tenth of the time of numpy's formats.

    Raises
    ------
    WriteError
        If there is no room.
    """
    with writing(path):
        path.touch()
        with path.open("r+b") as file:
            pickle.dump(dict(arrays), file, pickle.HIGHEST_PROTOCOL)


def read_exchanged(path: Path) -> dict[str, np.ndarray]:
    """Read what ``write_exchanged`` wrote, in a folder that is ours alone."""
    with path.open("rb") as file:
        return pickle.load(file)  # type: ignore[no-any-return]
