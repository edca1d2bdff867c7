"""A smooth description of the surroundings of atoms: radial densities and their angular power."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.geometry.neighbours import find_pairs, refuse_coincident
from mofmd.structures.molecules import box_of


@dataclass(frozen=True)
class Descriptor:
    """Invariant features of each atom: for each neighbour element z, radial channel n and l = 0..2.

    c_znlm = Σ_j φ_n(r_ij) f_c(r_ij) T_lm(r̂_ij) over the neighbours of element z; the feature of
    l = 0 is c itself, of l = 1 and 2 the norm √(Σ_m c²), which does not change under rotation.
    φ_n are Gaussians on an even grid, f_c = ½ (1 + cos πr/r_max), T_1 = r̂ and
    T_2 = √(3/2) (r̂ r̂ᵀ − 1/3).

    Parameters
    ----------
    elements
        Elements of the neighbours, in the order of the features.
    r_max_A
        Cutoff [Å].
    radial
        Number of radial channels.
    """

    elements: tuple[str, ...]
    r_max_A: float = 5.0
    radial: int = 8

    @property
    def width(self) -> int:
        """Features of an atom."""
        return 3 * self.radial * len(self.elements)

    def of_atoms(self, atoms: Atoms) -> np.ndarray:
        """(atoms, width) features; neighbours of other elements are not seen."""
        pairs = find_pairs(atoms.positions, box_of(atoms, 2 * self.r_max_A), self.r_max_A)
        refuse_coincident(pairs)
        radii = pairs.distances
        unit = pairs.vectors / radii[:, None]
        centres = np.linspace(0.8, self.r_max_A, self.radial)
        width = centres[1] - centres[0]
        smooth = 0.5 * (1.0 + np.cos(np.pi * radii / self.r_max_A))
        phi = smooth[:, None] * np.exp(-0.5 * np.square((radii[:, None] - centres) / width))
        outer = unit[:, :, None] * unit[:, None, :] - np.eye(3) / 3.0
        angular = np.hstack(
            [np.ones((len(radii), 1)), unit, np.sqrt(1.5) * outer.reshape(-1, 9)]
        )  # (pairs, 1 + 3 + 9)
        symbols = np.array(atoms.get_chemical_symbols())
        parts = []
        for element in self.elements:
            chosen = symbols[pairs.second] == element
            terms = phi[chosen][:, :, None] * angular[chosen][:, None, :]
            sums = np.zeros((len(atoms), self.radial, angular.shape[1]))
            np.add.at(sums, pairs.first[chosen], terms)
            parts += [
                sums[:, :, 0],
                np.linalg.norm(sums[:, :, 1:4], axis=2),
                np.linalg.norm(sums[:, :, 4:], axis=2),
            ]
        return np.concatenate(parts, axis=1)
