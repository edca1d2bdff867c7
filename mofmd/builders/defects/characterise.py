"""What a framework with defects is: what it lacks, what it holds instead, how it is connected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.builders.blocks.blocks import BRICK, GUEST, Blocks, find_blocks, hill_formula
from mofmd.builders.blocks.charges import block_charges
from mofmd.errors import InputError
from mofmd.topology.bond_graph import connected_parts
from mofmd.units import G_PER_MOL_A3_TO_G_PER_CM3

CELLS_TOLERANCE = 0.15  # of whole numbers of the pristine cell, strain included
NODES_TOLERANCE = 0.25  # of the number of nodes, from the volume
CAP_NAMES = {"H": "formate", "CH3": "acetate", "CF3": "trifluoroacetate", "C6H5": "benzoate"}


@dataclass(frozen=True)
class Pristine:
    """A framework without defects in the same cell.

    Parameters
    ----------
    nodes, linkers
        How many it has.
    metals
        Its metals.
    """

    nodes: int
    linkers: int
    metals: frozenset[str]


@dataclass(frozen=True)
class Character:
    """What a framework is.

    Parameters
    ----------
    n_atoms, formula
        Atoms in the cell, and its composition in Hill's order.
    density_g_per_cm3
        Density.
    metals
        Number of each metal.
    nodes, linkers
        How many there are.
    coordination
        How many nodes have how many linkers.
    caps
        Other groups on the metals, by name or formula: formate, OH, H2O.
    guests
        Molecules that hang on nothing, by formula.
    charge
        Sum of the formal charges [e]; None where an ion's charge is not known.
    pristine
        The framework without defects, if it is known.
    """

    n_atoms: int
    formula: str
    density_g_per_cm3: float
    metals: Mapping[str, int]
    nodes: int
    linkers: int
    coordination: Mapping[int, int]
    caps: Mapping[str, int]
    guests: Mapping[str, int]
    charge: int | None
    pristine: Pristine | None

    @property
    def mean_coordination(self) -> float:
        """Linkers at a node, on average."""
        return sum(k * n for k, n in self.coordination.items()) / self.nodes

    @property
    def substituted(self) -> float:
        """Fraction of the metals that are not the pristine framework's, or not the commonest."""
        commonest, _ = max(self.metals.items(), key=lambda item: item[1])
        own = self.pristine.metals if self.pristine else {commonest}
        others = sum(n for name, n in self.metals.items() if name not in own)
        return others / sum(self.metals.values())

    @property
    def missing_nodes(self) -> float | None:
        """Fraction of the pristine framework's nodes that are missing."""
        return 1 - self.nodes / self.pristine.nodes if self.pristine else None

    @property
    def missing_linkers(self) -> float | None:
        """Fraction of the pristine framework's linkers that are missing."""
        return 1 - self.linkers / self.pristine.linkers if self.pristine else None

    @property
    def code(self) -> str:
        """Fractions (metals-nodes-linkers) as Dobbelaere et al. (2025) give them."""
        values = (self.substituted, self.missing_nodes, self.missing_linkers)
        return "(" + "-".join("?" if v is None else f"{v:.2f}" for v in values) + ")"

    def as_dict(self) -> dict[str, object]:
        """Plain values, with units in the names."""
        return {
            "atoms": self.n_atoms,
            "formula": self.formula,
            "density_g_per_cm3": self.density_g_per_cm3,
            "substituted_metals": self.substituted,
            "missing_nodes": self.missing_nodes,
            "missing_linkers": self.missing_linkers,
            "nodes": self.nodes,
            "linkers": self.linkers,
            "mean_coordination": self.mean_coordination,
            "coordination": {str(k): n for k, n in self.coordination.items()},
            "metals": dict(self.metals),
            "caps": dict(self.caps),
            "guests": dict(self.guests),
            "charge_e": self.charge,
        }


def count_pristine(pristine: Atoms, structure: Atoms | None = None) -> Pristine:
    """Count what a framework without defects has in the cell of a structure.

    Parameters
    ----------
    pristine
        The framework without defects, in any cell.
    structure
        Made of it; by default its cell is that of ``pristine``. It may be strained.

    Raises
    ------
    InputError
        If it cannot be told how many nodes fit into the structure's cell.
    """
    blocks = find_blocks(pristine)
    nodes, linkers = len(blocks.nodes), len(blocks.linkers)
    metals = frozenset(np.unique(blocks.symbols[blocks.is_metal]).tolist())
    if structure is not None:
        own = _nodes_in(pristine, structure, nodes)
        linkers = linkers * own // nodes
        nodes = own
    return Pristine(nodes, linkers, metals)


