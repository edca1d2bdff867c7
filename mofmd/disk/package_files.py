"""Files that travel with mofmd: inside the package when installed, beside it in a checkout."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from mofmd.errors import MissingFileError


def packaged_file(installed: str, checkout: str, name: str) -> Path:
    """Return the path of a file that mofmd brings.

    Parameters
    ----------
    installed
        Its folder inside the installed package.
    checkout
        Its folder in a checkout of mofmd, from the top.
    name
        Name of the file.

    Raises
    ------
    MissingFileError
        If it is in neither.
    """
    package = Path(str(resources.files("mofmd")))
    for folder in (package / installed, package.parent / checkout):
        if (folder / name).is_file():
            return folder / name
    raise MissingFileError(
        f"{name}: neither in {package / installed} nor in {package.parent / checkout}; "
        "install mofmd again"
    )
