"""One frame of a trajectory, and the elements of its atoms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.errors import InputError


class Species(Sequence[str]):
    """Element of each atom; one object is shared by all frames of a trajectory.

    Parameters
    ----------
    names
        Element symbol of each atom, in the order of the atoms.
    """

    def __init__(self, names: Sequence[str]) -> None:
        elements, codes = np.unique(np.asarray(list(names), dtype=np.str_), return_inverse=True)
        self._set(elements.tolist(), codes)

    @classmethod
    def from_codes(cls, words: Sequence[str], codes: np.ndarray) -> Species:
        """Make it from different elements, in any order, and each atom's index among them."""
        elements, merged = np.unique(np.asarray(list(words), dtype=np.str_), return_inverse=True)
        species = cls.__new__(cls)
        species._set(elements.tolist(), merged[codes])
        return species

    def _set(self, elements: list[str], codes: np.ndarray) -> None:
        self.elements = tuple(elements)
        self.codes = np.asarray(codes, dtype=np.int64).reshape(-1)
        self.codes.setflags(write=False)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Element symbol of each atom."""
        return tuple(np.array(self.elements, dtype=object)[self.codes].tolist())

    @cached_property
    def masses(self) -> np.ndarray:
        """(atoms,) standard atomic masses [g/mol]."""
        return self._per_atom("atomic_masses")

    @cached_property
    def covalent_radii(self) -> np.ndarray:
        """(atoms,) covalent radii [Å] (Cordero et al., Dalton Trans. 2008, 2832)."""
        return self._per_atom("covalent_radii")

    def atoms_of(self, element: str) -> np.ndarray:
        """Give the indices of the atoms of one element.

        Raises
        ------
        InputError
            If there is none.
        """
        if element not in self.elements:
            raise InputError(
                f"no {element} in the structure, whose elements are {', '.join(self.elements)}"
            )
        return np.flatnonzero(self.codes == self.elements.index(element))

    def _per_atom(self, table: str) -> np.ndarray:
        import ase.data

        unknown = [name for name in self.elements if name not in ase.data.atomic_numbers]
        if unknown:
            raise InputError(f"species: {unknown[0]!r} is not a chemical element; give type names")
        numbers = [ase.data.atomic_numbers[name] for name in self.elements]
        values = np.asarray(getattr(ase.data, table)[numbers][self.codes], dtype=np.float64)
        values.setflags(write=False)
        return values

    def __len__(self) -> int:
        """Count the atoms."""
        return len(self.codes)

    # a slice is a tuple of names here, where the base class has another Sequence
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:  # type: ignore[override]
        """Give the element of an atom."""
        return self.names[index]

    def __iter__(self) -> Iterator[str]:
        """Go through the elements of the atoms."""
        return iter(self.names)

    def __eq__(self, other: object) -> bool:
        """Compare with another sequence of elements."""
        if isinstance(other, Species):
            return self.elements == other.elements and np.array_equal(self.codes, other.codes)
        return isinstance(other, tuple) and self.names == other

    def __hash__(self) -> int:
        """Hash of the names."""
        return hash(self.names)


@dataclass(frozen=True, eq=False)
class Frame:
    """Positions at one time; arrays are read-only.

    Parameters
    ----------
    step
        Step of the simulation.
    species
        Element of each atom, atoms in the order of their LAMMPS ids.
    positions
        (atoms, 3) Cartesian positions [Å], float64.
    cell
        (3, 3) cell matrix, rows a, b, c [Å], in LAMMPS's orientation; the origin is left out.
    unwrapped
        Whether positions run on beyond the cell, as diffusion needs them.
    time_ps
        Time, where the file or the reader was told it.
    velocities
        (atoms, 3) [Å/ps], where the file has them.
    pbc
        Whether a, b and c are periodic.
    """

    step: int
    species: Species
    positions: np.ndarray
    cell: np.ndarray
    unwrapped: bool = True
    time_ps: float | None = None
    velocities: np.ndarray | None = None
    pbc: tuple[bool, bool, bool] = (True, True, True)

    def __post_init__(self) -> None:
        """Refuse positions that are no numbers; make the arrays read-only."""
        if not np.isfinite(self.positions).all():
            atom = int(np.flatnonzero(~np.isfinite(self.positions).all(axis=1))[0])
            raise InputError(
                f"positions: of atom {atom} at step {self.step} are not numbers; if a simulation "
                "has blown up, use frames before that"
            )
        if not np.isfinite(self.cell).all() or self.volume_A3 <= 0:
            raise InputError(
                f"cell: at step {self.step} has volume {self.volume_A3:g} Å³; a, b, c must be "
                "right-handed and not flat"
            )
        freeze(self, "positions", "cell", "velocities")

    def __len__(self) -> int:
        """Count the atoms."""
        return len(self.positions)

    @property
    def volume_A3(self) -> float:
        """Volume of the cell [Å³]."""
        return float(np.linalg.det(self.cell))

    @classmethod
    def from_ase(
        cls,
        atoms: Atoms,
        step: int = 0,
        time_ps: float | None = None,
        *,
        unwrapped: bool = True,
    ) -> Frame:
        """Make a frame of a structure."""
        if np.linalg.det(atoms.cell[:]) <= 0:
            raise InputError(f"structure: cell {atoms.cell.cellpar().round(3)} has no volume")
        return cls(
            step=step,
            species=Species(atoms.symbols),
            positions=np.array(atoms.positions, dtype=np.float64),
            cell=np.array(atoms.cell[:], dtype=np.float64),
            unwrapped=unwrapped,
            time_ps=time_ps,
            pbc=(bool(atoms.pbc[0]), bool(atoms.pbc[1]), bool(atoms.pbc[2])),
        )

    def to_ase(self) -> Atoms:
        """Structure of the frame, without velocities."""
        return Atoms(list(self.species), positions=self.positions, cell=self.cell, pbc=self.pbc)
