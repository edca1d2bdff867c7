"""Even meshes of wave vectors and densities of states."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.phonons.spectrum.groups import Groups
from mofmd.phonons.spectrum.modes import Sample, sample, solve, translations

if TYPE_CHECKING:
    from phonopy import Phonopy

MESH_LENGTH_A = 100.0
"""A mesh that is not given has as many points along an axis as cells fit into this length."""
CHUNK = 128  # edges of bins whose weights are in memory at once


@dataclass(frozen=True)
class Mesh:
    """Frequencies on a mesh that holds Γ; arrays are read-only.

    Parameters
    ----------
    numbers
        Points along each reciprocal vector.
    sample
        At the points that symmetry leaves.
    weights
        (points,) how many points of the whole mesh each one stands for.
    acoustic
        (points, modes) whether a mode is one of the three translations at Γ.
    grid
        phonopy's grid, its points and its map, for tetrahedra.
    """

    numbers: tuple[int, int, int]
    sample: Sample
    weights: np.ndarray
    acoustic: np.ndarray
    grid: tuple[Any, np.ndarray, np.ndarray]

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "weights", "acoustic")


@dataclass(frozen=True)
class Dos:
    """Density of states in bins; arrays are read-only.

    The mean over each bin, by linear tetrahedra (Blöchl et al., Phys. Rev. B 49, 16223 (1994)) of
    the number of states below each edge: flat bands between two edges are counted whole, and the
    integral is three times the number of atoms.

    Parameters
    ----------
    edges_THz
        (bins + 1,) imaginary frequencies are negative.
    total_per_THz
        (bins,) states of a primitive cell.
    parts_per_THz
        (groups, bins) of each group of atoms.
    names
        Of the groups.
    """

    edges_THz: np.ndarray
    total_per_THz: np.ndarray
    parts_per_THz: np.ndarray
    names: tuple[str, ...]

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "edges_THz", "total_per_THz", "parts_per_THz")

    @property
    def centres_THz(self) -> np.ndarray:
        """(bins,) their middles."""
        return np.asarray(0.5 * (self.edges_THz[1:] + self.edges_THz[:-1]))


def mesh_numbers(cell_A: np.ndarray, length_A: float = MESH_LENGTH_A) -> tuple[int, int, int]:
    """Points along each axis, for as many cells as fit into a length.

    Examples
    --------
    >>> mesh_numbers(np.diag([10.0, 20.0, 300.0]))
    (10, 5, 1)
    """
    n = np.maximum(1, np.rint(length_A * np.linalg.norm(np.linalg.inv(cell_A), axis=0)).astype(int))
    return int(n[0]), int(n[1]), int(n[2])


def make_mesh(
    phonopy: Phonopy,
    numbers: tuple[int, int, int] | None = None,
    groups: Groups | None = None,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Mesh:
    """Solve on a mesh around Γ, at the points that symmetry leaves.

    Parameters
    ----------
    phonopy
        With force constants.
    numbers
        Points along each axis; None: by ``MESH_LENGTH_A``.
    groups
        Whose shares in each mode are wanted.
    on_progress
        See ``sample``.
    """
    chosen = numbers or mesh_numbers(phonopy.primitive.cell)
    if min(chosen) < 1:
        raise InputError(f"mesh: {'x'.join(map(str, chosen))}, expected numbers of at least 1")
    with warnings.catch_warnings():
        # of primitive cells whose edges differ by a little: more points are solved, no fewer
        warnings.filterwarnings("ignore", r"Mesh \[.*incompatible")
        phonopy.init_mesh(chosen, is_gamma_center=True)
    points: Any = phonopy.mesh
    found = sample(phonopy, points.qpoints, groups, on_progress)
    acoustic = np.zeros(found.frequencies_THz.shape, dtype=bool)
    for k in np.flatnonzero((np.abs(points.qpoints) < 1e-9).all(axis=1)):
        vectors = solve(phonopy, points.qpoints[k])[1]
        assert vectors is not None
        acoustic[k] = translations(vectors, phonopy.primitive.masses)
    grid = (points.bz_grid, np.array(points.ir_grid_points), np.array(points.grid_mapping_table))
    return Mesh(chosen, found, np.array(points.weights), acoustic, grid)


def make_dos(mesh: Mesh, groups: Groups | None = None, width_THz: float = 0.05) -> Dos:
    """Density of states of a mesh.

    Parameters
    ----------
    mesh
        With shares, where groups are given.
    groups
        Atoms whose part is wanted.
    width_THz
        Of a bin.
    """
    if not width_THz > 0.0:
        raise InputError(f"width: {width_THz} THz, expected more than zero")
    frequencies = mesh.sample.frequencies_THz
    first = np.floor(frequencies.min() / width_THz) - 1
    last = np.ceil(frequencies.max() / width_THz) + 1
    edges = width_THz * np.arange(first, last + 1)
    shares = mesh.sample.shares if groups is not None else None
    ones = np.ones((*frequencies.shape, 1))
    properties = ones if shares is None else np.concatenate([ones, shares], axis=2)
    below = states_below(mesh, properties, edges)
    density = np.diff(below, axis=0).T / width_THz
    names = groups.names if groups is not None else ()
    return Dos(edges, density[0], density[1:], names)


def states_below(mesh: Mesh, properties: np.ndarray, edges_THz: np.ndarray) -> np.ndarray:
    """(edges, properties) sum of a property of modes over all states below each frequency.

    Parameters
    ----------
    mesh
        Of the frequencies.
    properties
        (points, modes, properties), the same for wave vectors that symmetry takes to each other.
    edges_THz
        Ascending.
    """
    from phonopy.phonon.tetrahedron_method import get_integration_weights

    grid, points, to_irreducible = mesh.grid
    frequencies = np.ascontiguousarray(mesh.sample.frequencies_THz)
    place = {int(point): k for k, point in enumerate(points)}
    of_grid = np.array([place[int(to_irreducible[k])] for k in grid.bzg2grg], dtype=np.int64)
    weighted = properties * mesh.weights[:, None, None] / mesh.weights.sum()
    low, high = frequencies.min(axis=0), frequencies.max(axis=0)
    per_band = weighted.sum(axis=0)
    found = np.zeros((len(edges_THz), properties.shape[2]))
    for start in range(0, len(edges_THz), CHUNK):
        edges = edges_THz[start : start + CHUNK]
        # a band that lies below all of these edges counts whole; one above them, not at all
        under, over = high < edges[0], low > edges[-1]
        found[start : start + CHUNK] += per_band[under].sum(axis=0)
        bands = np.flatnonzero(~under & ~over)
        if len(bands) == 0:
            continue
        weights = get_integration_weights(
            edges,
            np.ascontiguousarray(frequencies[:, bands]),
            grid,
            grid_points=grid.grg2bzg[points],
            bzgp2irgp_map=of_grid,
            function="J",
        )
        found[start : start + CHUNK] += np.einsum(
            "qeb,qbp->ep", weights, weighted[:, bands], optimize=True
        )
    return found
