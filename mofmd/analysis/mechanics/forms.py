"""Forms of equations of state: pressure and energy against volume."""

from __future__ import annotations

from typing import Literal

import numpy as np

Form = Literal["birch-murnaghan", "vinet"]
CITATIONS: dict[str, str] = {
    "birch-murnaghan": "Birch and Murnaghan, Phys. Rev. 1947, 71, 809",
    "vinet": "Vinet et al., J. Geophys. Res. 1987, 92, 9319",
}


def birch_murnaghan_pressure(
    volumes: np.ndarray, bulk_modulus: float, volume: float, derivative: float = 4.0
) -> np.ndarray:
    """P(V) = 3K/2 (x⁷ − x⁵) (1 + 3/4 (K′ − 4)(x² − 1)), x³ = V₀/V; in the unit of K."""
    x = (volume / np.asarray(volumes)) ** (1 / 3)
    return np.asarray(
        1.5 * bulk_modulus * (x**7 - x**5) * (1 + 0.75 * (derivative - 4) * (x**2 - 1))
    )


def birch_murnaghan_energy(
    volumes: np.ndarray, energy: float, bulk_modulus: float, volume: float, derivative: float = 4.0
) -> np.ndarray:
    """E(V) whose −dE/dV is ``birch_murnaghan_pressure``; K in the unit of energy per volume."""
    y = (volume / np.asarray(volumes)) ** (2 / 3) - 1
    return np.asarray(
        energy + 9 / 16 * volume * bulk_modulus * (y**3 * derivative + y**2 * (6 - 4 * (y + 1)))
    )


def vinet_pressure(
    volumes: np.ndarray, bulk_modulus: float, volume: float, derivative: float = 4.0
) -> np.ndarray:
    """P(V) = 3K (1 − x)/x² exp(η (1 − x)), x³ = V/V₀, η = 3/2 (K′ − 1); in the unit of K."""
    x = (np.asarray(volumes) / volume) ** (1 / 3)
    eta = 1.5 * (derivative - 1.0)
    return np.asarray(3 * bulk_modulus * (1 - x) / x**2 * np.exp(eta * (1 - x)))


def vinet_energy(
    volumes: np.ndarray, energy: float, bulk_modulus: float, volume: float, derivative: float = 4.0
) -> np.ndarray:
    """E(V) whose −dE/dV is ``vinet_pressure``; K in the unit of energy per volume.

    E − E₀ = 9 K V₀ [1 − (1 − u) e^u]/η², u = η (1 − x); for small η the limit 9/2 K V₀ (1 − x)².
    """
    x = (np.asarray(volumes) / volume) ** (1 / 3)
    eta = 1.5 * (derivative - 1.0)
    u = eta * (1 - x)
    # [1 − (1 − u) e^u]/u² by its series where the difference would lose its digits
    small = np.abs(u) < 1e-3
    safe = np.where(small, 1.0, u)
    exact = (1 - (1 - safe) * np.exp(safe)) / safe**2
    series = 0.5 + u / 3 + u**2 / 8
    return np.asarray(
        energy + 9 * bulk_modulus * volume * (1 - x) ** 2 * np.where(small, series, exact)
    )


def pressure_of(form: Form, volumes: np.ndarray, *parameters: float) -> np.ndarray:
    """Pressure of a form."""
    function = vinet_pressure if form == "vinet" else birch_murnaghan_pressure
    return function(volumes, *parameters)


def energy_of(form: Form, volumes: np.ndarray, *parameters: float) -> np.ndarray:
    """Energy of a form."""
    function = vinet_energy if form == "vinet" else birch_murnaghan_energy
    return function(volumes, *parameters)
