"""Crystals from the data files of the package: space group, cell and sites, with their source."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from ase import Atoms


def read_crystal_data(name: str) -> dict[str, Any]:
    """Read a file of ``mofmd/data/structures`` by its name without ``.json``."""
    file = resources.files("mofmd") / "data" / "structures" / f"{name}.json"
    data: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return data


def build_crystal(name: str, *, primitive: bool = False) -> Atoms:
    """Build a crystal of the package.

    Parameters
    ----------
    name
        Of its data file, without ``.json``.
    primitive
        The primitive cell instead of the conventional one.

    Returns
    -------
    Atoms
        Periodic, positions inside the cell [Å], atoms in the order of the sites.
    """
    from ase.spacegroup import crystal

    data = read_crystal_data(name)
    built = crystal(
        symbols=[symbol for _, symbol, *_ in data["sites"]],
        basis=[position for _, _, *position in data["sites"]],
        spacegroup=data["spacegroup"]["number"],
        cellpar=[*data["cell_A"], *data["cell_angles_deg"]],
        primitive_cell=primitive,
    )
    return Atoms(built.symbols, positions=built.positions, cell=built.cell, pbc=True)
