"""Train tiny NequIP and Allegro models for one step (runs in nequip's environment).

Usage: python train_nequip.py DIRECTORY

Writes NAME.ckpt and, for one of them, NAME.nequip.zip, with the frameworks' own commands.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

BIN = Path(sys.executable).parent
VARIANTS = {
    "nequip-f64": ["architecture=nequip", "dtype=float64"],
    "nequip-f32": ["architecture=nequip", "dtype=float32"],
    "nequip-l2-f64": [
        "architecture=nequip",
        "dtype=float64",
        "models.nequip.l_max=2",
        "models.nequip.num_layers=5",
        "models.nequip.parity=false",
    ],
    "nequip-l1-f64": ["architecture=nequip", "dtype=float64", "models.nequip.num_layers=1"],
    "allegro-f64": ["architecture=allegro", "dtype=float64"],
}
PACKAGED = "nequip-f64"


def frames() -> list[Atoms]:
    """Return two frames without overlaps and with made-up labels: the training only has to run."""
    rng = np.random.default_rng(2)
    sites = np.array(list(np.ndindex(3, 3, 2))) / (3, 3, 2)
    result = []
    for _ in range(2):
        atoms = Atoms("C6H6N4Zn2", scaled_positions=sites, cell=[7.0, 7.2, 7.4], pbc=True)
        atoms.positions += rng.uniform(-0.4, 0.4, (18, 3))
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=-15.0 + rng.normal(),
            forces=rng.normal(size=(18, 3)),
            stress=rng.normal(size=6) * 0.01,
        )
        result.append(atoms)
    return result


def run(*command: str) -> None:
    """Run a framework's command; its output is shown when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")


def main() -> None:
    """Write all variants."""
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    write(directory / "frames.extxyz", frames())
    here = Path(__file__).resolve().parent
    for name, overrides in VARIANTS.items():
        output = directory / f"run-{name}"
        run(
            str(BIN / "nequip-train"),
            *("-cp", str(here), "-cn", "tiny_nequip"),
            *(f"data_dir={directory.resolve()}", f"hydra.run.dir={output.resolve()}"),
            *overrides,
        )
        (output / "last.ckpt").replace(directory / f"{name}.ckpt")
    checkpoint = directory / f"{PACKAGED}.ckpt"
    package = directory / f"{PACKAGED}.nequip.zip"
    run(str(BIN / "nequip-package"), "build", str(checkpoint), str(package))


if __name__ == "__main__":
    main()
