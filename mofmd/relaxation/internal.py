"""Internal coordinates of a periodic structure and how they change with atoms and cell.

A coordinate is a function of vectors v between atoms (or their images). With the derivative g with
respect to such a vector, an atom at its head contributes g, the one at its tail −g, and a strain ε,
which takes every vector to (1 + ε) v, contributes g ⊗ v.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree

from mofmd.calculator.images import find_images

LINEAR = np.cos(np.radians(170.0))  # an angle beyond is bent in two directions
STRAIGHT = np.sin(np.radians(15.0))  # no torsion about angles as flat as this


@dataclass(frozen=True)
class Pairs:
    """Directed pairs of atoms; the way back is among them.

    Parameters
    ----------
    first, second
        (pairs,) atoms.
    images
        (pairs, 3) cells by which the second is moved.
    vectors
        (pairs, 3) from the first to the second [Å].
    """

    first: np.ndarray
    second: np.ndarray
    images: np.ndarray
    vectors: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """(pairs,) lengths [Å]."""
        return np.asarray(np.sqrt(np.einsum("pk,pk->p", self.vectors, self.vectors)))

    def where(self, keep: np.ndarray) -> Pairs:
        """Those of a mask or of indices."""
        return Pairs(self.first[keep], self.second[keep], self.images[keep], self.vectors[keep])

    def once(self) -> np.ndarray:
        """Mask that keeps one direction of each pair."""
        forward = self.first < self.second
        sign = np.zeros(len(self.first))
        for axis in (2, 1, 0):  # of an atom and its own image: by the first image that is not zero
            sign = np.where(self.images[:, axis] != 0, self.images[:, axis], sign)
        return np.asarray(forward | ((self.first == self.second) & (sign > 0)))


def near_pairs(atoms: Atoms, distance_A: float) -> Pairs:
    """All pairs of atoms closer than a distance, in a fixed order."""
    images = find_images(atoms.positions, atoms.cell.array, np.array(atoms.pbc), distance_A)
    points = images.points(atoms.positions, atoms.cell.array)
    n = len(atoms)
    found = cKDTree(points[:n]).sparse_distance_matrix(
        cKDTree(points), distance_A, output_type="ndarray"
    )
    first, point = found["i"], found["j"]
    keep = first != point
    order = np.lexsort((point[keep], first[keep]))
    first, point = first[keep][order], point[keep][order]
    return Pairs(
        first,
        images.owners[point],
        (images.shifts[point] - images.shifts[first]).astype(int),
        points[point] - points[first],
    )


@dataclass(frozen=True)
class Angles:
    """Pairs of bonds at an atom: indices of two directed bonds from it.

    Parameters
    ----------
    one, other
        (angles,) bonds.
    """

    one: np.ndarray
    other: np.ndarray


def find_angles(bonds: Pairs) -> Angles:
    """Every two bonds at an atom, once."""
    starts, counts = _by_first(bonds)
    one, other = [], []
    for count in np.unique(counts[counts > 1]):
        atoms = np.flatnonzero(counts == count)
        a, b = np.triu_indices(count, 1)
        one.append((starts[atoms][:, None] + a).ravel())
        other.append((starts[atoms][:, None] + b).ravel())
    return Angles(_joined(one), _joined(other))


def find_torsions(bonds: Pairs, axes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bonds i←j, j→k, k→l of every chain of four atoms about some of the bonds j→k.

    Parameters
    ----------
    bonds
        Directed, sorted by their first atom.
    axes
        Indices of bonds j→k, each in one direction.

    Returns
    -------
    tuple
        (torsions,) each: the bond from j to i, from j to k, from k to l.
    """
    starts, counts = _by_first(bonds)
    left, middle, right = [], [], []
    for axis in axes:
        j, k = bonds.first[axis], bonds.second[axis]
        at_j = starts[j] + np.arange(counts[j])
        at_k = starts[k] + np.arange(counts[k])
        at_j = at_j[at_j != axis]
        back = (bonds.second[at_k] == j) & (bonds.images[at_k] == -bonds.images[axis]).all(axis=1)
        at_k = at_k[~back]
        pairs = np.array(np.meshgrid(at_j, at_k, indexing="ij")).reshape(2, -1)
        left.append(pairs[0])
        right.append(pairs[1])
        middle.append(np.full(pairs.shape[1], axis))
    return _joined(left), _joined(middle), _joined(right)


