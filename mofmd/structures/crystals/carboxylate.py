"""Frameworks of benzene-1,4-dicarboxylate."""

from __future__ import annotations

from ase import Atoms

from mofmd.structures.crystals.crystal_data import build_crystal


def mof5() -> Atoms:
    """Build the crystal of MOF-5, Zn₄O(BDC)₃ in the pcu net: one cell of 424 atoms.

    Space group Fm-3m; sites, source and licence are in ``mofmd/data/structures/mof-5.json``.

    Examples
    --------
    >>> mof5().get_chemical_formula()
    'C192H96O104Zn32'
    """
    return build_crystal("mof-5")


def uio66() -> Atoms:
    """Build the crystal of UiO-66, Zr₆O₄(OH)₄(BDC)₆ in the fcu net: one cell of 456 atoms.

    Space group F-43m, because the μ₃-OH groups are ordered; without defects. Sites, source and
    licence are in ``mofmd/data/structures/uio-66.json``.

    Examples
    --------
    >>> uio66().get_chemical_formula()
    'C192H112O128Zr24'
    """
    return build_crystal("uio-66")
