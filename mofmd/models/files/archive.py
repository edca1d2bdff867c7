"""Model files as the zip archives that torch writes, opened without running anything in them."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mofmd.errors import InputError, MissingFileError, absent

_ALIGNMENT = 64  # bytes, as torch aligns its records


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a file for reading.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it is no archive, or is found to be damaged while it is read.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: {absent(path, 'model file')}")
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise InputError(
            f"{path}: truncated, corrupt or not a model file (it is no archive as torch writes "
            f"it: {error}); copy it again from its source"
        ) from error


def records(archive: zipfile.ZipFile) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Yield the records of an archive, sorted, by their names inside its top folder."""
    for info in sorted(archive.infolist(), key=lambda record: record.filename):
        if not info.is_dir():
            yield info.filename.partition("/")[2], info


def store(
    archive: zipfile.ZipFile, name: str, content: bytes, compression: int = zipfile.ZIP_STORED
) -> None:
    """Add a record whose data begin at a multiple of 64 bytes, as torch's do."""
    info = zipfile.ZipInfo(name)
    info.compress_type = compression
    assert archive.fp is not None  # it is open
    header = archive.fp.tell() + 30 + len(name.encode())
    padding = -(header + 4) % _ALIGNMENT
    info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
    archive.writestr(info, content)
