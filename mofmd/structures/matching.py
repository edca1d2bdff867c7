"""Whether one crystal can be laid onto another, of whatever cell, origin, axes and order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce

from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs
from mofmd.structures.primitive import primitive_cell

REACH_A = 6.0
WIDTHS_A = (0.5, 1.0, 2.0)
PRIMITIVE_WITHIN_A = 1e-2
SITE = 0.05  # of the cube root of the volume of an atom: ASE's tolerance of a site
LATTICE = 0.01  # relative, of lengths and of products of lattice vectors
ALIKE = 0.1  # relative: surroundings of atoms that may be images of one another
PROBES = 12  # atoms that must fall onto others before all are looked at


def surroundings(atoms: Atoms) -> np.ndarray:
    """Numbers that say what stands around each atom, in whatever cell or orientation.

    Parameters
    ----------
    atoms
        A crystal.

    Returns
    -------
    np.ndarray
        (atoms, elements · widths) for each element in the order of the alphabet the sums over
        neighbours within 6 Å of smooth functions of their distance.
    """
    pairs = find_pairs(atoms.positions, atoms.cell.array, REACH_A)
    near = (1.0 - (pairs.distances / REACH_A) ** 2) ** 2
    symbols = np.array(atoms.get_chemical_symbols())
    columns = []
    for element in np.unique(symbols):
        chosen = symbols[pairs.second] == element
        distances = pairs.distances[chosen]
        columns += [
            np.bincount(
                pairs.first[chosen],
                weights=near[chosen] * np.exp(-distances / width),
                minlength=len(atoms),
            )
            for width in WIDTHS_A
        ]
    return np.stack(columns, axis=1)


def is_same(first: Atoms, second: Atoms) -> bool:
    """Whether one structure can be laid onto another, mirror images too.

    The idea is XtalComp's (Lonie and Zurek, Comput. Phys. Commun. 183, 690 (2012)): each way to
    lay one primitive lattice onto the other is tried with each atom that the atom of the rarest
    surroundings may fall onto, and every atom must fall onto one of its element, within 0.05 times
    the cube root of the volume of an atom. It takes seconds for thousands of atoms.

    Parameters
    ----------
    first, second
        Periodic in three directions.
    """
    one, other = _smallest(first), _smallest(second)
    if len(one) != len(other):  # noise may hide the smaller cell of one of them
        one, other = _reduced(first), _reduced(second)
    if Counter(one.numbers.tolist()) != Counter(other.numbers.tolist()):
        return False
    found = _anchor(one, other)
    if found is None:
        return False
    anchor, targets = found
    match = _Match(one, other, anchor)
    maps = _lattice_maps(one.cell.array, other.cell.array)
    return any(match.fits(each, target) for each in maps for target in match.left(each, targets))


def _smallest(atoms: Atoms) -> Atoms:
    """Primitive cell, of the shortest vectors; the given one where there is none to be found."""
    try:
        return _reduced(primitive_cell(atoms, PRIMITIVE_WITHIN_A))
    except InputError:
        return _reduced(atoms)


def _reduced(atoms: Atoms) -> Atoms:
    cell, _ = minkowski_reduce(atoms.cell.array)
    right = cell if np.linalg.det(cell) > 0.0 else -cell
    return Atoms(atoms.numbers, positions=atoms.positions, cell=right, pbc=True)


def _anchor(one: Atoms, other: Atoms) -> tuple[int, np.ndarray] | None:
    """Atom of one structure that fewest of the other are like, and these; None if one has none."""
    from scipy.spatial import cKDTree

    best: tuple[int, np.ndarray] | None = None
    own, others = surroundings(one), surroundings(other)
    for number in np.unique(one.numbers):
        here, there = (np.flatnonzero(each.numbers == number) for each in (one, other))
        scale = 1.0 / (ALIKE * np.abs(own[here]).mean(axis=0) + 1e-6)
        tree = cKDTree(others[there] * scale)
        counts = tree.query_ball_point(own[here] * scale, 1.0, p=np.inf, return_length=True)
        if counts.min() == 0:
            return None
        k = int(counts.argmin())
        if best is None or counts[k] < len(best[1]):
            like = tree.query_ball_point(own[here[k]] * scale, 1.0, p=np.inf)
            best = int(here[k]), there[np.sort(like)]
    return best


def _lattice_maps(one: np.ndarray, other: np.ndarray) -> Iterator[np.ndarray]:
    """Ways to lay one reduced lattice onto another.

    Yields
    ------
    np.ndarray
        (3, 3) whole numbers: the vectors of the one in those of the other.
    """
    coefficients = np.array(list(itertools.product(range(-2, 3), repeat=3)))
    vectors = coefficients @ other
    lengths, wanted = np.linalg.norm(vectors, axis=1), np.linalg.norm(one, axis=1)
    products = one @ one.T
    like = [
        np.flatnonzero(np.abs(lengths - length) <= LATTICE * length).tolist() for length in wanted
    ]

    def goes(i: int, j: int, a: int, b: int) -> bool:
        apart = float(vectors[a] @ vectors[b] - products[i, j])
        return bool(abs(apart) <= LATTICE * wanted[i] * wanted[j])

    for a, b in itertools.product(like[0], like[1]):
        if not goes(0, 1, a, b):
            continue
        for c in like[2]:
            chosen = coefficients[[a, b, c]]
            if goes(0, 2, a, c) and goes(1, 2, b, c) and round(abs(np.linalg.det(chosen))) == 1:
                yield chosen


class _Match:
    """Atoms of one structure laid onto those of another."""

    def __init__(self, one: Atoms, other: Atoms, anchor: int) -> None:
        from scipy.spatial import cKDTree

        self._cell = other.cell.array
        self._box = np.linalg.norm(self._cell, axis=1)
        self._within = SITE * (other.get_volume() / len(other)) ** (1 / 3)
        places = one.get_scaled_positions(wrap=False)
        self._places = places - places[anchor]
        self._others = other.get_scaled_positions(wrap=True) % 1.0
        self._kinds = []
        for number in np.unique(one.numbers):
            here, there = (np.flatnonzero(each.numbers == number) for each in (one, other))
            self._kinds.append(
                (here, there, cKDTree(self._others[there] * self._box, boxsize=self._box))
            )
        self._probes = np.linspace(0, len(one) - 1, min(PROBES, len(one))).astype(int)

    def left(self, lattice_map: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Those of the targets with which the probes fall onto atoms."""
        for here, there, tree in self._kinds:
            probes = np.intersect1d(self._probes, here)
            for probe in probes:
                places = self._others[targets] + self._places[probe] @ lattice_map
                _, apart = self._nearest(places, there, tree)
                targets = targets[apart <= self._within]
        return targets

    def fits(self, lattice_map: np.ndarray, target: int) -> bool:
        """Whether each atom falls onto one of its own, as the anchor falls onto a target."""
        places = self._others[target] + self._places @ lattice_map
        for here, there, tree in self._kinds:
            nearest, apart = self._nearest(places[here], there, tree)
            if apart.max() > self._within or len(np.unique(nearest)) < len(here):
                return False
        return True

    def _nearest(
        self, places: np.ndarray, there: np.ndarray, tree: object
    ) -> tuple[np.ndarray, np.ndarray]:
        """Nearest atom of each place, and its distance [Å]; infinite beyond the tolerance."""
        wrapped = places % 1.0 % 1.0
        _, found = tree.query(wrapped * self._box)  # type: ignore[attr-defined]
        vectors = wrapped - self._others[there[found]]
        vectors = (vectors - np.rint(vectors)) @ self._cell
        return found, np.linalg.norm(vectors, axis=1)
