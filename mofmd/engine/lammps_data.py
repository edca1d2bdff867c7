"""LAMMPS data files: the structure that a simulation starts from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from mofmd.disk.atomic import write_atomic
from mofmd.errors import InputError


def write_data(path: Path, atoms: Atoms, type_names: Sequence[str]) -> None:
    """Write a structure as a LAMMPS data file, ``atom_style atomic``, ``units metal``.

    Parameters
    ----------
    path
        File to write; replaced in one step if it exists.
    atoms
        Periodic structure with a right-handed cell. LAMMPS wants a along x and b in the xy plane,
        so the cell and the atoms are rotated together; fractional coordinates stay as they are
        and atoms outside the cell stay outside (LAMMPS wraps them and counts the images).
    type_names
        Element of each LAMMPS type, in order. Types without atoms are allowed.

    Examples
    --------
    >>> import ase.build, pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "copper.data"
    >>> write_data(file, ase.build.bulk("Cu", cubic=True), ["Cu"])
    >>> file.read_text().splitlines()[2]
    '4 atoms'
    """
    write_atomic(path, render_data(atoms, type_names))


def render_data(
    atoms: Atoms, type_names: Sequence[str], types: Sequence[int] | np.ndarray | None = None
) -> str:
    """Text of the data file that ``write_data`` writes.

    Parameters
    ----------
    atoms, type_names
        As there.
    types
        (atoms,) type of each atom, from 1, where several types are of one element; by default its
        element's.
    """
    types = _types_by_element(atoms, type_names) if types is None else types
    _check_types(atoms, type_names, types)
    cell = restricted_cell(atoms)
    positions = atoms.get_scaled_positions(wrap=False) @ cell
    lines = [
        f"{atoms.get_chemical_formula()}, units metal (A, g/mol), atom_style atomic",
        "",
        f"{len(atoms)} atoms",
        f"{len(type_names)} atom types",
        "",
        *(f"0.0 {cell[k, k]:.10f} {axis}lo {axis}hi" for k, axis in enumerate("xyz")),
    ]
    if cell[1, 0] or cell[2, 0] or cell[2, 1]:
        lines.append(f"{cell[1, 0]:.10f} {cell[2, 0]:.10f} {cell[2, 1]:.10f} xy xz yz")
    lines += ["", "Masses", ""]
    lines += [
        f"{k} {atomic_masses[atomic_numbers[name]]:.6f}  # {name}"
        for k, name in enumerate(type_names, start=1)
    ]
    lines += ["", "Atoms  # atomic", ""]
    lines += [
        f"{k} {kind} {x:.10f} {y:.10f} {z:.10f}"
        for k, (kind, (x, y, z)) in enumerate(zip(types, positions, strict=True), start=1)
    ]
    return "\n".join(lines) + "\n"


def lammps_rotation(atoms: Atoms) -> np.ndarray:
    """(3, 3) rotation from a structure's axes to those of its data file: v_lammps = v @ rotation.

    Vectors turn back with its transpose, tensors with rotation @ t_lammps @ rotation.T.
    """
    restricted = restricted_cell(atoms)
    rotation: np.ndarray = np.linalg.solve(atoms.cell.array, restricted)
    return rotation


def _check_types(
    atoms: Atoms, type_names: Sequence[str], types: Sequence[int] | np.ndarray
) -> None:
    """Refuse types that are not of their atoms' elements."""
    if len(types) != len(atoms):
        raise InputError(f"types: {len(types)} for {len(atoms)} atoms")
    for k, (symbol, kind) in enumerate(zip(atoms.symbols, types, strict=True), start=1):
        if not 1 <= kind <= len(type_names) or type_names[kind - 1] != symbol:
            raise InputError(
                f"types: atom {k} is {symbol} and has type {kind} of {list(type_names)}"
            )


def _types_by_element(atoms: Atoms, type_names: Sequence[str]) -> list[int]:
    """LAMMPS type (from 1) of each atom, one type for each element."""
    unknown = [name for name in type_names if name not in atomic_numbers]
    if unknown:
        raise InputError(f"type_names: {unknown[0]!r} is not a chemical element")
    if len(set(type_names)) != len(type_names):
        raise InputError(f"type_names: an element occurs twice in {list(type_names)}")
    missing = sorted(set(atoms.symbols) - set(type_names))
    if missing:
        raise InputError(
            f"type_names: the structure holds {missing[0]}, which is not among {list(type_names)}"
        )
    index = {name: k for k, name in enumerate(type_names, start=1)}
    return [index[symbol] for symbol in atoms.symbols]


def restricted_cell(atoms: Atoms) -> np.ndarray:
    """Cell in LAMMPS's orientation: rows a, b, c [Å], lower triangular, positive diagonal.

    Raises
    ------
    InputError
        If the structure is empty, not periodic in all directions, or its cell not right-handed.
    """
    if len(atoms) == 0:
        raise InputError("atoms: the structure is empty")
    if not atoms.pbc.all():
        raise InputError(
            f"atoms: periodic in {atoms.pbc.tolist()}, but a framework is periodic in all three "
            "directions; set atoms.pbc = True"
        )
    volume = float(np.linalg.det(atoms.cell))
    if volume <= 0:
        raise InputError(
            f"atoms: the cell vectors are not right-handed (a·(b×c) = {volume:.6g} Å³); "
            "swap two of them"
        )
    cell, _ = atoms.cell.standard_form()
    restricted = np.array(cell)
    # rotation leaves zeros as 1e-15; such a tilt would only make LAMMPS's box triclinic
    restricted[np.abs(restricted) < 1e-10] = 0.0
    return restricted
