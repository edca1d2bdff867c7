"""A model Hessian of internal coordinates, the preconditioner of a relaxation.

Bonds are stiff, the rotation of a linker is soft: curvatures of a framework span four orders of
magnitude. The model has them all roughly right, so that what is left for L-BFGS is well
conditioned. Stiffnesses of bonds, angles and torsions fall off with distance as in R. Lindh,
A. Bernhardsson, G. Karlström, P.-Å. Malmqvist, Chem. Phys. Lett. 241, 423 (1995), those of atoms in
contact with the sum of van der Waals radii; the factors were fitted to Hessians of models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import identity
from scipy.sparse.linalg import splu

from mofmd.relaxation.internal import Pairs, Rows, find_angles, find_torsions, near_pairs
from mofmd.relaxation.variables import Variables
from mofmd.topology.bonds import BOND_FACTOR, NON_METALS
from mofmd.units import BOHR_TO_A, HARTREE_TO_EV

DENSE = 3000  # unknowns up to which a dense factorisation is quick
UNKNOWN_RADIUS_A = 2.5
# rows of the periodic table: hydrogen and helium, lithium to neon, the others
_REFERENCE_BOHR = np.array([[1.35, 2.10, 2.53], [2.10, 2.87, 3.40], [2.53, 3.40, 3.40]])
_STEEPNESS = np.array([[1.0, 0.3949, 0.3949], [0.3949, 0.28, 0.28], [0.3949, 0.28, 0.28]])


@dataclass(frozen=True)
class Stiffness:
    """Parameters of the model Hessian.

    Parameters
    ----------
    stretch, bend, twist
        Of Lindh's rule [hartree/bohr², hartree/rad², hartree/rad²].
    metal
        Factor for each bond of a metal that a coordinate has.
    contact_eV_per_A2
        Of two atoms without a bond that are as far apart as the sum of their van der Waals radii.
    contact_decay_A
        Over which that falls to 1/e [Å].
    contact_reach_A
        How far they are looked for [Å].
    anchor_eV_per_A2
        Of each atom to its place: for what no coordinate resists.
    modulus_eV_per_A3
        Of the cell, likewise.
    """

    stretch: float = 0.45
    bend: float = 0.15
    twist: float = 0.005
    metal: float = 0.3
    contact_eV_per_A2: float = 0.1
    contact_decay_A: float = 0.4
    contact_reach_A: float = 4.0
    anchor_eV_per_A2: float = 0.1
    modulus_eV_per_A3: float = 0.005


def internal_coordinates(atoms: Atoms, stiffness: Stiffness) -> Rows:
    """Bonds, angles, torsions and contacts of a structure with their stiffnesses."""
    pairs = near_pairs(atoms, stiffness.contact_reach_A)
    radii = covalent_radii[atoms.numbers]
    is_metal = np.array([symbol not in NON_METALS for symbol in atoms.symbols], dtype=bool)
    metals = is_metal[pairs.first].astype(int) + is_metal[pairs.second]
    bonded = pairs.lengths < BOND_FACTOR * (radii[pairs.first] + radii[pairs.second])
    bonded &= metals < 2
    bonds = pairs.where(bonded)
    weight = _lindh(atoms, bonds) * stiffness.metal ** metals[bonded]
    once = bonds.once()
    rows = Rows(len(atoms))
    per_length2 = HARTREE_TO_EV / BOHR_TO_A**2
    rows.stretches(bonds.where(once), stiffness.stretch * per_length2 * weight[once])
    angles = find_angles(bonds)
    of_angles = stiffness.bend * HARTREE_TO_EV * weight[angles.one] * weight[angles.other]
    rows.bends(bonds, angles, of_angles)
    chains = find_torsions(bonds, np.flatnonzero(once))
    of_chains = stiffness.twist * HARTREE_TO_EV * np.prod([weight[k] for k in chains], axis=0)
    rows.twists(bonds, chains, of_chains)
    rows.stretches(*_contacts(atoms, pairs.where(~bonded & pairs.once()), stiffness))
    return rows


def _lindh(atoms: Atoms, bonds: Pairs) -> np.ndarray:
    row = np.digitize(atoms.numbers, [3, 11])
    a, b = row[bonds.first], row[bonds.second]
    length = bonds.lengths / BOHR_TO_A
    return np.asarray(np.exp(_STEEPNESS[a, b] * (_REFERENCE_BOHR[a, b] ** 2 - length**2)))


def _contacts(atoms: Atoms, pairs: Pairs, stiffness: Stiffness) -> tuple[Pairs, np.ndarray]:
    radii = vdw_radii[atoms.numbers]
    radii = np.where(np.isfinite(radii), radii, UNKNOWN_RADIUS_A)
    beyond = pairs.lengths - radii[pairs.first] - radii[pairs.second]
    nearest = -1.0  # Å: pairs of one angle are closer, and are stiff by it
    beyond = np.maximum(beyond, nearest)
    return pairs, stiffness.contact_eV_per_A2 * np.exp(-beyond / stiffness.contact_decay_A)


class ModelHessian:
    """Approximate second derivatives with respect to the vector of ``Variables``, factorised.

    The cell is taken as it was first, from which it changes by a few percent.

    Parameters
    ----------
    atoms
        Where they are taken.
    variables
        Of the relaxation.
    stiffness
        Parameters.
    """

    def __init__(
        self, atoms: Atoms, variables: Variables, stiffness: Stiffness | None = None
    ) -> None:
        stiffness = stiffness or Stiffness()
        of_atoms, of_strain, k = internal_coordinates(atoms, stiffness).matrices()
        self._n = 3 * len(atoms)
        weighted = of_atoms.multiply(k[:, None]).tocsr()
        self._inner = (of_atoms.T @ weighted).tocsr()
        self._inner = self._inner + stiffness.anchor_eV_per_A2 * identity(self._n, format="csr")
        strains = np.einsum("qab,kab->qk", of_strain, variables.basis)
        self._mixed = np.asarray(weighted.T @ strains)
        self._cell = strains.T @ (k[:, None] * strains)
        if len(variables.basis):
            floor = stiffness.modulus_eV_per_A3 * atoms.get_volume()
            self._cell = self._cell + floor * np.eye(len(variables.basis))
        self._free = np.flatnonzero(~np.repeat(variables.fixed, 3))
        self._factorise()

    def _factorise(self) -> None:
        inner = self._inner[self._free][:, self._free]
        self._solve_atoms: Any
        if len(self._free) <= DENSE:
            factor = cho_factor(inner.toarray())
            self._solve_atoms = lambda right: cho_solve(factor, right)
        else:
            self._solve_atoms = splu(inner.tocsc()).solve
        self._mixed = self._mixed[self._free]
        self._answer = np.zeros_like(self._mixed)
        if self._mixed.size:
            self._answer = self._solve_atoms(self._mixed)
        if len(self._cell):
            self._schur = cho_factor(self._cell - self._mixed.T @ self._answer)

    def solve(self, gradient: np.ndarray) -> np.ndarray:
        """Apply the inverse; fixed atoms stay."""
        result = np.zeros_like(gradient)
        of_atoms = np.empty(0)
        if len(self._free):
            of_atoms = self._solve_atoms(gradient[: self._n][self._free])
        if len(self._cell):
            of_cell = cho_solve(self._schur, gradient[self._n :] - self._mixed.T @ of_atoms)
            of_atoms = of_atoms - self._answer @ of_cell
            result[self._n :] = of_cell
        result[self._free] = of_atoms
        return result
