"""Chemical integrity: which bonds must hold, which atoms are too close."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii
from scipy.spatial import cKDTree

from mofmd.arrays import freeze
from mofmd.disk.record import read_record
from mofmd.errors import InputError
from mofmd.geometry.minimum_image import short_vectors
from mofmd.geometry.neighbours import cell_heights
from mofmd.topology.building_units import find_linkers

SCHEMA = "mofmd-integrity-1"
MEND = "write the deck again"
# of the sum of the covalent radii: C-H 0.53, C-N 0.74, Zn-N 0.97 Å
CONTACT_FACTOR = 0.5
# of the same sum: C-H 1.87, C-N 2.57 Å. In a melt at 1500 K bonds reach 1.4 times it for a moment
# and come back; the analysis counts those frame by frame, a run must not end for them.
SEVERED_FACTOR = 1.75


@dataclass(frozen=True)
class Limits:
    """What a run may not do to its atoms; arrays are read-only.

    Parameters
    ----------
    type_names
        Element of each LAMMPS type.
    bonds
        (bonds, 2) LAMMPS ids of bonded atoms, from the bond graph of the starting structure.
    bond_limits_A
        (bonds,) length from which a bond is broken.
    linker_of_bond
        (bonds,) number of the linker that the bond belongs to.
    """

    type_names: tuple[str, ...]
    bonds: np.ndarray
    bond_limits_A: np.ndarray
    linker_of_bond: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "bonds", "bond_limits_A", "linker_of_bond")

    @property
    def contact_lengths(self) -> np.ndarray:
        """(types, types) distance below which two atoms are too close [Å]."""
        radii = covalent_radii[[atomic_numbers[name] for name in self.type_names]]
        contacts: np.ndarray = CONTACT_FACTOR * (radii[:, None] + radii[None, :])
        return contacts


@dataclass(frozen=True)
class Violation:
    """Something that must not happen, as seen in one step.

    Parameters
    ----------
    kind
        ``linker``, ``contact``, ``not a number``, ``lost atoms``, ``temperature``, ``energy`` or
        ``novelty``.
    message
        What happened, with the atoms by element and LAMMPS id.
    atoms
        LAMMPS ids of the atoms concerned.
    """

    kind: str
    message: str
    atoms: tuple[int, ...] = ()


def find_limits(structure: Atoms, type_names: Sequence[str]) -> Limits:
    """Find the linkers of a starting structure and the lengths that their bonds may have.

    Linkers are the connected parts of the covalent bond graph that hold carbon: imidazolates,
    benzene dicarboxylates and whatever else the structure is made of.
    """
    linkers = find_linkers(structure)
    limits = SEVERED_FACTOR * linkers.bonds.radii_sum
    if len(limits) and limits.max() >= cell_heights(structure.cell.array).min() / 2:
        raise InputError(
            f"structure: the cell is thinner than {2 * limits.max():.2f} Å, so that a bond and its "
            "periodic image cannot be told apart; use a supercell"
        )
    return Limits(
        type_names=tuple(type_names),
        bonds=np.stack([linkers.bonds.first, linkers.bonds.second], axis=1) + 1,
        bond_limits_A=np.round(limits, 4),
        linker_of_bond=np.asarray(linkers.linker_of_bond),
    )


def render_limits(limits: Limits) -> str:
    """Text of the file that holds the limits."""
    rows = zip(limits.bonds, limits.bond_limits_A, limits.linker_of_bond, strict=True)
    bonds = ",\n".join(f"  [{i}, {j}, {limit:g}, {k}]" for (i, j), limit, k in rows)
    return (
        f'{{"schema": "{SCHEMA}",\n'
        f' "type_names": {json.dumps(list(limits.type_names))},\n'
        ' "columns": ["id", "id", "longest_A", "linker"],\n'
        f' "bonds": [\n{bonds}\n ]}}\n'
    )


def read_limits(path: Path) -> Limits:
    """Read a file of what ``render_limits`` wrote.

    Raises
    ------
    MissingFileError, InputError
        If there is no such file, or it holds something else.
    """
    values = read_record(path, SCHEMA, kind="a deck", mend=MEND)
    try:
        names = tuple(values["type_names"])
        table = np.array(values["bonds"], dtype=np.float64).reshape(-1, 4)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: is damaged ({error!r}); {MEND}") from error
    unknown = [name for name in names if name not in atomic_numbers]
    if unknown:
        raise InputError(f"{path}: {unknown[0]!r} is no chemical element; {MEND}")
    if not np.isfinite(table).all():
        raise InputError(f"{path}: bonds holds what is no number; {MEND}")
    return Limits(
        type_names=names,
        bonds=table[:, :2].astype(np.int64),
        bond_limits_A=table[:, 2].copy(),
        linker_of_bond=table[:, 3].astype(np.int64),
    )


@dataclass(frozen=True)
class LocalAtoms:
    """Atoms that one rank sees: its own first, then ghosts.

    Parameters
    ----------
    n_own
        Number of its own.
    ids, types, positions
        (atoms,) LAMMPS ids, (atoms,) types from 1, (atoms, 3) positions [Å].
    cell
        (3, 3) cell matrix, rows a, b, c [Å].
    """

    n_own: int
    ids: np.ndarray
    types: np.ndarray
    positions: np.ndarray
    cell: np.ndarray


def find_violation(limits: Limits, atoms: LocalAtoms, n_atoms: int) -> Violation | None:
    """Check the atoms of one rank; the first thing that is wrong, or None.

    Parameters
    ----------
    limits
        What must hold.
    atoms
        The rank's atoms.
    n_atoms
        Atoms of the whole system.
    """
    own = atoms.positions[: atoms.n_own]
    bad = np.flatnonzero(~np.isfinite(own).all(axis=1))
    if len(bad):
        names = _name(limits, atoms, bad[:1])
        return Violation(
            "not a number", f"the position of {names[0]} is not a number", _ids(atoms, bad)
        )
    return _broken_linker(limits, atoms, n_atoms) or _close_contact(limits, atoms)


def _broken_linker(limits: Limits, atoms: LocalAtoms, n_atoms: int) -> Violation | None:
    """First broken bond among those whose first atom the rank owns."""
    if not len(limits.bonds):
        return None
    # any image of the second atom will do: the nearest one is found by rounding
    index = np.full(n_atoms + 1, -1)
    index[atoms.ids[::-1]] = np.arange(len(atoms.ids))[::-1]
    first, second = index[limits.bonds[:, 0]], index[limits.bonds[:, 1]]
    mine = (first >= 0) & (first < atoms.n_own)
    vectors = atoms.positions[second[mine]] - atoms.positions[first[mine]]
    lengths = np.linalg.norm(short_vectors(vectors, atoms.cell), axis=1)
    # an atom beyond the reach of the ghosts is farther than any bond
    lengths[second[mine] < 0] = np.inf
    broken = np.flatnonzero(lengths >= limits.bond_limits_A[mine])
    if not len(broken):
        return None
    worst = broken[np.argmax(lengths[broken] / limits.bond_limits_A[mine][broken])]
    number = np.flatnonzero(mine)[worst]
    pair = limits.bonds[number]
    names = [
        _name(limits, atoms, [k])[0] if k >= 0 else f"atom {i}"
        for i, k in zip(pair, (first[number], second[number]), strict=True)
    ]
    length = f"{lengths[worst]:.2f} Å" if np.isfinite(lengths[worst]) else "out of reach"
    return Violation(
        "linker",
        f"linker {limits.linker_of_bond[number]} is broken: {names[0]}-{names[1]} is {length}, "
        f"intact below {limits.bond_limits_A[number]:.2f} Å",
        tuple(int(i) for i in pair),
    )


def _close_contact(limits: Limits, atoms: LocalAtoms) -> Violation | None:
    contacts = limits.contact_lengths
    tree = cKDTree(atoms.positions, balanced_tree=False, compact_nodes=False)
    pairs = tree.query_pairs(contacts.max(), output_type="ndarray")
    pairs = pairs[pairs[:, 0] < atoms.n_own]
    lengths = np.linalg.norm(atoms.positions[pairs[:, 0]] - atoms.positions[pairs[:, 1]], axis=1)
    allowed = contacts[atoms.types[pairs[:, 0]] - 1, atoms.types[pairs[:, 1]] - 1]
    close = np.flatnonzero(lengths < allowed)
    if not len(close):
        return None
    worst = close[np.argmin(lengths[close] / allowed[close])]
    names = _name(limits, atoms, pairs[worst])
    return Violation(
        "contact",
        f"{names[0]} and {names[1]} are {lengths[worst]:.2f} Å apart, at least "
        f"{allowed[worst]:.2f} Å is expected",
        _ids(atoms, pairs[worst]),
    )


def _name(limits: Limits, atoms: LocalAtoms, which: Sequence[int] | np.ndarray) -> list[str]:
    return [f"{limits.type_names[atoms.types[k] - 1]} {atoms.ids[k]}" for k in which]


def _ids(atoms: LocalAtoms, which: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in atoms.ids[which])
