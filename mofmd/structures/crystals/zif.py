"""Zeolitic imidazolate frameworks."""

from __future__ import annotations

from ase import Atoms

from mofmd.structures.crystals.crystal_data import build_crystal


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
    return build_crystal("zif-4")


def zif8() -> Atoms:
    """Build the crystal of ZIF-8, Zn(2-methylimidazolate)₂ in the sod net: one cell of 276 atoms.

    Space group I-43m, methyl groups ordered as in the relaxed structure; sites, source and licence
    are in ``mofmd/data/structures/zif-8.json``.

    Examples
    --------
    >>> zif8().get_chemical_formula()
    'C96H120N48Zn12'
    """
    return build_crystal("zif-8")
