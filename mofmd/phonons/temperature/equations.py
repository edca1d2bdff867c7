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
    if equation not in get_args(Equation):
        raise InputError(f"equation: {equation!r}, expected one of {', '.join(get_args(Equation))}")
    v, e = np.asarray(volumes_A3, dtype=float), np.asarray(energies_eV, dtype=float)
    if len(np.unique(v)) <= PARAMETERS:
        raise InputError(
            f"volumes: {len(np.unique(v))} are too few for an equation of state of {PARAMETERS} "
            f"parameters and an error; take {PARAMETERS + 1} or more"
        )
    low = float(e.min())
    start = _birch_murnaghan_of(v, e - low)
    found = start if equation == "birch-murnaghan" else _vinet_of(v, e - low, start)
    energy, volume, modulus, derivative = found
    if not v.min() < volume < v.max():
        side = "below" if volume <= v.min() else "above"
        raise InputError(
            f"volumes: the minimum ({volume:.1f} Å³) lies {side} all of them ({v.min():.1f} to "
            f"{v.max():.1f} Å³): they are one-sided; add volumes on that side"
        )
    form = birch_murnaghan if equation == "birch-murnaghan" else vinet
    residual = float(np.sqrt(np.mean((form(v, *found) - (e - low)) ** 2)))
    return Fit(equation, energy + low, volume, modulus * EV_PER_A3_TO_GPA, derivative, residual)


def _birch_murnaghan_of(v: np.ndarray, e: np.ndarray) -> tuple[float, float, float, float]:
    """Energy, volume, modulus and its derivative [eV, Å³] at the minimum.

    The third order is a cubic polynomial of V^(-2/3): linear least squares, whatever the shape.
    """
    middle = float(v.mean())
    x = (v / middle) ** (-2.0 / 3.0)
    cubic = np.polynomial.Polynomial.fit(x, e, 3)
    slope, curvature, third = cubic.deriv(1), cubic.deriv(2), cubic.deriv(3)
    roots = np.asarray(slope.roots(), dtype=complex)
    real = roots.real[(np.abs(roots.imag) < 1e-12) & (roots.real > 0.0)]
    minima = [float(r) for r in real if float(curvature(r)) > 0.0]
    if not minima:
        raise InputError(
            "volumes: the energies have no minimum over them; add volumes on both sides of it, or "
            "leave out those at which the framework has changed"
        )
    at = min(minima, key=lambda r: abs(r - float(np.clip(r, x.min(), x.max()))))
    second = 4.0 / 9.0 * at**5 * curvature(at)  # derivatives by V, in units of the mean volume
    beyond = -20.0 / 9.0 * at**6.5 * curvature(at) - 8.0 / 27.0 * at**7.5 * third(at)
    volume = at**-1.5
    modulus = volume * second / middle
    return float(cubic(at)), middle * volume, float(modulus), float(-1.0 - volume * beyond / second)


def _vinet_of(
    v: np.ndarray, e: np.ndarray, start: tuple[float, float, float, float]
) -> tuple[float, float, float, float]:
    from scipy.optimize import OptimizeWarning, curve_fit

    _, volume, modulus, derivative = start
    spread = max(float(np.ptp(e)), 1e-12)

    def scaled(x: np.ndarray, *p: float) -> np.ndarray:
        return vinet(x, spread * p[0], volume * p[1], modulus * p[2], p[3]) / spread

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        try:
            p, _ = curve_fit(
                scaled,
                v,
                e / spread,
                p0=(start[0] / spread, 1.0, 1.0, derivative),
                maxfev=20000,
                xtol=1e-14,
                ftol=1e-14,
            )
        except RuntimeError as error:
            raise InputError(f"volumes: no vinet describes the energies: {error}") from error
    return float(spread * p[0]), float(volume * p[1]), float(modulus * p[2]), float(p[3])
