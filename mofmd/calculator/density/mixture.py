"""Gaussian mixtures of the features of atoms of one element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from mofmd.arrays import freeze


@dataclass(frozen=True)
class Mixture:
    """Density of the features f of an element's atoms; arrays are read-only.

    With y = (axes (f − mean), ‖rest (f − mean)‖), p(y) = Σ_m w_m N(y; μ_m, Σ_m), Σ_m⁻¹ = U_m U_mᵀ.
    Without rest there is no last coordinate.

    Parameters
    ----------
    mean
        (features,) mean of the training atoms.
    axes
        (axes, features) principal axes, divided by the standard deviation along the first.
    rest
        (others, features) all other axes, each divided by the standard deviation along it, or a
        floor of it, and by the square root of their number; the last coordinate is 1 or less for
        atoms like those of the training.
    weights
        (components,) w_m.
    means
        (components, dimensions) μ_m.
    factors
        (components, dimensions, dimensions) U_m, upper triangular.
    median, limit
        Of −ln p over held-out atoms: the median, and the quantile whose score is 1.
    """

    mean: np.ndarray
    axes: np.ndarray
    rest: np.ndarray
    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    median: float
    limit: float

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "mean", "axes", "rest", "weights", "means", "factors")

    @property
    def dimensions(self) -> int:
        """Coordinates of the density."""
        return len(self.axes) + (len(self.rest) > 0)

    @property
    def components(self) -> int:
        """Gaussians of the mixture."""
        return len(self.weights)

    def coordinates(self, features: np.ndarray) -> np.ndarray:
        """(atoms, dimensions) y of (atoms, features)."""
        centred = features - self.mean
        kept = centred @ self.axes.T
        if not len(self.rest):
            return np.asarray(kept)
        return np.column_stack([kept, np.linalg.norm(centred @ self.rest.T, axis=1)])

    def log_density(self, features: np.ndarray) -> np.ndarray:
        """(atoms,) ln p of (atoms, features)."""
        y = self.coordinates(features)
        terms = np.empty((len(y), self.components))
        for m, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            squares = np.square((y - mean) @ factor).sum(axis=1)
            terms[:, m] = np.log(np.diag(factor)).sum() - 0.5 * squares
        constant = 0.5 * self.dimensions * np.log(2.0 * np.pi)
        return np.asarray(logsumexp(terms + np.log(self.weights), axis=1) - constant)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """(atoms,) score of (atoms, features): (−ln p − median) / (limit − median)."""
        return (-self.log_density(features) - self.median) / (self.limit - self.median)
