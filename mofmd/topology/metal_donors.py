"""Metals of a framework and the donors bonded to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase.data import atomic_numbers, covalent_radii

from mofmd.errors import InputError
from mofmd.topology.bond_graph import find_bonds
from mofmd.topology.bonds import BOND_FACTOR, NON_METALS
from mofmd.trajectory.frame import Frame

# First minimum of the Zn-N potential of mean force: Castel et al., Digital Discovery 2024, 3, 355.
ZN_N_CUTOFF_A = 2.5
CUTOFFS_A: Mapping[tuple[str, str], float] = {("Zn", "N"): ZN_N_CUTOFF_A}


@dataclass(frozen=True)
class MetalDonor:
    """Two elements that are bonded.

    Parameters
    ----------
    metal, donor
        The elements.
    cutoff_A
        Longest bond [Å].
    bonds
        Bonds between them in the frame that they were found in.
    """

    metal: str
    donor: str
    cutoff_A: float
    bonds: int


def longest_bond_A(first: str, second: str) -> float:
    """Longest bond of two elements [Å].

    2.5 Å for Zn-N, the first minimum of its potential of mean force (Castel et al. 2024); 1.25
    times the sum of the covalent radii of Cordero et al. for others.
    """
    for pair in ((first, second), (second, first)):
        if pair in CUTOFFS_A:
            return CUTOFFS_A[pair]
    radii = [covalent_radii[atomic_numbers[name]] for name in (first, second)]
    return float(BOND_FACTOR * sum(radii))


def metal_first(cutoffs_A: Mapping[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Longest bonds [Å] of metals and donors that were named in either order, by (metal, donor).

    Raises
    ------
    InputError
        If a pair is not of a metal and another element.
    """
    found = {}
    for pair, cutoff_A in cutoffs_A.items():
        metals = [name for name in pair if name not in NON_METALS]
        donors = [name for name in pair if name in NON_METALS]
        if len(metals) != 1:
            raise InputError(f"metal_cutoffs_A: {'-'.join(pair)} is no metal with a donor")
        found[metals[0], donors[0]] = cutoff_A
    return found


def metal_donors(frame: Frame) -> list[MetalDonor]:
    """Find the metals of a structure and the donors bonded to them, by their bonds.

    Parameters
    ----------
    frame
        Any framework: the bonds are those of ``find_bonds``.

    Returns
    -------
    list of MetalDonor
        Most bonds first.

    Raises
    ------
    InputError
        If no metal is bonded to a donor.

    Examples
    --------
    >>> from mofmd.structures.read import read_structure
    >>> found = metal_donors(Frame.from_ase(read_structure("uio-66")))
    >>> [(pair.metal, pair.donor, pair.bonds) for pair in found]
    [('Zr', 'O', 192)]
    """
    graph = find_bonds(frame, metal_cutoffs_A=CUTOFFS_A)
    elements = np.array(frame.species.elements)[frame.species.codes]
    metals, donors = (side[graph.to_metal] for side in (graph.first, graph.second))
    found = Counter(zip(elements[metals].tolist(), elements[donors].tolist(), strict=True))
    if not found:
        raise InputError("no metal is bonded to a donor in the first frame")
    return [
        MetalDonor(metal, donor, longest_bond_A(metal, donor), bonds)
        for (metal, donor), bonds in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
