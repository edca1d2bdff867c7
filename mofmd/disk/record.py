"""Records on disk: JSON files that say by which schema they were written."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from mofmd.errors import InputError, MissingFileError

FOLDERS = {
    "ensemble.json": ("an ensemble", "ensemble run"),
    "manifest.json": ("a deck", "run"),
    "task.json": ("a task without LAMMPS", "run"),
}
"""What a folder is by its record, and the command that runs it."""


def read_record(path: Path, schema: str, *, kind: str, mend: str) -> dict[str, Any]:
    """Read a record and check its schema.

    Parameters
    ----------
    path
        The file.
    schema
        Schema that it must name.
    kind
        What its folder would be, with the article, for messages: ``a deck``.
    mend
        What to do about a file that cannot be used, for messages.

    Raises
    ------
    MissingFileError, InputError
        If there is no such file, or it is no such record.
    """
    if not path.is_file():
        folder = path.parent
        others = [
            f", but {what}: mofmd {command} {shlex.quote(str(folder))}"
            for name, (what, command) in FOLDERS.items()
            if name != path.name and (folder / name).is_file()
        ]
        told = others[0] if others else ""
        raise MissingFileError(f"{path}: no such file, so {folder} is not {kind}{told}")
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); {mend}") from error
    found = record.get("schema") if isinstance(record, dict) else None
    if found != schema:
        raise InputError(f"{path}: schema {found!r}, expected {schema!r}; {mend}")
    return dict(record)
