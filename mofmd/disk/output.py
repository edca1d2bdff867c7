"""The folder that results go to."""

from pathlib import Path

from mofmd.errors import InputError


def refuse_file(output: Path) -> None:
    """Refuse a path that is a file, before any work is done."""
    if output.exists() and not output.is_dir():
        raise InputError(f"output: {output} is a file, expected a folder")
