"""Gaussian mixtures of the features of atoms of one element."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from mofmd.arrays import freeze


@dataclass(frozen=True)
class Mixture:
    """Density of the features f of an element's atoms; arrays are read-only.

    With y = axes (f − mean), p(y) = Σ_m w_m N(y; μ_m, Σ_m), Σ_m⁻¹ = U_m U_mᵀ.

    Parameters
    ----------
    mean
        (features,) mean of the training atoms.
    axes
        (dimensions, features) principal axes, divided by the standard deviation along the first.
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
    weights: np.ndarray
    means: np.ndarray
    factors: np.ndarray
    median: float
    limit: float

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "mean", "axes", "weights", "means", "factors")

    @property
    def dimensions(self) -> int:
        """Coordinates of the density."""
        return len(self.axes)

    @property
    def components(self) -> int:
        """Gaussians of the mixture."""
        return len(self.weights)

    def coordinates(self, features: np.ndarray) -> np.ndarray:
        """(atoms, dimensions) y of (atoms, features)."""
        return np.asarray((features - self.mean) @ self.axes.T)

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
