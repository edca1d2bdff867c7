"""Errors of an exported model on labelled frames, overall, per element and per trajectory."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.io import read
from edge_calculator import EdgeCalculator


def statistics(errors: list[np.ndarray]) -> dict[str, float]:
    """Return mean absolute and root-mean-square error over all numbers."""
    flat = np.concatenate([np.ravel(e) for e in errors])
    return {"mae": float(np.abs(flat).mean()), "rmse": float(np.sqrt(np.square(flat).mean()))}


def errors(frames: list[Atoms], calculator: EdgeCalculator) -> dict[str, Any]:
    """Return the errors on a set of frames (meV/atom, meV/A, GPa)."""
    energy, forces, stress = [], [], []
    per_element: dict[str, list[np.ndarray]] = {}
    for labelled in frames:
        atoms = labelled.copy()
        atoms.calc = calculator
        difference = atoms.get_potential_energy() - labelled.get_potential_energy()
        energy.append(np.array([1000 * difference / len(atoms)]))
        force_error = 1000 * (atoms.get_forces() - labelled.get_forces())
        forces.append(force_error)
        symbols = np.array(atoms.get_chemical_symbols())
        for symbol in sorted(set(symbols)):
            per_element.setdefault(symbol, []).append(force_error[symbols == symbol])
        stress.append((atoms.get_stress() - labelled.get_stress()) / units.GPa)
    return {
        "frames": len(frames),
        "energy_meV_per_atom": statistics(energy),
        "energy_offset_meV_per_atom": float(np.mean(energy)),
        "forces_meV_per_A": statistics(forces),
        "forces_rms_of_labels_meV_per_A": float(
            1000 * np.sqrt(np.mean([np.square(a.get_forces()).mean() for a in frames]))
        ),
        "forces_per_element_meV_per_A": {s: statistics(e) for s, e in per_element.items()},
        "stress_GPa": statistics(stress),
    }


def main() -> None:
    """Print the errors as JSON and optionally write them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path, help="exported model (.mofmd.pth)")
    parser.add_argument("frames", type=Path, help="extxyz of prepare.py")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()

    frames = read(args.frames, index=":")
    calculator = EdgeCalculator(args.model)
    groups: dict[str, list[Atoms]] = {}
    for atoms in frames:
        groups.setdefault(atoms.info["trajectory"], []).append(atoms)
    report = {"all": errors(frames, calculator)}
    report.update({name: errors(group, calculator) for name, group in groups.items()})
    text = json.dumps(report, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
