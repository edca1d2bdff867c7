"""Quasi-harmonic approximation: free energies at several volumes, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.phonons.temperature.equations import PARAMETERS, Equation, Fit, fit_equation

LEAST_VOLUMES = PARAMETERS + 1
LEAST_TEMPERATURES = 3
"""Slopes are taken from neighbours on both sides."""


@dataclass(frozen=True)
class Qha:
    """Thermal expansion of a crystal; arrays are read-only.

    Parameters
    ----------
    equation
        Equation of state that was fitted at each temperature.
    temperatures_K
        (temperatures,), those at which the minimum lies among the volumes.
    volumes_A3
        (temperatures,) of the cell.
    volume_errors_A3
        (temperatures,) from leaving out each volume in turn (jackknife): of the fit, and of the
        noise of the model.
    bulk_moduli_GPa
        (temperatures,) isothermal.
    alpha_V_per_K, alpha_V_errors_per_K
        (temperatures,) volumetric expansion, d ln V/dT, and its error.
    lengths_A
        (temperatures, 3) of the cell's edges at these volumes.
    alpha_L_per_K
        (temperatures, 3) linear expansion of each edge, d ln a/dT.
    gibbs_eV
        (temperatures,) free energy at zero pressure.
    static
        Fit of the energies without vibrations.
    """

    equation: Equation
    temperatures_K: np.ndarray
    volumes_A3: np.ndarray
    volume_errors_A3: np.ndarray
    bulk_moduli_GPa: np.ndarray
    alpha_V_per_K: np.ndarray
    alpha_V_errors_per_K: np.ndarray
    lengths_A: np.ndarray
    alpha_L_per_K: np.ndarray
    gibbs_eV: np.ndarray
    static: Fit

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(
            self,
            "temperatures_K",
            "volumes_A3",
            "volume_errors_A3",
            "bulk_moduli_GPa",
            "alpha_V_per_K",
            "alpha_V_errors_per_K",
            "lengths_A",
            "alpha_L_per_K",
            "gibbs_eV",
        )

    @property
    def mean_alpha_L_per_K(self) -> np.ndarray:
        """(temperatures,) a third of the volumetric expansion: that of a cubic crystal's edge."""
        return np.asarray(self.alpha_V_per_K / 3.0)


def check_temperatures(temperatures_K: np.ndarray) -> None:
    """Refuse temperatures of which no expansion can be made.

    Raises
    ------
    InputError
        If they are fewer than three, not finite, below zero or not ascending.
    """
    if (
        len(temperatures_K) < LEAST_TEMPERATURES
        or not (np.isfinite(temperatures_K) & (temperatures_K >= 0.0)).all()
        or (np.diff(temperatures_K) <= 0).any()
    ):
        raise InputError(
            f"temperatures: {len(temperatures_K)} given, expected {LEAST_TEMPERATURES} or more, "
            "ascending [K]"
        )


def quasi_harmonic(  # noqa: PLR0913, PLR0917 - one argument per quantity
    volumes_A3: np.ndarray,
    static_eV: np.ndarray,
    vibrational_eV: np.ndarray,
    temperatures_K: np.ndarray,
    lengths_A: np.ndarray | None = None,
    equation: Equation = "birch-murnaghan",
) -> Qha:
    """Find the volume of least free energy at each temperature.

    F(V, T) = E(V) + F_vib(V, T): Togo, J. Phys. Soc. Jpn. 92, 012001 (2023). Temperatures above
    which the minimum leaves the volumes are left out.

    Parameters
    ----------
    volumes_A3, static_eV
        (volumes,) of the cell, shapes and positions relaxed at each.
    vibrational_eV
        (volumes, temperatures) free energies of the vibrations.
    temperatures_K
        (temperatures,) ascending.
    lengths_A
        (volumes, 3) edges of the cell; None: those of a cube.
    equation
        Of state.

    Raises
    ------
    InputError
        If the volumes are too few or one-sided already at the lowest temperature.
    """
    v = np.asarray(volumes_A3, dtype=float)
    if len(v) < LEAST_VOLUMES + 1:
        raise InputError(
            f"volumes: {len(v)} are too few: leaving out one must leave {LEAST_VOLUMES}; take "
            f"{LEAST_VOLUMES + 1} or more"
        )
    temperatures = np.asarray(temperatures_K, dtype=float)
    check_temperatures(temperatures)
    total = np.asarray(static_eV)[:, None] + vibrational_eV
    fits: list[Fit] = []
    for k in range(len(temperatures)):
        try:
            fits.append(fit_equation(v, total[:, k], equation))
        except InputError:
            if k < 3:
                raise
            break
    n = len(fits)
    found = np.array([fit.volume_A3 for fit in fits])
    left_out = _jackknife(v, total[:, :n], found, equation)
    t = temperatures[:n]
    alpha = np.gradient(np.log(found), t, edge_order=2)
    spread = (len(v) - 1) / len(v)
    alphas = np.gradient(np.log(left_out), t, axis=1, edge_order=2)
    edges = np.cbrt(v)[:, None] * np.ones(3) if lengths_A is None else np.asarray(lengths_A)
    at = np.stack([_smooth(v, edges[:, k], found) for k in range(3)], axis=1)
    return Qha(
        equation,
        t,
        found,
        np.sqrt(spread * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)),
        np.array([fit.bulk_modulus_GPa for fit in fits]),
        alpha,
        np.sqrt(spread * ((alphas - alphas.mean(axis=0)) ** 2).sum(axis=0)),
        at,
        np.gradient(np.log(at), t, axis=0, edge_order=2),
        np.array([fit.energy_eV for fit in fits]),
        fit_equation(v, np.asarray(static_eV), equation),
    )


def _jackknife(
    volumes: np.ndarray, total: np.ndarray, whole: np.ndarray, equation: Equation
) -> np.ndarray:
    """(volumes, temperatures) minima without each volume; where there is none, that of all."""
    rows = []
    for k in range(len(volumes)):
        keep = np.arange(len(volumes)) != k
        row = []
        for j in range(total.shape[1]):
            try:
                row.append(fit_equation(volumes[keep], total[keep, j], equation).volume_A3)
            except InputError:
                row.append(float(whole[j]))
        rows.append(row)
    return np.array(rows)


def _smooth(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Cubic polynomial of y over x, at other places."""
    middle, scale = x.mean(), np.ptp(x)
    return np.asarray(np.polyval(np.polyfit((x - middle) / scale, y, 3), (at - middle) / scale))
