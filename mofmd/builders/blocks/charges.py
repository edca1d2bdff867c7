"""Formal charges of blocks: whether a framework or a piece of it is neutral and closed-shell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase.data import atomic_numbers

from mofmd.builders.blocks.blocks import Blocks, hill_formula
from mofmd.errors import InputError
from mofmd.topology.bond_graph import connected_parts

# ions without unpaired electrons; those of other metals depend on the framework
# fmt: off
METAL_IONS: Mapping[str, int] = {
    **dict.fromkeys(("Li", "Na", "K", "Rb", "Cs", "Ag"), 1),
    **dict.fromkeys(("Be", "Mg", "Ca", "Sr", "Ba", "Zn", "Cd"), 2),
    **dict.fromkeys(("Al", "Ga", "In", "Sc", "Y", "La", "Lu"), 3),
    **dict.fromkeys(("Ti", "Zr", "Hf", "Ce", "Th"), 4),
}
INORGANIC: Mapping[str, int] = {
    "O": -2, "HO": -1, "H2O": 0, "H3O": 1, "S": -2, "HS": -1, "H2S": 0,
    "F": -1, "Cl": -1, "Br": -1, "I": -1, "ClH": 0, "H3N": 0, "H4N": 1, "H2": 0, "N2": 0,
    "He": 0, "Ne": 0, "Ar": 0, "Kr": 0, "Xe": 0,
    "CO2": 0, "CO3": -2, "CHO3": -1, "NO3": -1, "O4S": -2, "HO4S": -1,
    "O4P": -3, "HO4P": -2, "H2O4P": -1, "BF4": -1, "F6P": -1, "F6Si": -2, "ClO4": -1,
}
# fmt: on


def block_charges(blocks: Blocks, known: Mapping[str, int] | None = None) -> np.ndarray:
    """(blocks,) formal charge of each block, a hydrogen atom at each of its cuts counted in.

    A metal is its closed-shell ion, a head group what its rule says (carboxylate −1), a part
    without carbon and hydrogen of its own what chemistry knows (O −2, OH −1); any other part is
    neutral, if its electrons are even.

    Parameters
    ----------
    blocks
        Blocks of a framework.
    known
        Charges of other metals or parts, by element or formula in Hill's order: {"Ce": 4}.

    Raises
    ------
    InputError
        If a metal's or a part's charge is not known, or a part has an unpaired electron.
    """
    known = known or {}
    atom_charges = np.zeros(len(blocks.symbols), dtype=np.int64)
    for metal in np.unique(blocks.symbols[blocks.is_metal]).tolist():
        atom_charges[blocks.symbols == metal] = metal_charge(metal, known)
    _charge_parts(blocks, atom_charges, known)
    return np.rint(
        np.bincount(blocks.block_of_atom, weights=atom_charges, minlength=len(blocks))
    ).astype(np.int64)


def metal_charge(metal: str, known: Mapping[str, int] | None = None) -> int:
    """Charge of a metal's ion.

    Raises
    ------
    InputError
        If it is not known.
    """
    table = {**METAL_IONS, **(known or {})}
    if metal not in table:
        raise InputError(
            f"charge: {metal} has several ions, or ions with unpaired electrons; give its charge, "
            f"as in --charge {metal}=3"
        )
    return table[metal]


def electrons(symbols: np.ndarray) -> int:
    """Count the electrons of neutral atoms."""
    names, counts = np.unique(symbols, return_counts=True)
    return int(sum(atomic_numbers[str(k)] * n for k, n in zip(names, counts, strict=True)))


def _charge_parts(blocks: Blocks, atom_charges: np.ndarray, known: Mapping[str, int]) -> None:
    """Put the charge of each covalent part on its lowest atom; parts alike are looked at once."""
    graph = blocks.graph
    inside = blocks.block_of_atom[graph.first] == blocks.block_of_atom[graph.second]
    parts = connected_parts(graph.select(~graph.to_metal & inside))
    n = len(parts.endless)
    elements = blocks.species.elements
    counts = np.zeros((n, len(elements) + 2), dtype=np.int64)
    np.add.at(counts, (parts.labels, blocks.species.codes), 1)
    cut_ends = np.concatenate([blocks.cuts.heads, blocks.cuts.anchors])
    counts[:, -2] = np.bincount(parts.labels[cut_ends], minlength=n)
    head_charge = np.array([0, *(head.charge for head in blocks.head_groups)])
    heads = blocks.head_of_atom >= 0
    charges = np.bincount(
        parts.labels, weights=head_charge[blocks.head_of_atom + 1], minlength=n
    ).astype(np.int64)
    counts[:, -1] = np.bincount(parts.labels, weights=heads, minlength=n)
    lowest = np.unique(parts.labels, return_index=True)[1]
    metal = blocks.is_metal[lowest]
    rows, first, inverse = np.unique(counts, axis=0, return_index=True, return_inverse=True)
    for k in range(len(rows)):
        part = int(first[k])
        if metal[part] or rows[k, -1]:
            continue
        atoms = np.flatnonzero(parts.labels == part)
        charges[inverse == k] = _part_charge(
            blocks.symbols[atoms], int(rows[k, -2]), int(atoms[0]), known
        )
    atom_charges[lowest[~metal]] = charges[~metal]


def _part_charge(symbols: np.ndarray, cuts: int, atom: int, known: Mapping[str, int]) -> int:
    formula = hill_formula(symbols)
    table = {**(INORGANIC if not cuts else {}), **known}
    if formula in table:
        return table[formula]
    organic = "C" in symbols and ("H" in symbols or cuts > 0)
    if not organic or (electrons(symbols) + cuts) % 2:
        raise InputError(
            f"charge: of {formula} (atom {atom + 1} and others) is not known, or it has an "
            f"unpaired electron: is a hydrogen atom missing or too many? Give its charge "
            f"(--charge {formula}=-1), if its electrons are paired"
        )
    return 0
