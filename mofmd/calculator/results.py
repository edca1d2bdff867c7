"""What an ASE calculator gives of a structure, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError

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
    results: dict[str, Any] = {
        "energy": atoms.get_potential_energy(),
        "forces": atoms.get_forces(apply_constraint=False),
    }
    energies = getattr(calculator, "results", {}).get("energies")
    if energies is not None:  # asked for, they might be computed anew
        results["energies"] = energies
    if not is_molecule(atoms):
        with suppress(PropertyNotImplementedError):
            results["stress"] = atoms.get_stress(voigt=False, apply_constraint=False)
    return {name: np.array(found) for name, found in results.items()}


def evaluation_of(results: Mapping[str, np.ndarray]) -> Evaluation:
    """Put what ``results_of`` gives into an evaluation; what there is not is NaN."""
    forces = results["forces"]
    return Evaluation(
        float(results["energy"]),
        results.get("energies", np.full(len(forces), np.nan)),
        forces,
        results.get("stress", np.full((3, 3), np.nan)),
    )
