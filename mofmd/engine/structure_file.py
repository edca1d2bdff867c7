"""Writing structures: extended XYZ, CIF, LAMMPS data."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

from ase import Atoms

from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.engine.lammps_data import render_data
from mofmd.errors import InputError


def _extxyz(atoms: Atoms) -> str:
    from ase.io import write

    buffer = io.StringIO()
    write(buffer, atoms, format="extxyz")
    return buffer.getvalue()


def _cif(atoms: Atoms) -> str:
    from ase.io import write

    buffer = io.BytesIO()
    write(buffer, atoms, format="cif", wrap=True)
    return buffer.getvalue().decode("utf-8")


def _lammps_data(atoms: Atoms) -> str:
    return render_data(atoms, sorted(set(atoms.symbols)))


WRITERS: dict[str, Callable[[Atoms], str]] = {
    ".extxyz": _extxyz,
    ".xyz": _extxyz,
    ".cif": _cif,
    ".data": _lammps_data,
    ".lmp": _lammps_data,
}


def check_writable(path: Path) -> None:
    """Refuse a name whose suffix is of no format that structures are written in.

    Raises
    ------
    InputError
        Naming those that are.
    """
    if path.suffix.lower() not in WRITERS:
        raise InputError(
            f"{path}: format {path.suffix.lower() or 'without suffix'} is not written; it can be "
            f"{', '.join(WRITERS)}"
        )


def write_structure(path: Path, atoms: Atoms) -> None:
    """Write a structure in the format that its file's suffix names, all of it or nothing.

    Parameters
    ----------
    path
        ``.extxyz``, ``.xyz``, ``.cif``, ``.data`` or ``.lmp``; its folder is made if it lacks.
    atoms
        The structure. LAMMPS's types are the elements in the order of the alphabet.

    Raises
    ------
    InputError
        If the suffix is of another format.
    WriteError
        If the file cannot be written.
    """
    check_writable(path)
    text = WRITERS[path.suffix.lower()](atoms)
    make_folder(path.parent)
    write_atomic(path, text)
