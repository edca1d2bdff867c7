"""Evaluate structures with a framework's own calculator (runs in its environment).

Usage: python reference.py nequip|mace|sevennet STRUCTURES.traj OUTPUT.npz MODEL [MODEL ...]
"""

import os

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4.4 on torch >= 2.6

import functools
import sys
from pathlib import Path
from typing import Any

import numpy as np
from ase.io import read


def calculator(framework: str, model: str) -> Any:
    """Return the framework's ASE calculator for a model file."""
    if framework == "nequip":
        from nequip.integrations.ase import NequIPCalculator

        names = ["C", "H", "N", "Zn"]
        return NequIPCalculator.from_compiled_model(
            model, device="cpu", chemical_species_to_atom_type_map={n: n for n in names}
        )
    if framework == "sevennet":
        return exact_sevennet(model)
    from mace.calculators import MACECalculator

    dtype = "float32" if "f32" in Path(model).name else "float64"
    return MACECalculator(model_paths=model, device="cpu", default_dtype=dtype)


def exact_sevennet(model: str) -> Any:
    """Return SevenNetCalculator in float64; it converts what it is given to float32, always."""
    import sevenn.util
    import torch
    from sevenn.calculator import SevenNetCalculator

    sevenn.util.dtype_correct = functools.partial(
        sevenn.util.dtype_correct, float_dtype=torch.float64
    )
    torch.Tensor.float = torch.Tensor.double  # the one-hot types
    modality = "PBE" if "modal" in Path(model).name else None
    found = SevenNetCalculator(model, device="cpu", modal=modality)
    found.model.double()
    return found


def main() -> None:
    """Write energy, energies, forces and stress (3, 3) of every model and structure."""
    framework, structures, output, *models = sys.argv[1:]
    results: dict[str, np.ndarray] = {}
    for model in models:
        shared = calculator(framework, model)
        for number, atoms in enumerate(read(structures, index=":")):
            atoms.calc = shared
            key = f"{Path(model).name}/{number}"
            results[f"{key}/energy"] = np.array(atoms.get_potential_energy())
            results[f"{key}/forces"] = atoms.get_forces()
            energies = atoms.calc.results.get("energies", atoms.calc.results.get("node_energy"))
            results[f"{key}/energies"] = np.asarray(energies).reshape(-1)
            if atoms.pbc.all():
                results[f"{key}/stress"] = atoms.get_stress(voigt=False)
    np.savez(output, **results)


if __name__ == "__main__":
    main()
