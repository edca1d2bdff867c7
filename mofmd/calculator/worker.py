"""The process of an ASE calculator; run by ``mofmd.calculator.process``.

Usage: python -m mofmd.calculator.worker PACKAGE.MODULE:FACTORY OPTIONS

OPTIONS is a JSON object with the arguments of the factory. Says ``mofmd calculator ready``, or
``…ready, with stress`` where the calculator has it, reads lines
``NUMBER<tab>STRUCTURE<tab>RESULTS``, answers each with ``mofmd calculator NUMBER done``, ``…error
REASON`` or ``…refused REASON``; tracebacks are in lines that say so, others are what the calculator
prints. Of the structure ``describe`` the results are class and parameters of the calculator.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from ase import Atoms

from mofmd.calculator.process import (
    ANSWER,
    DESCRIBE,
    ERROR,
    READY,
    READY_WITH_STRESS,
    REFUSED,
    TRACEBACK,
    load_factory,
    read_exchanged,
    said_by,
    write_exchanged,
)
from mofmd.calculator.results import results_of
from mofmd.disk.atomic import write_atomic
from mofmd.disk.sources import plain
from mofmd.errors import BuildError, InputError, MissingFileError, MofmdError, RunError

NEEDED = ("get_potential_energy", "get_forces")


def main() -> int:
    """Evaluate until the input ends."""
    requests = _requests()
    try:
        calculator = make_calculator(sys.argv[1], json.loads(sys.argv[2]))
    except (BuildError, InputError, MissingFileError) as error:
        answer(f"{REFUSED}{_one_line(error)}")
        return 1
    except MofmdError as error:
        answer(f"{ERROR}{_one_line(error)}")
        return 1
    # what does not say what it has is asked for it
    has_stress = "stress" in getattr(calculator, "implemented_properties", ["stress"])
    answer(READY_WITH_STRESS if has_stress else READY)
    for line in requests:
        number, source, target = line.rstrip("\n").split("\t")
        try:
            if source == DESCRIBE:
                write_atomic(Path(target), json.dumps(described(calculator)))
            else:
                _evaluate(calculator, source, target)
        except InputError as error:
            answer(f"{number} {REFUSED}{_one_line(error)}")
        except MofmdError as error:
            answer(f"{number} {ERROR}{_one_line(error)}")
        except Exception as error:
            _print_traceback()
            answer(f"{number} {ERROR}raised {said_by(error)}")
        else:
            answer(f"{number} done")
    return 0


def _requests() -> TextIO:
    """Take standard input out of reach of the calculator and of what it starts.

    A child that reads it, as mpirun does, would take the next request away.
    """
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return requests


def make_calculator(word: str, options: dict[str, Any]) -> Any:
    """Call a factory.

    Raises
    ------
    InputError
        If it needs arguments, or returns something else than an ASE calculator.
    RunError
        If it raises.
    """
    factory = load_factory(word)
    try:
        with contextlib.suppress(ValueError):  # of what is not written in Python
            inspect.signature(factory).bind(**options)
    except TypeError as error:
        given = f"with {', '.join(options)}" if options else "without arguments"
        raise InputError(
            f"is called {given}, which it does not allow ({error}): give a function that makes the "
            "calculator so"
        ) from error
    try:
        calculator = factory(**options)
    except MofmdError:
        raise
    except (Exception, SystemExit) as error:
        _print_traceback()
        raise RunError(f"raised {said_by(error)}") from error
    if isinstance(calculator, type):
        raise InputError(
            f"returned the class {calculator.__name__}, expected an ASE calculator: one of that "
            "class"
        )
    if not all(callable(getattr(calculator, name, None)) for name in NEEDED):
        kind = "None" if calculator is None else f"a {type(calculator).__name__}"
        raise InputError(f"returned {kind}, expected an ASE calculator")
    return calculator


def _print_traceback() -> None:
    for line in traceback.format_exc().splitlines():
        print(f"\n{TRACEBACK}{line}", end="")
    print()


def answer(text: str) -> None:
    """Answer in one piece, in a line of its own whatever the calculator left unfinished."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.write(1, f"\n{ANSWER}{text}\n".encode())


def described(calculator: Any) -> dict[str, Any]:
    """Class and parameters of a calculator, the same in every process."""
    kind = type(calculator)
    return {
        "class": f"{kind.__module__}.{kind.__qualname__}",
        "parameters": plain(getattr(calculator, "parameters", None)),
    }


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _evaluate(calculator: Any, source: str, target: str) -> None:
    atoms = Atoms(**read_exchanged(Path(source)))
    results = results_of(calculator, atoms)
    n = len(atoms)
    shapes = {"energy": (), "energies": (n,), "forces": (n, 3), "stress": (3, 3)}
    for name, found in results.items():
        if found.shape != shapes[name]:
            raise RunError(f"gave {name} of the shape {found.shape}, expected {shapes[name]}")
        if found.dtype.kind not in "fiu":
            raise RunError(f"gave {name} that is no number: {found}")
    write_exchanged(Path(target), results)


if __name__ == "__main__":
    sys.exit(main())
