"""Mean square displacement and diffusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mofmd.analysis.base.observable import (
    Observable,
    Stamp,
    refuse_much_memory,
    require_elements,
    require_unwrapped,
    spacing_ps,
)
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.option_text import number, two_numbers, words
from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.units import A2_PER_PS_TO_M2_PER_S

ATOMS_AT_ONCE = 2000
SEGMENTS = 4


def mean_square_displacement(positions: np.ndarray) -> np.ndarray:
    """Average |r(t + lag) − r(t)|² over atoms and over all origins t.

    Parameters
    ----------
    positions
        (frames, atoms, 3) unwrapped positions, drift removed [Å].

    Returns
    -------
    np.ndarray
        (frames,) for lags of 0, 1, ... frames [Å²]. The last ones rest on few origins.

    Notes
    -----
    By FFT: MSD(m) = S₁(m) − 2 S₂(m), S₂ being the autocorrelation of positions (Calandrini et al.,
    Collection SFN 2011, 12, 201, section 4.2). Each atom is first moved so that its mean is zero,
    which keeps the difference accurate.
    """
    n_frames, n_atoms, _ = positions.shape
    total = np.zeros(n_frames)
    for begin in range(0, n_atoms, ATOMS_AT_ONCE):
        part = positions[:, begin : begin + ATOMS_AT_ONCE]
        part = part - part.mean(axis=0)
        square = np.einsum("tak,tak->t", part, part)
        size = 1 << (2 * n_frames - 1).bit_length()
        spectrum = np.fft.rfft(part.reshape(n_frames, -1), size, axis=0)
        power = np.einsum("fa,fa->f", spectrum.real, spectrum.real)
        power += np.einsum("fa,fa->f", spectrum.imag, spectrum.imag)
        correlation = np.fft.irfft(power, size)[:n_frames]
        # Σ over origins of r²(t) + r²(t + m): the whole twice, less both ends
        ends = np.concatenate([[0.0], np.cumsum(square + square[::-1])[:-1]])
        total += 2 * square.sum() - ends - 2 * correlation
    origins = np.arange(n_frames, 0, -1)
    msd = np.maximum(total, 0.0) / origins / n_atoms
    msd[0] = 0.0
    return np.asarray(msd)


@observable(
    "msd",
    title="Displacements",
    interval_ps=0.5,
    frames=200,
    options={"elements": words, "fit": two_numbers, "memory_max_GB": number},
    place=60,
)
@dataclass(eq=False)
class Msd(Observable):
    """Mean square displacement of each element, and its diffusion coefficient.

    The drift of the centre of mass of all atoms is removed. D is a sixth of the slope of a straight
    line between the two ends of ``fit``; its error is the spread of the slopes of four parts of
    the trajectory.

    Parameters
    ----------
    elements
        Elements; empty takes all.
    fit
        Range of lags for the line, as fractions of the longest lag.
    memory_max_GB
        Refuse more positions than this: all frames are kept.
    interval_ps, cut
        As for every observable; the paper's interval is 0.5 ps. The cut defaults to zero, as a
        displacement has no equilibrium to wait for.
    """

    elements: Sequence[str] = ()
    fit: tuple[float, float] = (0.1, 0.5)
    memory_max_GB: float = 2.0
    _positions: list[np.ndarray] = field(default_factory=list, init=False, repr=False)
    _stamps: list[Stamp] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        """Refuse a range that is none."""
        if not 0 <= self.fit[0] < self.fit[1] <= 1:
            raise InputError(f"fit: {self.fit}, expected two rising fractions of the longest lag")
        self._codes = np.empty(0, dtype=np.int64)

    @property
    def name(self) -> str:
        """Short name for people."""
        return "msd"

    def check(self, frame: Frame) -> None:
        """Refuse wrapped positions and absent elements."""
        require_unwrapped(frame, self.name)
        require_elements(frame, self.elements, self.name)
        self.elements = tuple(self.elements) or frame.species.elements
        wanted = np.concatenate([frame.species.atoms_of(element) for element in self.elements])
        self._wanted = np.sort(wanted)
        self._codes = frame.species.codes[self._wanted]
        self._names = frame.species.elements

    def measure(self, frame: Frame) -> np.ndarray:
        """Positions less their centre of mass [Å]."""
        masses = frame.species.masses
        centre = masses @ frame.positions / masses.sum()
        return np.asarray((frame.positions - centre)[self._wanted])

    def add(self, stamp: Stamp, value: np.ndarray) -> None:
        """Take the measurement of the next frame."""
        refuse_much_memory(self.name, len(self._positions) + 1, value, self.memory_max_GB)
        self._positions.append(value)
        self._stamps.append(stamp)

    def result(self) -> Result:
        """Average over atoms and origins."""
        cut = self.cut or 0
        stamps = self._stamps[cut:]
        spacing = spacing_ps(stamps, self.name)
        positions = np.array(self._positions[cut:])
        lags = spacing * np.arange(len(positions))
        columns = {"lag": Column(lags, "ps", label="Lag time")}
        scalars = {}
        for element in self.elements:
            atoms = self._codes == self._names.index(element)
            msd = mean_square_displacement(positions[:, atoms])
            columns[element] = Column(msd, "Å²", label="Mean square displacement")
            scalars[f"D {element}"] = self._diffusion(positions[:, atoms], msd, lags)
        return Result(
            name=self.name,
            definition="⟨|r(t+lag) − r(t)|²⟩ over atoms and all origins, drift of the centre of "
            "mass removed; D = slope/6",
            settings={"elements": list(self.elements), "fit_of_longest_lag": list(self.fit)},
            scalars=scalars,
            tables={"msd": Table(columns, "curve", "Mean square displacement")},
            notes=(
                "A diffusion coefficient means something only where the displacement grows "
                "linearly; atoms of a solid vibrate about their sites.",
            ),
        )

    def _diffusion(self, positions: np.ndarray, msd: np.ndarray, lags: np.ndarray) -> Estimate:
        value = self._slope(msd, lags) / 6 * A2_PER_PS_TO_M2_PER_S
        length = len(lags) // SEGMENTS
        if length < 4:
            return Estimate(value, float("nan"), 1.0, "m²/s")
        parts = [
            self._slope(
                mean_square_displacement(positions[k * length : (k + 1) * length]), lags[:length]
            )
            for k in range(SEGMENTS)
        ]
        error = np.std(parts, ddof=1) / np.sqrt(SEGMENTS) / 6 * A2_PER_PS_TO_M2_PER_S
        return Estimate(value, float(error), float(SEGMENTS), "m²/s")

    def _slope(self, msd: np.ndarray, lags: np.ndarray) -> float:
        low, high = (round(part * (len(lags) - 1)) for part in self.fit)
        high = max(high, low + 1)
        return float(np.polyfit(lags[low : high + 1], msd[low : high + 1], 1)[0])
