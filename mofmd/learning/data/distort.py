"""Frames with stretched bonds and close contacts: what hot dynamics reaches before a model breaks.

Hot runs reach the tails of the covalent bonds and of the repulsion between hydrogens, of which
ordinary frames hold little: one frame of this kind shows a model dozens of such places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.geometry.minimum_image import short_vectors
from mofmd.geometry.neighbours import find_pairs, refuse_coincident
from mofmd.learning.data.dataset import WEIGHT
from mofmd.topology.building_units import Linkers, find_linkers


@dataclass(frozen=True)
class Distortion:
    """What is done to a frame; shares are those of the bonds or contacts of a kind.

    Parameters
    ----------
    kick_share
        Share of the atoms that are displaced.
    kick_A
        Standard deviation of a displacement along each axis [Å].
    terminal_share
        Share of the bonds to an atom with no other bond (C-H) that get a new length; their
        direction changes by about nine degrees.
    terminal_range
        Range of the new length, divided by the sum of the covalent radii.
    bond_share
        Share of the other bonds within linkers (rings, chains) that get a new length; atoms bonded
        only to one of the two ends move with it.
    bond_range
        Range of the new length, divided by the sum of the covalent radii.
    contact_share
        Share of the pairs of hydrogens of different linkers or ends within 2.6 Å that are moved.
    contact_range_A
        Range of the new distance [Å].
    """

    kick_share: float = 0.0
    kick_A: float = 0.12
    terminal_share: float = 0.05
    terminal_range: tuple[float, float] = (0.84, 1.68)  # C-H 0.90-1.80 Å
    bond_share: float = 0.1
    bond_range: tuple[float, float] = (0.82, 1.50)  # C-N 1.2-2.2 Å
    contact_share: float = 0.15
    contact_range_A: tuple[float, float] = (1.0, 1.6)

    def __post_init__(self) -> None:
        """Refuse shares and ranges that mean nothing."""
        for name in ("kick_share", "terminal_share", "bond_share", "contact_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name}: {getattr(self, name)}, expected 0 to 1")
        for name in ("terminal_range", "bond_range", "contact_range_A"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise InputError(f"{name}: {low} to {high}, expected rising positive numbers")


CONTACT_A = 2.6
DISTORTED = "~distorted"  # follows the trajectory's name in that of a distorted copy
BEND = 0.15


def distort(
    atoms: Atoms,
    rng: np.random.Generator,
    distortion: Distortion | None = None,
    linkers: Linkers | None = None,
) -> Atoms:
    """Return a distorted copy of a frame; each atom takes part in one distortion at most.

    Parameters
    ----------
    atoms
        Frame.
    rng
        Draws what is distorted, and by how much.
    distortion
        What may be done.
    linkers
        Of the structure that the frame comes from (same atoms, same order); by default those found
        in the frame itself, which must then be whole: a crystal or a cool frame.
    """
    linkers = find_linkers(atoms) if linkers is None else linkers
    work = _Distorting(atoms, rng, distortion or Distortion(), linkers)
    work.kick()
    work.stretch_terminal_bonds()
    work.stretch_other_bonds()
    work.press_contacts()
    return work.out


class _Distorting:
    """One frame being distorted; ``used`` are the atoms that had their turn."""

    def __init__(
        self, atoms: Atoms, rng: np.random.Generator, distortion: Distortion, linkers: Linkers
    ) -> None:
        self.atoms, self.rng, self.distortion = atoms, rng, distortion
        self.bonds = linkers.bonds
        self.out = atoms.copy()
        self.out.calc = None
        self.out.info.pop(WEIGHT, None)  # was that of the frame as it came
        self.used: set[int] = set()
        ends = np.concatenate([self.bonds.first, self.bonds.second])
        self.degree = np.bincount(ends, minlength=len(atoms))
        self.vectors = nearest_vectors(atoms, self.bonds.first, self.bonds.second)

    def kick(self) -> None:
        chosen = self.rng.random(len(self.out)) < self.distortion.kick_share
        size = (int(chosen.sum()), 3)
        self.out.positions[chosen] += self.rng.normal(0.0, self.distortion.kick_A, size)

    def stretch_terminal_bonds(self) -> None:
        first, second = self.bonds.first, self.bonds.second
        for k in np.flatnonzero((self.degree[first] == 1) | (self.degree[second] == 1)):
            if self.rng.random() >= self.distortion.terminal_share:
                continue
            i, j, vector = int(first[k]), int(second[k]), self.vectors[k]
            if self.degree[i] == 1:
                i, j, vector = j, i, -vector  # j is the end
            bent = vector / np.linalg.norm(vector) + self.rng.normal(0.0, BEND, 3)
            factor = self.rng.uniform(*self.distortion.terminal_range)
            length = factor * self.bonds.radii_sum[k]
            self.out.positions[j] += length * bent / np.linalg.norm(bent) - vector
            self.used |= {i, j}

    def stretch_other_bonds(self) -> None:
        first, second = self.bonds.first, self.bonds.second
        ends = _terminals(first, second, self.degree)
        for k in np.flatnonzero((self.degree[first] > 1) & (self.degree[second] > 1)):
            i, j = int(first[k]), int(second[k])
            if self.used & {i, j} or self.rng.random() >= self.distortion.bond_share:
                continue
            length = self.rng.uniform(*self.distortion.bond_range) * self.bonds.radii_sum[k]
            shift = 0.5 * (length / np.linalg.norm(self.vectors[k]) - 1.0) * self.vectors[k]
            for atom, move in ((i, -shift), (j, shift)):
                group = [atom, *ends.get(atom, [])]
                self.out.positions[group] += move
                self.used.update(group)

    def press_contacts(self) -> None:
        hydrogens = np.flatnonzero(self.atoms.numbers == 1)
        if not len(hydrogens) or self.distortion.contact_share == 0:
            return
        positions, cell = self.atoms.positions, self.atoms.cell.array
        pairs = find_pairs(positions, cell, CONTACT_A, centres=hydrogens, others=hydrogens)
        refuse_coincident(pairs)
        for a, b, vector in zip(pairs.first, pairs.second, pairs.vectors, strict=True):
            i, j = int(a), int(b)
            if i >= j or self.used & {i, j}:
                continue
            if self.rng.random() >= self.distortion.contact_share:
                continue
            wanted = self.rng.uniform(*self.distortion.contact_range_A)
            shift = 0.5 * (wanted / np.linalg.norm(vector) - 1.0) * vector
            self.out.positions[i] -= shift
            self.out.positions[j] += shift
            self.used |= {i, j}


def _terminals(first: np.ndarray, second: np.ndarray, degree: np.ndarray) -> dict[int, list[int]]:
    """Atoms that are bonded to nothing but the given atom."""
    ends: dict[int, list[int]] = {}
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        if degree[j] == 1:
            ends.setdefault(i, []).append(j)
        elif degree[i] == 1:
            ends.setdefault(j, []).append(i)
    return ends


def nearest_vectors(atoms: Atoms, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(pairs, 3) from each first atom to the nearest image of the second [Å]; bonds are short."""
    vectors = atoms.positions[second] - atoms.positions[first]
    return short_vectors(vectors, atoms.cell.array)


def distort_frames(
    frames: Sequence[Atoms], distortion: Distortion, seed: int, linkers: Linkers | None = None
) -> list[Atoms]:
    """Distort each frame once; the names of their trajectories say from which they are."""
    rng = np.random.default_rng(seed)
    result = []
    for frame in frames:
        made = distort(frame, rng, distortion, linkers)
        made.info["trajectory"] = f"{frame.info.get('trajectory', 'frame')}{DISTORTED}{seed}"
        result.append(made)
    return result
