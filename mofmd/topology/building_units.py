"""Building units of a framework: metal nodes, organic linkers, and the net they make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.geometry.minimum_image import nearest_images
from mofmd.topology.bond_graph import (
    BondGraph,
    Parts,
    connected_parts,
    find_bonds,
)
from mofmd.topology.bonds import BOND_FACTOR, NON_METALS, Bonds
from mofmd.trajectory.frame import Frame, Species

Cutoffs = Mapping[tuple[str, str], float]
HYDROGEN = ("H", "D")
BROKEN_FACTOR = 1.4  # times the sum of the covalent radii: from there on a bond is broken


@dataclass(frozen=True)
class Linkers:
    """Organic linkers of a structure: connected parts of its covalent bonds that hold carbon.

    Parameters
    ----------
    members
        Indices of the atoms of each linker, ascending.
    bonds
        All bonds within linkers.
    linker_of_bond
        (bonds,) linker of each bond.
    is_cap
        (linkers,) whether it is a cap, which links nothing (see `find_caps`).
    """

    members: tuple[tuple[int, ...], ...]
    bonds: Bonds
    linker_of_bond: np.ndarray
    is_cap: np.ndarray

    def __len__(self) -> int:
        """Count the linkers and the caps."""
        return len(self.members)

    @property
    def n_caps(self) -> int:
        """Count the caps."""
        return int(self.is_cap.sum())

    @property
    def n_linkers(self) -> int:
        """Count the linkers that are no caps."""
        return len(self) - self.n_caps


@dataclass(frozen=True)
class BuildingUnits:
    """Atoms of a framework sorted into nodes and linkers; arrays are read-only.

    A linker is a connected part of the covalent bonds between non-metals that holds carbon, whether
    it is bonded to a metal or not. A node is a connected part of what remains that holds a metal: a
    zinc atom, Zr6O4(OH)4, with bridging oxide, hydroxide and water. Anything else is a guest.

    Parameters
    ----------
    species
        Elements of the atoms.
    graph
        All bonds.
    node_of_atom, linker_of_atom
        (atoms,) number of the unit that the atom belongs to, −1 for none.
    images
        (atoms, 3) image of each atom that puts its unit together, around the unit's lowest atom.
    endless_nodes, endless_linkers
        (units,) whether a unit is bonded to its own image: rods of MOF-74 or MIL-53.
    """

    species: Species
    graph: BondGraph
    node_of_atom: np.ndarray
    linker_of_atom: np.ndarray
    images: np.ndarray
    endless_nodes: np.ndarray
    endless_linkers: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "node_of_atom", "linker_of_atom", "images")

    @cached_property
    def node_formulas(self) -> Counter[str]:
        """How many nodes have each composition (Hill order)."""
        return _formulas(self.species, self.node_of_atom)

    @cached_property
    def linker_formulas(self) -> Counter[str]:
        """How many linkers have each composition (Hill order)."""
        return _formulas(self.species, self.linker_of_atom)

    @property
    def n_nodes(self) -> int:
        """Count the nodes."""
        return len(self.endless_nodes)

    @property
    def n_linkers(self) -> int:
        """Count the linkers."""
        return len(self.endless_linkers)


@dataclass(frozen=True)
class Net:
    """The periodic graph of nodes and linkers; arrays are read-only.

    Parameters
    ----------
    n_nodes, n_linkers
        Vertices: nodes 0 to n_nodes − 1, then the linkers.
    edges
        (edges, 2) node and linker (as a vertex), each bond between two units once.
    images
        (edges, 3) image of the linker that the node is bonded to.
    """

    n_nodes: int
    n_linkers: int
    edges: np.ndarray
    images: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "edges", "images")

    @property
    def degrees(self) -> np.ndarray:
        """(vertices,) edges at each vertex."""
        return np.bincount(self.edges.ravel(), minlength=self.n_nodes + self.n_linkers)


def find_units(
    frame: Frame, factor: float = BOND_FACTOR, metal_cutoffs_A: Cutoffs | None = None
) -> BuildingUnits:
    """Find the building units of any framework.

    Distances alone decide: meant for a crystal or relaxed structure. Two linkers in contact, as in
    a reverse Monte Carlo structure, become one; ``linker_formulas`` shows it.

    Parameters
    ----------
    frame, factor, metal_cutoffs_A
        As for ``find_bonds``.

    Examples
    --------
    >>> from mofmd.structures.crystals.zif import zif4
    >>> units = find_units(Frame.from_ase(zif4()))
    >>> dict(units.linker_formulas), dict(units.node_formulas)
    ({'C3H3N2': 32}, {'Zn': 16})
    """
    graph = find_bonds(frame, factor, metal_cutoffs_A)
    organic = connected_parts(graph.select(~graph.to_metal))
    linker_of_atom, endless_linkers = _numbered(organic, _holds(frame.species, organic, {"C"}))
    free = linker_of_atom < 0
    inorganic = connected_parts(graph.select(free[graph.first] & free[graph.second]))
    metals = set(frame.species.elements) - NON_METALS
    holds_metal = _holds(frame.species, inorganic, metals)
    node_of_atom, endless_nodes = _numbered(inorganic, holds_metal)
    return BuildingUnits(
        species=frame.species,
        graph=graph,
        node_of_atom=node_of_atom,
        linker_of_atom=linker_of_atom,
        images=np.where(free[:, None], inorganic.images, organic.images),
        endless_nodes=endless_nodes,
        endless_linkers=endless_linkers,
    )


def has_rods(units: BuildingUnits) -> bool:
    """Whether metals and the atoms bonded to them make endless rods, as in MOF-74.

    There the atoms between the metals belong to linkers, so that each metal is a node by itself.

    Examples
    --------
    >>> from mofmd.structures.crystals.zif import zif4
    >>> has_rods(find_units(Frame.from_ase(zif4())))
    False
    """
    graph, node = units.graph, units.node_of_atom
    within = (node[graph.first] >= 0) & (node[graph.first] == node[graph.second])
    return bool(connected_parts(graph.select(graph.to_metal | within)).endless.any())


def find_net(
    units: BuildingUnits, frame: Frame | None = None, metal_cutoffs_A: Cutoffs | None = None
) -> Net:
    """Find which node is bonded to which linker, and in which image.

    Parameters
    ----------
    units
        Building units.
    frame
        Another frame of the same atoms: units stay as they are, bonds between them are found anew,
        and units are put together by the nearest images of their own bonds. None takes the frame of
        the units.
    metal_cutoffs_A
        As for ``find_bonds``, for another frame.

    Raises
    ------
    InputError
        If a unit is endless: it has no one image, so that the net has no rings in this sense.
    """
    for kind, endless in (("node", units.endless_nodes), ("linker", units.endless_linkers)):
        if endless.any():
            raise InputError(
                f"net: {kind} {int(np.flatnonzero(endless)[0])} is bonded to its own image (a rod "
                "or layer), so that nodes and linkers make no net of single vertices"
            )
    images, graph = units.images, units.graph
    if frame is not None:
        images = put_together(units, frame)
        graph = find_bonds(frame, metal_cutoffs_A=metal_cutoffs_A)
    table = _links(units, graph, images)
    return Net(
        units.n_nodes,
        units.n_linkers,
        table[:, :2] + np.array([0, units.n_nodes]),
        np.ascontiguousarray(table[:, 2:]),
    )


def _links(units: BuildingUnits, graph: BondGraph, images: np.ndarray) -> np.ndarray:
    """(links, 5) node, linker and image of the linker, for each link between two units once."""
    nodes = units.node_of_atom[graph.first]
    linkers = units.linker_of_atom[graph.second]
    between = graph.to_metal & (nodes >= 0) & (linkers >= 0)
    first, second = graph.first[between], graph.second[between]
    # image of the second's unit, seen from the first's unit
    shifts = graph.images[between] + images[first] - images[second]
    rows = np.stack([nodes[between], linkers[between]], axis=1)
    return np.unique(np.hstack([rows, shifts]), axis=0).reshape(-1, 5)


def find_caps(units: BuildingUnits) -> np.ndarray:
    """Tell caps from linkers: formates, acetates and the like in the place of missing linkers.

    A cap is bonded to one node alone, and nothing of its composition (hydrogen aside) links two
    nodes: a linker that hangs on one node, as its other one is missing, is none. Where nothing
    links two nodes, as in a molecule, or nodes are endless, nothing is called a cap.

    Returns
    -------
    np.ndarray
        (linkers,) of bool.

    Examples
    --------
    >>> from mofmd.structures.crystals.carboxylate import uio66
    >>> int(find_caps(find_units(Frame.from_ase(uio66()))).sum())
    0
    """
    if units.endless_nodes.any() or not units.n_linkers:
        return np.zeros(units.n_linkers, dtype=bool)
    held = np.bincount(_links(units, units.graph, units.images)[:, 1], minlength=units.n_linkers)
    inside = units.linker_of_atom >= 0
    heavy = np.array([name not in HYDROGEN for name in units.species.elements])
    counts = np.zeros((units.n_linkers, len(heavy)), dtype=np.int64)
    np.add.at(counts, (units.linker_of_atom[inside], units.species.codes[inside]), 1)
    _, kinds = np.unique(counts[:, heavy], axis=0, return_inverse=True)
    links_nodes = (held > 1) | units.endless_linkers
    if not links_nodes.any():
        return np.zeros(units.n_linkers, dtype=bool)
    of_a_linker = np.isin(kinds.ravel(), kinds.ravel()[links_nodes])
    return np.asarray((held == 1) & ~of_a_linker)


def find_linkers(structure: Atoms | Frame) -> Linkers:
    """Find the organic linkers of a crystal or relaxed structure, and the caps among them.

    Examples
    --------
    >>> from mofmd.structures.crystals.zif import zif4
    >>> len(find_linkers(zif4()))
    32
    """
    frame = structure if isinstance(structure, Frame) else Frame.from_ase(structure)
    units = find_units(frame)
    inside = (units.linker_of_atom[units.graph.first] >= 0) & ~units.graph.to_metal
    # one bond however many images of it there are
    pairs = np.stack([units.graph.first[inside], units.graph.second[inside]], axis=1)
    pairs = np.unique(pairs, axis=0).reshape(-1, 2)
    radii = frame.species.covalent_radii
    order = np.argsort(units.linker_of_atom, kind="stable")
    splits = np.searchsorted(units.linker_of_atom[order], np.arange(units.n_linkers + 1))
    return Linkers(
        members=tuple(
            tuple(np.sort(order[splits[k] : splits[k + 1]]).tolist())
            for k in range(units.n_linkers)
        ),
        bonds=Bonds(pairs[:, 0].copy(), pairs[:, 1].copy(), radii[pairs].sum(axis=1)),
        linker_of_bond=units.linker_of_atom[pairs[:, 0]],
        is_cap=find_caps(units),
    )


def _holds(species: Species, parts: Parts, elements: set[str]) -> np.ndarray:
    """(parts,) whether each part holds one of the elements."""
    wanted = np.array([name in elements for name in species.elements])[species.codes]
    return np.bincount(parts.labels, weights=wanted, minlength=len(parts.endless)) > 0


def _numbered(parts: Parts, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give each atom the number of its chosen part, from zero; say which parts are endless."""
    numbers = np.where(chosen, np.cumsum(chosen) - 1, -1)
    return numbers[parts.labels], parts.endless[chosen]


