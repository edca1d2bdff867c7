"""Turn teacher-labelled frames (npz) into extxyz files, split by whole trajectories."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write


def read_frames(path: Path) -> list[Atoms]:
    """Read the frames of one npz file.

    Parameters
    ----------
    path : Path
        File with ``positions``, ``cell``, ``numbers``, ``energy``, ``forces``, ``stress``
        (eV, angstrom; stress tension positive) and ``trajectory``, one row per frame.

    Returns
    -------
    list of ase.Atoms
        Labelled frames; ``info["trajectory"]`` is ``<file stem>:<trajectory number>``.
    """
    data = np.load(path)
    frames = []
    for k in range(len(data["energy"])):
        atoms = Atoms(
            numbers=data["numbers"][k].astype(int),
            positions=data["positions"][k].astype(float),
            cell=data["cell"][k],
            pbc=True,
        )
        atoms.wrap()
        atoms.calc = SinglePointCalculator(
            atoms,
            energy=float(data["energy"][k]),
            forces=data["forces"][k].astype(float),
            stress=data["stress"][k].astype(float),
        )
        atoms.info["trajectory"] = f"{path.stem}:{int(data['trajectory'][k])}"
        frames.append(atoms)
    return frames


def main() -> None:
    """Write ``train.extxyz``, ``val.extxyz`` and ``test.extxyz``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("npz", type=Path, nargs="+", help="labelled frames")
    parser.add_argument("--val", nargs="*", default=[], help="trajectories <stem>:<number>")
    parser.add_argument("--test", nargs="*", default=[], help="trajectories <stem>:<number>")
    parser.add_argument("--val-stride", type=int, default=1, help="keep every n-th val frame")
    parser.add_argument("--max-force", type=float, default=60.0, help="leave out above, eV/A")
    parser.add_argument("--out", type=Path, default=Path())
    args = parser.parse_args()

    parts: dict[str, list[Atoms]] = {"train": [], "val": [], "test": []}
    for path in args.npz:
        for atoms in read_frames(path):
            if np.abs(atoms.get_forces()).max() > args.max_force:
                continue
            name = atoms.info["trajectory"]
            part = "val" if name in args.val else "test" if name in args.test else "train"
            parts[part].append(atoms)
    parts["val"] = parts["val"][:: args.val_stride]
    args.out.mkdir(parents=True, exist_ok=True)
    for part, frames in parts.items():
        names = {atoms.info["trajectory"] for atoms in frames}
        print(f"{part}: {len(frames)} frames of {len(names)} trajectories")
        if frames:
            write(args.out / f"{part}.extxyz", frames)


if __name__ == "__main__":
    main()
