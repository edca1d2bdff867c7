"""GFN1-xTB by tblite, as an ASE calculator."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import all_changes

from mofmd.errors import InputError

ACCURACY = 1e-4
"""Of tblite: limits of energy and charges where its iterations end are so many times its own.

The asymmetry of force constants, at displacements of 0.001 Å of zinc and carbon in MOF-5, is 6e-4
eV/Å² with 1, 2e-4 with 0.01 and 2e-6 with 1e-4, in the same time. It is 0.1 eV/Å² with 1 where each
structure begins from the electrons of the one before.
"""
LANTHANIDES = range(57, 72)  # three electrons of each, its f electrons belong to the core


def gfn1_xtb() -> Any:
    """Make the ASE calculator of GFN1-xTB.

    It begins each structure anew, so that a result depends on nothing that came before, and refuses
    structures with an odd number of electrons.

    Raises
    ------
    InputError
        If tblite is not installed.
    """
    require_tblite()
    base: Any = importlib.import_module("tblite.ase").TBLite

    class ClosedShell(base):  # type: ignore[misc] # has no types
        def calculate(
            self,
            atoms: Atoms | None = None,
            properties: Sequence[str] | None = None,
            system_changes: Sequence[str] = all_changes,
        ) -> None:
            if atoms is not None:
                refuse_odd_electrons(atoms)
            self.reset()  # else it begins from the electrons of the structure before
            super().calculate(atoms, properties, system_changes)

    return ClosedShell(method="GFN1-xTB", accuracy=ACCURACY, cache_api=False, verbosity=0)


def refuse_odd_electrons(atoms: Atoms) -> None:
    """Refuse what has an unpaired electron at least: GFN1-xTB gives an energy without a word.

    Raises
    ------
    InputError
        If the number of electrons is odd.
    """
    rare = np.isin(atoms.numbers, list(LANTHANIDES))
    electrons = int(atoms.numbers[~rare].sum()) + 3 * int(rare.sum())
    electrons -= round(float(atoms.get_initial_charges().sum()))
    if electrons % 2:
        raise InputError(
            f"gfn1-xtb: {atoms.get_chemical_formula()} has an odd number of electrons, which it "
            "would spread over half-filled orbitals: is a hydrogen atom or a cap missing, or one "
            "too many?"
        )


def require_tblite() -> None:
    """Refuse to go on without tblite.

    Raises
    ------
    InputError
        If it is not installed.
    """
    if importlib.util.find_spec("tblite") is None:
        raise InputError(
            "gfn1-xtb: needs the package tblite, which is not installed: pip install tblite "
            "(LGPL-3.0-or-later)"
        )
