"""What a relaxation moves: atoms and cell as one vector, and the forces on it.

The cell is cell₀ F with F = exp(L), L a symmetric combination of strains; an atom is at u F with u
in the frame of the first cell. Rigid rotations are left out, and a volume that is kept is kept
exactly: det F = exp(tr L).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.relaxation.symmetry import Symmetry

CellFreedom = Literal["tri", "aniso", "iso", "volume", "fixed"]
_DIAGONAL = np.array([np.diag(row) for row in np.eye(3)])
_SHEAR = np.array(
    [
        [[0, 0, 0], [0, 0, 1], [0, 1, 0]],
        [[0, 0, 1], [0, 0, 0], [1, 0, 0]],
        [[0, 1, 0], [1, 0, 0], [0, 0, 0]],
    ]
) / np.sqrt(2.0)


def strain_basis(freedom: CellFreedom) -> np.ndarray:
    """Orthonormal symmetric strains (n, 3, 3) that a cell may take.

    Parameters
    ----------
    freedom
        ``tri`` all six; ``aniso`` the three along x, y and z; ``iso`` the size alone; ``volume``
        the five that keep the volume; ``fixed`` none.
    """
    if freedom == "tri":
        return np.asarray(np.concatenate([_DIAGONAL, _SHEAR]))
    if freedom == "aniso":
        return _DIAGONAL
    if freedom == "iso":
        return np.asarray(np.eye(3)[None] / np.sqrt(3.0))
    if freedom == "volume":
        flat = np.array([np.diag([1.0, -1.0, 0.0]) / np.sqrt(2.0)])
        deep = np.array([np.diag([1.0, 1.0, -2.0]) / np.sqrt(6.0)])
        return np.concatenate([flat, deep, _SHEAR])
    if freedom == "fixed":
        return np.empty((0, 3, 3))
    raise InputError(f"cell: {freedom!r}, expected one of {', '.join(get_args(CellFreedom))}")


@dataclass(frozen=True)
class Gradient:
    """Derivative of the enthalpy with respect to the vector, and what people judge it by.

    Parameters
    ----------
    vector
        (3 N + strains,) [eV/Å, eV].
    force_max_eV_per_A
        Largest norm of the force on a free atom.
    stress_max_eV_per_A3
        Largest component of stress plus target pressure, of what the cell may do.
    """

    vector: np.ndarray
    force_max_eV_per_A: float
    stress_max_eV_per_A3: float


class Variables:
    """The map between a structure and a vector.

    Parameters
    ----------
    atoms
        Where the vector is zero in its strains.
    freedom
        Of the cell.
    fixed
        (atoms,) mask of atoms whose fractional coordinates are kept.
    pressure_eV_per_A3
        Target; compression positive.
    symmetry
        That is kept, or None.

    Raises
    ------
    InputError
        If a cell is to move that is not periodic in three directions, or the fixed atoms are not
        what symmetry makes of them.
    """

    def __init__(
        self,
        atoms: Atoms,
        freedom: CellFreedom = "tri",
        fixed: np.ndarray | None = None,
        pressure_eV_per_A3: float = 0.0,
        symmetry: Symmetry | None = None,
    ) -> None:
        self.basis = strain_basis(freedom)
        if len(self.basis) and not np.all(atoms.pbc):
            raise InputError(
                "cell: only one that is periodic in three directions can be relaxed; use --cell "
                "fixed"
            )
        self._atoms = atoms.copy()
        self._atoms.calc = None
        self._cell = atoms.cell.array.copy()
        self.fixed = np.zeros(len(atoms), dtype=bool) if fixed is None else fixed
        self.pressure_eV_per_A3 = pressure_eV_per_A3
        self.symmetry = symmetry
        if symmetry is not None:
            symmetry.check_mask(self.fixed)
        self.first = np.concatenate([atoms.positions.ravel(), np.zeros(len(self.basis))])

    @property
    def n_atoms(self) -> int:
        """Atoms of the structure."""
        return len(self._atoms)

    def deformation(self, x: np.ndarray) -> np.ndarray:
        """F (3, 3)."""
        values, vectors = np.linalg.eigh(self._strain(x))
        return np.asarray((vectors * np.exp(values)) @ vectors.T)

    def structure(self, x: np.ndarray) -> Atoms:
        """Give the structure of a vector."""
        f = self.deformation(x)
        atoms = self._atoms.copy()
        atoms.set_cell(self._cell @ f)
        atoms.positions = self._moved(x) @ f
        return atoms

    def gradient(
        self, x: np.ndarray, forces: np.ndarray, stress: np.ndarray | None, volume_A3: float
    ) -> Gradient:
        """Turn forces and stress into a gradient.

        Parameters
        ----------
        x
            The vector.
        forces
            (atoms, 3) [eV/Å].
        stress
            (3, 3), tension positive [eV/Å³]; None where the cell does not move.
        volume_A3
            Of the cell.
        """
        values, vectors = np.linalg.eigh(self._strain(x))
        f = (vectors * np.exp(values)) @ vectors.T
        if self.symmetry is not None:
            forces = self.symmetry.of_vectors(forces, self._cell @ f)
        forces = np.where(self.fixed[:, None], 0.0, forces)
        force_max = float(np.sqrt((forces**2).sum(axis=1).max(initial=0.0)))
        if not len(self.basis) or stress is None:
            return Gradient((-forces @ f).ravel(), force_max, 0.0)
        if self.symmetry is not None:
            stress = self.symmetry.of_tensor(stress, self._cell @ f)
        excess = stress + self.pressure_eV_per_A3 * np.eye(3)
        allowed = np.einsum("k,kab->ab", np.einsum("kab,ab->k", self.basis, excess), self.basis)
        # dF of a change of L, in the axes of L (Daleckii and Krein), and dE = tension : dF F⁻¹
        rising = np.exp(values)
        gap = values[:, None] - values[None, :]
        near = np.abs(gap) < 1e-7
        factor = np.where(
            near,
            np.sqrt(rising[:, None] * rising[None, :]),
            (rising[:, None] - rising[None, :]) / np.where(near, 1.0, gap),
        )
        tension = vectors.T @ (volume_A3 * excess @ np.linalg.inv(f)) @ vectors
        of_strain = vectors @ (0.5 * (tension + tension.T) * factor) @ vectors.T
        of_basis = np.einsum("kab,ab->k", self.basis, of_strain)
        return Gradient(
            np.concatenate([(-forces @ f).ravel(), of_basis]),
            force_max,
            float(np.abs(allowed).max()),
        )

    def direction(self, step: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Leave fixed atoms where they are, and average a step over the symmetry."""
        step = step.copy()
        of_atoms = step[: 3 * self.n_atoms].reshape(-1, 3)
        if self.symmetry is not None:
            f = self.deformation(x)
            moves = self.symmetry.of_vectors(of_atoms @ f, self._cell @ f) @ np.linalg.inv(f)
            of_atoms[:] = moves
            strain = self.symmetry.of_tensor(self._strain(step), self._cell @ f)
            step[3 * self.n_atoms :] = np.einsum("kab,ab->k", self.basis, strain)
        of_atoms[self.fixed] = 0.0
        return step

    def _moved(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(x[: 3 * self.n_atoms].reshape(-1, 3))

    def _strain(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(np.einsum("k,kab->ab", x[3 * self.n_atoms :], self.basis))
