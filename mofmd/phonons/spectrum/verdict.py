"""Whether a crystal is stable, by its phonons, and where these were looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np

    from mofmd.phonons.spectrum.spectrum import Spectrum

UNSTABLE_KM_PER_S = 0.05
"""Slopes below minus this are imaginary, and no rounding."""


@dataclass(frozen=True)
class Verdict:
    """Whether a crystal is stable.

    Parameters
    ----------
    stable
        ``yes``, ``no``, or ``unknown`` where what was looked at does not decide.
    head
        The verdict in a few words.
    looked_at
        Wave vectors at which modes were looked at.
    text
        Why it is so, and what decides where it is not known.
    """

    stable: Literal["yes", "no", "unknown"]
    head: str
    looked_at: str
    text: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{self.head}; {self.text}"


def verdict(spectrum: Spectrum) -> Verdict:
    """Judge a spectrum by its mesh, the wave vectors that fit into the supercell, and long waves.

    At the wave vectors that fit into the supercell frequencies are those of the forces, so that an
    imaginary one there is a crystal that is not stable; between them they are interpolated. Where Γ
    is all that was looked at, nothing is known of the others.

    Parameters
    ----------
    spectrum
        With its imaginary modes.
    """
    looked_at = _looked_at(spectrum)
    tolerance = f"−{spectrum.thermal.tolerance_THz:g} THz"
    n, share = len(spectrum.imaginary), f"{100 * spectrum.thermal.imaginary_share:.2g} % of all"
    if spectrum.soft:
        worst = spectrum.soft[0]
        return Verdict(
            "no",
            "Stable: no",
            looked_at,
            f"{len(spectrum.soft)} imaginary modes at wave vectors that fit into the supercell, "
            f"the lowest {-worst.frequency_THz:.3f}i THz at q = {vector(worst.q)}; {n} on the "
            f"mesh ({share}), for which thermal functions are given as bounds",
        )
    if n:
        lowest = spectrum.imaginary[0]
        return Verdict(
            "unknown",
            "Stable: not known",
            looked_at,
            f"{n} imaginary modes on the mesh ({share}), the lowest "
            f"{-lowest.frequency_THz:.3f}i THz at q = {vector(lowest.q)}, but none at a wave "
            "vector that fits into the supercell, where nothing is interpolated: a larger "
            "supercell decides; thermal functions are given as bounds",
        )
    slowest = float(spectrum.speeds.speeds_km_per_s.min())
    if slowest < -UNSTABLE_KM_PER_S:
        along = spectrum.speeds.directions[spectrum.speeds.speeds_km_per_s.min(axis=1).argmin()]
        return Verdict(
            "unknown",
            "Stable: not known",
            looked_at,
            f"no frequency below {tolerance} at {looked_at}, but long waves along "
            f"{vector(along)} are imaginary ({slowest:.2f} km/s): between the wave vectors that "
            "fit into the supercell a larger one is needed",
        )
    if _is_gamma_alone(spectrum):
        return Verdict(
            "unknown",
            "Stable at Γ, elsewhere not known",
            looked_at,
            f"no imaginary mode at Γ (none below {tolerance}); other wave vectors were not looked "
            "at: give a finer --mesh, such as 4x4x4, and a --supercell that suffices for it",
        )
    return Verdict(
        "yes", "Stable: yes", looked_at, f"no frequency below {tolerance} at {looked_at}"
    )


def vector(q: Sequence[float] | np.ndarray) -> str:
    """Write three components in short."""
    return f"({', '.join(f'{v:.3g}' for v in q)})"


def _is_gamma_alone(spectrum: Spectrum) -> bool:
    return spectrum.exact_points == 1 and spectrum.mesh.numbers == (1, 1, 1)


def _looked_at(spectrum: Spectrum) -> str:
    if _is_gamma_alone(spectrum):
        return "Γ alone"
    mesh = f"the wave vectors of the mesh {'×'.join(map(str, spectrum.mesh.numbers))}"
    exact = spectrum.exact_points
    if exact == 1:
        return f"{mesh}, interpolated but for Γ, the one that fits into the supercell"
    return f"{mesh} and the {exact} that fit into the supercell"
