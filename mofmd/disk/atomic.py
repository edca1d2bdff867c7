"""Writing files so that no reader ever sees half of one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mofmd.errors import MofmdError, WriteError


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say what cannot be written, and why, where a block meets an error of the operating system.

    Of blocks within each other the outermost names it, as people know it.

    Raises
    ------
    WriteError
        Naming ``path``.
    """
    try:
        yield
    except OSError as error:
        cause = error.__cause__ if isinstance(error, WriteError) else error
        if not isinstance(cause, OSError) or isinstance(cause, MofmdError):
            raise
        raise WriteError(f"{path}: cannot be written: {cause.strerror or cause}") from cause


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write to a temporary name beside ``path``, then rename: all of it or nothing.

    A link stays one, to what is new then; a device or a pipe is written to as it is.

    Raises
    ------
    WriteError
        If there is no room, no permission, or a folder in its place.
    """
    # names of files need not be UTF-8
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    with writing(path):
        if path.exists() and not path.is_file() and not path.is_dir():
            path.write_bytes(data)
            return
        target = Path(os.path.realpath(path))
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(target)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise


@contextmanager
def folder_beside(target: Path) -> Iterator[Path]:
    """Give an empty folder beside ``target`` to write into and rename; what is left of it goes.

    Raises
    ------
    WriteError
        If there is no room or no permission.
    """
    work = target.with_name(f".{target.name}.part")
    with writing(target):
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)
