"""Equations of state: pressure against volume, and what follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.forms import Form, energy_of, pressure_of
from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.units import BAR_TO_GPA, EV_PER_A3_TO_GPA, G_PER_MOL_A3_TO_G_PER_CM3

Order = Literal[2, 3]


@dataclass(frozen=True)
class EquationOfState:
    """A fit of an equation of state; arrays are read-only.

    Parameters
    ----------
    order
        Second order (K′ = 4) or third.
    form
        Of Birch and Murnaghan (Birch, Phys. Rev. 1947, 71, 809), or of Vinet (Vinet et al.,
        J. Geophys. Res. 1987, 92, 9319).
    bulk_modulus
        K at zero pressure [GPa].
    volume
        V₀ at zero pressure [Å³].
    derivative
        K′ = dK/dP; exactly 4 at second order.
    volumes_A3, residuals_GPa
        (points,) volumes of the fit, and measured less fitted pressure (or energy [eV]).
    """

    order: Order
    bulk_modulus: Estimate
    volume: Estimate
    derivative: Estimate
    volumes_A3: np.ndarray
    residuals_GPa: np.ndarray
    form: Form = "birch-murnaghan"

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "volumes_A3", "residuals_GPa")

    def pressure_GPa(self, volumes_A3: np.ndarray) -> np.ndarray:
        """Pressure at some volumes [GPa]."""
        k, v, d = self.bulk_modulus.value, self.volume.value, self.derivative.value
        return pressure_of(self.form, volumes_A3, k, v, d)

    def density(self, mass_g_per_mol: float) -> Estimate:
        """Density at zero pressure of a cell of this mass [g/cm³]."""
        value = mass_g_per_mol / self.volume.value * G_PER_MOL_A3_TO_G_PER_CM3
        error = value * self.volume.standard_error / self.volume.value
        return Estimate(value, error, self.volume.independent, "g/cm³")


def fit_pressure_volume(
    volumes_A3: Sequence[float],
    pressures_bar: Sequence[Estimate],
    order: Order = 2,
    form: Form = "birch-murnaghan",
) -> EquationOfState:
    """Fit P(V) of the finite-strain method: Castel et al., Digital Discovery 2024, 3, 355.

    Only the well-behaved region belongs here: pressures of a framework that has buckled make no
    equation of state.

    Parameters
    ----------
    volumes_A3
        Volumes of the cell.
    pressures_bar
        Mean pressure at each; their errors weight the fit where all are known, and are enlarged
        where the curve misses the points by more than them (Birge, Phys. Rev. 1932, 40, 207).
    order
        Second order as the paper's, or third.
    form
        Of the curve.
    """
    volumes = np.asarray(volumes_A3, dtype=np.float64)
    pressures = np.array([p.value for p in pressures_bar]) * BAR_TO_GPA
    errors = np.array([p.standard_error for p in pressures_bar]) * BAR_TO_GPA
    _check(volumes, pressures, order, "pressures")
    known = bool(np.all(np.isfinite(errors) & (errors > 0)))

    def model(parameters: np.ndarray) -> np.ndarray:
        return pressure_of(form, volumes, *parameters)

    slope, _ = np.polyfit(volumes, pressures, 1)
    middle = float(np.interp(0, *_rising(pressures, volumes)))
    start = [max(-slope * middle, 1e-3), middle, 4.0][:order]
    data = (volumes, pressures, errors if known else None)
    return replace(_fit(model, start, data, order), form=form)


def fit_energy_volume(
    volumes_A3: Sequence[float],
    energies_eV: Sequence[float],
    order: Order = 3,
    form: Form = "birch-murnaghan",
) -> EquationOfState:
    """Fit E(V) of static calculations.

    Parameters
    ----------
    volumes_A3
        Volumes of the cell.
    energies_eV
        Energy of the cell at each.
    order
        Second or third.
    form
        Of the curve.
    """
    volumes = np.asarray(volumes_A3, dtype=np.float64)
    energies = np.asarray(energies_eV, dtype=np.float64)
    _check(volumes, energies, order, "energies")
    parabola = np.polyfit(volumes, energies, 2)
    if parabola[0] <= 0:
        raise InputError("energies: have no minimum over the volumes; widen or move the range")
    lowest = -parabola[1] / (2 * parabola[0])
    # energies from the lowest, so that the fit does not lose their differences
    shifted = energies - energies.min()

    def model(parameters: np.ndarray) -> np.ndarray:
        k, v, *rest = parameters
        derivative = rest[1] if order == 3 else 4.0
        return energy_of(form, volumes, rest[0], k / EV_PER_A3_TO_GPA, v, derivative)

    start = [2 * parabola[0] * lowest * EV_PER_A3_TO_GPA, lowest, 0.0, 4.0][: order + 1]
    found = _fit(model, start, (volumes, shifted, None), order, derivative_at=3)
    return replace(found, form=form)


def largest_pressure(
    volumes_A3: Sequence[float], pressures_bar: Sequence[Estimate]
) -> tuple[Estimate, float]:
    """Largest pressure that a framework bears on compression: where dP/dV changes its sign.

    Beyond it the crystal loses its stability: the loss of crystallinity of pressure-volume curves.

    Returns
    -------
    pressure, volume
        Pressure [GPa] and volume [Å³] of the highest point. Its error is the one of that point.

    Raises
    ------
    InputError
        If the pressure still rises at the smallest volume: the limit lies beyond the data.
    """
    order = np.argsort(volumes_A3)[::-1]
    values = np.array([pressures_bar[k].value for k in order])
    top = int(values.argmax())
    if top == len(values) - 1:
        raise InputError(
            f"pressures: still rise at the smallest volume, {min(volumes_A3):g} Å³; compress "
            "further"
        )
    point = pressures_bar[order[top]]
    pressure = Estimate(
        point.value * BAR_TO_GPA, point.standard_error * BAR_TO_GPA, point.independent, "GPa"
    )
    return pressure, float(volumes_A3[order[top]])


def _check(volumes: np.ndarray, values: np.ndarray, order: int, name: str) -> None:
    if order not in (2, 3):
        raise InputError(f"order: {order}, expected 2 or 3")
    if len(volumes) != len(values) or len(set(volumes.tolist())) < order + 1:
        raise InputError(
            f"{name}: {len(values)} for {len(volumes)} volumes; order {order} needs at least "
            f"{order + 1} different volumes, one value each"
        )
    if not (np.isfinite(volumes).all() and np.isfinite(values).all() and (volumes > 0).all()):
        raise InputError(f"{name}: must be numbers, and volumes positive")


def _rising(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(x)
    return x[order], y[order]


def _fit(
    model: Callable[[np.ndarray], np.ndarray],
    start: Sequence[float],
    data: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    order: Order,
    derivative_at: int = 2,
) -> EquationOfState:
    from scipy.optimize import least_squares

    volumes, values, errors = data
    weights = 1.0 if errors is None else 1 / errors

    def residuals(parameters: np.ndarray) -> np.ndarray:
        return np.asarray((values - model(parameters)) * weights)

    scale = np.maximum(np.abs(start), 1e-3)
    # a volume far from the data, or a negative modulus, is no solution
    low, high = np.full(len(start), -np.inf), np.full(len(start), np.inf)
    low[:2], high[:2] = (1e-9, 0.2 * volumes.mean()), (np.inf, 5 * volumes.mean())
    begin = np.clip(start, low, high)
    found = least_squares(
        residuals, begin, x_scale=scale, bounds=(low, high), xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    k, v = found.x[:2]
    if not found.success or k <= 1e-6 or not 0.3 < v / volumes.mean() < 3:
        raise InputError(
            f"equation of state: no sensible fit (K = {k:.3g} GPa, V0 = {v:.4g} Å³); leave out "
            "points where the framework has collapsed, or widen the range of volumes"
        )
    free = len(values) - len(start)
    covariance = np.linalg.pinv(found.jac.T @ found.jac)
    if errors is None:
        covariance = covariance * (2 * found.cost / free) if free else covariance * np.nan
    elif free:
        covariance = covariance * max(1.0, 2 * found.cost / free)
    sigma = np.sqrt(np.diag(covariance))
    n = float(len(values))
    derivative = Estimate(4.0, 0.0, n)
    if order == 3:
        derivative = Estimate(float(found.x[derivative_at]), float(sigma[derivative_at]), n)
    return EquationOfState(
        order,
        Estimate(float(k), float(sigma[0]), n, "GPa"),
        Estimate(float(v), float(sigma[1]), n, "Å³"),
        derivative,
        volumes.copy(),
        np.asarray(values - model(found.x)),
    )