def _by_first(bonds: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Where the bonds of each atom begin, and how many they are."""
    n = int(max(bonds.first.max(initial=-1), bonds.second.max(initial=-1))) + 1
    counts = np.bincount(bonds.first, minlength=n)
    return np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(int), counts


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, dtype=int), *parts]).astype(int)


class Rows:
    """Derivatives of coordinates, gathered kind by kind.

    Parameters
    ----------
    n_atoms
        Atoms of the structure.
    """

    def __init__(self, n_atoms: int) -> None:
        self._n_atoms = n_atoms
        self._parts: list[tuple[np.ndarray, list[tuple[np.ndarray, ...]]]] = []

    def add(self, stiffness: np.ndarray, *vectors: tuple[np.ndarray, ...]) -> None:
        """Add coordinates.

        Parameters
        ----------
        stiffness
            (n,) second derivative of the energy with respect to each.
        vectors
            For each vector that they depend on: atoms (n,) at its tail and at its head, the vector
            (n, 3), and the derivative (n, 3) with respect to it.
        """
        self._parts.append((stiffness, list(vectors)))

    def stretches(self, pairs: Pairs, stiffness: np.ndarray) -> None:
        """Add the lengths of pairs; stiffness in eV/Å²."""
        unit = pairs.vectors / pairs.lengths[:, None]
        self.add(stiffness, (pairs.first, pairs.second, pairs.vectors, unit))

    def bends(self, bonds: Pairs, angles: Angles, stiffness: np.ndarray) -> None:
        """Add angles; stiffness in eV/rad²."""
        one, other = bonds.where(angles.one), bonds.where(angles.other)
        u, v = (pairs.vectors / pairs.lengths[:, None] for pairs in (one, other))
        cosine = np.clip((u * v).sum(axis=1), -1.0, 1.0)
        bent = cosine > LINEAR
        sine = np.sqrt(1.0 - cosine[bent, None] ** 2)
        slope_u = (cosine[bent, None] * u[bent] - v[bent]) / sine
        slope_v = (cosine[bent, None] * v[bent] - u[bent]) / sine
        self._bend(one.where(bent), other.where(bent), stiffness[bent], slope_u, slope_v)
        flat = ~bent
        axis = u[flat]
        helper = np.eye(3)[np.argmin(np.abs(axis), axis=1)]
        across = np.cross(axis, helper)
        across /= np.linalg.norm(across, axis=1, keepdims=True)
        for direction in (across, np.cross(axis, across)):
            self._bend(one.where(flat), other.where(flat), stiffness[flat], -direction, -direction)

    def _bend(
        self, one: Pairs, other: Pairs, stiffness: np.ndarray, u: np.ndarray, v: np.ndarray
    ) -> None:
        self.add(
            stiffness,
            (one.first, one.second, one.vectors, u / one.lengths[:, None]),
            (other.first, other.second, other.vectors, v / other.lengths[:, None]),
        )

    def twists(
        self, bonds: Pairs, chains: tuple[np.ndarray, np.ndarray, np.ndarray], k: np.ndarray
    ) -> None:
        """Add dihedral angles; stiffness in eV/rad². Those about straight angles are left out."""
        left, middle, right = (bonds.where(part) for part in chains)
        b1, b2, b3 = -left.vectors, middle.vectors, right.vectors  # i→j, j→k, k→l
        m, n = np.cross(b1, b2), np.cross(b2, b3)
        m2, n2 = (m**2).sum(axis=1), (n**2).sum(axis=1)
        length = middle.lengths
        ok = (np.sqrt(m2) > STRAIGHT * left.lengths * length) & (
            np.sqrt(n2) > STRAIGHT * right.lengths * length
        )
        left, middle, right = left.where(ok), middle.where(ok), right.where(ok)
        b1, b2, b3, m, n = b1[ok], b2[ok], b3[ok], m[ok], n[ok]
        m2, n2, length = m2[ok, None], n2[ok, None], length[ok, None]
        of_i = -length / m2 * m  # Blondel and Karplus, J. Comput. Chem. 17, 1132 (1996)
        of_l = length / n2 * n
        along = (b1 * b2).sum(axis=1, keepdims=True) / length**2
        along_l = (b3 * b2).sum(axis=1, keepdims=True) / length**2
        of_j = (-along - 1.0) * of_i + along_l * of_l
        # in terms of the bonds: i→j moves i alone, j→k moves i and j, k→l moves l alone
        self.add(
            k[ok],
            (left.first, left.second, left.vectors, of_i),
            (middle.first, middle.second, middle.vectors, -(of_i + of_j)),
            (right.first, right.second, right.vectors, of_l),
        )

    def matrices(self) -> tuple[csr_matrix, np.ndarray, np.ndarray]:
        """Give derivatives to positions (n, 3 atoms) and to strain (n, 3, 3), and stiffness (n,).

        Those to strain are symmetric.
        """
        row, column, value, strains, stiffness = [], [], [], [], []
        begin = 0
        for k, vectors in self._parts:
            index = begin + np.arange(len(k))
            strain = np.zeros((len(k), 3, 3))
            for tail, head, vector, slope in vectors:
                for atom, sign in ((head, 1.0), (tail, -1.0)):
                    row.append(np.repeat(index, 3))
                    column.append((3 * atom[:, None] + np.arange(3)).ravel())
                    value.append((sign * slope).ravel())
                outer = slope[:, :, None] * vector[:, None, :]
                strain += 0.5 * (outer + outer.transpose(0, 2, 1))
            strains.append(strain)
            stiffness.append(k)
            begin += len(k)
        matrix = csr_matrix(
            (
                np.concatenate([np.empty(0), *value]),
                (_joined(row), _joined(column)),
            ),
            shape=(begin, 3 * self._n_atoms),
        )
        return (
            matrix,
            np.concatenate([np.empty((0, 3, 3)), *strains]),
            np.concatenate([np.empty(0), *stiffness]),
        )
