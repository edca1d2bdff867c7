"""The last state of a run, in the axes of the structure that the deck was made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.errors import MissingFileError
from mofmd.reading.read import read_structure
from mofmd.simulation.deck.deck import read_deck


def read_final(directory: Path) -> Atoms:
    """Read ``final.data`` of a finished run and turn it back from LAMMPS's axes.

    Parameters
    ----------
    directory
        The deck.

    Returns
    -------
    Atoms
        Atoms in the order of the supercell that was simulated, positions [Å] wrapped into the
        cell.
    """
    path = directory / "final.data"
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; has the run finished?")
    rotation = np.array(read_deck(directory, allow_edited=True).manifest["structure"]["rotation"])
    atoms = read_structure(path)
    atoms.set_cell(atoms.cell.array @ rotation.T)
    atoms.positions = atoms.positions @ rotation.T
    return atoms
