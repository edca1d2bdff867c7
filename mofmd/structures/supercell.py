"""Supercells: by repetitions, by a matrix, or by the number of atoms."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
from ase import Atoms

from mofmd.errors import InputError

ATOMS_TOLERANCE = 0.1  # relative, of the number of atoms that was asked for
# Files of structures are text, about 60 bytes an atom, and are written in memory. Ten times what a
# machine-learned potential was ever run on in one of mofmd's decks.
ATOMS_MAX = 20_000_000


def parse_supercell(text: str) -> tuple[int, int, int] | np.ndarray:
    """Read ``2 2 2``, ``2x2x2`` or nine whole numbers, row by row.

    Examples
    --------
    >>> parse_supercell("2x2x1")
    (2, 2, 1)
    """
    words = re.split(r"[\s,x×]+", text.strip())
    try:
        values = [int(word) for word in words]
    except ValueError:
        values = []
    if len(values) == 3 and min(values) >= 1:
        return values[0], values[1], values[2]
    if len(values) == 9:
        matrix = np.array(values).reshape(3, 3)
        if round(np.linalg.det(matrix)) >= 1:
            return matrix
    raise InputError(
        f"supercell: {text!r}, expected three whole numbers of at least 1, such as 2x2x2, or nine "
        "of a matrix with a positive determinant"
    )


def repeat(structure: Atoms, supercell: str) -> Atoms:
    """Make the supercell that a text asks for, see ``parse_supercell``."""
    cells = parse_supercell(supercell)
    if isinstance(cells, tuple):
        return repeat_cells(structure, cells)
    return matrix_supercell(structure, cells)


def repeat_cells(structure: Atoms, cells: tuple[int, int, int]) -> Atoms:
    """Repeat a structure along a, b and c, if that makes no more atoms than files are made of.

    Raises
    ------
    InputError
        If there would be more.
    """
    _check_size(structure, math.prod(cells))
    repeated: Atoms = structure.repeat(cells)
    return repeated


def _check_size(structure: Atoms, copies: int) -> None:
    if copies * len(structure) > ATOMS_MAX:
        raise InputError(
            f"supercell: {copies} cells of {len(structure)} atoms are {copies * len(structure)} "
            f"atoms, and files of more than {ATOMS_MAX} are not written; take fewer cells"
        )


def supercell_for_atoms(structure: Atoms, n_atoms: int) -> tuple[int, int, int]:
    """Find the repetitions that give about as many atoms, in a cell as near to a cube as can be.

    Parameters
    ----------
    structure
        One cell.
    n_atoms
        Atoms wanted; repetitions within 10 % are compared by their shape, then by their number.

    Examples
    --------
    >>> from mofmd.structures.crystals.zif import zif4
    >>> supercell_for_atoms(zif4(), 34000)
    (5, 5, 5)
    """
    if n_atoms < 1:
        raise InputError(f"atoms: {n_atoms}, expected a whole number of at least 1")
    cells = n_atoms / len(structure)
    heights = 1.0 / np.linalg.norm(structure.cell.reciprocal(), axis=1)
    most = max(1, round(cells * (1 + ATOMS_TOLERANCE)))
    best = None
    for a, b in itertools.product(range(1, most + 1), repeat=2):
        if a * b > most:
            continue
        for c in {max(1, int(cells / (a * b))), max(1, int(cells / (a * b)) + 1)}:
            edges = heights * (a, b, c)
            error = abs(a * b * c / cells - 1)
            shape = float(edges.max() / edges.min())
            score = (max(error - ATOMS_TOLERANCE, 0.0), round(shape, 6), error)
            if best is None or score < best[0]:
                best = (score, (a, b, c))
    assert best is not None  # a = b = 1 is always tried
    return best[1]


def matrix_supercell(structure: Atoms, matrix: np.ndarray) -> Atoms:
    """Make the supercell whose rows are whole multiples of a, b and c.

    Parameters
    ----------
    structure
        One cell.
    matrix
        (3, 3) whole numbers; row k makes the new vector k from a, b, c.
    """
    from ase.build import make_supercell

    _check_size(structure, round(abs(np.linalg.det(matrix))))
    built: Atoms = make_supercell(structure, matrix)
    return built