def characterise(
    structure: Atoms,
    pristine: Pristine | None = None,
    charges: Mapping[str, int] | None = None,
    blocks: Blocks | None = None,
) -> Character:
    """Say what a framework is, defective or not.

    Parameters
    ----------
    structure
        A relaxed or built framework.
    pristine
        What it is a defective form of; without it missing nodes and linkers are not known.
    charges
        Charges of ions that have several, by element or formula.
    blocks
        Its blocks, if they are known.

    Raises
    ------
    InputError
        If nodes and linkers make no net, or there are more of them than in the pristine framework.

    Examples
    --------
    >>> from mofmd.structures.crystals.carboxylate import uio66
    >>> characterise(uio66()).caps
    {}
    """
    blocks = blocks or find_blocks(structure)
    if pristine is not None:
        _check_pristine(blocks, pristine)
    degrees = np.bincount(blocks.link_bricks[blocks.is_linking], minlength=len(blocks))
    metals, counts = np.unique(blocks.symbols[blocks.is_metal], return_counts=True)
    try:
        charge: int | None = int(block_charges(blocks, charges).sum())
    except InputError:
        charge = None
    density = structure.get_masses().sum() / structure.get_volume() * G_PER_MOL_A3_TO_G_PER_CM3
    return Character(
        n_atoms=len(structure),
        formula=structure.get_chemical_formula("hill"),
        density_g_per_cm3=float(density),
        metals={str(k): int(n) for k, n in zip(metals, counts, strict=True)},
        nodes=len(blocks.nodes),
        linkers=len(blocks.linkers),
        coordination=dict(sorted(Counter(degrees[blocks.nodes].tolist()).items())),
        caps=_caps(blocks),
        guests=dict(Counter(map(blocks.formula, np.flatnonzero(blocks.kinds == GUEST).tolist()))),
        charge=charge,
        pristine=pristine,
    )


def _caps(blocks: Blocks) -> dict[str, int]:
    """Count the groups that only one brick holds, and the ligands that only one metal holds."""
    graph = blocks.graph
    found: Counter[str] = Counter()
    single = np.flatnonzero((blocks.cuts_of_block == 1) & (blocks.kinds != BRICK))
    found.update(blocks.formula(block) for block in single.tolist())
    free = (blocks.head_of_atom >= 0) & ~np.isin(np.arange(graph.n_atoms), blocks.cuts.heads)
    found["H"] += int(free.sum())
    inside = ~graph.to_metal & (
        blocks.block_of_atom[graph.first] == blocks.block_of_atom[graph.second]
    )
    parts = connected_parts(graph.select(inside))
    n = len(parts.endless)
    metals_at = np.unique(
        np.stack([parts.labels[graph.second], graph.first], axis=1)[graph.to_metal], axis=0
    )
    terminal = np.bincount(metals_at[:, 0], minlength=n) == 1
    terminal[parts.labels[blocks.head_of_atom >= 0]] = False
    atoms_of = np.flatnonzero(terminal[parts.labels])
    for part in np.unique(parts.labels[atoms_of]).tolist():
        found[hill_formula(blocks.symbols[atoms_of[parts.labels[atoms_of] == part]])] += 1
    return {CAP_NAMES.get(name, name): n for name, n in sorted(found.items()) if n}


def _nodes_in(pristine: Atoms, structure: Atoms, nodes: int) -> int:
    """Nodes of the pristine framework that fit into a structure's cell."""
    own, _ = structure.cell.standard_form()
    cell, _ = pristine.cell.standard_form()
    repeats = own.array @ np.linalg.inv(cell.array)
    if np.abs(repeats - np.rint(repeats)).max() < CELLS_TOLERANCE:
        return nodes * abs(round(float(np.linalg.det(np.rint(repeats)))))
    by_volume = nodes * float(structure.get_volume() / pristine.get_volume())
    if abs(by_volume - round(by_volume)) > NODES_TOLERANCE or round(by_volume) < 1:
        raise InputError(
            f"pristine: {by_volume:.2f} nodes would fit into the structure's cell by volume, which "
            "is no whole number; give the pristine framework in the same cell (--supercell)"
        )
    return round(by_volume)


def _check_pristine(blocks: Blocks, pristine: Pristine) -> None:
    for name, own, most in (
        ("nodes", len(blocks.nodes), pristine.nodes),
        ("linkers", len(blocks.linkers), pristine.linkers),
    ):
        if own > most:
            raise InputError(
                f"pristine: has {most} {name}, fewer than the structure's {own}; it is another "
                "framework, or in another cell"
            )
