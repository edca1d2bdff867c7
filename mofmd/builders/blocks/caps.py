"""Caps: what takes the place of a linker at its carboxylates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.builders.blocks.blocks import CARBOXYLATE, Blocks
from mofmd.errors import InputError

# bonds relaxed by DFT in UiO-66 (Thornton et al., Dalton Trans. 2016, 45, 4352) [Å]
ACETATE_C_C, METHYL_C_H = 1.495, 1.092
TRIFLUOROACETATE_C_C, C_F = 1.536, 1.338
TETRAHEDRAL_DEG, CCF_DEG = 109.47, 111.5


@dataclass(frozen=True)
class Cap:
    """Atoms that saturate a head group; the array is read-only.

    Parameters
    ----------
    name
        Name of the acid's anion.
    symbols
        Elements of the atoms.
    positions
        (atoms, 3) from the head group's centre [Å]: z along the bond that was cut, one donor in
        the xz plane at x > 0.
    """

    name: str
    symbols: tuple[str, ...]
    positions: np.ndarray

    def __post_init__(self) -> None:
        """Make the array read-only."""
        self.positions.setflags(write=False)


def _methyl_like(name: str, element: str, bond_A: float, arm_A: float, angle_deg: float) -> Cap:
    """CX₃ with one X in the plane of the carboxylate."""
    angle = np.deg2rad(angle_deg)
    turns = np.deg2rad([0.0, 120.0, 240.0])
    arms = np.column_stack(
        [
            arm_A * np.sin(angle) * np.cos(turns),
            arm_A * np.sin(angle) * np.sin(turns),
            np.full(3, bond_A - arm_A * np.cos(angle)),
        ]
    )
    return Cap(name, ("C", element, element, element), np.array([[0.0, 0.0, bond_A], *arms]))


CAPS = {
    cap.name: cap
    for cap in (
        Cap("formate", ("H",), np.array([[0.0, 0.0, CARBOXYLATE.hydrogen_bond_A]])),
        _methyl_like("acetate", "H", ACETATE_C_C, METHYL_C_H, TETRAHEDRAL_DEG),
        _methyl_like("trifluoroacetate", "F", TRIFLUOROACETATE_C_C, C_F, CCF_DEG),
    )
}


def find_cap(name: str) -> Cap:
    """Find a cap by its name.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    if name not in CAPS:
        raise InputError(f"cap: {name!r} is unknown; it can be {', '.join(CAPS)}")
    return CAPS[name]


def place_caps(
    cap: Cap, blocks: Blocks, cuts: np.ndarray, positions: np.ndarray, cell: np.ndarray
) -> np.ndarray:
    """Place a cap at head groups whose linker is gone.

    Parameters
    ----------
    cap
        What to place.
    blocks
        Blocks of the framework, its images those of ``positions``.
    cuts
        (n,) cuts to saturate.
    positions, cell
        (atoms, 3) and (3, 3) of the framework with the linkers [Å].

    Returns
    -------
    np.ndarray
        (n, cap's atoms, 3) positions [Å].
    """
    heads = blocks.cuts.heads[cuts]
    along = cut_vectors(blocks, cuts, positions, cell)
    z = along / np.linalg.norm(along, axis=1)[:, None]
    donor = _donor_vectors(blocks, heads, positions, cell)
    x = donor - np.einsum("nk,nk->n", donor, z)[:, None] * z
    x /= np.linalg.norm(x, axis=1)[:, None]
    axes = np.stack([x, np.cross(z, x), z], axis=1)
    return np.asarray(positions[heads][:, None, :] + cap.positions @ axes)


def cut_vectors(
    blocks: Blocks, cuts: np.ndarray, positions: np.ndarray, cell: np.ndarray
) -> np.ndarray:
    """(cuts, 3) from the head group's centre to the linker's carbon [Å]."""
    heads, anchors = blocks.cuts.heads[cuts], blocks.cuts.anchors[cuts]
    return np.asarray(positions[anchors] + blocks.cuts.images[cuts] @ cell - positions[heads])


def _donor_vectors(
    blocks: Blocks, heads: np.ndarray, positions: np.ndarray, cell: np.ndarray
) -> np.ndarray:
    """(heads, 3) from each head group's centre to its donor of the lowest number [Å]."""
    graph = blocks.graph
    covalent = np.flatnonzero(~graph.to_metal)
    first, second = graph.first[covalent], graph.second[covalent]
    ends, others = np.concatenate([first, second]), np.concatenate([second, first])
    images = np.concatenate([graph.images[covalent], -graph.images[covalent]])
    donors = np.array([head.donor for head in blocks.head_groups])[blocks.head_of_atom]
    at_donor = (blocks.head_of_atom[ends] >= 0) & (blocks.symbols[others] == donors[ends])
    ends, others, images = ends[at_donor], others[at_donor], images[at_donor]
    order = np.lexsort((others, ends))
    row = order[np.searchsorted(ends[order], heads)]
    return np.asarray(positions[others[row]] + images[row] @ cell - positions[heads])
