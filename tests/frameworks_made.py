"""Small frameworks whose answers are known."""

import numpy as np
from ase import Atoms

CYANIDE_EDGE_A = 5.3


def cyanide(metal: str = "Zn", edge_A: float = CYANIDE_EDGE_A) -> Atoms:
    """Simple cubic net of a metal and cyanide: half of the six bonds to C, half to N."""
    symbols, positions = [metal], [np.zeros(3)]
    for axis in np.eye(3):
        # 2.05 Å to either end of C≡N, 1.2 Å long
        symbols += ["C", "N"]
        positions += [2.05 * axis, (edge_A - 2.05) * axis]
    return Atoms(symbols, positions, cell=[edge_A] * 3, pbc=True)


def shaken(atoms: Atoms, n: int, amplitude_A: float = 0.02) -> list[Atoms]:
    """Frames of it with small random displacements."""
    frames = [atoms.copy() for _ in range(n)]
    for k, frame in enumerate(frames):
        frame.rattle(amplitude_A, seed=k)
    return frames
