"""Label frames with the NequIP teacher (TorchScript, nequip 0.5): energy, forces, stress.

One file per frame is kept in the work folder, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read
from matscipy.neighbours import neighbour_list


class Teacher:
    """A deployed model of nequip 0.5/0.6.

    Parameters
    ----------
    path : Path
        TorchScript file with ``r_max`` and ``type_names`` among its extra files.
    """

    def __init__(self, path: Path) -> None:
        metadata = {"r_max": "", "type_names": ""}
        model = torch.jit.load(str(path), map_location="cpu", _extra_files=metadata)
        self.model = torch.jit.freeze(model.eval())
        torch.jit.set_fusion_strategy([("DYNAMIC", 0)])
        self.r_max = float(metadata["r_max"])
        self.type_names = metadata["type_names"].decode().split()

    def label(self, atoms: Atoms) -> dict[str, np.ndarray]:
        """Return energy (float64 sum over atoms), forces and stress (tension positive)."""
        centre, neighbour, shifts = neighbour_list("ijS", atoms, self.r_max)
        types = [self.type_names.index(symbol) for symbol in atoms.get_chemical_symbols()]
        out = self.model(
            {
                "pos": torch.tensor(atoms.positions, dtype=torch.float32),
                "edge_index": torch.tensor(np.stack([centre, neighbour]).astype(np.int64)),
                "edge_cell_shift": torch.tensor(shifts, dtype=torch.float32),
                "cell": torch.tensor(atoms.cell.array, dtype=torch.float32),
                "atom_types": torch.tensor(types),
            }
        )
        return {
            "energy": np.float64(out["atomic_energy"].double().sum().item()),
            "forces": out["forces"].detach().numpy().astype(np.float32),
            "stress": out["stress"].detach().numpy().reshape(3, 3).astype(np.float32),
        }


def main() -> None:
    """Label every frame of the input files and collect them in one npz file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("teacher", type=Path, help="deployed NequIP model (.pth)")
    parser.add_argument("frames", type=Path, nargs="+", help="extxyz files, one per trajectory")
    parser.add_argument("--work", type=Path, required=True, help="folder for single frames")
    parser.add_argument("--out", type=Path, required=True, help="npz file to write")
    args = parser.parse_args()

    teacher = Teacher(args.teacher)
    args.work.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, np.ndarray]] = []
    for number, path in enumerate(args.frames):
        for k, atoms in enumerate(read(path, index=":")):
            file = args.work / f"{path.stem}_{k:05d}.npz"
            if not file.exists():
                row = {
                    "positions": atoms.positions.astype(np.float32),
                    "cell": atoms.cell.array,
                    "numbers": atoms.numbers.astype(np.int8),
                    "trajectory": np.int16(number),
                    **teacher.label(atoms),
                }
                temporary = file.with_suffix(".part.npz")
                np.savez(temporary, **row)
                temporary.replace(file)
                print(f"{file.name}: {row['energy']:.3f} eV", flush=True)
            rows.append(dict(np.load(file)))
    np.savez_compressed(args.out, **{key: np.stack([r[key] for r in rows]) for key in rows[0]})
    print(f"{args.out}: {len(rows)} frames")


if __name__ == "__main__":
    main()
