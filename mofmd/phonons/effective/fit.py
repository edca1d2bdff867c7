"""Force constants that describe the forces of many displaced supercells best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mofmd.calculator.memory import available_bytes
from mofmd.errors import InputError
from mofmd.phonons.calculation.fit_size import fit_bytes, free_parameters, refuse_large_fit
from mofmd.units import GIB

if TYPE_CHECKING:
    from phonopy import Phonopy

STEP_MAX_A = 0.1  # of a mean position


class ForceConstantFit:
    """Least squares of forces against displacements, within the symmetry (symfc).

    Seko and Togo, Phys. Rev. B 110, 214302 (2024). The symmetry of the supercell, the sum rule and
    the symmetry of pairs are in the basis; it is made once for all fits of a supercell.

    Parameters
    ----------
    phonopy
        Of the supercell.

    Raises
    ------
    InputError
        If the fit would not fit into memory.
    """

    def __init__(self, phonopy: Phonopy) -> None:
        from symfc import Symfc
        from symfc.utils.utils import SymfcAtoms

        cell, symmetry = phonopy.supercell, phonopy.symmetry
        self._phonopy = phonopy
        self.parameters = free_parameters(phonopy)
        """Free parameters, counted before the sum rule."""
        refuse_large_fit(self.parameters, len(cell), available_bytes())
        self._symfc = Symfc(
            SymfcAtoms(
                cell=cell.cell, scaled_positions=cell.scaled_positions, numbers=cell.numbers
            ),
            spacegroup_operations=symmetry.symmetry_operations,
            symprec=symmetry.tolerance,
        )
        self._symfc.compute_basis_set(orders=[2])

    @property
    def size(self) -> str:
        """What is fitted and the memory that it takes, in words."""
        return f"{self.parameters} force constants ({fit_bytes(self.parameters) / GIB:.2g} GiB)"

    @property
    def least(self) -> int:
        """Fewest supercells whose forces are as many as the parameters."""
        return -(-self.parameters // (3 * len(self._phonopy.supercell)))

    def check(self, count: int, name: str) -> None:
        """Refuse fewer supercells than twice those that determine the force constants.

        Raises
        ------
        InputError
            If there are fewer.
        """
        if count < 2 * self.least:
            raise InputError(
                f"{name}: {count} are too few for the {self.parameters} parameters that symmetry "
                f"leaves; take {2 * self.least} or more"
            )

    def __call__(self, displacements_A: np.ndarray, forces_eV_per_A: np.ndarray) -> np.ndarray:
        """Fit Φ of F = −Φ u.

        Parameters
        ----------
        displacements_A, forces_eV_per_A
            (supercells, atoms, 3).

        Returns
        -------
        np.ndarray
            (primitive atoms, supercell atoms, 3, 3) [eV/Å²].
        """
        from phonopy.harmonic.force_constants import full_fc_to_compact_fc

        self._symfc.displacements = displacements_A
        self._symfc.forces = forces_eV_per_A
        primitive = self._phonopy.primitive
        same = np.array_equal(self._symfc.p2s_map, primitive.p2s_map)
        self._symfc.solve(orders=[2], is_compact_fc=same)
        values = np.asarray(self._symfc.force_constants[2])
        return values if same else np.asarray(full_fc_to_compact_fc(primitive, values))


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
