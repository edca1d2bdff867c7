"""The compiled operators and classes of mofmd for torch, in a process without LAMMPS."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mofmd.engine.plugin_path import OPERATORS_NAME, mismatches, plugin_location, read_record
from mofmd.errors import BuildError


@cache
def load_operators() -> Path:
    """Load them, once however often it is called; return the library.

    Afterwards ``torch.ops.mofmd.*`` are what deployed files call, and ``torch.classes.mofmd.*``
    evaluate such files. LAMMPS's plugin uses the same library: both may be in one process.

    Raises
    ------
    BuildError
        If the library has not been built, or for another torch, or cannot be loaded.
    """
    import torch

    record = read_record()
    if record is None:
        raise BuildError(
            f"mofmd's operators are not built ({plugin_location() / OPERATORS_NAME} is missing): "
            "run `mofmd build`"
        )
    if problems := mismatches(record):
        raise BuildError(f"mofmd's operators are stale ({'; '.join(problems)}): run `mofmd build`")
    library = plugin_location() / OPERATORS_NAME
    try:
        torch.ops.load_library(str(library.resolve()))
    except (OSError, RuntimeError) as error:
        raise BuildError(
            f"{library} cannot be loaded ({error}): run `mofmd build --force`"
        ) from error
    return library
