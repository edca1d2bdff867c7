"""Compiled loops: numba where numpy cannot, typed for mypy."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import event

_LOGGER = logging.getLogger("mofmd")
F = TypeVar("F", bound=Callable[..., object])
PATIENCE_S = 5.0
"""Compilation that takes longer is told."""


def compiled(function: F) -> F:
    """Compile a loop over plain arrays; it lets go of the interpreter lock while it runs.

    The machine code is kept beside the source (or in numba's cache folder where that is not
    writable), so that it is compiled once per machine, on the first call.
    """
    result: F = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    return result


class _Compilation(event.Listener):  # type: ignore[misc]
    """Tells once that loops are compiled, where it takes long enough to wonder about.

    Most commands compile a loop or two in seconds, once on a machine, and say nothing.
    """

    def __init__(self) -> None:
        self._told = False
        self._spent_s = 0.0
        self._begun: list[float] = []  # of loops within each other

    def on_start(self, event: Any) -> None:  # noqa: ARG002 - as numba calls it
        """Tell it at a loop, not in the cache, that comes after others have taken a while."""
        now = time.monotonic()
        self._begun.append(now)
        if not self._told and self._spent_s + now - self._begun[0] > PATIENCE_S:
            self._told = True
            _LOGGER.info("compiling loops, once on this machine: a minute or two")

    def on_end(self, event: Any) -> None:  # noqa: ARG002 - as numba calls it
        """Add up what has been waited for."""
        begun = self._begun.pop()
        if not self._begun:
            self._spent_s += time.monotonic() - begun


event.register("numba:compile", _Compilation())


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
