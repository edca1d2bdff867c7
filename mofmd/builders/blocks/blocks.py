"""Building blocks of a framework, cut at the bonds between its linkers and their carboxylates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.geometry.minimum_image import rounded_images
from mofmd.geometry.periodic_union import PeriodicUnion
from mofmd.structures.frame import Frame, Species
from mofmd.topology.bond_graph import BondGraph, Parts, connected_parts, find_bonds
from mofmd.topology.bonds import NON_METALS

BRICK, SPACER, GUEST = 0, 1, 2
# times the sum of the covalent radii: a bond of the reference that is longer in a frame is none
LOST_FACTOR = 2.0


@dataclass(frozen=True)
class HeadGroup:
    """A group by which linkers hold metals, and that stays on the metals when a linker is cut off.

    The bond from its centre to a carbon atom is cut. With a hydrogen atom in the carbon's place
    the group has the same charge, so that the framework stays neutral.

    Parameters
    ----------
    name
        For messages.
    centre
        Element of the centre.
    donor, donors
        Element and number of the donors that only the centre is bonded to, metals apart.
    charge
        Formal charge of the group with hydrogen in place of the linker.
    hydrogen_bond_A
        Length of the centre's bond to that hydrogen [Å].
    """

    name: str
    centre: str
    donor: str
    donors: int
    charge: int
    hydrogen_bond_A: float


# the bond of bridging formate, relaxed by DFT (Thornton et al., Dalton Trans. 2016, 45, 4352)
CARBOXYLATE = HeadGroup("carboxylate", "C", "O", 2, charge=-1, hydrogen_bond_A=1.104)


@dataclass(frozen=True)
class Cuts:
    """Bonds between head groups and spacers; arrays are read-only.

    Parameters
    ----------
    heads, anchors
        (cuts,) atoms at the two ends: the head group's centre, the spacer's carbon.
    images
        (cuts, 3) image of the anchor: vector = r[anchor] + images · cell − r[head].
    """

    heads: np.ndarray
    anchors: np.ndarray
    images: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.heads, self.anchors, self.images):
            array.setflags(write=False)

    def __len__(self) -> int:
        """Count the cuts."""
        return len(self.heads)


@dataclass(frozen=True)
class Blocks:
    """Atoms of a framework sorted into blocks; arrays are read-only.

    A brick is a metal node with its carboxylates (formates among them), bridging oxide and
    hydroxide, and terminal ligands. A spacer is what is left of a linker without its carboxylates;
    one with a single cut is a cap (CH₃ of acetate). Anything else is a guest. Blocks are numbered
    by their lowest atom.

    Parameters
    ----------
    species
        Elements of the atoms.
    graph
        All bonds.
    head_groups
        Rules by which bonds were cut.
    head_of_atom
        (atoms,) which of them the atom is the centre of, −1 for none.
    block_of_atom
        (atoms,) block of each atom.
    kinds
        (blocks,) ``BRICK``, ``SPACER`` or ``GUEST``.
    images
        (atoms, 3) image of each atom that puts its block together, around the block's lowest atom.
    cuts
        Bonds that were cut.
    """

    species: Species
    graph: BondGraph
    head_groups: tuple[HeadGroup, ...]
    head_of_atom: np.ndarray
    block_of_atom: np.ndarray
    kinds: np.ndarray
    images: np.ndarray
    cuts: Cuts

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.head_of_atom, self.block_of_atom, self.kinds, self.images):
            array.setflags(write=False)

    def __len__(self) -> int:
        """Count the blocks."""
        return len(self.kinds)

    @cached_property
    def cuts_of_block(self) -> np.ndarray:
        """(blocks,) number of cuts around each block."""
        ends = np.concatenate([self.link_bricks, self.link_spacers])
        return np.bincount(ends, minlength=len(self))

    @cached_property
    def nodes(self) -> np.ndarray:
        """Blocks that are nodes of the net: bricks."""
        return np.flatnonzero(self.kinds == BRICK)

    @cached_property
    def linkers(self) -> np.ndarray:
        """Blocks that link nodes: spacers with at least two cuts."""
        return np.flatnonzero((self.kinds == SPACER) & (self.cuts_of_block > 1))

    @cached_property
    def link_bricks(self) -> np.ndarray:
        """(cuts,) brick at each cut."""
        return np.asarray(self.block_of_atom[self.cuts.heads])

    @cached_property
    def link_spacers(self) -> np.ndarray:
        """(cuts,) spacer at each cut."""
        return np.asarray(self.block_of_atom[self.cuts.anchors])

    @cached_property
    def link_images(self) -> np.ndarray:
        """(cuts, 3) image of the spacer, seen from the brick."""
        cuts = self.cuts
        return np.asarray(cuts.images + self.images[cuts.heads] - self.images[cuts.anchors])

    @cached_property
    def is_linking(self) -> np.ndarray:
        """(cuts,) whether the cut is to a linker, not to a cap."""
        return np.asarray(self.cuts_of_block[self.link_spacers] > 1)

    def members(self, block: int) -> np.ndarray:
        """Atoms of a block, ascending."""
        order, starts = self._order
        return order[starts[block] : starts[block + 1]]

    @cached_property
    def _order(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.block_of_atom, kind="stable")
        starts = np.searchsorted(self.block_of_atom[order], np.arange(len(self) + 1))
        return order, starts

    @cached_property
    def symbols(self) -> np.ndarray:
        """(atoms,) element symbols."""
        return np.array(self.species.elements)[self.species.codes]

    @cached_property
    def is_metal(self) -> np.ndarray:
        """(atoms,) whether an atom is a metal."""
        return _is_metal(self.species)

    def formula(self, block: int) -> str:
        """Composition of a block, in Hill's order."""
        return hill_formula(self.symbols[self.members(block)])

    def on(self, frame: Frame) -> Blocks:
        """Put the same blocks together in another frame of the same atoms.

        Bonds stay those that they are, however far atoms have moved: their images are the nearest
        ones of the frame.

        Raises
        ------
        InputError
            If the frame is of other atoms, a bond is more than twice as long as the sum of the
            covalent radii, or the cell is too thin to tell a bond's image.
        """
        graph = _bonds_in(frame, self)
        parts = connected_parts(graph.select(~self._is_cut))
        cut = np.flatnonzero(self._is_cut)
        return replace(
            self, graph=graph, images=parts.images, cuts=_cuts(graph, cut, self.head_of_atom)
        )

    @cached_property
    def _is_cut(self) -> np.ndarray:
        """(bonds,) whether each bond of the graph is cut."""
        ends = self.block_of_atom[self.graph.first], self.block_of_atom[self.graph.second]
        return np.asarray(ends[0] != ends[1])


