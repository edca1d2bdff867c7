"""A small arbitrary structure on which any model can be checked."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.geometry import get_distances

CELL = np.array([[1.0, 0.0, 0.0], [0.17, 0.95, 0.0], [-0.12, 0.21, 1.04]])
ATOMS = 24
SEED = 20


def packing(type_names: list[str]) -> Atoms:
    """Return 24 atoms of up to eight of the elements, at random but not too close, tilted cell.

    Distances are at least 0.9 times the sum of the covalent radii, the volume follows from them.

    Raises
    ------
    ValueError
        If a type is not an element: give a structure instead.
    """
    rng = np.random.default_rng(SEED)
    chosen = type_names[:8]
    symbols = [chosen[k % len(chosen)] for k in range(ATOMS)]
    numbers = Atoms(symbols).numbers
    radii = covalent_radii[numbers]
    length = (6.0 * np.sum(4.0 / 3.0 * np.pi * radii**3)) ** (1.0 / 3.0)
    while True:
        cell = length * CELL
        placed: list[np.ndarray] = []
        for k in range(ATOMS):
            for _ in range(500):
                point = rng.random(3) @ cell
                if not placed:
                    break
                _, distances = get_distances([point], np.array(placed), cell=cell, pbc=True)
                if np.all(distances[0] > 0.9 * (radii[k] + radii[:k])):
                    break
            else:
                break
            placed.append(point)
        if len(placed) == ATOMS:
            return Atoms(symbols, positions=placed, cell=cell, pbc=True)
        length *= 1.05
