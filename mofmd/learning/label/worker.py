"""The process of an ASE calculator that labels; run by ``mofmd.learning.label.labellers``.

Usage: python -m mofmd.learning.label.worker PACKAGE.MODULE:FACTORY

Says ``mofmd label ready``, reads lines ``FRAME.npz<tab>LABELS.npz``, answers each with
``mofmd label done`` or ``mofmd label error REASON``; other lines are what the calculator prints,
and tracebacks.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from mofmd.engine.mpi_guard import describe
from mofmd.learning.label.labellers import ANSWER, load_factory
from mofmd.structures.molecules import is_molecule


def main() -> None:
    """Label until the input ends."""
    calculator = load_factory(sys.argv[1])()
    answer("ready")
    for line in sys.stdin:
        source, _, target = line.rstrip("\n").partition("\t")
        try:
            _label(calculator, source, target)
        except Exception as error:
            traceback.print_exc()
            answer(f"error {describe(error)}")
        else:
            answer("done")


def answer(text: str) -> None:
    """Answer in one piece, in a line of its own whatever the calculator left unfinished."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.write(1, f"\n{ANSWER}{text}\n".encode())


def _label(calculator: Any, source: str, target: str) -> None:
    with np.load(source) as file:
        atoms = Atoms(
            file["numbers"], positions=file["positions"], cell=file["cell"], pbc=file["pbc"]
        )
    atoms.calc = calculator
    results: dict[str, Any] = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(),
    }
    if not is_molecule(atoms):
        with contextlib.suppress(PropertyNotImplementedError):
            results["stress"] = atoms.get_stress(voigt=False)
    np.savez(target, **results)


if __name__ == "__main__":
    main()
