"""Symmetry of a net, and the choices of its parts that differ by it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from mofmd.builders.nets.block_net import BlockNet, Sites
from mofmd.errors import InputError

MOST_CHOICES = 500_000
MOST_KEYS = 2**62  # a choice is one number of 64 bits
RANK_TOLERANCE = 1e-4  # of vectors in barycentric coordinates


@dataclass(frozen=True)
class Symmetry:
    """Automorphisms of a net that keep the lattice of its cell.

    Each is x → x M + t of barycentric coordinates. All are products of a translation and one of
    ``points``.

    Parameters
    ----------
    translations
        (n, sites) where each translation takes each site; the identity among them.
    points
        (m, sites) where one automorphism of each linear part M takes each site.
    """

    translations: np.ndarray
    points: np.ndarray

    @property
    def order(self) -> int:
        """Number of automorphisms."""
        return len(self.translations) * len(self.points)


@dataclass(frozen=True)
class Choice:
    """One of the choices that symmetry makes alike.

    Parameters
    ----------
    members
        Positions in the list that was chosen from, ascending.
    multiplicity
        Number of choices that symmetry makes of it.
    """

    members: tuple[int, ...]
    multiplicity: int


def find_symmetry(sites: Sites) -> Symmetry:
    """Find all automorphisms of a net that keep its cell's lattice.

    Raises
    ------
    InputError
        If the net is not periodic in three directions.
    """
    u, w, images = sites.edges[:, 0], sites.edges[:, 1], sites.edges[:, 2:]
    vectors = sites.positions[w] + images - sites.positions[u]
    if np.linalg.matrix_rank(vectors, tol=RANK_TOLERANCE) < 3:
        raise InputError(
            "net: is not periodic in three directions (layers or chains), so that its symmetry is "
            "not known; draw defects at random instead"
        )
    counts = np.bincount(sites.colours)
    rarest = int(np.argmin(np.where(counts > 0, counts, len(sites.colours) + 1)))
    candidates = np.flatnonzero(sites.colours == rarest)
    base = int(candidates[0])
    translations: dict[int, np.ndarray] = {}
    for image in candidates.tolist():
        shift = sites.positions[image] - sites.positions[base]
        if (moved := _permutation(sites, np.eye(3, dtype=np.int64), shift)) is not None:
            translations[image] = moved
    points: dict[bytes, np.ndarray] = {}
    search = _PointSearch(sites, base)
    reached: set[int] = set()
    for image in candidates.tolist():
        if image in reached:
            continue
        reached.update(int(moved[image]) for moved in translations.values())
        for linear in search.linear_parts(image):
            shift = sites.positions[image] - sites.positions[base] @ linear
            if linear.tobytes() in points:
                continue
            if (moved := _permutation(sites, linear, shift)) is not None:
                points[linear.tobytes()] = moved
    return Symmetry(np.array(list(translations.values())), np.array(list(points.values())))


def distinct_choices(net: BlockNet, vertices: np.ndarray, count: int) -> list[Choice]:
    """Find the choices of some of a net's vertices that its symmetry does not make alike.

    Parameters
    ----------
    net
        The net.
    vertices
        (n,) vertices to choose from.
    count
        How many to choose.

    Returns
    -------
    list of Choice
        One of each class, ordered by its members; multiplicities sum to the binomial coefficient.

    Raises
    ------
    InputError
        If there are fewer vertices, or too many choices to go through.
    """
    if not 1 <= count <= len(vertices):
        raise InputError(f"count: {count}, expected 1 to {len(vertices)}, as many as there are")
    sites = net.sites
    places, place_of = np.unique(sites.of_vertex[vertices], return_inverse=True)
    total = math.comb(len(places) + count - 1, count)
    if total > MOST_CHOICES or len(places) ** count > MOST_KEYS:
        raise InputError(
            f"count: {count} of {len(vertices)} can be chosen in {total:.3g} ways, more than can "
            f"be gone through ({MOST_CHOICES}); take a smaller cell, or draw some at random"
        )
    room = np.bincount(place_of)
    choices = np.array(
        [
            choice
            for choice in combinations_with_replacement(range(len(places)), count)
            if all(choice.count(place) <= room[place] for place in set(choice))
        ]
    )
    labels = _classes(choices, _moves(find_symmetry(sites), places))
    found: dict[int, Choice] = {}
    weights = [_ways(choice, room) for choice in choices.tolist()]
    totals = np.bincount(labels, weights=weights)
    for choice, label in zip(choices.tolist(), labels.tolist(), strict=True):
        if label not in found:
            members = sorted(_members(choice, place_of))
            found[label] = Choice(tuple(members), round(totals[label]))
    return sorted(found.values(), key=lambda each: each.members)


def _moves(symmetry: Symmetry, places: np.ndarray) -> np.ndarray:
    """Find where each automorphism takes the places of a choice: (generators, places)."""
    moves = np.concatenate([symmetry.translations, symmetry.points])[:, places]
    return np.searchsorted(places, moves)


def _classes(choices: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """(choices,) class of each choice under the group that the moves generate."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    base = moves.shape[1]
    powers = base ** np.arange(choices.shape[1] - 1, -1, -1)
    keys = choices @ powers  # ascending, as combinations are listed
    n = len(choices)
    graph = coo_array((n, n), dtype=np.int8).tocsr()
    for move in moves:
        others = np.searchsorted(keys, np.sort(move[choices], axis=1) @ powers)
        graph = graph + coo_array((np.ones(n, dtype=np.int8), (np.arange(n), others)), (n, n))
        graph.data[:] = 1
    return np.asarray(connected_components(graph, directed=False)[1])


