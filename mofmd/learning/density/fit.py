"""Fit the density of a model's features to the atoms that it was trained on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mofmd.calculator.density.mixture import Mixture
from mofmd.errors import InputError

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

COMPONENTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
WORSE = 2  # numbers of components in a row with a larger BIC, after which no more are tried
COVARIANCE_FLOOR = 1e-6  # of the variance along the first principal axis
# Deviations are no smaller than these: of that along the first principal axis, and of the
# largest feature, below which it is rounding in float32
SMALLEST_DEVIATION = 1e-5
ROUNDING = 1e-5
ITERATIONS = 500
ATOMS_PER_DIMENSION = 5  # at least, for each component
Table = Mapping[str, np.ndarray]  # element to (atoms, features)


@dataclass(frozen=True)
class FitOptions:
    """How to fit.

    Parameters
    ----------
    dimensions
        Principal axes of each element's features that are coordinates of their own, at most; what
        they leave over is one more. None: all along which atoms vary.
    components
        Gaussians of each mixture, at most: the number with the smallest Bayesian information
        criterion is taken.
    quantile
        Of held-out atoms, whose score is 1.
    atoms
        Training atoms of an element that are used, at most; drawn at random.
    seed
        Of the draw and of the mixtures' starts.
    leave_out
        Elements that get no density and count as never seen: those with too few atoms.
    """

    dimensions: int | None = 8
    components: int = 16
    quantile: float = 0.999
    atoms: int = 20000
    seed: int = 0
    leave_out: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        if self.dimensions is not None and self.dimensions < 1:
            raise InputError(f"dims: {self.dimensions}, expected 1 or more")
        if self.components < 1:
            raise InputError(f"components: {self.components}, expected 1 or more")
        if not 0.5 < self.quantile < 1.0:
            raise InputError(f"quantile: {self.quantile}, expected more than 0.5 and less than 1")
        if self.atoms < 1:
            raise InputError(f"atoms: {self.atoms}, expected 1 or more")


def fit_mixtures(
    training: Table,
    held_out: Table,
    options: FitOptions,
    report: Callable[[str, Mixture], None] = lambda *_: None,
) -> dict[str, Mixture]:
    """Fit a mixture for each element.

    Gaussian mixtures with full covariances by expectation maximisation (scikit-learn) of the
    principal components of the features of the training atoms alone; as in Dobbelaere et al.,
    Chem. Mater. 2025 (doi:10.1021/acs.chemmater.5c00821), section 2.3. One coordinate more is what
    the components leave over (ours): atoms of a new kind often differ where the training atoms do
    not. The held-out atoms say what is ordinary.

    Parameters
    ----------
    training, held_out
        Features of atoms by element; of the same elements.
    options
        How to fit.
    report
        Called with each element and its mixture.

    Raises
    ------
    InputError
        If there are too few atoms of an element.
    """
    found = {}
    for element, features in sorted(training.items()):
        check_counts(element, len(features), len(held_out.get(element, ())), options)
        found[element] = _fit(element, features, held_out[element], options)
        report(element, found[element])
    return found


def check_counts(element: str, training: int, held_out: int, options: FitOptions) -> None:
    """Refuse too few atoms of an element.

    Raises
    ------
    InputError
        Naming how many there are and how many it takes.
    """
    least = int(np.ceil(1.0 / (1.0 - options.quantile) - 1e-9))
    if held_out < least:
        enough = np.floor(1000.0 * (1.0 - 1.0 / max(held_out, 1))) / 1000.0
        smaller = f", or take a smaller quantile (--quantile {enough:g})" if enough > 0.8 else ""
        raise InputError(
            f"{element}: {held_out} held-out atoms cannot tell which is the {least - 1}th of "
            f"{least}, as the quantile {options.quantile:g} asks: give more frames{smaller}"
        )
    if training < 2 * ATOMS_PER_DIMENSION:
        raise InputError(f"{element}: {training} training atoms are too few: give more frames")


def _fit(element: str, features: np.ndarray, held_out: np.ndarray, options: FitOptions) -> Mixture:
    rng = np.random.default_rng(options.seed)
    if len(features) > options.atoms:
        features = features[np.sort(rng.choice(len(features), options.atoms, replace=False))]
    features = np.asarray(features, dtype=np.float64)
    mean = features.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.atleast_2d(np.cov(features, rowvar=False)))
    variances, vectors = variances[::-1], vectors[:, ::-1]
    if not variances[0] > (ROUNDING * np.abs(features).max()) ** 2:
        raise InputError(
            f"{element}: the features of its training atoms are all the same: give frames in which "
            "atoms move"
        )
    deviations = np.sqrt(np.maximum(variances, 0.0))
    floor = max(SMALLEST_DEVIATION * deviations[0], ROUNDING * np.abs(features).max())
    vary = int((deviations > floor).sum())
    most = vary if options.dimensions is None else options.dimensions
    kept = max(1, min(most, vary, len(features) // ATOMS_PER_DIMENSION - 2))
    axes = _oriented(vectors[:, :kept].T) / deviations[0]
    others = np.maximum(deviations[kept:, None], floor)
    rest = _oriented(vectors[:, kept:].T) / others / np.sqrt(max(1, len(others)))
    unfitted = Mixture(mean, axes, rest, *_standard(kept + (len(rest) > 0)), 0.0, 1.0)
    best = best_mixture(unfitted.coordinates(features), options)
    fitted = replace(
        unfitted, weights=best.weights_, means=best.means_, factors=best.precisions_cholesky_
    )
    rarity = -fitted.log_density(np.asarray(held_out, dtype=np.float64))
    median, limit = np.quantile(rarity, [0.5, options.quantile])
    if not limit > median:
        raise InputError(f"{element}: its held-out atoms are all alike: give frames of dynamics")
    return replace(fitted, median=float(median), limit=float(limit))


def _standard(dimensions: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights, means and factors of one Gaussian of unit width."""
    return np.ones(1), np.zeros((1, dimensions)), np.eye(dimensions)[None]


def best_mixture(points: np.ndarray, options: FitOptions) -> GaussianMixture:
    """Fit mixtures of more and more Gaussians; return the one with the smallest BIC.

    Parameters
    ----------
    points
        (atoms, dimensions).
    options
        How to fit.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    best, smallest, worse = None, np.inf, 0
    for count in _component_counts(options.components):
        needed = count * ATOMS_PER_DIMENSION * (points.shape[1] + 1)
        if best is not None and (needed > len(points) or worse == WORSE):
            break
        mixture = GaussianMixture(
            count, reg_covar=COVARIANCE_FLOOR, max_iter=ITERATIONS, random_state=options.seed
        )
        with warnings.catch_warnings():
            # a mixture that is still improving is judged by what it has reached
            warnings.simplefilter("ignore", ConvergenceWarning)
            mixture.fit(points)
        criterion = mixture.bic(points)
        worse = 0 if criterion < smallest else worse + 1
        if best is None or criterion < smallest:
            best, smallest = mixture, criterion
    assert best is not None  # one component is always tried
    return best


def _component_counts(most: int) -> Sequence[int]:
    return [*(count for count in COMPONENTS if count < most), most]


def _oriented(axes: np.ndarray) -> np.ndarray:
    """Axes whose largest entry is positive: eigenvectors have no sign of their own."""
    if not len(axes):
        return axes
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return np.asarray(axes * np.where(largest < 0.0, -1.0, 1.0))
