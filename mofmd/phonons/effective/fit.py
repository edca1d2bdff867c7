"""What follows of effective force constants: forces, mean positions, what they do not describe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from phonopy import Phonopy

STEP_MAX_A = 0.1  # of a mean position


def harmonic_forces(
    phonopy: Phonopy, values: np.ndarray, displacements_A: np.ndarray
) -> np.ndarray:
    """(supercells, atoms, 3) forces −Φ u [eV/Å] of compact force constants.

    Parameters
    ----------
    phonopy
        Of the supercell.
    values
        (primitive atoms, supercell atoms, 3, 3).
    displacements_A
        (supercells, atoms, 3).
    """
    primitive = phonopy.primitive
    first = np.asarray(primitive.p2s_map)
    n, atoms = len(displacements_A), len(phonopy.supercell)
    matrix = values.transpose(0, 2, 1, 3).reshape(3 * len(first), 3 * atoms)
    found = np.empty_like(displacements_A)
    for moved in np.asarray(primitive.atomic_permutations):
        # Φ of translated atoms is that of the atoms themselves
        u = displacements_A[:, moved].reshape(n, -1)
        found[:, moved[first]] = -(u @ matrix.T).reshape(n, len(first), 3)
    return found


def symmetrised(phonopy: Phonopy, vectors: np.ndarray) -> np.ndarray:
    """(atoms, 3) mean of a vector of each atom over all operations of the supercell's group."""
    symmetry = phonopy.symmetry
    lattice = phonopy.supercell.cell.T
    inverse = np.linalg.inv(lattice)
    rotations = np.asarray(symmetry.symmetry_operations["rotations"])
    found = np.zeros_like(vectors)
    for rotation, moved in zip(rotations, symmetry.atomic_permutations, strict=True):
        found[moved] += vectors @ (lattice @ rotation @ inverse).T
    return found / len(rotations)


def newton_step(phonopy: Phonopy, values: np.ndarray, mean_forces: np.ndarray) -> np.ndarray:
    """(supercell atoms, 3) step of the mean positions to where the mean forces vanish [Å].

    Parameters
    ----------
    phonopy
        Of the supercell.
    values
        (primitive atoms, supercell atoms, 3, 3) [eV/Å²].
    mean_forces
        (supercell atoms, 3), the same in all cells [eV/Å].
    """
    primitive = phonopy.primitive
    first = np.asarray(primitive.p2s_map)
    of = np.searchsorted(first, np.asarray(primitive.s2p_map))
    total = np.zeros((len(first), len(first), 3, 3))
    for k in range(len(first)):
        total[:, k] = values[:, of == k].sum(axis=1)
    n = 3 * len(first)
    squares, vectors = np.linalg.eigh(total.transpose(0, 2, 1, 3).reshape(n, n))
    sizes = np.abs(squares)
    along = vectors.T @ mean_forces[first].ravel()
    # translations, along which there is no force, are left out
    moved = np.where(sizes > 1e-6 * sizes.max(), along / np.maximum(sizes, 1e-12), 0.0)
    step = (vectors @ moved).reshape(-1, 3)
    longest = np.linalg.norm(step, axis=1).max()
    return np.asarray(step * min(1.0, STEP_MAX_A / max(longest, 1e-12)))[of]


def anharmonicity(forces_eV_per_A: np.ndarray, harmonic_eV_per_A: np.ndarray) -> float:
    """Share of the forces that force constants do not describe: rms(F + Φu)/rms(F).

    Knoop, Purcell, Scheffler and Carbogno, Phys. Rev. Mater. 4, 083809 (2020).
    """
    rest = np.sqrt(np.mean((forces_eV_per_A - harmonic_eV_per_A) ** 2))
    return float(rest / np.sqrt(np.mean(forces_eV_per_A**2)))
