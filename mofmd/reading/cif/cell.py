"""The atoms of a cell from the sites of its asymmetric unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.geometry.minimum_image import shorten_fractions
from mofmd.reading.cif.sites import Sites
from mofmd.reading.cif.symmetry import Setting

# Images of a site nearer to each other are one atom on a special position: coordinates of three
# digits are off by 0.04 Å in a cell of 40 Å. Farther ones are two atoms, too close to each other.
SPECIAL_A = 0.1


@dataclass(frozen=True)
class CellAtoms:
    """Atoms of a cell.

    Parameters
    ----------
    fractions
        (atoms, 3) from 0 to below 1, in the order of the sites.
    site
        (atoms,) the site of each.
    """

    fractions: np.ndarray
    site: np.ndarray


def fill_cell(sites: Sites, setting: Setting, cell: np.ndarray) -> CellAtoms:
    """Apply the operations to the sites; an atom on a special position is put onto it, once.

    Parameters
    ----------
    sites, setting
        What the file gives.
    cell
        (3, 3) rows a, b, c [Å].
    """
    if len(setting.rotations) == 1:
        return CellAtoms(_into_cell(sites.fractions), np.arange(len(sites.names)))
    orbits = [_orbit(position, setting, cell) for position in sites.fractions]
    counts = [len(orbit) for orbit in orbits]
    return CellAtoms(
        _into_cell(np.concatenate(orbits)) if orbits else np.zeros((0, 3)),
        np.repeat(np.arange(len(orbits)), counts),
    )


def _orbit(position: np.ndarray, setting: Setting, cell: np.ndarray) -> np.ndarray:
    """(n, 3) images of a site, each once."""
    images = setting.rotations @ position + setting.translations
    vectors = shorten_fractions(images - position)
    fixing = np.linalg.norm(vectors @ cell, axis=1) < SPECIAL_A
    # the mean of the images under the operations that fix the site lies on their elements
    position = position + vectors[fixing].mean(axis=0)
    images = setting.rotations @ position + setting.translations
    kept: list[np.ndarray] = []
    for image in images:
        apart = shorten_fractions(np.array(kept).reshape(-1, 3) - image) @ cell
        if not (np.linalg.norm(apart, axis=1) < SPECIAL_A).any():
            kept.append(image)
    return np.array(kept)


def _into_cell(fractions: np.ndarray) -> np.ndarray:
    inside = fractions - np.floor(fractions)
    # a coordinate of −1e-17 becomes one
    inside[inside >= 1.0] = 0.0
    return np.asarray(inside)
