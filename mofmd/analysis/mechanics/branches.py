"""Pressure against volume over its stable and unstable parts: K at V₀, largest pressure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.equation_of_state import (
    EquationOfState,
    Order,
    fit_pressure_volume,
)
from mofmd.analysis.mechanics.forms import Form
from mofmd.errors import InputError
from mofmd.units import BAR_TO_GPA

SIGMAS = 2.0  # a pressure that falls by more than so many standard errors falls
ELASTIC = 0.5  # of the largest pressure: the part of the branch that an equation of state is of
LEAST = 4  # points of a fit of third order


@dataclass(frozen=True)
class Point:
    """A pressure at a volume.

    Parameters
    ----------
    volume
        Of the cell [Å³].
    pressure
        Compression positive [GPa].
    ensemble
        What was held: ``pressure``, ``volume`` (shape free), ``cell`` (shape fixed too); or
        ``static``, at 0 K.
    """

    volume: Estimate
    pressure: Estimate
    ensemble: str


@dataclass(frozen=True)
class Curve:
    """P(V) of one structure.

    Parameters
    ----------
    points
        From the largest volume to the smallest.
    stable
        Range of the points that belong to the stable branch around zero pressure.
    fits
        By form, on the elastic part of the branch; those that could be made.
    why_none
        Why a fit could not be made; empty where all could.
    largest
        Largest pressure of the branch [GPa].
    is_bound
        Whether the branch ends with the points: the framework bears more than ``largest``.
    """

    points: tuple[Point, ...]
    stable: range
    fits: dict[Form, EquationOfState]
    why_none: str
    largest: Estimate
    is_bound: bool


def join(points: Sequence[Point]) -> Curve:
    """Join points of (N, P, T) and of (N, V, σ_a = 0, T) into one curve.

    The first give P(V) where the framework is stable at constant pressure, the second everywhere
    (Dobbelaere et al. 2025, section 3; Rogge et al., J. Chem. Theory Comput. 2015, 11, 5583); where
    both are stable they agree. The stable branch goes from the point nearest to zero pressure to
    either side until the pressure turns, by more than two standard errors. The equation of state
    is fitted to its points within half of the largest pressure, of which there are four at least
    (ours); beyond them a framework softens before it collapses.

    Raises
    ------
    InputError
        If there are fewer than three points.
    """
    if len(points) < 3:
        raise InputError(f"pressures: {len(points)} points make no curve; give three or more")
    ordered = tuple(sorted(points, key=lambda point: -point.volume.value))
    stable, turns = stable_part(ordered)
    largest = ordered[stable[-1]].pressure
    fits: dict[Form, EquationOfState] = {}
    reasons = []
    chosen = _elastic([ordered[k] for k in stable], largest.value)
    order: Order = 3 if len(chosen) >= LEAST else 2
    for form in ("birch-murnaghan", "vinet") if order == 3 else ("birch-murnaghan",):
        try:
            fits[form] = _fit(chosen, order, form)
        except InputError as error:
            reasons.append(str(error))
    return Curve(
        points=ordered,
        stable=stable,
        fits=fits,
        why_none="; ".join(dict.fromkeys(reasons)),
        largest=largest,
        is_bound=not turns,
    )


def stable_part(ordered: Sequence[Point]) -> tuple[range, bool]:
    """Points around zero pressure up to where the pressure turns, by more than two errors.

    Parameters
    ----------
    ordered
        From the largest volume to the smallest.

    Returns
    -------
    range
        Their places.
    bool
        Whether the pressure turns at the smallest volume of them.
    """
    values = np.array([point.pressure.value for point in ordered])
    errors = np.nan_to_num([point.pressure.standard_error for point in ordered])
    start = int(np.abs(values).argmin())
    top, turns = _until_it_turns(values, errors, range(start, len(ordered)))
    bottom, _ = _until_it_turns(-values, errors, range(start, -1, -1))
    return range(bottom, top + 1), turns


def disagreement(points: Sequence[Point]) -> Estimate | None:
    """Largest difference of P(V) between runs at constant pressure and at constant volume [GPa].

    At the volumes of the first, between those of the second. In equilibrium both are the same where
    the framework is stable.

    Returns
    -------
    Estimate or None
        Pressure at constant pressure less that at constant volume, with its error; the one that is
        largest by its error. None where no volume lies between others.
    """
    others = sorted((p for p in points if p.ensemble == "volume"), key=lambda p: p.volume.value)
    volumes = np.array([p.volume.value for p in others])
    found = []
    for point in points:
        v = point.volume.value
        if point.ensemble != "pressure" or len(others) < 2 or not volumes[0] <= v <= volumes[-1]:
            continue
        # a parabola through the three nearest: P(V) is bent, and its errors are small
        near = np.sort(np.argsort(np.abs(volumes - v))[:3])
        weights = np.array(
            [np.prod([(v - volumes[j]) / (volumes[k] - volumes[j]) for j in near if j != k])
             for k in near]
        )  # fmt: skip
        values = np.array([others[k].pressure.value for k in near])
        errors = np.array([others[k].pressure.standard_error for k in near])
        error = float(np.hypot(np.linalg.norm(weights * errors), point.pressure.standard_error))
        difference = point.pressure.value - float(weights @ values)
        found.append(Estimate(difference, error, point.pressure.independent, "GPa"))
    return max(found, key=lambda d: abs(d.value) / max(d.standard_error, 1e-12), default=None)


def _until_it_turns(
    values: np.ndarray, errors: np.ndarray, course: Sequence[int]
) -> tuple[int, bool]:
    """Place of the largest value before it falls by more than its error, and whether it does."""
    best = course[0]
    for k in course:
        if values[k] > values[best]:
            best = k
        elif values[best] - values[k] > SIGMAS * float(np.hypot(errors[best], errors[k])):
            return best, True
    return best, False


def _elastic(branch: Sequence[Point], largest: float) -> list[Point]:
    """Points of a branch within half of its largest pressure, or the four nearest to zero."""
    inside = [point for point in branch if abs(point.pressure.value) <= ELASTIC * largest]
    if len(inside) >= LEAST:
        return inside
    return sorted(branch, key=lambda point: abs(point.pressure.value))[:LEAST]


def _fit(points: Sequence[Point], order: Order, form: Form) -> EquationOfState:
    volumes = [point.volume.value for point in points]
    pressures = [
        Estimate(p.value / BAR_TO_GPA, p.standard_error / BAR_TO_GPA, p.independent, "bar")
        for p in (point.pressure for point in points)
    ]
    return fit_pressure_volume(volumes, pressures, order, form)


def convex_part(volumes_A3: Sequence[float], energies_eV: Sequence[float]) -> list[int]:
    """Points around the lowest energy between which E(V) bends upwards: K > 0.

    Beyond them the framework is unstable, and an equation of state does not hold.

    Returns
    -------
    list of int
        Places in the order of the volumes; all of them where the curve bends upwards throughout.
    """
    order = np.argsort(volumes_A3)
    v = np.asarray(volumes_A3, dtype=np.float64)[order]
    e = np.asarray(energies_eV, dtype=np.float64)[order]
    slopes = np.diff(e) / np.diff(v)
    lowest = int(e.argmin())
    low = high = lowest
    # a slope belongs to the two points beside it; it must rise from each to the next
    while high + 1 < len(v) and (high == 0 or slopes[high] > slopes[high - 1]):
        high += 1
    while low > 0 and (low == len(v) - 1 or slopes[low - 1] < slopes[low]):
        low -= 1
    return [int(k) for k in order[low : high + 1]]
