"""Reading structures: built-in crystals and files, checked before anyone simulates them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses

from mofmd.errors import InputError, MissingFileError
from mofmd.structures.carboxylate import mof5, uio66
from mofmd.structures.zif import zif4, zif8

BUILDERS: dict[str, Callable[[], Atoms]] = {
    "zif-4": zif4,
    "zif-8": zif8,
    "mof-5": mof5,
    "uio-66": uio66,
}
FORMATS = {
    ".cif": "cif",
    ".extxyz": "extxyz",
    ".xyz": "extxyz",
    ".data": "lammps-data",
    ".lmp": "lammps-data",
    ".poscar": "vasp",
    ".vasp": "vasp",
}
MASS_TOLERANCE = 1e-3  # relative; tables of several decades differ by 5e-4 for Zn


def read_structure(source: str | Path) -> Atoms:
    """Build a crystal by its name, or read a file.

    Parameters
    ----------
    source
        ``zif-4``, ``zif-8``, ``mof-5``, ``uio-66``; or a CIF, extxyz, LAMMPS data (``units
        metal``, elements from the masses) or POSCAR file. A LAMMPS data file is taken as it is,
        in LAMMPS's axes.

    Returns
    -------
    Atoms
        Symbols, positions [Å], cell, periodic as the file says; nothing else.

    Raises
    ------
    InputError
        If the format is unknown, or the file has partial occupancies or unknown elements.

    Examples
    --------
    >>> len(read_structure("uio-66"))
    456
    """
    if str(source) in BUILDERS:
        return BUILDERS[str(source)]()
    path = Path(source)
    if not path.is_file():
        raise MissingFileError(
            f"structure: {source}: no such file, and no built-in crystal ({', '.join(BUILDERS)})"
        )
    return _read_file(path)


def _read_file(path: Path) -> Atoms:
    from ase.io import read

    kind = _format(path)
    options = {"atom_style": _atom_style(path)} if kind == "lammps-data" else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ASE on details of CIFs that are checked below
            atoms = read(path, format=kind, **options)
    except Exception as error:
        raise InputError(
            f"structure: {path}: cannot be read as {kind}: {type(error).__name__}: {error}"
        ) from error
    _refuse_partial_occupancy(path, atoms)
    if kind == "lammps-data":
        atoms = _elements_from_masses(path, atoms)
    unknown = np.flatnonzero(atoms.numbers == 0)
    if len(unknown):
        raise InputError(
            f"structure: {path}: atom {unknown[0] + 1} is of no known element; name a chemical "
            "element"
        )
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def _format(path: Path) -> str:
    if path.name.upper().startswith(("POSCAR", "CONTCAR")):
        return "vasp"
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(
            f"structure: {path}: format {suffix or 'without suffix'} is unknown; it can be "
            f"{', '.join(FORMATS)} or POSCAR"
        )
    return FORMATS[suffix]


def _atom_style(path: Path) -> str:
    """Atom style that a data file states behind its Atoms header, or that its columns show."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    header = next((k for k, line in enumerate(lines) if line.split()[:1] == ["Atoms"]), None)
    if header is None:
        raise InputError(f"structure: {path}: has no Atoms section")
    words = lines[header].split()
    if words[1:2] == ["#"] and len(words) > 2:
        return words[2]
    columns = next((line.split() for line in lines[header + 1 :] if line.strip()), [])
    if len(columns) == 5:
        return "atomic"
    if len(columns) == 6 and "." in columns[2]:
        return "charge"
    raise InputError(
        f"structure: {path}: the Atoms section does not name its style, and {len(columns)} columns "
        "do not show it; write 'Atoms # atomic' (or charge, full)"
    )


def _elements_from_masses(path: Path, atoms: Atoms) -> Atoms:
    masses = atoms.get_masses()
    for mass in np.unique(masses):
        nearest = int(np.argmin(np.abs(atomic_masses - mass)))
        if abs(atomic_masses[nearest] / mass - 1) > MASS_TOLERANCE:
            raise InputError(
                f"structure: {path}: mass {mass:g} g/mol is that of no element; correct the "
                "Masses section"
            )
        atoms.numbers[masses == mass] = nearest
    return atoms


def _refuse_partial_occupancy(path: Path, atoms: Atoms) -> None:
    for site, elements in atoms.info.get("occupancy", {}).items():
        partial = {name: share for name, share in elements.items() if abs(share - 1) > 1e-3}
        if partial or len(elements) > 1:
            name, share = next(iter((partial or elements).items()))
            raise InputError(
                f"structure: {path}: site {site} is occupied partly ({name} {share:g}); choose "
                "one of the disordered positions and write an ordered structure"
            )