def _formulas(species: Species, unit_of_atom: np.ndarray) -> Counter[str]:
    from ase.formula import Formula

    inside = unit_of_atom >= 0
    if not inside.any():
        return Counter()
    counts = np.zeros((unit_of_atom.max() + 1, len(species.elements)), dtype=np.int64)
    np.add.at(counts, (unit_of_atom[inside], species.codes[inside]), 1)
    kinds, numbers = np.unique(counts, axis=0, return_counts=True)
    found: Counter[str] = Counter()
    for kind, number in zip(kinds, numbers, strict=True):
        parts = {name: int(n) for name, n in zip(species.elements, kind, strict=True) if n}
        found[Formula.from_dict(parts).format("hill")] = int(number)
    return found


def put_together(units: BuildingUnits, frame: Frame) -> np.ndarray:
    """Images that put the units together in another frame."""
    if frame.species != units.species:
        raise InputError(f"net: the atoms of step {frame.step} are not those of the units")
    graph = units.graph
    node, linker = units.node_of_atom, units.linker_of_atom
    inside = (linker[graph.first] >= 0) & (linker[graph.first] == linker[graph.second])
    inside |= (node[graph.first] >= 0) & (node[graph.first] == node[graph.second])
    own = graph.select(inside)
    vectors = frame.positions[own.second] - frame.positions[own.first]
    nearest = nearest_images(vectors, frame.cell)
    moved = BondGraph(own.n_atoms, own.first, own.second, nearest, own.to_metal)
    return connected_parts(moved).images
