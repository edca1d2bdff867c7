"""Groups of atoms that modes and densities of states are divided among."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.topology.building_units import find_units
from mofmd.trajectory.frame import Frame

MANY = 2  # groups, at least, that a division has


@dataclass(frozen=True)
class Groups:
    """Which atoms of the primitive cell belong together; symmetry takes a group to itself.

    Parameters
    ----------
    names
        Elements, then ``node …`` and ``linker …`` by their formulas, then ``guests``.
    members
        (groups, atoms), true or false.
    n_elements
        How many of the groups are elements.
    """

    names: tuple[str, ...]
    members: np.ndarray
    n_elements: int

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "members")

    @property
    def units(self) -> tuple[str, ...]:
        """Names of the groups that are building units."""
        return self.names[self.n_elements :]

    def dividing(self, *, units: bool) -> tuple[int, ...]:
        """Numbers of the elements, or of the building units, where these divide the atoms.

        There are none where all atoms are of one, or where building units divide the atoms as the
        elements do: they would tell nothing more.

        Parameters
        ----------
        units
            Building units instead of elements.
        """
        of_elements = tuple(range(self.n_elements))
        chosen = tuple(range(self.n_elements, len(self.names))) if units else of_elements
        if len(chosen) < MANY:
            return ()
        if units and self._division(chosen) == self._division(of_elements):
            return ()
        return chosen

    def _division(self, chosen: tuple[int, ...]) -> set[bytes]:
        return {self.members[k].tobytes() for k in chosen}

    def shares(self, eigenvectors: np.ndarray) -> np.ndarray:
        """(modes, groups) share of each group in the squared eigenvectors.

        Parameters
        ----------
        eigenvectors
            (3 atoms, modes), normalised.
        """
        weights = np.abs(eigenvectors.reshape(self.members.shape[1], 3, -1)) ** 2
        return np.asarray(weights.sum(axis=1).T @ self.members.T.astype(float))


def find_groups(atoms: Atoms) -> Groups:
    """Divide atoms by element, and by node and linker where the structure is a framework.

    Examples
    --------
    >>> from mofmd.structures.crystals.zif import zif4
    >>> find_groups(zif4()).names
    ('C', 'H', 'N', 'Zn', 'node Zn', 'linker C3H3N2')
    """
    symbols = np.array(atoms.get_chemical_symbols())
    names = sorted(set(symbols.tolist()))
    rows = [symbols == name for name in names]
    n_elements = len(names)
    units = find_units(Frame.from_ase(atoms))
    for kind, of_atom in (("node", units.node_of_atom), ("linker", units.linker_of_atom)):
        formulas = _formula_of_atom(symbols, of_atom)
        for formula in sorted(set(formulas) - {""}):
            names.append(f"{kind} {formula}")
            rows.append(np.array([each == formula for each in formulas]))
    guests = (units.node_of_atom < 0) & (units.linker_of_atom < 0)
    if guests.any() and not guests.all():
        names.append("guests")
        rows.append(guests)
    return Groups(tuple(names), np.array(rows), n_elements)


def participation_ratio(eigenvectors: np.ndarray) -> np.ndarray:
    """(modes,) share of the atoms that take part in each mode, between 1/N and 1.

    (Σᵢ|eᵢ|²)² / (N Σᵢ|eᵢ|⁴) over the atoms: Bell and Dean, Discuss. Faraday Soc. 50, 55 (1970).

    Parameters
    ----------
    eigenvectors
        (3 atoms, modes).

    Examples
    --------
    >>> float(participation_ratio(np.array([[1.0, 0, 0, 0, 0, 0]]).T)[0])
    0.5
    """
    n = eigenvectors.shape[0] // 3
    weights = (np.abs(eigenvectors.reshape(n, 3, -1)) ** 2).sum(axis=1)
    return np.asarray(weights.sum(axis=0) ** 2 / (n * (weights**2).sum(axis=0)))


def _formula_of_atom(symbols: np.ndarray, unit_of_atom: np.ndarray) -> list[str]:
    from ase.formula import Formula

    found = [""] * len(symbols)
    for unit in range(int(unit_of_atom.max(initial=-1)) + 1):
        inside = np.flatnonzero(unit_of_atom == unit)
        elements, counts = np.unique(symbols[inside], return_counts=True)
        parts = {str(name): int(n) for name, n in zip(elements, counts, strict=True)}
        formula = Formula.from_dict(parts).format("hill")
        for atom in inside:
            found[int(atom)] = formula
    return found
