"""What every program of several MPI ranks does when one of them fails.

A rank that ended alone, with a Python exception, would leave the others in a collective call, and
MPI's own end is such a call as well: they would wait for ever. So the first that fails says why and
aborts all of them.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from mofmd.engine.launch import LAST_WORDS_VARIABLE
from mofmd.errors import MofmdError

FAILED_STATUS = 1
# where in its source LAMMPS met an error, and the command that it was at
_SOURCE_PLACE = re.compile(r"\s*\([^()\s]*\.cpp:\d*\)?\s*(Last input line:.*)?$")


def guarded(main: Callable[[Any], int]) -> int:
    """Run ``main(communicator)`` on this rank and return its exit status; ``fail`` if it raises."""
    from mpi4py import MPI

    try:
        return main(MPI.COMM_WORLD)
    except (Exception, KeyboardInterrupt) as error:
        fail(MPI.COMM_WORLD, error)


def fail(comm: Any, error: BaseException) -> NoReturn:
    """End all ranks for an exception that is being handled.

    It is told in a line ``ERROR: ...`` on standard output, with its traceback on standard error.
    The line goes to the file of the launch as well: mpirun may drop what a rank printed last.
    """
    line = f"ERROR: {describe(error)}"
    print(line, flush=True)
    if name := os.environ.get(LAST_WORDS_VARIABLE):
        with contextlib.suppress(OSError), Path(name).open("x") as file:  # of the first that fails
            file.write(line)
    traceback.print_exc()
    sys.stderr.flush()
    comm.Abort(FAILED_STATUS)
    raise error


def describe(error: BaseException) -> str:
    """Say in one line what an exception says.

    What LAMMPS and torch say may be many lines long: the first tells what failed, the last why.
    """
    said = str(getattr(error, "message", error))  # LAMMPS's own exception prints itself quoted
    lines = [line.strip() for line in _SOURCE_PLACE.sub("", said).splitlines() if line.strip()]
    text = " ".join(lines) if len(lines) <= 3 else f"{lines[0]} ... {lines[-1]}"
    if text.startswith("ERROR"):
        return text.partition(": ")[2]
    return text if isinstance(error, MofmdError) else f"{type(error).__name__}: {text}"