def find_blocks(
    structure: Atoms | Frame, head_groups: Sequence[HeadGroup] = (CARBOXYLATE,)
) -> Blocks:
    """Cut a framework into blocks at the bonds between its linkers and their head groups.

    Distances decide what is bonded: meant for a crystal or relaxed structure.

    Parameters
    ----------
    structure
        Any periodic framework.
    head_groups
        Rules for the cut.

    Raises
    ------
    InputError
        If nodes and linkers make no periodic net, or a linker has no rule for its cut.

    Examples
    --------
    >>> from mofmd.structures.crystals.carboxylate import uio66
    >>> blocks = find_blocks(uio66())
    >>> len(blocks.nodes), len(blocks.linkers)
    (4, 24)
    """
    frame = structure if isinstance(structure, Frame) else Frame.from_ase(structure)
    graph = find_bonds(frame)
    head_of_atom, cut = _find_heads(frame.species, graph, head_groups)
    kept = graph.select(~cut)
    _refuse_other_links(frame.species, kept, head_of_atom, graph.select(cut))
    parts = connected_parts(kept)
    kinds = _kinds(frame.species, parts, graph, cut)
    blocks = Blocks(
        species=frame.species,
        graph=graph,
        head_groups=tuple(head_groups),
        head_of_atom=head_of_atom,
        block_of_atom=parts.labels,
        kinds=kinds,
        images=parts.images,
        cuts=_cuts(graph, np.flatnonzero(cut), head_of_atom),
    )
    _refuse_no_net(blocks, parts)
    return blocks


