"""Velocity autocorrelation and vibrational density of states."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mofmd.analysis.base.observable import Observable, Stamp, refuse_much_memory, spacing_ps
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.option_text import number
from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame

ATOMS_AT_ONCE = 2000


@observable(
    "vacf",
    title="Vibrations",
    interval_ps=0.0,
    frames=1,
    options={"lag_max_ps": number, "memory_max_GB": number},
    place=99,
)
@dataclass(eq=False)
class Vacf(Observable):
    """Mass-weighted velocity autocorrelation, and the vibrational density of states from it.

    C(lag) = Σ m ⟨v(t)·v(t + lag)⟩ / Σ m ⟨v²⟩ over atoms and all origins, for all atoms and for each
    element. The density of states is its cosine transform, with a Hann window over the lags, scaled
    so that the sum over the elements integrates to 3N modes.

    Parameters
    ----------
    lag_max_ps
        Longest lag: the resolution is its inverse; None takes half the trajectory.
    memory_max_GB
        Refuse more velocities than this: all frames are kept.
    interval_ps, cut
        As for every observable; frames must be closer than half the shortest period (C-H: 5 fs).
    """

    lag_max_ps: float | None = None
    memory_max_GB: float = 8.0
    _velocities: list[np.ndarray] = field(default_factory=list, init=False, repr=False)
    _stamps: list[Stamp] = field(default_factory=list, init=False, repr=False)

    @property
    def name(self) -> str:
        """Short name for people."""
        return "vacf"

    def check(self, frame: Frame) -> None:
        """Refuse frames without velocities."""
        if frame.velocities is None:
            raise InputError(
                "vacf: the trajectory has no velocities; make the deck with --set "
                "frame_data=velocities, or dump vx vy vz too"
            )
        self._species = frame.species

    def measure(self, frame: Frame) -> np.ndarray:
        """Velocities times √mass, without the drift."""
        if frame.velocities is None:
            raise InputError(f"vacf: the frame of step {frame.step} has no velocities")
        masses = frame.species.masses
        drift = masses @ frame.velocities / masses.sum()
        return np.asarray((frame.velocities - drift) * np.sqrt(masses)[:, None])

    def add(self, stamp: Stamp, value: np.ndarray) -> None:
        """Take the measurement of the next frame."""
        refuse_much_memory(self.name, len(self._velocities) + 1, value, self.memory_max_GB)
        self._velocities.append(value)
        self._stamps.append(stamp)

    def result(self) -> Result:
        """Correlate and transform."""
        stamps = self._stamps[self.cut or 0 :]
        spacing = spacing_ps(stamps, self.name)
        n_frames = len(stamps)
        longest = (n_frames - 1) * spacing / 2 if self.lag_max_ps is None else self.lag_max_ps
        n_lags = round(longest / spacing) + 1
        if not 2 <= n_lags <= n_frames:
            raise InputError(f"lag_max_ps: {longest:g}, expected {spacing:g} ps to the whole run")
        velocities = np.array(self._velocities[self.cut or 0 :])
        lags = spacing * np.arange(n_lags)
        frequency = np.fft.rfftfreq(2 * n_lags, spacing)
        elements = self._species.elements
        correlation = np.array(
            [
                _correlate(velocities[:, self._species.codes == k], n_lags)
                for k in range(len(elements))
            ]
        )
        total = correlation.sum(axis=0)
        window = 0.5 * (1 + np.cos(np.pi * np.arange(n_lags) / n_lags))
        spectra = np.array([_cosine_transform(part * window) for part in correlation])
        modes = 3 * len(self._species)
        scale = modes / (spectra.sum() * (frequency[1] - frequency[0]))
        columns = {"frequency": Column(frequency, "THz", label="Frequency")}
        label = "Density of states"
        columns["total"] = Column(spectra.sum(axis=0) * scale, "1/THz", label=label)
        columns |= {
            name: Column(part * scale, "1/THz", label=label)
            for name, part in zip(elements, spectra, strict=True)
        }
        return Result(
            name=self.name,
            definition="Σ m⟨v(t)·v(t+lag)⟩/Σ m⟨v²⟩; density of states = cosine transform, 3N modes",
            settings={"lag_max_ps": longest},
            scalars={},
            tables={
                "vacf": Table(
                    {
                        "lag": Column(lags, "ps", label="Lag time"),
                        "total": Column(total / total[0], label="Velocity autocorrelation"),
                        **{
                            name: Column(part / part[0], label="Velocity autocorrelation")
                            for name, part in zip(elements, correlation, strict=True)
                        },
                    },
                    "curve",
                    "Velocity autocorrelation",
                ),
                "vdos": Table(columns, "curve", "Vibrational density of states"),
            },
            notes=(
                f"Frequencies above {0.5 / spacing:.4g} THz fold back: frames are {spacing:g} ps "
                "apart.",
            ),
        )


def _correlate(velocities: np.ndarray, n_lags: int) -> np.ndarray:
    """Σ over atoms of ⟨v(t)·v(t + lag)⟩ over all origins."""
    n_frames, n_atoms, _ = velocities.shape
    size = 1 << (2 * n_frames - 1).bit_length()
    power = np.zeros(size // 2 + 1)
    for begin in range(0, n_atoms, ATOMS_AT_ONCE):
        part = velocities[:, begin : begin + ATOMS_AT_ONCE].reshape(n_frames, -1)
        power += (np.abs(np.fft.rfft(part, size, axis=0)) ** 2).sum(axis=1)
    origins = np.arange(n_frames, n_frames - n_lags, -1)
    return np.asarray(np.fft.irfft(power, size)[:n_lags] / origins)


def _cosine_transform(values: np.ndarray) -> np.ndarray:
    """Transform of the even continuation of the values, to as many frequencies as lags and one."""
    even = np.concatenate([values, [0.0], values[:0:-1]])
    return np.asarray(np.fft.rfft(even).real)