def _ways(choice: list[int], room: np.ndarray) -> int:
    return math.prod(math.comb(int(room[place]), choice.count(place)) for place in set(choice))


def _members(choice: list[int], place_of: np.ndarray) -> Iterator[int]:
    for place in set(choice):
        yield from np.flatnonzero(place_of == place)[: choice.count(place)].tolist()


def _permutation(sites: Sites, linear: np.ndarray, shift: np.ndarray) -> np.ndarray | None:
    """(sites,) where an affine map takes each site; None if it is no automorphism."""
    n = len(sites.colours)
    moved = np.empty(n, dtype=np.int64)
    images = np.empty((n, 3), dtype=np.int64)
    points = sites.positions @ linear + shift
    for colour in np.unique(sites.colours).tolist():
        own = sites.colours == colour
        found = sites.find(colour, points[own])
        if found is None:
            return None
        moved[own], images[own] = found
    if len(np.unique(moved)) < n:
        return None
    u, w, between = sites.edges[:, 0], sites.edges[:, 1], sites.edges[:, 2:]
    mapped = np.column_stack([moved[u], moved[w], images[w] + between @ linear - images[u]])
    order = np.lexsort(mapped.T[::-1])
    return moved if np.array_equal(mapped[order], sites.edges) else None


class _PointSearch:
    """Linear parts that automorphisms may have, from where they take a small tree of edges.

    The tree begins at a base site and reaches three others, so that the four are not in a plane:
    where these go says all about an affine map.
    """

    def __init__(self, sites: Sites, base: int) -> None:
        self.sites = sites
        self.base = base
        self.starts = np.searchsorted(sites.edges[:, 0], np.arange(len(sites.colours) + 1))
        reached, parents, ends, vectors = self._reach()
        self.inverse = np.linalg.inv(vectors)
        needed: set[int] = set()
        for end in ends:
            step = end
            while step > 0:
                needed.add(step)
                step = parents[step]
        order = sorted(needed)  # a parent comes before its children
        number = {0: 0, **{step: k for k, step in enumerate(order, start=1)}}
        self.tree = [(number[parents[step]], reached[step]) for step in order]
        self.ends = [number[end] for end in ends]

    def _edges_at(self, site: int) -> list[list[int]]:
        rows = self.sites.edges[self.starts[site] : self.starts[site + 1], 1:]
        found: list[list[int]] = rows.tolist()
        return found

    def _reach(self) -> tuple[list[int], list[int], list[int], np.ndarray]:
        """Walk from the base, breadth first, until three sites have added a direction each.

        Returns
        -------
        reached, parents, ends, vectors
            Sites in the order in which they were reached; from which of them each; which of them
            are the three; and (3, 3) vectors from the base to these.
        """
        origin = self.sites.positions[self.base]
        walk: list[tuple[int, tuple[int, ...]]] = [(self.base, (0, 0, 0))]
        parents = [-1]
        ends: list[int] = []
        vectors: list[np.ndarray] = []
        seen = set(walk)
        for head, (site, image) in enumerate(walk):  # grows as it is gone through
            for other, *step in self._edges_at(site):
                place = (other, tuple(a + b for a, b in zip(image, step, strict=True)))
                if place in seen:
                    continue
                seen.add(place)
                walk.append(place)
                parents.append(head)
                vector = self.sites.positions[other] + place[1] - origin
                tried = np.array([*vectors, vector])
                if np.linalg.matrix_rank(tried, tol=RANK_TOLERANCE) == len(tried):
                    vectors.append(vector)
                    ends.append(len(walk) - 1)
                if len(vectors) == 3:
                    return [each for each, _ in walk], parents, ends, tried
        raise AssertionError("a net of rank 3 spans space")

    def linear_parts(self, image: int) -> Iterator[np.ndarray]:
        """Integer matrices of determinant ±1 that take the base's tree to one at a site."""
        start = (image, (0, 0, 0))
        for placed in self._place([start]):
            origin = self.sites.positions[image]
            vectors = [
                self.sites.positions[placed[end][0]] + placed[end][1] - origin for end in self.ends
            ]
            linear = self.inverse @ np.array(vectors)
            whole = np.rint(linear).astype(np.int64)
            if np.abs(linear - whole).max() < 1e-3 and abs(round(np.linalg.det(whole))) == 1:
                yield whole

    def _place(
        self, placed: list[tuple[int, tuple[int, ...]]]
    ) -> Iterator[list[tuple[int, tuple[int, ...]]]]:
        if len(placed) > len(self.tree):
            yield placed
            return
        parent, original = self.tree[len(placed) - 1]
        site, image = placed[parent]
        for other, *step in self._edges_at(site):
            lift = (other, tuple(a + b for a, b in zip(image, step, strict=True)))
            if self.sites.colours[other] == self.sites.colours[original] and lift not in placed:
                yield from self._place([*placed, lift])
