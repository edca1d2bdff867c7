"""The folder that results go to."""

import os
from pathlib import Path

from mofmd.disk.atomic import writing
from mofmd.errors import InputError, WriteError


def check_output(output: Path) -> None:
    """Refuse a folder that cannot be made or written into, before any work is done.

    Raises
    ------
    InputError
        If it is a file.
    WriteError
        If there is a file above it, or no permission.
    """
    if output.exists() and not output.is_dir():
        raise InputError(f"output: {output} is a file, expected a folder")
    there = _refuse_file_above(output)
    if not os.access(there, os.W_OK | os.X_OK):
        raise WriteError(
            f"{output}: cannot be written: {there} is read-only; choose another folder"
        )


def make_folder(path: Path) -> None:
    """Make a folder and those above it, if they are not there.

    Raises
    ------
    WriteError
        If that is not possible.
    """
    _refuse_file_above(path)
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)


def _refuse_file_above(path: Path) -> Path:
    """Refuse a folder in the place of, or within, a file; return the nearest folder that exists."""
    path = path.absolute()
    there = next(each for each in (path, *path.parents) if os.path.lexists(each))
    if not there.is_dir():
        raise WriteError(f"{path}: cannot be written: {there} is a file, expected a folder")
    return there
