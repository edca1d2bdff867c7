"""The process of an ASE calculator that labels; run by ``mofmd.learning.labellers``.

Usage: python -m mofmd.learning.label_worker PACKAGE.MODULE:FACTORY

Reads lines ``FRAME.npz<tab>LABELS.npz``, answers each with ``done`` or ``error REASON``.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

from mofmd.learning.labellers import load_factory


def main() -> None:
    """Label until the input ends."""
    # what the calculator prints must not be taken for an answer
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    calculator = load_factory(sys.argv[1])()
    for line in sys.stdin:
        source, _, target = line.rstrip("\n").partition("\t")
        try:
            _label(calculator, source, target)
        except Exception as error:
            answer = f"error {type(error).__name__}: {' '.join(str(error).split())}"
        else:
            answer = "done"
        answers.write(answer + "\n")
        answers.flush()


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
    with contextlib.suppress(PropertyNotImplementedError):
        results["stress"] = atoms.get_stress(voigt=False)
    np.savez(target, **results)


if __name__ == "__main__":
    main()
