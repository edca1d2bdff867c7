"""The process of an ASE calculator; run by ``mofmd.calculator.process``.

Usage: python -m mofmd.calculator.worker PACKAGE.MODULE:FACTORY OPTIONS

OPTIONS is a JSON object with the arguments of the factory. Says ``mofmd calculator ready``, reads
lines ``STRUCTURE.npz<tab>RESULTS.npz``, answers each with ``mofmd calculator done``, ``…error
REASON`` or ``…refused REASON``; other lines are what the calculator prints, and tracebacks. Of
``describe<tab>RESULTS.json`` the results are class and parameters of the calculator.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from mofmd.calculator.process import ANSWER, DESCRIBE, ERROR, REFUSED, load_factory
from mofmd.disk.atomic import write_atomic
from mofmd.disk.sources import plain
from mofmd.engine.mpi_guard import describe
from mofmd.errors import BuildError, InputError, MissingFileError
from mofmd.structures.molecules import is_molecule


def main() -> int:
    """Evaluate until the input ends."""
    try:
        calculator = load_factory(sys.argv[1])(**json.loads(sys.argv[2]))
    except (BuildError, InputError, MissingFileError) as error:
        answer(f"{REFUSED}{_one_line(error)}")
        return 1
    answer("ready")
    for line in sys.stdin:
        source, _, target = line.rstrip("\n").partition("\t")
        try:
            if source == DESCRIBE:
                write_atomic(Path(target), json.dumps(described(calculator)))
            else:
                _evaluate(calculator, source, target)
        except InputError as error:
            answer(f"{REFUSED}{_one_line(error)}")
        except Exception as error:
            traceback.print_exc()
            answer(f"{ERROR}{describe(error)}")
        else:
            answer("done")
    return 0


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
    with np.load(source) as file:
        atoms = Atoms(
            file["numbers"], positions=file["positions"], cell=file["cell"], pbc=file["pbc"]
        )
    atoms.calc = calculator
    results: dict[str, Any] = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
    }
    energies = getattr(calculator, "results", {}).get("energies")
    if energies is not None:  # asked for, they might be computed anew
        results["energies"] = energies
    if not is_molecule(atoms):
        with contextlib.suppress(PropertyNotImplementedError):
            results["stress"] = atoms.get_stress(voigt=False)
    np.savez(target, **results)


if __name__ == "__main__":
    sys.exit(main())
