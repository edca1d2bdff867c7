"""Train tiny NequIP and Allegro models for one step (runs in nequip's environment).

Usage: python train_nequip.py DIRECTORY [--foundation]

Writes NAME.ckpt and, for one of them, NAME.nequip.zip, with the frameworks' own commands; or
packages of 89 types with a repulsion of nuclei, the larger one as wide as NequIP-OAM-L 0.1
(hyperparameters of its entry in Matbench Discovery).
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
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
FOUNDATIONS = {
    "small": ["num_layers=2", "l_max=1", "num_features=[8,4]", "radial_mlp_width=8"],
    "oam-l": ["num_layers=6", "l_max=3", "num_features=[128,64,32,32]", "radial_mlp_width=128"],
}


def of_89_types() -> list[str]:
    """Return the overrides of a model of the Materials Project's elements."""
    names = [chemical_symbols[z] for z in (*range(1, 84), *range(89, 95))]
    types = f"[{','.join(names)}]"
    shifts = ",".join(f"{name}:{-0.1 * k - 0.3:.1f}" for k, name in enumerate(names))
    model = "models.nequip"
    return [
        "architecture=nequip",
        "dtype=float32",
        f"data.transforms.0.model_type_names={types}",
        "data.transforms.1.r_max=6.0",
        f"data.stats_manager.type_names={types}",
        f"{model}.type_names={types}",
        f"++{model}.per_type_energy_shifts={{{shifts}}}",
        f"{model}.pair_potential.chemical_species={types}",
        f"{model}.r_max=6.0",
        f"{model}.parity=false",
        f"{model}.avg_num_neighbors=60.0",
        f"+{model}.type_embed_num_features=48",
        f"+{model}.polynomial_cutoff_p=5",
    ]


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


def train(directory: Path, name: str, overrides: list[str]) -> Path:
    """Train for a step; return the checkpoint."""
    here, output = Path(__file__).resolve().parent, directory / f"run-{name}"
    run(
        str(BIN / "nequip-train"),
        *("-cp", str(here), "-cn", "tiny_nequip"),
        *(f"data_dir={directory.resolve()}", f"hydra.run.dir={output.resolve()}"),
        *overrides,
    )
    return (output / "last.ckpt").replace(directory / f"{name}.ckpt")


def package(checkpoint: Path) -> None:
    """Write NAME.nequip.zip beside a checkpoint."""
    target = checkpoint.with_name(f"{checkpoint.stem}.nequip.zip")
    run(str(BIN / "nequip-package"), "build", str(checkpoint), str(target))


def main() -> None:
    """Write all variants, or the foundation models."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("--foundation", action="store_true")
    arguments = parser.parse_args()
    directory = arguments.directory
    directory.mkdir(parents=True, exist_ok=True)
    write(directory / "frames.extxyz", frames())
    if arguments.foundation:
        for name, widths in FOUNDATIONS.items():
            own = [f"models.nequip.{each}" for each in widths]
            package(train(directory, name, [*of_89_types(), *own]))
        return
    checkpoints = {name: train(directory, name, words) for name, words in VARIANTS.items()}
    package(checkpoints[PACKAGED])


if __name__ == "__main__":
    main()
