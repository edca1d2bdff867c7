"""Defects: linkers and nodes taken out, metals substituted, what is left capped and kept whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers

from mofmd.builders.blocks.blocks import BRICK, GUEST, Blocks, endless_blocks
from mofmd.builders.blocks.caps import CAPS, Cap, place_caps
from mofmd.builders.blocks.charges import metal_charge
from mofmd.builders.nets.block_net import BlockNet, find_block_net
from mofmd.builders.nets.orbits import distinct_choices
from mofmd.errors import InputError
from mofmd.topology.bonds import NON_METALS

Charges = Mapping[str, int] | None


@dataclass(frozen=True)
class Defects:
    """What is to be changed in a framework.

    Parameters
    ----------
    linkers
        Numbers, from zero, of linkers to take out, in the order of ``Blocks.linkers``.
    nodes
        Numbers of nodes to take out, with all their linkers, in the order of ``Blocks.nodes``.
    metals
        New element of atoms, by their index.
    """

    linkers: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()
    metals: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Loss:
    """What of a framework is gone in the end; arrays are read-only.

    Parameters
    ----------
    kept
        (blocks,) whether each block is there.
    nodes, linkers
        Numbers of those that are gone.
    loose_nodes, loose_linkers
        How many of them were not asked for, but hung on nothing and were dropped.
    """

    kept: np.ndarray
    nodes: np.ndarray
    linkers: np.ndarray
    loose_nodes: int
    loose_linkers: int

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.kept, self.nodes, self.linkers):
            array.setflags(write=False)


@dataclass(frozen=True)
class DefectiveFramework:
    """A framework with defects.

    Parameters
    ----------
    atoms
        The structure: atoms that stayed in their order, then the caps.
    origins
        (atoms,) index of each atom in the framework without these defects, −1 for caps.
    loss
        What is gone.
    """

    atoms: Atoms
    origins: np.ndarray
    loss: Loss


def remove_blocks(blocks: Blocks, defects: Defects) -> Loss:
    """Find what is gone when linkers and nodes are taken out.

    A node goes with its linkers; pieces that are then not parts of something endless are dropped.

    Raises
    ------
    InputError
        If there is no such linker or node, or nothing endless is left.
    """
    linkers = _numbered("linkers", defects.linkers, blocks.linkers)
    nodes = _numbered("nodes", defects.nodes, blocks.nodes)
    kept = np.ones(len(blocks), dtype=np.bool_)
    kept[linkers] = kept[nodes] = False
    kept[blocks.link_spacers[np.isin(blocks.link_bricks, nodes)]] = False
    whole = (endless_blocks(blocks, kept) | (blocks.kinds == GUEST)) & kept
    if not whole[blocks.nodes].any():
        raise InputError(
            f"defects: with {len(nodes)} of {len(blocks.nodes)} nodes and {len(linkers)} of "
            f"{len(blocks.linkers)} linkers taken out, what is left is no framework: it has only "
            "loose pieces; take out less, or from a larger cell (--supercell 2x2x2)"
        )
    loose = kept & ~whole
    return Loss(
        kept=whole,
        nodes=np.flatnonzero(~whole[blocks.nodes]),
        linkers=np.flatnonzero(~whole[blocks.linkers]),
        loose_nodes=int(loose[blocks.nodes].sum()),
        loose_linkers=int(loose[blocks.linkers].sum()),
    )


def make_defects(
    structure: Atoms,
    blocks: Blocks,
    defects: Defects,
    cap: Cap = CAPS["formate"],
    charges: Charges = None,
) -> DefectiveFramework:
    """Make a framework with defects.

    Parameters
    ----------
    structure
        The framework.
    blocks
        Its blocks.
    defects
        What to change.
    cap
        What takes a linker's place at its carboxylates.
    charges
        Charges of metals that have several ions: {"Cu": 2}.

    Returns
    -------
    DefectiveFramework
        Not relaxed: atoms that stay are where they were.

    Raises
    ------
    InputError
        If there is no such linker, node or metal, a metal of another charge is to take one's
        place, or nothing endless is left.

    Examples
    --------
    >>> from mofmd.builders.blocks.blocks import find_blocks
    >>> from mofmd.structures.crystals.carboxylate import uio66
    >>> crystal = uio66()
    >>> len(make_defects(crystal, find_blocks(crystal), Defects(linkers=(0,))).atoms)
    448
    """
    loss = remove_blocks(blocks, defects)
    symbols = blocks.symbols.astype("U2")
    for atom, element in defects.metals.items():
        _check_substitution(blocks, atom, element, charges)
        symbols[atom] = element
    stay = np.flatnonzero(loss.kept[blocks.block_of_atom])
    open_cuts = np.flatnonzero(loss.kept[blocks.link_bricks] & ~loss.kept[blocks.link_spacers])
    cell = structure.cell.array
    placed = place_caps(cap, blocks, open_cuts, structure.positions, cell)
    atoms = Atoms(
        [*symbols[stay], *cap.symbols * len(open_cuts)],
        positions=np.concatenate([structure.positions[stay], placed.reshape(-1, 3)]),
        cell=cell,
        pbc=structure.pbc,
    )
    origins = np.concatenate([stay, np.full(placed.shape[0] * placed.shape[1], -1)])
    return DefectiveFramework(atoms, origins, loss)


def distinct_linker_defects(
    blocks: Blocks, count: int, net: BlockNet | None = None
) -> list[tuple[Defects, int]]:
    """Find the choices of missing linkers that the net's symmetry does not make alike.

    Returns
    -------
    list of tuple
        One choice of each class, and how many choices are of that class.
    """
    net = net or find_block_net(blocks)
    found = distinct_choices(net, net.vertex_of_block[blocks.linkers], count)
    return [(Defects(linkers=each.members), each.multiplicity) for each in found]


def distinct_substitutions(
    blocks: Blocks,
    element: str,
    count: int,
    net: BlockNet | None = None,
    charges: Charges = None,
) -> list[tuple[Defects, int]]:
    """Find the choices of metals to substitute that the net's symmetry does not make alike.

    Parameters
    ----------
    blocks
        Blocks of a framework.
    element
        What takes their places.
    count
        How many.
    net
        The net of the blocks, if it is known.
    charges
        As for ``make_defects``.
    """
    net = net or find_block_net(blocks)
    metals = replaceable_metals(blocks, element, charges)
    metals = metals[net.vertex_of_atom[metals] >= 0]
    found = distinct_choices(net, net.vertex_of_atom[metals], count)
    return [
        (Defects(metals={int(metals[k]): element for k in each.members}), each.multiplicity)
        for each in found
    ]


def replaceable_metals(blocks: Blocks, element: str, charges: Charges = None) -> np.ndarray:
    """Atoms that a metal can take the place of: metals of other elements, of the same charge.

    Raises
    ------
    InputError
        If there are none.
    """
    metals = np.flatnonzero(blocks.is_metal & (blocks.kinds[blocks.block_of_atom] == BRICK))
    others = metals[blocks.symbols[metals] != element]
    if not len(others):
        raise InputError(f"metal: the structure holds no metal other than {element}")
    for name in np.unique(blocks.symbols[others]).tolist():
        _check_charges(name, element, charges)
    return np.asarray(others)


def _numbered(name: str, numbers: tuple[int, ...], blocks: np.ndarray) -> np.ndarray:
    chosen = np.array(numbers, dtype=np.int64)
    if bad := chosen[(chosen < 0) | (chosen >= len(blocks))].tolist():
        raise InputError(f"{name}: there is no number {bad[0]}; they are 0 to {len(blocks) - 1}")
    return np.asarray(blocks[chosen])


def _check_substitution(blocks: Blocks, atom: int, element: str, charges: Charges) -> None:
    if not 0 <= atom < len(blocks.symbols) or not blocks.is_metal[atom]:
        raise InputError(f"metals: atom {atom + 1} is no metal")
    _check_charges(str(blocks.symbols[atom]), element, charges)


def _check_charges(old: str, new: str, charges: Charges) -> None:
    """Refuse a metal whose ion has another charge: the framework would not be neutral."""
    if new not in atomic_numbers or new in NON_METALS:
        raise InputError(f"metal: {new!r} is no metal")
    if metal_charge(old, charges) != metal_charge(new, charges):
        raise InputError(
            f"metal: {new} (charge {metal_charge(new, charges):+d}) cannot take the place of {old} "
            f"({metal_charge(old, charges):+d}): the framework would not be neutral"
        )
