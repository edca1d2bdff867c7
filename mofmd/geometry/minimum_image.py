"""The nearest periodic image: by rounding where that is exact, or in any cell.

Rounding fractional coordinates gives the nearest image of every vector that, so shortened, is
shorter than half the smallest height of the cell, in tilted cells too: lattice vectors are at least
as long as that height, so that every other image is farther. Bonds in cells thicker than twice
their length are such vectors. A longer one may have a nearer image in a tilted cell;
``nearest_images`` finds it.
"""

from __future__ import annotations

import numpy as np


def shorten_fractions(fractions: np.ndarray) -> np.ndarray:
    """Take whole numbers off fractional coordinates, so that each lies within half a cell.

    Parameters
    ----------
    fractions
        Of any shape, in units of the cell's vectors.
    """
    return np.asarray(fractions - np.round(fractions))


def rounded_images(vectors: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Images by rounding: the nearest ones of vectors that become short, see above.

    Parameters
    ----------
    vectors
        (n, 3) from one atom to another [Å].
    cell
        (3, 3) rows a, b, c [Å].

    Returns
    -------
    np.ndarray
        (n, 3) whole numbers: vector + image · cell is the short one.
    """
    return np.asarray(-np.round(vectors @ np.linalg.inv(cell)).astype(np.int64))


def short_vectors(vectors: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Vectors to the nearest images by rounding [Å], see above.

    Parameters
    ----------
    vectors
        (n, 3) from one atom to another [Å].
    cell
        (3, 3) rows a, b, c [Å].
    """
    return np.asarray(shorten_fractions(vectors @ np.linalg.inv(cell)) @ cell)


def nearest_images(vectors: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Images in which the ends of vectors are nearest to their beginnings, in any cell.

    Parameters
    ----------
    vectors
        (n, 3) from one atom to another [Å].
    cell
        (3, 3) rows a, b, c [Å].

    Returns
    -------
    np.ndarray
        (n, 3) whole numbers: vector + image · cell is the shortest.
    """
    from mofmd.geometry.neighbours import cell_heights  # compiled code, which CIFs do not need

    images = rounded_images(vectors, cell)
    lengths = np.linalg.norm(vectors + images @ cell, axis=1)
    # rounding finds the shortest that are less than half the smallest height
    far = lengths >= cell_heights(cell).min() / 2
    if far.any():
        from ase.geometry.geometry import general_find_mic

        shortest, _ = general_find_mic(vectors[far], cell, pbc=(True, True, True))
        images[far] = np.round((shortest - vectors[far]) @ np.linalg.inv(cell)).astype(np.int64)
    return images
