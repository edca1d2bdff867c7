"""Reading structures: built-in crystals, and files of several formats."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.errors import InputError, InputWarning, MissingFileError, absent, did_you_mean
from mofmd.structures.cif.cif import read_cif
from mofmd.structures.crystals.carboxylate import mof5, uio66
from mofmd.structures.crystals.zif import zif4, zif8
from mofmd.structures.frames import read_frame
from mofmd.structures.lammps_data import read_lammps_data
from mofmd.structures.poscar import read_poscar
from mofmd.structures.reading import Reading
from mofmd.trajectory.streams import plain_suffix

BUILDERS: dict[str, Callable[[], Atoms]] = {
    "zif-4": zif4,
    "zif-8": zif8,
    "mof-5": mof5,
    "uio-66": uio66,
}
FORMATS = {
    ".cif": "CIF",
    ".extxyz": "extended XYZ",
    ".xyz": "extended XYZ",
    ".data": "LAMMPS data",
    ".lmp": "LAMMPS data",
    ".poscar": "POSCAR",
    ".vasp": "POSCAR",
    ".dump": "LAMMPS dump",
    ".lammpstrj": "LAMMPS dump",
}
CHOICE = "#"
FLAT_A3 = 1e-3  # less volume than any atom has
CELLS_AWAY = 10_000  # farther than atoms diffuse; LAMMPS brings atoms back cell by cell


def read_structure(source: str | Path, which: str | int | None = None) -> Atoms:
    """Build a crystal by its name, or read a file.

    Parameters
    ----------
    source
        ``zif-4``, ``zif-8``, ``mof-5``, ``uio-66``; or a CIF, extxyz, LAMMPS data (``units
        metal`` or ``real``, elements from labels and masses), LAMMPS dump or POSCAR file. A LAMMPS
        file is taken as it is, in LAMMPS's axes.
    which
        Structure to take of a file that holds several: the name of a CIF's block, or a number from
        zero (−1: the last frame). ``FILE#WHICH`` says the same in one word.

    Returns
    -------
    Atoms
        Symbols, positions [Å], cell, periodic as the file says; nothing else.

    Raises
    ------
    InputError
        If the format is unknown, or the file leaves open or contradicts what the structure is.

    Warns
    -----
    InputWarning
        Of what people should know of how the file was taken.

    Examples
    --------
    >>> len(read_structure("uio-66"))
    456
    """
    if str(source) in BUILDERS:
        return BUILDERS[str(source)]()
    path, choice = split_choice(source)
    if which is not None:
        if choice is not None:
            raise InputError(f"structure: {source}: says which structure, as `which` does")
        choice = str(which)
    if not path.is_file():
        raise MissingFileError(
            f"structure: {path}: {absent(path)}, and no built-in crystal ({', '.join(BUILDERS)})"
            f"{did_you_mean(str(source), BUILDERS)}"
        )
    reading = _read_file(path, choice)
    _check_numbers(path, reading.atoms)
    for note in reading.notes:
        warnings.warn(f"structure: {path}: {note}", InputWarning, stacklevel=2)
    return reading.atoms


def split_choice(source: str | Path) -> tuple[Path, str | None]:
    """Split ``FILE#WHICH``; a file whose name holds the sign is itself.

    Examples
    --------
    >>> split_choice("two.cif#second")
    (PosixPath('two.cif'), 'second')
    """
    name, sign, choice = str(source).rpartition(CHOICE)
    if not sign or not choice or Path(source).exists():
        return Path(source), None
    return Path(name), choice


def is_structure(source: str | Path) -> bool:
    """Whether a path or the name of a built-in crystal is one structure, not a trajectory."""
    if str(source) in BUILDERS:
        return True
    path, choice = split_choice(source)
    kind = _format(path)
    return kind in ("CIF", "LAMMPS data", "POSCAR") or (kind is not None and choice is not None)


def has_known_format(path: Path) -> bool:
    """Whether ``read_structure`` would read a file of this name."""
    return _format(path) is not None


def _check_numbers(path: Path, atoms: Atoms) -> None:
    """Refuse what no reader may give: numbers that are none, no volume, atoms in the far distance.

    Raises
    ------
    InputError
        Naming the atom, counted from one.
    """
    if not len(atoms):
        raise InputError(f"structure: {path}: holds no atoms")
    bad = ~np.isfinite(atoms.positions).all(axis=1)
    if bad.any():
        raise InputError(
            f"structure: {path}: the position of atom {int(bad.argmax()) + 1} holds what is no "
            "number"
        )
    cell = atoms.cell.array
    if not np.isfinite(cell).all() or (atoms.pbc.all() and abs(np.linalg.det(cell)) < FLAT_A3):
        raise InputError(
            f"structure: {path}: has a cell without volume: a, b, c are "
            f"{', '.join(str(row.tolist()) for row in cell)} Å"
        )
    if atoms.pbc.all():
        away = np.abs(np.floor(atoms.get_scaled_positions(wrap=False))).max(axis=1)
        if away.max() > CELLS_AWAY:
            raise InputError(
                f"structure: {path}: atom {int(away.argmax()) + 1} is {away.max():.3g} cells away "
                "from the cell; correct its position, or the unit of the cell (Å)"
            )


def _read_file(path: Path, choice: str | None) -> Reading:
    kind = _format(path)
    if kind is None:
        raise InputError(
            f"structure: {path}: format {path.suffix.lower() or 'without suffix'} is unknown; it "
            f"can be {', '.join(FORMATS)} or POSCAR"
        )
    try:
        if kind == "CIF":
            return read_cif(path, choice)
        if kind == "POSCAR":
            return read_poscar(path, choice)
        if kind == "LAMMPS data":
            if choice is not None:
                raise InputError(f"holds one structure; leave out {CHOICE}{choice}")
            return read_lammps_data(path)
        return read_frame(path, choice)
    except InputError as error:
        text = str(error)
        where = "" if text.startswith(str(path)) else f"{path}: "
        raise InputError(f"structure: {where}{text}") from error
    except Exception as error:
        raise InputError(
            f"structure: {path}: cannot be read as {kind}: {type(error).__name__}: {error}"
        ) from error


def _format(path: Path) -> str | None:
    """Name of a file's format; None for one that is unknown."""
    if path.name.upper().startswith(("POSCAR", "CONTCAR")):
        return "POSCAR"
    if path.name.startswith("data."):  # as LAMMPS's own examples are named
        return "LAMMPS data"
    return FORMATS.get(plain_suffix(path).lower())
