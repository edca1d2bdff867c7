"""Thermal functions of harmonic oscillators, with bounds where frequencies are imaginary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.phonons.spectrum.mesh import Mesh

TOLERANCE_THZ = 0.01
"""Frequencies below minus this count as imaginary."""
FLOOR_THZ = 0.1
"""The lowest frequency that an imaginary mode is taken to have once it is stable."""


class Constants(NamedTuple):
    """phonopy's constants, so that numbers are those of phonopy to the last digit."""

    boltzmann_eV_per_K: float
    planck_eV_per_THz: float
    eV_to_kJ_per_mol: float


def constants() -> Constants:
    """Give Boltzmann's and Planck's constants as phonopy has them (CODATA 2006)."""
    from phonopy.physical_units import get_physical_units

    units = get_physical_units()
    return Constants(float(units.KB), float(units.THzToEv or 0), float(units.EvTokJmol or 0))


@dataclass(frozen=True)
class Thermal:
    """Thermal functions of the lattice at constant volume, per mole of primitive cells.

    Arrays are read-only. Where there are imaginary modes, ``low`` and ``high`` are what the
    functions can be once those modes are stable, and the values lie in the middle; otherwise all
    three are the same.

    Parameters
    ----------
    temperatures_K
        (temperatures,).
    free_energy_kJ_per_mol, entropy_J_per_K_mol, heat_capacity_J_per_K_mol
        (temperatures,) the free energy with the zero-point energy.
    low, high
        (3, temperatures) of the three functions.
    zero_point_kJ_per_mol
        Zero-point energy of the real modes.
    imaginary_share
        Share of all modes of the mesh that is imaginary.
    tolerance_THz
        Beyond which a mode counts as imaginary.
    mass_g_per_mol
        Of a primitive cell.
    """

    temperatures_K: np.ndarray
    free_energy_kJ_per_mol: np.ndarray
    entropy_J_per_K_mol: np.ndarray
    heat_capacity_J_per_K_mol: np.ndarray
    low: np.ndarray
    high: np.ndarray
    zero_point_kJ_per_mol: float
    imaginary_share: float
    tolerance_THz: float
    mass_g_per_mol: float

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(
            self,
            "temperatures_K",
            "free_energy_kJ_per_mol",
            "entropy_J_per_K_mol",
            "heat_capacity_J_per_K_mol",
            "low",
            "high",
        )

    def heat_capacity_J_per_K_g(self, temperature_K: float) -> float:
        """Heat capacity per gram at a temperature of the table or between two of them."""
        value = np.interp(temperature_K, self.temperatures_K, self.heat_capacity_J_per_K_mol)
        return float(value) / self.mass_g_per_mol


def oscillators(frequencies_THz: np.ndarray, temperatures_K: np.ndarray) -> np.ndarray:
    """(3, temperatures, oscillators) free energy [eV], entropy and heat capacity [eV/K].

    F = hν/2 + kT ln(1 − e^−x), S = k [x/(eˣ − 1) − ln(1 − e^−x)], C = k x² eˣ/(eˣ − 1)², x = hν/kT:
    Born and Huang, Dynamical Theory of Crystal Lattices (1954), section 16.

    Parameters
    ----------
    frequencies_THz
        (oscillators,) above zero.
    temperatures_K
        (temperatures,) zero or more.
    """
    k, h, _ = constants()
    energy = h * np.asarray(frequencies_THz, dtype=float)
    found = np.zeros((3, len(temperatures_K), len(energy)))
    found[0] = energy / 2.0
    for row, temperature in enumerate(temperatures_K):
        if temperature <= 0.0:
            continue
        x = energy / (k * temperature)
        decay = np.exp(-x)
        log = np.log1p(-decay)
        excited = decay / (-np.expm1(-x))  # 1/(eˣ − 1)
        found[0, row] += k * temperature * log
        found[1, row] = k * (x * excited - log)
        found[2, row] = k * x**2 * excited * (1.0 + excited)
    return found


def thermal_functions(
    mesh: Mesh,
    temperatures_K: np.ndarray,
    mass_g_per_mol: float,
    tolerance_THz: float = TOLERANCE_THZ,
    floor_THz: float = FLOOR_THZ,
) -> Thermal:
    """Sum over the modes of a mesh; translations at Γ are left out.

    A mode whose frequency is imaginary beyond the tolerance, iν, lies on a hill. At the bottom of a
    quartic double well the frequency is √2 ν: the stiffest that is taken into account. The softest
    is ``floor_THz``, or √2 ν where that is less. What lies within the tolerance of zero counts as
    oscillators of the tolerance: at zero itself their free energy has no bound.

    Parameters
    ----------
    mesh
        With frequencies.
    temperatures_K
        (temperatures,).
    mass_g_per_mol
        Of a primitive cell.
    tolerance_THz, floor_THz
        See above.
    """
    temperatures = np.asarray(temperatures_K, dtype=float)
    if temperatures.ndim != 1 or len(temperatures) == 0 or (temperatures < 0).any():
        raise InputError("temperatures: expected a list of temperatures of zero or more [K]")
    nu = mesh.sample.frequencies_THz
    share = mesh.weights / mesh.weights.sum()
    weights = np.broadcast_to(share[:, None], nu.shape)
    imaginary = (nu < -tolerance_THz) & ~mesh.acoustic
    real = (nu > tolerance_THz) & ~mesh.acoustic
    near = ~imaginary & ~real & ~mesh.acoustic
    sums = _sum(nu[real], weights[real], temperatures)
    if near.any():
        sums += _sum(np.full(near.sum(), tolerance_THz), weights[near], temperatures)
    stiff, soft = np.zeros_like(sums), np.zeros_like(sums)
    if imaginary.any():
        top = np.sqrt(2.0) * np.abs(nu[imaginary])
        stiff = _sum(top, weights[imaginary], temperatures)
        soft = _sum(np.minimum(top, floor_THz), weights[imaginary], temperatures)
    low, high = np.minimum(stiff, soft) + sums, np.maximum(stiff, soft) + sums
    scale = constants().eV_to_kJ_per_mol * np.array([1.0, 1e3, 1e3])[:, None]
    middle = 0.5 * (low + high) * scale
    zero_point = 0.5 * constants().planck_eV_per_THz * float((nu * weights)[real].sum())
    return Thermal(
        temperatures,
        middle[0],
        middle[1],
        middle[2],
        low * scale,
        high * scale,
        zero_point * constants().eV_to_kJ_per_mol,
        float(weights[imaginary].sum() / nu.shape[1]),
        tolerance_THz,
        mass_g_per_mol,
    )


def _sum(frequencies: np.ndarray, weights: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    found = np.zeros((3, len(temperatures)))
    for row, temperature in enumerate(temperatures):  # one at a time: a mesh has many modes
        found[:, row] = oscillators(frequencies, np.array([temperature]))[:, 0] @ weights
    return found
