"""Averages of correlated series, with honest errors.

Statistical inefficiency g = 1 + 2 Σ (1 − t/n) C(t), C the normalised autocorrelation function,
summed up to its first zero: n correlated values are worth n/g independent ones (Chodera et al., J.
Chem. Theory Comput. 2007, 3, 26, eqs 19-22). Where a series has come to equilibrium is found
as the start that leaves the most independent values (Chodera, J. Chem. Theory Comput. 2016, 12,
1799). Standard errors are those of block averages (Flyvbjerg and Petersen, J. Chem. Phys. 1989,
91, 461).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError

INDEPENDENT_MIN = 10
BLOCKS_MIN = 4
CUTS_TRIED = 40


@dataclass(frozen=True)
class Estimate:
    """A mean and how far it can be trusted.

    Parameters
    ----------
    value
        The mean.
    standard_error
        Of the mean; NaN where one value alone leaves it unknown.
    independent
        Independent values that the ones used are worth.
    unit
        Of value and error; empty for a pure number.
    """

    value: float
    standard_error: float
    independent: float
    unit: str = ""

    @property
    def reliable(self) -> bool:
        """Whether enough independent values stand behind it for the error to mean anything."""
        return self.independent >= INDEPENDENT_MIN

    def __str__(self) -> str:
        """Value ± error, with the digits that the error leaves."""
        unit = f" {self.unit}" if self.unit else ""
        # an error at the level of rounding is none
        if not self.standard_error > 1e-12 * abs(self.value):
            return f"{self.value:.5g}{unit}"
        power = int(np.floor(np.log10(max(abs(self.value), self.standard_error))))
        if abs(power) < 4:
            return f"{_two_digits(self.value, self.standard_error)}{unit}"
        scale = 10.0**power
        return f"({_two_digits(self.value / scale, self.standard_error / scale)})·10^{power}{unit}"


def _two_digits(value: float, error: float) -> str:
    """Value and error to the second digit of the error, or to the last one before the point."""
    digits = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


@dataclass(frozen=True)
class Sampling:
    """Which part of a series was used, and what it is worth.

    Parameters
    ----------
    frames
        Values in the series.
    cut
        Values left out at the start, as not in equilibrium.
    automatic
        Whether the cut was found, and not given.
    inefficiency
        Statistical inefficiency of the rest, in values.
    """

    frames: int
    cut: int
    automatic: bool
    inefficiency: float

    @property
    def used(self) -> int:
        """Values used."""
        return self.frames - self.cut

    @property
    def independent(self) -> float:
        """Independent values that these are worth."""
        return self.used / self.inefficiency


def statistical_inefficiency(series: np.ndarray) -> float:
    """Count the successive values that are worth one independent value, at least 1.

    A constant series counts as independent: there is nothing to be uncertain about.
    """
    n = len(series)
    deviation = series - np.mean(series)
    variance = float(np.mean(deviation**2))
    if n < 3 or variance <= 1e-28 * max(1e-300, float(np.mean(series**2))):
        return 1.0
    size = 1 << (2 * n - 1).bit_length()
    spectrum = np.fft.rfft(deviation, size)
    products = np.fft.irfft(spectrum * np.conj(spectrum), size)[:n]
    correlation = products / np.arange(n, 0, -1) / variance
    negative = np.flatnonzero(correlation[1:] <= 0)
    last = int(negative[0]) + 1 if len(negative) else n
    lags = np.arange(1, last)
    return float(max(1.0, 1.0 + 2.0 * np.sum((1 - lags / n) * correlation[1:last])))


def sample(series: np.ndarray, cut: int | None = None) -> Sampling:
    """Find the part of a series that is in equilibrium.

    Parameters
    ----------
    series
        (frames,) values in the order of time.
    cut
        Values to leave out at the start; None finds it.

    Raises
    ------
    InputError
        If nothing is left.
    """
    series = np.asarray(series, dtype=np.float64)
    n = len(series)
    if n == 0:
        raise InputError("trajectory: no frames to average over")
    if cut is not None:
        if not 0 <= cut < n:
            raise InputError(f"equilibration: cut of {cut} frames leaves none of {n}")
        return Sampling(
            n, cut, automatic=False, inefficiency=statistical_inefficiency(series[cut:])
        )
    # at most three quarters are given up, or g of the rest means nothing
    cuts = np.unique(np.linspace(0, 3 * n // 4, min(CUTS_TRIED, n)).astype(int))
    best = max(
        (Sampling(n, int(c), True, statistical_inefficiency(series[c:])) for c in cuts),
        key=lambda found: found.independent,
    )
    whole = Sampling(n, 0, True, statistical_inefficiency(series))
    # by chance some cut is always a little better than none
    return best if best.independent > 1.1 * whole.independent else whole


def mean_of_series(series: np.ndarray, sampling: Sampling, unit: str = "") -> Estimate:
    """Mean of the part in equilibrium, with the standard error σ √(g/n)."""
    used = np.asarray(series, dtype=np.float64)[sampling.cut :]
    g = statistical_inefficiency(used)
    n = len(used)
    error = float(np.std(used, ddof=1) * np.sqrt(g / n)) if n > 1 else float("nan")
    return Estimate(float(np.mean(used)), error, n / g, unit)


def ensemble_mean(values: Sequence[float], unit: str = "") -> Estimate:
    """Mean over independent members, with its standard error."""
    if len(values) == 0:
        raise InputError("ensemble: has no members")
    array = np.asarray(values, dtype=np.float64)
    n = len(array)
    error = float(np.std(array, ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
    return Estimate(float(np.mean(array)), error, float(n), unit)


class BlockAverage:
    """Mean of an array over many frames, with errors, in bounded memory.

    Frames are gathered into blocks of equal length; whenever there are too many blocks, neighbours
    are joined. What is not in equilibrium is dropped at the end, in whole blocks.

    Parameters
    ----------
    blocks_max
        Largest number of blocks kept, even.
    """

    def __init__(self, blocks_max: int = 64) -> None:
        self.length = 1
        self.frames = 0
        self._blocks_max = blocks_max
        self._sums: list[np.ndarray] = []

    def add(self, values: np.ndarray) -> None:
        """Take the array of the next frame."""
        if self.frames % self.length == 0:
            if len(self._sums) == self._blocks_max:
                self._sums = [a + b for a, b in zip(self._sums[::2], self._sums[1::2], strict=True)]
                self.length *= 2
            if self.frames % self.length == 0:
                self._sums.append(np.zeros(np.shape(values)))
        self._sums[-1] = self._sums[-1] + values
        self.frames += 1

    def mean(self, sampling: Sampling) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard error of each element.

        Blocks are joined until each spans twice the statistical inefficiency, where at least four
        remain; with fewer frames than that the error is that of single frames, times √g.
        """
        dropped = -(-sampling.cut // self.length)
        sums = self._sums[min(dropped, len(self._sums) - 1) :]
        counts = [self.length] * len(sums)
        counts[-1] = self.frames - (len(self._sums) - 1) * self.length
        total, n = np.sum(sums, axis=0), sum(counts)
        mean = total / n
        whole = [s / self.length for s, c in zip(sums, counts, strict=True) if c == self.length]
        join = max(1, int(np.ceil(2 * sampling.inefficiency / self.length)))
        join = max(1, min(join, len(whole) // BLOCKS_MIN))
        groups = len(whole) // join
        if groups < 2:
            return mean, np.full(np.shape(mean), np.nan)
        blocks = np.array(
            [np.mean(whole[k * join : (k + 1) * join], axis=0) for k in range(groups)]
        )
        remaining = max(1.0, sampling.inefficiency / (join * self.length))
        return mean, np.std(blocks, axis=0, ddof=1) * np.sqrt(remaining / groups)
