"""Equilibrium volume and bulk modulus of a screening's member by SevenNetCalculator and dftd3.

Runs in SevenNet's environment (`mofmd env sevennet`), with `dftd3` installed there as well. Takes
the structures that the member of an `equation_of_state` relaxed, gives their residual force and
stress by these calculators, relaxes the ions anew at each volume with ASE's BFGS, and fits ASE's
Birch-Murnaghan equation to the energies.

Usage: python statics_against_sevennet.py MEMBER CHECKPOINT [--fmax 0.001] [--output FILE]
"""

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.mixing import SumCalculator
from ase.eos import EquationOfState
from ase.io import read
from ase.optimize import BFGS
from ase.units import GPa
from dftd3.ase import DFTD3
from sevenn.calculator import SevenNetCalculator

CUTOFF_A = 15.0  # of mofmd's dispersion
STEPS_MAX = 200
# Grimme, Ehrlich, Goerigk, J. Comput. Chem. 32, 1456 (2011), table of zero- and BJ-damped PBE
PBE_PAIRS = {"s6": 1.0, "s8": 0.7875, "s9": 0.0, "a1": 0.4289, "a2": 4.4407}


def largest(vectors: np.ndarray) -> float:
    """Return the length of the longest vector."""
    return float(np.linalg.norm(vectors, axis=1).max())


def main() -> None:
    """Evaluate, relax, fit, and write what came out beside the member's own results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("member", type=Path)
    parser.add_argument("checkpoint")
    parser.add_argument("--fmax", type=float, default=0.001, help="eV/Å, of the ions")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    ours = json.loads((arguments.member / "results.json").read_text())
    model = SevenNetCalculator(arguments.checkpoint, device="cpu")

    def with_calculator(file: Path) -> Atoms:
        atoms = read(file)
        # pairs only, as in mofmd: without the three-body term that dftd3 adds by default
        dispersion = DFTD3(
            damping="d3bj",
            params_tweaks=PBE_PAIRS,
            realspace_cutoff={"disp2": CUTOFF_A, "cn": CUTOFF_A},
        )
        atoms.calc = SumCalculator([model, dispersion])
        return atoms

    relaxed = with_calculator(arguments.member / "relax" / "relaxed.extxyz")
    result = {
        "energy_eV": relaxed.get_potential_energy(),
        "force_eV_per_A": largest(relaxed.get_forces()),
        "stress_GPa": float(np.abs(relaxed.get_stress()).max() / GPa),
    }
    volumes, energies, calls = [relaxed.get_volume()], [result["energy_eV"]], 1
    for folder in sorted(arguments.member.glob("volume_*")):
        atoms = with_calculator(folder / "relaxed.extxyz")
        optimizer = BFGS(atoms, logfile=None)
        if not optimizer.run(fmax=arguments.fmax, steps=STEPS_MAX):
            raise SystemExit(f"{folder.name}: not relaxed after {STEPS_MAX} steps")
        volumes.append(atoms.get_volume())
        energies.append(atoms.get_potential_energy())
        calls += optimizer.nsteps + 1
    volume, _, modulus = EquationOfState(volumes, energies, eos="birchmurnaghan").fit()
    result |= {
        "calls": calls,
        "equilibrium_volume_A3": float(volume),
        "bulk_modulus_GPa": float(modulus / GPa),
    }
    for name in ("energy_eV", "equilibrium_volume_A3", "bulk_modulus_GPa"):
        print(f"{name}: {result[name]:.6f}, mofmd {ours[name]:.6f}")
    print(f"residual: {result['force_eV_per_A']:.1e} eV/Å, {result['stress_GPa']:.1e} GPa")
    if arguments.output is not None:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
