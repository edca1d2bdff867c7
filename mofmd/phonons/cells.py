"""Cells of a phonon calculation: primitive cell, supercell, and how large the latter must be."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.models.files.deployed import find_manifest
from mofmd.models.files.model_file import read_model_file
from mofmd.structures.read import read_structure
from mofmd.structures.symmetry import symmetry_search
from mofmd.trajectory.frame import Species

if TYPE_CHECKING:
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

SYMMETRY_TOLERANCE_A = 1e-5
IS_PRIMITIVE = 0.99  # share of the given cell: above it is the primitive cell already


def check_crystal(atoms: Atoms) -> None:
    """Refuse a structure that is not periodic in three directions, before anything is made of it.

    Raises
    ------
    InputError
        If it is none, saying what to do.
    """
    if np.all(atoms.pbc):
        return
    kind = ("no cell", "a chain", "a slab")[int(np.sum(atoms.pbc))]
    raise InputError(
        f"structure: is not periodic in three directions ({kind}), and phonons are those of "
        "crystals: put it into a cell that is, with vacuum wider than the model reaches where it "
        'ends (extended XYZ with pbc="T T T", or a CIF)'
    )


def read_crystal(source: str) -> Atoms:
    """Read a structure as ``read_structure`` does, and refuse it if it is no crystal."""
    atoms = read_structure(source)
    check_crystal(atoms)
    return atoms


def to_phonopy(atoms: Atoms) -> PhonopyAtoms:
    """Take a crystal to phonopy, with standard atomic masses [g/mol].

    Raises
    ------
    InputError
        If the structure is no crystal.
    """
    from phonopy.structure.atoms import PhonopyAtoms

    check_crystal(atoms)
    symbols = atoms.get_chemical_symbols()
    return PhonopyAtoms(
        symbols=symbols,
        cell=atoms.cell.array,
        scaled_positions=atoms.get_scaled_positions(wrap=False),
        masses=Species(symbols).masses,
    )


def to_atoms(cell: PhonopyAtoms) -> Atoms:
    """Take a cell back from phonopy; positions are as they are there, nothing is wrapped."""
    return Atoms(cell.symbols, positions=cell.positions, cell=cell.cell, pbc=True)


@contextmanager
def _any_shape() -> Iterator[None]:
    """Leave out a warning of phonopy that says nothing of the crystal.

    It is of a supercell whose shape has less symmetry than the crystal, as 2x2x1 of a cube has:
    more displacements are made then, and the force constants are as good.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Warning: Point group symmetries", UserWarning)
        yield


def make_phonopy(
    cell: PhonopyAtoms, supercell: np.ndarray, primitive: np.ndarray, tolerance_A: float
) -> Phonopy:
    """Make phonopy's object of any supercell, whatever its shape.

    Parameters
    ----------
    cell
        Unit cell.
    supercell, primitive
        (3, 3) matrices, of the supercell and of the primitive cell.
    tolerance_A
        Within which symmetry is found.
    """
    from phonopy import Phonopy

    with _any_shape():
        return Phonopy(cell, supercell, primitive, symprec=tolerance_A)


def replicate(phonopy: Phonopy) -> Phonopy:
    """Make phonopy's object anew of the same cells, without what it knows of forces."""
    with _any_shape():
        return phonopy.replicate()


def new_phonopy(
    cell: PhonopyAtoms, supercell: np.ndarray, symmetry_tolerance_A: float = SYMMETRY_TOLERANCE_A
) -> Phonopy:
    """Make phonopy's object; bands are those of the primitive cell.

    The given cell is kept where it is primitive, so that wave vectors are in the user's own axes.

    Parameters
    ----------
    cell
        Unit cell.
    supercell
        (3, 3) whole numbers.
    symmetry_tolerance_A
        Within which symmetry is found.

    Raises
    ------
    InputError
        If the tolerance makes no sense, or atoms are at one place.
    """
    from phonopy.structure.cells import guess_primitive_matrix

    with symmetry_search(to_atoms(cell), symmetry_tolerance_A):
        matrix = np.asarray(guess_primitive_matrix(cell, symprec=symmetry_tolerance_A))
        if abs(np.linalg.det(matrix)) > IS_PRIMITIVE:
            matrix = np.eye(3)
        return make_phonopy(cell, supercell, matrix, symmetry_tolerance_A)


def check_modes(phonopy: Phonopy, where: str = "supercell") -> None:
    """Refuse a supercell of one atom, whose only modes are the translations.

    Raises
    ------
    InputError
        If it is one.
    """
    if len(phonopy.supercell) == 1:
        raise InputError(
            f"{where}: holds one atom, and no force acts on it when all its images move with it: "
            "take a larger supercell, such as 2x2x2"
        )


def widths(cell_A: np.ndarray) -> np.ndarray:
    """(3,) distances between opposite faces of a cell [Å].

    Examples
    --------
    >>> [float(w) for w in widths(np.diag([3.0, 4.0, 5.0]))]
    [3.0, 4.0, 5.0]
    """
    return np.asarray(1.0 / np.linalg.norm(np.linalg.inv(cell_A), axis=0))


def model_reach_A(model: Path) -> tuple[float, bool]:
    """How far a model's forces reach [Å], and whether that is known.

    A displaced atom changes the forces of atoms within this distance. For layers that pass messages
    it is their number times the cutoff; a file that does not tell gives one cutoff.
    """
    manifest = find_manifest(model)
    if manifest is not None and "interaction_range" in manifest:
        return float(manifest["interaction_range"]), True
    r_max_A = read_model_file(model).r_max_A
    return (0.0 if r_max_A is None else r_max_A), False


def sufficient_supercell(cell_A: np.ndarray, reach_A: float) -> tuple[int, int, int]:
    """Fewest repetitions whose faces lie at least twice the reach apart.

    Below this an atom feels another one and its image at once, and their force constants, which
    belong to different phases of a wave, are told as one sum.

    Examples
    --------
    >>> sufficient_supercell(np.diag([15.4, 15.4, 18.4]), 10.0)
    (2, 2, 2)
    """
    n = np.ceil(2.0 * reach_A / widths(cell_A) - 1e-6).astype(int)
    a, b, c = (max(1, int(k)) for k in n)
    return a, b, c
