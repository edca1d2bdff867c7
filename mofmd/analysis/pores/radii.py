"""Radii of atoms as spheres that a probe cannot enter.

Van der Waals radii of the Cambridge Structural Database, which Zeo++ takes by default, too: Bondi's
(J. Phys. Chem. 1964, 68, 441), 1.09 Å for hydrogen (Rowland and Taylor, J. Phys. Chem. 1996, 100,
7384), and 2.00 Å where no value is known, as of most metals.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ase.data import chemical_symbols

from mofmd.errors import InputError
from mofmd.structures.frame import Species

UNKNOWN_RADIUS_A = 2.00
# fmt: off
KNOWN_RADII_A = {
    "H": 1.09, "He": 1.40, "Li": 1.82, "C": 1.70, "N": 1.55, "O": 1.52, "F": 1.47, "Ne": 1.54,
    "Na": 2.27, "Mg": 1.73, "Si": 2.10, "P": 1.80, "S": 1.80, "Cl": 1.75, "Ar": 1.88, "K": 2.75,
    "Ni": 1.63, "Cu": 1.40, "Zn": 1.39, "Ga": 1.87, "As": 1.85, "Se": 1.90, "Br": 1.85, "Kr": 2.02,
    "Pd": 1.63, "Ag": 1.72, "Cd": 1.58, "In": 1.93, "Sn": 2.17, "Te": 2.06, "I": 1.98, "Xe": 2.16,
    "Pt": 1.72, "Au": 1.66, "Hg": 1.55, "Tl": 1.96, "Pb": 2.02, "U": 1.86,
}
# fmt: on
RADII_A: Mapping[str, float] = {
    name: KNOWN_RADII_A.get(name, UNKNOWN_RADIUS_A) for name in chemical_symbols[1:]
}


def atom_radii(species: Species, radii_A: Mapping[str, float] | None = None) -> np.ndarray:
    """Radius of each atom [Å].

    Parameters
    ----------
    species
        Elements of the atoms.
    radii_A
        Radii instead of those of the table [Å].
    """
    radii = element_radii(species, radii_A)
    return np.array([radii[name] for name in species.elements])[species.codes]


def element_radii(species: Species, radii_A: Mapping[str, float] | None = None) -> dict[str, float]:
    """Radius of each element of a structure [Å].

    Parameters
    ----------
    species, radii_A
        As for ``atom_radii``.

    Raises
    ------
    InputError
        If a radius is not positive, or a name is no chemical element.
    """
    own = radii_A or {}
    for name, radius in own.items():
        if not radius > 0:
            raise InputError(f"radii_A: {radius:g} for {name}, expected more than zero")
    table = {**RADII_A, **own}
    unknown = [name for name in species.elements if name not in table]
    if unknown:
        raise InputError(
            f"species: {unknown[0]!r} is not a chemical element; give type names (--types)"
        )
    return {name: table[name] for name in species.elements}
