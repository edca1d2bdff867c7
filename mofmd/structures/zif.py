"""Zeolitic imidazolate frameworks."""

from __future__ import annotations

import json
from importlib import resources

from ase import Atoms


def zif4() -> Atoms:
    """Build the crystal of ZIF-4, Zn(imidazolate)₂ in the cag net: one cell of 272 atoms.

    Space group Pbca; two Zn sites and four imidazolates are independent. The sites, their source
    and licence are in ``mofmd/data/structures/zif-4.json``.

    Returns
    -------
    Atoms
        Periodic, positions inside the cell [Å], atoms in the order of the sites.

    Examples
    --------
    >>> zif4().get_chemical_formula()
    'C96H96N64Zn16'
    """
    from ase.spacegroup import crystal

    file = resources.files("mofmd") / "data" / "structures" / "zif-4.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    built = crystal(
        symbols=[symbol for _, symbol, *_ in data["sites"]],
        basis=[position for _, _, *position in data["sites"]],
        spacegroup=data["spacegroup"]["number"],
        cellpar=[*data["cell_A"], *data["cell_angles_deg"]],
    )
    return Atoms(built.symbols, positions=built.positions, cell=built.cell, pbc=True)
