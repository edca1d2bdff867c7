"""Records on disk: JSON files that say by which schema they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mofmd.errors import InputError, MissingFileError


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
        raise MissingFileError(f"{path}: no such file, so {path.parent} is not {kind}")
    try:
        record: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); {mend}") from error
    found = record.get("schema") if isinstance(record, dict) else None
    if found != schema:
        raise InputError(f"{path}: schema {found!r}, expected {schema!r}; {mend}")
    return dict(record)
