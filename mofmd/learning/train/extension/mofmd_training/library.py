"""The library of mofmd's operators for torch, in a framework's environment."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import torch

LIBRARY = "MOFMD_OPERATORS"
RECORDS = ("mofmdoperators.json", "mofmdplugin.json")
HOW = '`eval "$(mofmd env nequip --exports)"` (or mace, sevennet) sets it'


class LibraryError(RuntimeError):
    """The library cannot be used; the text says why and how to mend it."""


@cache
def load_operators() -> None:
    """Load the library that ``MOFMD_OPERATORS`` names, once however often it is called.

    Raises
    ------
    LibraryError
        If there is none, it was built for another torch, or it cannot be loaded.
    """
    named = os.environ.get(LIBRARY)
    if not named:
        raise LibraryError(f"{LIBRARY} does not name the library of mofmd's operators: {HOW}")
    library = Path(named)
    if not library.is_file():
        raise LibraryError(f"{LIBRARY}: {library} is missing: {HOW}, after `mofmd build`")
    built_for = _torch_of(library)
    if built_for != torch.__version__:
        raise LibraryError(
            f"{library} was built for torch {built_for}, this environment has {torch.__version__}: "
            "`mofmd build --for nequip` (or mace, sevennet) builds one for it"
        )
    try:
        torch.ops.load_library(str(library.resolve()))
    except (OSError, RuntimeError) as error:
        raise LibraryError(f"{library} cannot be loaded ({error}): build it again") from error


def _torch_of(library: Path) -> str:
    """Return the version of torch that a library was built for; ``unknown`` without a record."""
    for name in RECORDS:
        record = library.parent / name
        if record.is_file():
            try:
                return str(json.loads(record.read_text())["built_for"]["torch"])
            except (ValueError, KeyError, TypeError):
                break
    return "unknown"
