"""Compiled loops: numba where numpy cannot, typed for mypy."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import event

_LOGGER = logging.getLogger("mofmd")
F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile a loop over plain arrays; it lets go of the interpreter lock while it runs.

    The machine code is kept beside the source (or in numba's cache folder where that is not
    writable), so that it is compiled once per machine, on the first call.
    """
    result: F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return result


class _FirstCompilation(event.Listener):  # type: ignore[misc]
    """Tells once that loops are compiled, which takes a while and happens once on a machine."""

    def __init__(self) -> None:
        self._told = False

    def on_start(self, event: Any) -> None:  # noqa: ARG002 - as numba calls it
        """Tell it at the first loop that is not in the cache."""
        if not self._told:
            self._told = True
            _LOGGER.info("compiling analysis loops (first time on this machine, about a minute)")

    def on_end(self, event: Any) -> None:
        """Nothing to tell."""


event.register("numba:compile", _FirstCompilation())


@compiled
def grown(table: np.ndarray) -> np.ndarray:
    """Make a table of twice as many rows that begins with those of another one."""
    larger = np.empty((2 * len(table), table.shape[1]), dtype=table.dtype)
    larger[: len(table)] = table
    return larger


def inlined(function: F) -> F:
    """Compile a function into each loop that calls it: a call passes seven words for every array.

    The loops' own machine code is kept by their own source: remove ``__pycache__/*.nb?`` after a
    change of a function that loops of other modules use.
    """
    result: F = numba.njit(cache=True, nogil=True, error_model="numpy", forceinline=True)(function)
    return result
