"""Radii of atoms as spheres that a probe cannot enter.

Van der Waals radii of the Cambridge Structural Database (Bondi's, 1.09 Å for hydrogen, 2.00 Å where
no value is known): the ones that Zeo++ takes by default.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.frame import Species

# fmt: off
RADII_A = {
    "H": 1.09, "B": 2.00, "C": 1.70, "N": 1.55, "O": 1.52, "F": 1.47, "Si": 2.10, "P": 1.80,
    "S": 1.80, "Cl": 1.75, "As": 1.85, "Se": 1.90, "Br": 1.85, "I": 1.98, "Li": 1.82, "Na": 2.27,
    "Mg": 1.73, "Al": 2.00, "K": 2.75, "Ca": 2.00, "Sc": 2.00, "Ti": 2.00, "V": 2.00, "Cr": 2.00,
    "Mn": 2.00, "Fe": 2.00, "Co": 2.00, "Ni": 1.63, "Cu": 1.40, "Zn": 1.39, "Ga": 1.87, "Y": 2.00,
    "Zr": 2.00, "Mo": 2.00, "Pd": 1.63, "Ag": 1.72, "Cd": 1.58, "In": 1.93, "Hf": 2.00, "Pt": 1.72,
    "Au": 1.66,
}
# fmt: on


def atom_radii(species: Species, radii_A: Mapping[str, float] | None = None) -> np.ndarray:
    """Radius of each atom [Å].

    Parameters
    ----------
    species
        Elements of the atoms.
    radii_A
        Radii instead of, or besides, those of the table [Å].
    """
    table = {**RADII_A, **(radii_A or {})}
    unknown = [name for name in species.elements if name not in table]
    if unknown:
        raise InputError(
            f"radii_A: no radius of {unknown[0]}; give one, such as {{{unknown[0]!r}: 2}}"
        )
    return np.array([table[name] for name in species.elements])[species.codes]
