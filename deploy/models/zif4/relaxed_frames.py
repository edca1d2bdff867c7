"""Frames on the way to rest: the crystal, and glasses, relaxed by a model in strained cells.

    python relaxed_frames.py GUIDE.mofmd.pth MODEL.mofmd.pth relaxed.npz [GLASS.lmp ...]

Elastic constants are differences of stresses between relaxed cells, and a model that has its
minima elsewhere than the teacher has other constants. So the teacher (a file of `mofmd deploy`)
relaxes the crystal in cells strained in each of the six directions and in volume, and glasses in
three volumes each; frames of the way, with its energies, forces and stresses, are written as
labels: the first below each of some forces, the last at rest. Relaxed by a student in training they
are where *its* minima are: `mofmd learn label` has the teacher say what is wrong there.
"""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
from ase import Atoms
from bulk_modulus import hessian, relax

from mofmd.analysis.mechanics.elastic_tensor import VOIGT
from mofmd.geometry.deform import deformed
from mofmd.learning.data.dataset import Labels, labelled, write_frames
from mofmd.structures.read import read_structure

STRAINS = (-0.015, -0.005, 0.005, 0.015)  # of the crystal, in each of the six directions
VOLUMES = (-0.04, -0.02, 0.0, 0.02, 0.04)  # of the crystal, relative change
GLASS_VOLUMES = (-0.03, 0.0, 0.03)
KEPT_FORCES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)  # eV/Å: the first frame below each is kept


def strains() -> dict[str, np.ndarray]:
    """Return the strains of the crystal by name, (3, 3) each."""
    found = {}
    for (i, j), strain in product(VOIGT, STRAINS):
        tensor = np.zeros((3, 3))
        tensor[i, j] += strain / 2
        tensor[j, i] += strain / 2
        found[f"{'xyz'[i]}{'xyz'[j]}{strain:+g}"] = tensor
    return found | volumes(VOLUMES)


def volumes(changes: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Return isotropic strains by name, (3, 3) each."""
    return {f"volume{change:+g}": ((1 + change) ** (1 / 3) - 1) * np.eye(3) for change in changes}


def on_the_way(
    model: Path, atoms: Atoms, guide: np.ndarray, origin: str, cells: dict[str, np.ndarray]
) -> list[Atoms]:
    """Relax a structure in strained cells; return the frames that are kept, labelled."""
    starts = [deformed(atoms, strain) for strain in cells.values()]
    kept: list[Atoms] = []
    lowest = [np.inf] * len(starts)

    def keep(k: int, frame: Atoms, labels: Labels) -> None:
        largest = float(np.abs(labels.forces_eV_per_A).max())
        if sum(f > largest for f in KEPT_FORCES) > sum(f > lowest[k] for f in KEPT_FORCES):
            one = labelled(frame, labels)
            name = tuple(cells)[k]
            phase = "crystal" if origin == "crystal" else "glass"
            one.info.update(
                trajectory=f"relaxed-{origin}-{name}",  # by whatever model: they begin alike
                origin=origin,
                phase=phase,
                temperature_K=0.0,
            )
            kept.append(one)
        lowest[k] = min(lowest[k], largest)

    relax(model, starts, [guide.copy() for _ in starts], KEPT_FORCES[-1], keep)
    return kept


def main() -> None:
    """Write the frames."""
    guide, model, output, *glasses = map(Path, sys.argv[1:])
    frames: list[Atoms] = []
    for origin in ("crystal", *glasses):
        crystal = origin == "crystal"
        name = str(origin) if crystal else Path(origin).stem
        atoms = read_structure("zif-4" if crystal else str(origin))
        relax(guide, [atoms], [hessian(guide, atoms)])
        cells = strains() if crystal else volumes(GLASS_VOLUMES)
        frames += on_the_way(model, atoms, hessian(guide, atoms), name, cells)
        write_frames(output, frames)
        print(f"{name}: {len(frames)} frames so far", file=sys.stderr)


if __name__ == "__main__":
    main()
