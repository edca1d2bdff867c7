"""Bulk modulus of ZIF-4 at 0 K, for a slow reference and the fast models distilled from it.

    python bulk_modulus.py GUIDE.mofmd.pth MODEL [MODEL ...] > bulk_modulus.json

The crystal in its measured cell is strained by +-1 % along a, b and c, the atoms of every strained
cell are relaxed, and the stresses give the 3x3 block of the elastic tensor that a pressure acts on.
Relaxed to 0.003 eV/Å in cells strained by 0.5 %, constants are wrong by up to half of their size:
the soft modes are still on their way. A framework has modes so soft that conjugate gradients take
hundreds of calls: here BFGS begins with the Hessian of a fast model, the guide, which leaves some
sixty to a reference that takes seconds for each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms, units

from mofmd.geometry.deform import deformed
from mofmd.learning.data.dataset import Labels
from mofmd.learning.evaluate.prediction import predict
from mofmd.structures.read import read_structure

STRAIN = 0.01
FORCE_TOLERANCE = 0.0005  # eV/Å, largest component
STEPS_MAX = 1000
LONGEST_MOVE = 0.03  # Å: molecules turn, along a curve that a longer straight step leaves
SOFTEST = 0.05  # eV/Å², of the curvatures to begin with


def hessian(model: Path, atoms: Atoms, step: float = 0.01) -> np.ndarray:
    """Second derivatives of the energy, (3N, 3N) in eV/Å², by central differences of forces.

    Made positive definite, as BFGS wants them: absolute curvatures, none below ``SOFTEST``.
    """
    frames = []
    for k in range(3 * len(atoms)):
        for sign in (1, -1):
            frame = atoms.copy()
            frame.positions[k // 3, k % 3] += sign * step
            frames.append(frame)
    forces = [labels.forces_eV_per_A.ravel() for labels in predict(model, frames)]
    matrix = -np.array([p - m for p, m in zip(forces[::2], forces[1::2], strict=True)]) / (2 * step)
    curvature, modes = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return (modes * np.maximum(np.abs(curvature), SOFTEST)) @ modes.T


def relax(
    model: Path,
    frames: list[Atoms],
    guides: list[np.ndarray],
    tolerance: float = FORCE_TOLERANCE,
    seen: Callable[[int, Atoms, Labels], None] | None = None,
) -> list[np.ndarray]:
    """Relax the atoms of each frame in its cell; return the stresses, (3, 3) in GPa.

    BFGS, until no force component is above ``tolerance`` [eV/Å]; ``guides`` hold the second
    derivatives to begin with and are updated in place. ``seen`` is called with each evaluation: the
    number of the frame, the frame, what the model says.
    """
    last: list[tuple[np.ndarray, np.ndarray] | None] = [None] * len(frames)
    stresses: list[np.ndarray] = [np.zeros((3, 3))] * len(frames)
    open_frames = list(range(len(frames)))
    for _ in range(STEPS_MAX):
        labels = predict(model, [frames[k] for k in open_frames])
        largest = max(float(np.abs(label.forces_eV_per_A).max()) for label in labels)
        print(
            f"{model.name}: {len(labels)} cells, largest force {largest:.4f} eV/Å", file=sys.stderr
        )
        still = []
        for k, label in zip(open_frames, labels, strict=True):
            if seen is not None:
                seen(k, frames[k], label)
            forces = label.forces_eV_per_A.ravel()
            assert label.stress_eV_per_A3 is not None
            stresses[k] = label.stress_eV_per_A3 / units.GPa
            before = last[k]
            if before is not None:
                move, change = before[0], before[1] - forces
                if move @ change > 0:
                    pulled = guides[k] @ move
                    guides[k] += np.outer(change, change) / (move @ change)
                    guides[k] -= np.outer(pulled, pulled) / (move @ pulled)
            if np.abs(forces).max() < tolerance:
                continue
            move = np.linalg.solve(guides[k], forces)
            move *= min(1.0, LONGEST_MOVE / np.abs(move).max())
            frames[k].positions += move.reshape(-1, 3)
            last[k] = (move, forces)
            still.append(k)
        open_frames = still
        if not open_frames:
            return stresses
    raise SystemExit(f"{model}: not relaxed after {STEPS_MAX} steps")


def bulk_modulus(model: Path, atoms: Atoms, guide: np.ndarray) -> dict[str, object]:
    """Return stress, elastic constants and bulk moduli in the cell as it is."""
    start, guides = [atoms.copy()], [guide.copy()]
    stress = np.diag(relax(model, start, guides)[0])
    strains = [s * STRAIN * axis for axis in np.eye(3) for s in (1, -1)]
    frames = [deformed(start[0], np.diag(strain)) for strain in strains]
    stresses = [np.diag(s) for s in relax(model, frames, [guides[0].copy() for _ in strains])]
    rows = [(p - m) / (2 * STRAIN) for p, m in zip(stresses[::2], stresses[1::2], strict=True)]
    stiffness = 0.5 * (np.array(rows) + np.array(rows).T)
    return {
        "stress_GPa": np.round(stress, 4).tolist(),
        "stiffness_GPa": np.round(stiffness, 3).tolist(),
        "bulk_modulus_voigt_GPa": round(float(stiffness.mean()), 3),
        "bulk_modulus_reuss_GPa": round(float(1 / np.linalg.inv(stiffness).sum()), 3),
    }


def main() -> None:
    """Print the results of every model as JSON."""
    guide_model, *models = map(Path, sys.argv[1:])
    atoms = read_structure("zif-4")
    relax(guide_model, [atoms], [hessian(guide_model, atoms)])
    guide = hessian(guide_model, atoms)
    print(json.dumps({str(m): bulk_modulus(m, atoms, guide) for m in models}, indent=1))


if __name__ == "__main__":
    main()
