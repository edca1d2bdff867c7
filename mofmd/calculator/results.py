"""What an ASE calculator gives of a structure, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, PropertyNotImplementedError
from ase.stress import voigt_6_to_full_3x3_stress

from mofmd.engine.evaluate import Evaluation
from mofmd.structures.molecules import is_molecule


def results_of(calculator: Any, atoms: Atoms) -> dict[str, np.ndarray]:
    """Evaluate a structure.

    Parameters
    ----------
    calculator
        Gives energy and forces.
    atoms
        The structure; constraints do not apply.

    Returns
    -------
    dict
        ``energy`` [eV] and ``forces`` (atoms, 3) [eV/Å]; where the calculator has them,
        ``energies`` (atoms,) [eV] and, unless the structure is a molecule, ``stress`` (3, 3)
        [eV/Å³].
    """
    atoms.calc = calculator
    results: dict[str, Any] = {"energy": atoms.get_potential_energy()}
    # ASE's own calculators empty their results before each structure; asked for one by one, each
    # would be compared with the structure again, and energies might be computed anew
    known = calculator.results if isinstance(calculator, Calculator) else {}
    results["forces"] = known.get("forces")
    if results["forces"] is None:
        results["forces"] = atoms.get_forces(apply_constraint=False)
    results["energies"] = getattr(calculator, "results", {}).get("energies")
    if not is_molecule(atoms):
        results["stress"] = known.get("stress")
        if results["stress"] is None:
            with suppress(PropertyNotImplementedError):
                results["stress"] = atoms.get_stress(apply_constraint=False)
        if np.shape(results["stress"]) == (6,):
            results["stress"] = voigt_6_to_full_3x3_stress(results["stress"])
    return {name: np.array(found) for name, found in results.items() if found is not None}


def evaluation_of(results: Mapping[str, np.ndarray]) -> Evaluation:
    """Put what ``results_of`` gives into an evaluation; what there is not is NaN."""
    forces = results["forces"]
    return Evaluation(
        float(results["energy"]),
        results.get("energies", np.full(len(forces), np.nan)),
        forces,
        results.get("stress", np.full((3, 3), np.nan)),
    )
