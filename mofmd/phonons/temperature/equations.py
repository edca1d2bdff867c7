"""Equations of state: energy or free energy against volume."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from mofmd.analysis.mechanics.forms import birch_murnaghan_energy, vinet_energy
from mofmd.errors import InputError
from mofmd.units import EV_PER_A3_TO_GPA

Equation = Literal["birch-murnaghan", "vinet"]
PARAMETERS = 4


@dataclass(frozen=True)
class Fit:
    """An equation of state.

    Parameters
    ----------
    equation
        Which one.
    energy_eV, volume_A3
        At its minimum.
    bulk_modulus_GPa, derivative
        There, and the derivative by pressure.
    residual_eV
        Root mean square of what it does not describe.
    """

    equation: Equation
    energy_eV: float
    volume_A3: float
    bulk_modulus_GPa: float
    derivative: float
    residual_eV: float


def birch_murnaghan(
    volumes: np.ndarray, energy: float, volume: float, modulus: float, derivative: float
) -> np.ndarray:
    """Third order: Birch, Phys. Rev. 71, 809 (1947); all in eV and Å³."""
    return birch_murnaghan_energy(volumes, energy, modulus, volume, derivative)


def vinet(
    volumes: np.ndarray, energy: float, volume: float, modulus: float, derivative: float
) -> np.ndarray:
    """Vinet et al., J. Phys.: Condens. Matter 1, 1941 (1989); all in eV and Å³."""
    return vinet_energy(volumes, energy, modulus, volume, derivative)


def fit_equation(
    volumes_A3: np.ndarray, energies_eV: np.ndarray, equation: Equation = "birch-murnaghan"
) -> Fit:
    """Fit an equation of state.

    Parameters
    ----------
    volumes_A3, energies_eV
        (points,).
    equation
        ``birch-murnaghan`` or ``vinet``.

    Raises
    ------
    InputError
        If there are too few volumes, or the minimum is not between the smallest and the largest.

    Examples
    --------
    >>> v = np.linspace(90.0, 110.0, 7)
    >>> found = fit_equation(v, birch_murnaghan(v, -1.0, 101.0, 0.1, 5.0))
    >>> round(found.volume_A3, 6), round(found.derivative, 4)
    (101.0, 5.0)
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    if equation not in get_args(Equation):
        raise InputError(f"equation: {equation!r}, expected one of {', '.join(get_args(Equation))}")
    v, e = np.asarray(volumes_A3, dtype=float), np.asarray(energies_eV, dtype=float)
    if len(np.unique(v)) <= PARAMETERS:
        raise InputError(
            f"volumes: {len(np.unique(v))} are too few for an equation of state of {PARAMETERS} "
            f"parameters and an error; take {PARAMETERS + 1} or more"
        )
    middle, scale = v.mean(), np.ptp(v)
    a, b, _ = np.polyfit((v - middle) / scale, e - e.min(), 2)
    guess_v = middle - scale * b / (2.0 * a) if a > 0 else v[np.argmin(e)]
    guess_k = max(2.0 * a / scale**2 * guess_v, 1e-6)
    form = birch_murnaghan if equation == "birch-murnaghan" else vinet
    low = e.min()

    def shifted(x: np.ndarray, *p: float) -> np.ndarray:
        return form(x, p[0], p[1] * middle, p[2] * guess_k, p[3])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            found, _ = curve_fit(
                shifted,
                v,
                e - low,
                p0=(0.0, guess_v / middle, 1.0, 4.5),
                maxfev=20000,
                xtol=1e-14,
                ftol=1e-14,
            )
        except RuntimeError as error:
            raise InputError(f"volumes: no {equation} describes the energies: {error}") from error
    volume = float(found[1] * middle)
    if not v.min() < volume < v.max():
        side = "below" if volume <= v.min() else "above"
        raise InputError(
            f"volumes: the minimum ({volume:.1f} Å³) lies {side} all of them ({v.min():.1f} to "
            f"{v.max():.1f} Å³): they are one-sided; add volumes on that side"
        )
    residual = float(np.sqrt(np.mean((shifted(v, *found) - (e - low)) ** 2)))
    return Fit(
        equation,
        float(found[0] + low),
        volume,
        float(found[2] * guess_k) * EV_PER_A3_TO_GPA,
        float(found[3]),
        residual,
    )
