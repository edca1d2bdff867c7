"""The bonds of a framework as a periodic graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mofmd.arrays import freeze
from mofmd.compiled import compiled
from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs
from mofmd.structures.frame import Frame, Species
from mofmd.topology.bonds import BOND_FACTOR, NON_METALS

Edges = tuple[np.ndarray, np.ndarray, np.ndarray]  # first atoms, second atoms, images of these

# elements that a metal is not taken to be bonded to: they come near it without a bond
NO_DONORS = frozenset(("H", "He", "Ne", "Ar", "Kr", "Xe"))
CARBON_FACTOR = 1.1  # times the sum of the covalent radii: from there on no carbon is a donor
BEHIND_A = 0.3  # a neighbour of a donor that is so much farther from the metal stands behind it


@dataclass(frozen=True)
class BondGraph:
    """Bonds, each once; arrays are read-only.

    Parameters
    ----------
    n_atoms
        Atoms of the frame.
    first, second
        (bonds,) atoms. A bond within the non-metals has the lower index first, one to a metal the
        metal.
    images
        (bonds, 3) image of the second atom: vector = r[second] + images · cell − r[first].
    to_metal
        (bonds,) whether the first atom is a metal.
    """

    n_atoms: int
    first: np.ndarray
    second: np.ndarray
    images: np.ndarray
    to_metal: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "first", "second", "images", "to_metal")

    def __len__(self) -> int:
        """Count the bonds."""
        return len(self.first)

    def select(self, bonds: np.ndarray) -> BondGraph:
        """Graph with some of the bonds."""
        return BondGraph(
            self.n_atoms,
            self.first[bonds],
            self.second[bonds],
            self.images[bonds],
            self.to_metal[bonds],
        )


@dataclass(frozen=True)
class Parts:
    """Connected parts of a graph.

    Parameters
    ----------
    labels
        (atoms,) part of each atom; parts are numbered by their lowest atom.
    images
        (atoms, 3) image of each atom that makes its part connected in space, the lowest atom
        staying where it is.
    endless
        (parts,) whether the part is connected with an image of itself: a rod, layer or net.
    """

    labels: np.ndarray
    images: np.ndarray
    endless: np.ndarray


def find_bonds(
    frame: Frame,
    factor: float = BOND_FACTOR,
    metal_cutoffs_A: Mapping[tuple[str, str], float] | None = None,
) -> BondGraph:
    """Find the bonds of a frame by distances.

    Non-metals are bonded within ``factor`` times the sum of the covalent radii; so are metals to
    donors: non-metals other than H, C and noble gases, and carbon with one neighbour at most, such
    as cyanide's, within 1.1 times that sum. What stands behind a donor that it is bonded to is none
    itself: the nitrogen of a nitrate, the phosphorus of a phosphonate. Metals are not bonded to one
    another.

    Parameters
    ----------
    frame
        Any periodic cell.
    factor
        See above.
    metal_cutoffs_A
        Longest bond of a (metal, donor) pair of elements [Å] instead; ("Zn", "N"): 2.5 is the one
        of Castel et al., Digital Discovery 2024, 3, 355.
    """
    metal, donor, plain = _kinds(frame.species)
    first, second, images = _within(frame, plain, factor)
    positive = (first < second) | ((first == second) & _first_of_two(images))
    parts = [(first[positive], second[positive], images[positive])]
    limits = _metal_limits(frame.species, factor, metal_cutoffs_A or {})
    donor = donor[_may_donate(frame.species, parts[0])[donor]]
    if len(metal) and len(donor):
        found = find_pairs(
            frame.positions, frame.cell, float(limits.max()), centres=metal, others=donor
        )
        codes = frame.species.codes
        near = found.distances < limits[codes[found.first], codes[found.second]]
        bonds = (found.first[near], found.second[near], found.images[near])
        front = ~_behind(parts[0], bonds, found.distances[near])
        parts.append((bonds[0][front], bonds[1][front], bonds[2][front]))
    sizes = [len(part[0]) for part in parts]
    return BondGraph(
        n_atoms=len(frame),
        first=np.concatenate([part[0] for part in parts]),
        second=np.concatenate([part[1] for part in parts]),
        images=np.concatenate([part[2] for part in parts]),
        to_metal=np.repeat(np.arange(len(parts)) == 1, sizes),
    )


def connected_parts(graph: BondGraph) -> Parts:
    """Find the connected parts of a graph, and put each together in space."""
    starts, neighbours, images = adjacency(graph.n_atoms, graph.first, graph.second, graph.images)
    labels = np.full(graph.n_atoms, -1, dtype=np.int64)
    places = np.zeros((graph.n_atoms, 3), dtype=np.int64)
    endless = np.zeros(graph.n_atoms, dtype=np.bool_)
    n_parts = _walk(starts, neighbours, images, labels, places, endless)
    return Parts(labels, places, endless[:n_parts])


def adjacency(
    n_nodes: int, first: np.ndarray, second: np.ndarray, images: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Neighbours of each node from both ends of the edges.

    Returns
    -------
    starts, neighbours, images
        Node k has neighbours[starts[k] : starts[k + 1]], in those images.
    """
    ends = np.concatenate([first, second])
    others = np.concatenate([second, first])
    both = np.concatenate([images, -images]).astype(np.int64)
    order = np.argsort(ends, kind="stable")
    counts = np.bincount(ends, minlength=n_nodes)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return starts, others[order].astype(np.int64), np.ascontiguousarray(both[order])


