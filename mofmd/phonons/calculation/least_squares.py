"""Force constants that describe the forces of many displaced supercells best."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mofmd.errors import InputError

if TYPE_CHECKING:
    from phonopy import Phonopy

LEAST_SHARE = 1e-12
"""Of the largest mean square of a displacement, below which there is none."""


class ForceConstantFit:
    """Least squares of forces against displacements, within the symmetry.

    Of all Φ that have the symmetry of the supercell, that of pairs, Φ = Φᵀ, and the sum rule, the
    one of least Σ|F + Φu|². With the means C of u uᵀ and B of u Fᵀ over supercells and over all
    operations of the space group, it is the solution of Lyapunov's equation

        C Φ + Φ C = −(B + Bᵀ),

    which the eigenvectors of C make diagonal, at each wave vector of the supercell by itself. A
    basis of the symmetric force constants, as symfc has it (Seko and Togo, Phys. Rev. B 110, 214302
    (2024)), gives the same Φ, but its normal equations are dense: 14 GB for the 42,000 parameters
    of 272 atoms of ZIF-4, where these matrices have 5 MB.

    Parameters
    ----------
    phonopy
        Of the supercell.
    """

    def __init__(self, phonopy: Phonopy) -> None:
        symmetry, primitive = phonopy.symmetry, phonopy.primitive
        supercell = phonopy.supercell
        self._n = len(supercell)
        lattice = supercell.cell.T
        integer = np.asarray(symmetry.symmetry_operations["rotations"])
        rotations = lattice @ integer @ np.linalg.inv(lattice)
        moved = np.asarray(symmetry.atomic_permutations)
        self.parameters = _count_parameters(rotations, moved)
        """Free parameters."""
        self._translations = _Translations(phonopy)
        # one operation of each coset of the translations by which pairs repeat: these are not all
        # translations of the crystal where the primitive cell of a file is a centred one
        whence = np.asarray(primitive.s2p_map)[np.argmax(moved == 0, axis=1)]
        cosets = np.column_stack([integer.reshape(-1, 9), whence])
        _, first = np.unique(cosets, axis=0, return_index=True)
        self._operations = list(zip(rotations[first], moved[first], strict=True))
        self._primitive_atoms = np.asarray(primitive.p2s_map)

    @property
    def least(self) -> int:
        """About the fewest supercells that determine the parameters; ``determines`` tells.

        Their displacements, with the images of these by the space group, must span all directions
        in which atoms move: the parameters between two directions are known twice, those of a
        direction and itself once, so that it takes twice as many as a count of forces suggests.
        """
        return -(-2 * self.parameters // (3 * self._n))

    def check(self, count: int, name: str) -> None:
        """Refuse fewer supercells than those that determine the force constants.

        Raises
        ------
        InputError
            If there are fewer.
        """
        if count < self.least:
            raise InputError(
                f"{name}: {count} are too few for the {self.parameters} parameters that symmetry "
                f"leaves; take {self.least} or more"
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

        Raises
        ------
        InputError
            If the displacements do not determine all force constants.
        """
        sizes, vectors = np.linalg.eigh(self._products(displacements_A, displacements_A))
        if not _are_determined(sizes):
            raise InputError(
                f"displacements: {len(displacements_A)} supercells do not determine all "
                f"{self.parameters} parameters that symmetry leaves; take more, or larger "
                "displacements of all atoms"
            )
        sizes[0, :3] = sizes.max()  # of the translations, along which there is no force
        products = self._products(displacements_A, forces_eV_per_A)
        back = vectors.conj().transpose(0, 2, 1)
        products = back @ products @ vectors
        products = -(products + products.conj().transpose(0, 2, 1))
        products /= sizes[:, :, None] + sizes[:, None, :]
        return self._translations.to_pairs(vectors @ products @ back)

    def determines(self, displacements_A: np.ndarray) -> bool:
        """Whether forces of these (supercells, atoms, 3) would determine all parameters."""
        return _are_determined(np.linalg.eigvalsh(self._products(displacements_A, displacements_A)))

    def _products(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """(wave vectors, modes, modes) Σ first secondᵀ, its mean over the space group."""
        a, b = self._translations.waves(first), self._translations.waves(second)
        products = self._average(a.conj().transpose(0, 2, 1) @ b)
        products[0] = _without_translations(products[0])
        return products

    def _average(self, at_q: np.ndarray) -> np.ndarray:
        """Mean of a matrix over the operations of the space group."""
        places = self._translations
        pairs = places.to_pairs(at_q)
        total = np.zeros_like(pairs)
        for rotation, moved in self._operations:
            back = np.argsort(moved)
            whence = back[self._primitive_atoms]
            # pairs of atoms of other cells are those of the primitive cell, moved
            columns = places.back[places.cell_of[whence]][:, back]
            image = pairs[places.atom_of[whence][:, None], columns]
            total += np.einsum("ac,pbcd,ed->pbae", rotation, image, rotation, optimize=True)
        return places.to_waves(total / len(self._operations))


class _Translations:
    """Pairs of atoms in a supercell as they repeat, and their waves.

    Parameters
    ----------
    phonopy
        Of the supercell.
    """

    def __init__(self, phonopy: Phonopy) -> None:
        from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

        primitive, supercell = phonopy.primitive, phonopy.supercell
        moved = np.asarray(primitive.atomic_permutations)
        self._atoms = moved[:, np.asarray(primitive.p2s_map)]  # (cells, primitive atoms)
        self.back = np.argsort(moved, axis=1)
        """(cells, atoms) where a translation's inverse takes them."""
        self.cell_of, self.atom_of = np.empty((2, len(supercell)), dtype=int)
        """(atoms,) the translation that takes an atom of the primitive cell there, and which."""
        cells, atoms = np.indices(self._atoms.shape)
        self.cell_of[self._atoms], self.atom_of[self._atoms] = cells, atoms
        places = supercell.positions[self._atoms[:, 0]]
        vectors = np.rint((places - places[0]) @ np.linalg.inv(primitive.cell))
        to_primitive = np.rint(supercell.cell @ np.linalg.inv(primitive.cell)).astype(int).T
        q = get_commensurate_points(to_primitive)
        q = q[np.argsort(np.linalg.norm(q - np.rint(q), axis=1), kind="stable")]  # Γ first
        self._phases = np.exp(-2j * np.pi * q @ vectors.T)

    def waves(self, vectors: np.ndarray) -> np.ndarray:
        """(wave vectors, supercells, 3 primitive atoms) of (supercells, atoms, 3)."""
        by_cell = vectors[:, self._atoms].reshape(len(vectors), len(self._atoms), -1)
        return np.asarray(np.einsum("qt,nta->qna", self._phases, by_cell, optimize=True))

    def to_waves(self, pairs: np.ndarray) -> np.ndarray:
        """(wave vectors, 3 primitive atoms, 3 primitive atoms) of force constants' form."""
        n = 3 * len(pairs)
        by_cell = pairs[:, self._atoms].transpose(1, 0, 3, 2, 4).reshape(len(self._atoms), n * n)
        return np.asarray(self._phases @ by_cell).reshape(-1, n, n)

    def to_pairs(self, at_q: np.ndarray) -> np.ndarray:
        """(primitive atoms, supercell atoms, 3, 3), real, of a matrix at each wave vector."""
        cells, n = len(self._atoms), at_q.shape[1] // 3
        by_cell = (self._phases.conj().T @ at_q.reshape(cells, -1)).real / cells
        found = np.empty((n, self._atoms.size, 3, 3))
        found[:, self._atoms] = by_cell.reshape(cells, n, 3, n, 3).transpose(1, 0, 3, 2, 4)
        return found


def _count_parameters(rotations: np.ndarray, moved: np.ndarray) -> int:
    """Count the symmetric matrices that operations leave as they are, translations left out.

    The number of times the unit representation is in the symmetric square of the displacements':
    the mean of (χ(g)² + χ(g²))/2.
    """
    atoms = np.arange(moved.shape[1])
    traces = np.trace(rotations, axis1=1, axis2=2)
    traces_of_squares = np.trace(rotations @ rotations, axis1=1, axis2=2)
    still = (moved == atoms).sum(axis=1)
    still_twice = (np.take_along_axis(moved, moved, axis=1) == atoms).sum(axis=1)
    character = (still - 1) * traces
    return round(float(np.mean(0.5 * (character**2 + (still_twice - 1) * traces_of_squares))))


def _are_determined(squares: np.ndarray) -> bool:
    """Whether atoms move along all modes at all wave vectors, the three translations apart."""
    at_gamma, others = squares[0, 3:], squares[1:]
    least = min(at_gamma.min(initial=np.inf), others.min(initial=np.inf))
    return bool(least > LEAST_SHARE * squares.max())  # false where all are zero


def _without_translations(matrix: np.ndarray) -> np.ndarray:
    """Project what moves all atoms alike out of a (3 atoms, 3 atoms) matrix, on both sides."""
    parts = matrix.reshape(-1, 3, matrix.shape[1])
    rows = parts - parts.mean(axis=0)
    columns = rows.reshape(len(matrix), -1, 3)
    return np.asarray(columns - columns.mean(axis=1, keepdims=True)).reshape(matrix.shape)