def endless_blocks(blocks: Blocks, kept: np.ndarray) -> np.ndarray:
    """(blocks,) which blocks are parts of something endless, when only some blocks are there.

    Parameters
    ----------
    blocks
        Blocks of the whole framework.
    kept
        (blocks,) which of them are there.
    """
    links = kept[blocks.link_bricks] & kept[blocks.link_spacers]
    union = PeriodicUnion.of(len(blocks))
    pairs = np.stack([blocks.link_bricks, blocks.link_spacers], axis=1)
    union.join(np.ascontiguousarray(pairs[links]), np.ascontiguousarray(blocks.link_images[links]))
    return np.asarray(union.endless[union.roots()] & kept)


def hill_formula(symbols: np.ndarray) -> str:
    """Composition of atoms, in Hill's order."""
    from ase.formula import Formula

    names, counts = np.unique(symbols, return_counts=True)
    parts = {str(name): int(count) for name, count in zip(names, counts, strict=True)}
    return str(Formula.from_dict(parts).format("hill"))


def _is_metal(species: Species) -> np.ndarray:
    return np.array([name not in NON_METALS for name in species.elements])[species.codes]


def _find_heads(
    species: Species, graph: BondGraph, head_groups: Sequence[HeadGroup]
) -> tuple[np.ndarray, np.ndarray]:
    """(atoms,) which head group each atom is the centre of, and (bonds,) which bonds are cut."""
    symbols = np.array(species.elements)[species.codes]
    covalent = ~graph.to_metal
    ends = np.concatenate([graph.first[covalent], graph.second[covalent]])
    others = np.concatenate([graph.second[covalent], graph.first[covalent]])
    n = graph.n_atoms
    bonded = np.bincount(ends, minlength=n)
    coordinated = np.zeros(n, dtype=np.bool_)
    coordinated[graph.second[graph.to_metal]] = True
    head_of_atom = np.full(n, -1, dtype=np.int64)
    for number, head in enumerate(head_groups):
        donor = (symbols == head.donor) & (bonded == 1)
        at_donor = donor[others]
        n_donors = np.bincount(ends[at_donor], minlength=n)
        n_coordinated = np.bincount(ends[at_donor & coordinated[others]], minlength=n)
        centre = (symbols == head.centre) & (bonded == head.donors + 1)
        centre &= (n_donors == head.donors) & (n_coordinated > 0)
        last = centre[ends] & ~at_donor
        held = last & np.isin(symbols[others], ["C", "H"])
        head_of_atom[ends[held]] = number
    first, second = graph.first, graph.second
    is_head = head_of_atom >= 0
    one, two = is_head[first] & (symbols[second] == "C"), is_head[second] & (symbols[first] == "C")
    cut = covalent & (one | two)
    if both := np.flatnonzero(cut & is_head[first] & is_head[second]).tolist():
        raise InputError(
            f"net: head groups {first[both[0]] + 1} and {second[both[0]] + 1} are bonded to each "
            "other (oxalate), so that nothing lies between them to cut off; mofmd has no rule for "
            "such a linker"
        )
    return head_of_atom, cut


def _cuts(graph: BondGraph, cut: np.ndarray, head_of_atom: np.ndarray) -> Cuts:
    first, second, images = graph.first[cut], graph.second[cut], graph.images[cut]
    turned = head_of_atom[second] >= 0
    heads, anchors = np.where(turned, second, first), np.where(turned, first, second)
    images = np.where(turned[:, None], -images, images)
    order = np.lexsort((anchors, heads))
    return Cuts(heads[order], anchors[order], np.ascontiguousarray(images[order]))


def _kinds(species: Species, parts: Parts, graph: BondGraph, cut: np.ndarray) -> np.ndarray:
    n_parts = len(parts.endless)
    metals = np.bincount(parts.labels, weights=_is_metal(species), minlength=n_parts) > 0
    touched = np.zeros(n_parts, dtype=np.bool_)
    touched[parts.labels[np.concatenate([graph.first[cut], graph.second[cut]])]] = True
    return np.where(metals, BRICK, np.where(touched, SPACER, GUEST))