def _kinds(species: Species) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the metals, the donors and all non-metals."""
    non_metal = np.array([name in NON_METALS for name in species.elements])
    donor = non_metal & np.array([name not in NO_DONORS for name in species.elements])
    masks = (~non_metal, donor, non_metal)
    metal, donors, plain = (np.flatnonzero(mask[species.codes]) for mask in masks)
    return metal, donors, plain


def _may_donate(species: Species, covalent: Edges) -> np.ndarray:
    """(atoms,) whether an atom is no carbon, or one with a single neighbour."""
    neighbours = np.bincount(np.concatenate(covalent[:2]), minlength=len(species))
    is_carbon = np.array([name == "C" for name in species.elements])[species.codes]
    return np.asarray(~is_carbon | (neighbours <= 1))


def _behind(covalent: Edges, bonds: Edges, distances: np.ndarray) -> np.ndarray:
    """(bonds,) whether the donor of a bond stands behind another one that it is bonded to."""
    behind = np.zeros(len(distances), dtype=np.bool_)
    donors = np.unique(bonds[1])
    first, second, images = covalent
    both = np.isin(first, donors) & np.isin(second, donors)
    if not both.any():
        return behind
    neighbours: dict[int, list[tuple[int, np.ndarray]]] = {}
    for i, j, image in zip(first[both], second[both], images[both], strict=True):
        neighbours.setdefault(int(i), []).append((int(j), image))
        neighbours.setdefault(int(j), []).append((int(i), -image))
    lengths = {
        (int(metal), int(donor), *image): float(length)
        for metal, donor, image, length in zip(*bonds, distances, strict=True)
    }
    for k, (metal, donor, image) in enumerate(zip(*bonds, strict=True)):
        for other, shift in neighbours.get(int(donor), ()):
            length = lengths.get((int(metal), other, *(image + shift)), np.inf)
            behind[k] |= length + BEHIND_A < distances[k]
    return behind


def _within(
    frame: Frame, atoms: np.ndarray, factor: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ordered pairs of atoms within ``factor`` times the sum of their radii."""
    if len(atoms) == 0:
        none = np.empty(0, dtype=np.int64)
        return none, none, np.empty((0, 3), dtype=np.int64)
    radii = frame.species.covalent_radii
    reach = 2 * factor * float(radii[atoms].max())
    found = find_pairs(frame.positions, frame.cell, reach, centres=atoms, others=atoms)
    near = found.distances < factor * (radii[found.first] + radii[found.second])
    return found.first[near], found.second[near], found.images[near]


def _first_of_two(images: np.ndarray) -> np.ndarray:
    """Choose one of each image and its opposite: its first non-zero number is positive."""
    x, y, z = images.T
    return np.asarray((x > 0) | ((x == 0) & ((y > 0) | ((y == 0) & (z > 0)))))


def _metal_limits(
    species: Species, factor: float, cutoffs_A: Mapping[tuple[str, str], float]
) -> np.ndarray:
    """(elements, elements) longest bond of each metal (row) and donor (column) [Å]."""
    from ase.data import atomic_numbers, covalent_radii

    radii = np.array([covalent_radii[atomic_numbers[name]] for name in species.elements])
    limits = factor * (radii[:, None] + radii)
    if "C" in species.elements:
        carbon = species.elements.index("C")
        limits[:, carbon] = min(factor, CARBON_FACTOR) * (radii + radii[carbon])
    for (metal, donor), cutoff_A in cutoffs_A.items():
        if cutoff_A <= 0:
            raise InputError(f"metal_cutoffs_A: {cutoff_A} for {metal}-{donor}, expected more")
        if metal in species.elements and donor in species.elements:
            limits[species.elements.index(metal), species.elements.index(donor)] = cutoff_A
    metals = np.array([name not in NON_METALS for name in species.elements])
    donors = np.array([name in NON_METALS - NO_DONORS for name in species.elements])
    return np.asarray(np.where(metals[:, None] & donors, limits, 0.0))


@compiled
def _walk(  # noqa: PLR0913, PLR0917 - plain arrays
    starts: np.ndarray,
    neighbours: np.ndarray,
    images: np.ndarray,
    labels: np.ndarray,
    places: np.ndarray,
    endless: np.ndarray,
) -> int:
    """Breadth first from each node that no part has yet; the number of parts."""
    queue = np.empty(len(labels), dtype=np.int64)
    n_parts = 0
    for seed in range(len(labels)):
        if labels[seed] >= 0:
            continue
        labels[seed] = n_parts
        queue[0] = seed
        head, tail = 0, 1
        while head < tail:
            node = queue[head]
            head += 1
            for k in range(starts[node], starts[node + 1]):
                other = neighbours[k]
                x = places[node, 0] + images[k, 0]
                y = places[node, 1] + images[k, 1]
                z = places[node, 2] + images[k, 2]
                if labels[other] < 0:
                    labels[other] = n_parts
                    places[other, 0] = x
                    places[other, 1] = y
                    places[other, 2] = z
                    queue[tail] = other
                    tail += 1
                elif x != places[other, 0] or y != places[other, 1] or z != places[other, 2]:
                    endless[n_parts] = True
        n_parts += 1
    return n_parts
