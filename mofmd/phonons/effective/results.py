"""Self-consistent phonons: how they are made, and what is found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError


@dataclass(frozen=True, kw_only=True)
class SschaOptions:
    """How the phonons are made self-consistent.

    Parameters
    ----------
    temperature_K
        0 or more.
    supercells
        Displaced ones of a round, even; None: four times those that determine the force constants,
        and 100 at least.
    rounds
        At most.
    change_THz
        Converged where the frequencies that a round gives differ from those it was drawn of by less
        (root mean square).
    positions
        Whether mean positions are made self-consistent as well.
    mesh
        Of the free energy; None: see ``make_mesh``.
    seed
        Of the random numbers, the same in all rounds.
    """

    temperature_K: float = 300.0
    supercells: int | None = None
    rounds: int = 20
    change_THz: float = 0.005
    positions: bool = True
    mesh: tuple[int, int, int] | None = None
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if not (math.isfinite(self.temperature_K) and self.temperature_K >= 0.0):
            raise InputError(f"temperature: {self.temperature_K} K, expected 0 or more")
        if self.supercells is not None and (self.supercells < 4 or self.supercells % 2):
            raise InputError(
                f"supercells: {self.supercells}, expected an even number of at least 4: they come "
                "in pairs of opposite displacements"
            )
        if self.rounds < 1:
            raise InputError(f"rounds: {self.rounds}, expected 1 or more")
        if not self.change_THz > 0.0:
            raise InputError(f"change: {self.change_THz} THz, expected more than zero")


@dataclass(frozen=True)
class Round:
    """One round: supercells drawn of force constants, and the force constants of their forces.

    Parameters
    ----------
    number
        From zero.
    supercells
        Evaluated.
    free_energy_eV, free_energy_error_eV
        Of the force constants drawn of, per primitive cell, above the energy of the structure that
        was begun with; the error is that of sampling. None where a mode is imaginary.
    harmonic_eV, anharmonic_eV
        Its two parts: of the phonons on the mesh, and the mean of what the potential has more than
        they have.
    change_THz
        Root mean square difference of the frequencies to those of the force constants that follow.
    lowest_THz
        Lowest of these at the wave vectors of the supercell, without translations.
    imaginary
        How many of these are imaginary, or as good as zero.
    step_A
        Largest change of a mean position that follows.
    anharmonicity
        Share of the forces that the force constants that follow do not describe.
    mixing
        Share of the change that was taken over.
    """

    number: int
    supercells: int
    free_energy_eV: float | None
    free_energy_error_eV: float | None
    harmonic_eV: float | None
    anharmonic_eV: float | None
    change_THz: float
    lowest_THz: float
    imaginary: int
    step_A: float
    anharmonicity: float
    mixing: float

    def __str__(self) -> str:
        """Say it in a line."""
        free = (
            "none: imaginary modes"
            if self.free_energy_eV is None
            else f"{self.free_energy_eV:.5f} ± {self.free_energy_error_eV:.5f} eV"
        )
        return (
            f"round {self.number}: frequencies change by {self.change_THz:.4f} THz, lowest "
            f"{self.lowest_THz:.3f} THz, positions by {self.step_A:.4f} Å; free energy {free}"
        )


@dataclass(frozen=True)
class Sscha:
    """Effective phonons at a temperature; arrays are read-only.

    Parameters
    ----------
    temperature_K
        Of them.
    values_eV_per_A2
        (primitive atoms, supercell atoms, 3, 3).
    shifts_A
        (supercell atoms, 3) of the mean positions from the structure begun with.
    rounds
        All of them.
    converged
        Whether the last one kept the limits, and no mode is imaginary.
    noise_THz
        Root mean square error of the frequencies from sampling: half the difference of two halves.
    parameters
        Free ones of the fit.
    """

    temperature_K: float
    values_eV_per_A2: np.ndarray
    shifts_A: np.ndarray
    rounds: tuple[Round, ...]
    converged: bool
    noise_THz: float
    parameters: int

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "values_eV_per_A2", "shifts_A")