def _refuse_other_links(
    species: Species, kept: BondGraph, head_of_atom: np.ndarray, cut: BondGraph
) -> None:
    """Refuse organic parts that hold metals together otherwise than by head groups."""
    pieces = connected_parts(kept.select(~kept.to_metal))
    symbols = np.array(species.elements)[species.codes]
    n_pieces = len(pieces.endless)
    carbon = np.bincount(pieces.labels, weights=symbols == "C", minlength=n_pieces) > 0
    head = np.bincount(pieces.labels, weights=head_of_atom >= 0, minlength=n_pieces) > 0
    organic = carbon & ~head
    # bonds of metals to other organic parts than head groups
    other = kept.to_metal & organic[pieces.labels[kept.second]]
    cores = connected_parts(kept.select(~other))
    first, second = kept.first[other], kept.second[other]
    piece = pieces.labels[second]
    seen_from = -(kept.images[other] + cores.images[first] - pieces.images[second])
    held = np.unique(
        np.column_stack([piece, cores.labels[first], seen_from]).astype(np.int64), axis=0
    )
    links, counts = np.unique(held[:, 0], return_counts=True)
    cut_pieces = pieces.labels[np.concatenate([cut.first, cut.second])]
    bad = links[(counts > 1) | np.isin(links, cut_pieces)]
    if not len(bad):
        return
    atoms = np.flatnonzero(pieces.labels == bad[0])
    donor = symbols[second[piece == bad[0]][0]]
    raise InputError(
        f"net: linker {hill_formula(symbols[atoms])} (atom {atoms[0] + 1} and others) holds "
        f"metals by {donor}, not by carboxylates alone; cutting it off would change the charge. "
        "Blocks can be cut only at the carboxylates of linkers such as those of UiO-66 and MOF-5"
    )


def _refuse_no_net(blocks: Blocks, parts: Parts) -> None:
    """Refuse a structure whose blocks are no net of single vertices."""
    if endless := np.flatnonzero(parts.endless & (blocks.kinds != GUEST)).tolist():
        kind = "node" if blocks.kinds[endless[0]] == BRICK else "linker"
        atom = int(blocks.members(endless[0])[0]) + 1
        raise InputError(
            f"net: the {kind} with atom {atom} is bonded to its own image (a rod or layer), so "
            "that nodes and linkers make no net of single vertices; take a framework with finite "
            "nodes"
        )
    if not endless_blocks(blocks, np.ones(len(blocks), dtype=np.bool_)).any():
        raise InputError(
            f"net: none found: the structure has {len(blocks.nodes)} metal nodes and "
            f"{len(blocks.linkers)} linkers with two or more carboxylates, which do not make a "
            "periodic net"
        )


def _bonds_in(frame: Frame, blocks: Blocks) -> BondGraph:
    """Bonds of the blocks in another frame."""
    graph = blocks.graph
    if frame.species != blocks.species:
        raise InputError(
            f"frame of step {frame.step}: its atoms are not those of the reference, or in another "
            "order"
        )
    pairs = np.sort(np.stack([graph.first, graph.second], axis=1), axis=1)
    if len(np.unique(pairs, axis=0)) < len(pairs):
        raise InputError(
            "reference: two atoms are bonded in more than one image, so that the cell is too thin "
            "to follow its bonds; use a supercell"
        )
    vectors = frame.positions[graph.second] - frame.positions[graph.first]
    images = rounded_images(vectors, frame.cell)
    lengths = np.linalg.norm(vectors + images @ frame.cell, axis=1)
    radii = frame.species.covalent_radii
    lost = lengths > LOST_FACTOR * (radii[graph.first] + radii[graph.second])
    if lost.any():
        bond = int(np.argmax(np.where(lost, lengths, 0)))
        one, two = int(graph.first[bond]), int(graph.second[bond])
        names = frame.species.names
        raise InputError(
            f"frame of step {frame.step}: {names[one]} {one + 1} and {names[two]} {two + 1} are "
            f"bonded in the reference and {lengths[bond]:.2f} Å apart here: the framework is "
            "broken, or its atoms are in another order"
        )
    return BondGraph(graph.n_atoms, graph.first, graph.second, images, graph.to_metal)
