"""Numbers of the mechanics of variants of a framework: a line for each and each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.branches import Curve
from mofmd.analysis.mechanics.equation_of_state import EquationOfState
from mofmd.analysis.mechanics.forms import Form
from mofmd.study.mechanics.variants import ModelUsed, Variant

DIGITS = {"K": 3, "K′": 2, "V0": 5, "Pmax": 3}  # of a value whose error is not known
COLUMNS = (
    *("structure", "method", "temperature_K"),
    *("K_GPa", "K_error_GPa", "K_prime", "K_prime_error", "K_vinet_GPa", "K_vinet_error_GPa"),
    *("V0_A3", "V0_error_A3", "Pmax_GPa", "Pmax_error_GPa", "Pmax_is_bound"),
    *("shape", "model", "model_sha256", "added_dispersion"),
)


@dataclass(frozen=True)
class Line:
    """A structure by one method, as a line of the table.

    Parameters
    ----------
    name
        Of the structure.
    method
        ``EV`` or ``PV``.
    temperature_K
        0 for ``EV``.
    fits
        Equations of state by form.
    curve
        P(V); None where pressures are not known.
    why_none
        Why a fit is missing.
    shape
        Of the cell: ``free``, ``fixed`` or ``angles fixed``; empty where nothing tells.
    model
        With which it was made; None where nothing tells.
    """

    name: str
    method: str
    temperature_K: float
    fits: Mapping[Form, EquationOfState]
    curve: Curve | None
    why_none: str
    shape: str = ""
    model: ModelUsed | None = None

    def row(self) -> dict[str, Any]:
        """Numbers by column; None where there is none."""
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row |= {"structure": self.name, "method": self.method}
        row["temperature_K"] = self.temperature_K
        if fit := self.fits.get("birch-murnaghan"):
            row |= _pair("K", "_GPa", fit.bulk_modulus) | _pair("K_prime", "", fit.derivative)
            row |= _pair("V0", "_A3", fit.volume)
        if fit := self.fits.get("vinet"):
            row |= _pair("K_vinet", "_GPa", fit.bulk_modulus)
        if self.curve is not None:
            row |= _pair("Pmax", "_GPa", self.curve.largest)
            row["Pmax_is_bound"] = self.curve.is_bound
        row["shape"] = self.shape or None
        if self.model is not None:
            row |= {"model": self.model.name, "model_sha256": self.model.sha256}
            row["added_dispersion"] = self.model.dispersion
        return row


def _pair(quantity: str, unit: str, estimate: Estimate) -> dict[str, float | None]:
    known = np.isfinite(estimate.standard_error)
    error = estimate.standard_error if known else None
    return {f"{quantity}{unit}": estimate.value, f"{quantity}_error{unit}": error}


def lines_of(variants: Sequence[Variant]) -> list[Line]:
    """Lines of the table: each structure by each method that there is."""
    lines = []
    for variant in variants:
        if (found := variant.energies) is not None:
            lines.append(
                Line(
                    variant.name,
                    "EV",
                    0.0,
                    found.fits,
                    found.curve,
                    found.why_none,
                    found.shape,
                    variant.model,
                )
            )
        if (curve := variant.curve) is not None:
            lines.append(
                Line(
                    variant.name,
                    "PV",
                    variant.temperature_K,
                    curve.fits,
                    curve,
                    curve.why_none,
                    variant.shape,
                    variant.model,
                )
            )
    return lines


def shown(estimate: Estimate, quantity: str, *, unit: bool = False) -> str:
    """Value and error to the second digit of the error; without an error a few digits.

    Parameters
    ----------
    estimate
        K, K′, V₀ or P_max.
    quantity
        ``K``, ``K′``, ``V0`` or ``Pmax``.
    unit
        Append it.
    """
    tail = f" {estimate.unit}" if unit else ""
    if estimate.standard_error > 0:
        return f"{Estimate(estimate.value, estimate.standard_error, estimate.independent)}{tail}"
    digits = DIGITS[quantity]
    # as a plain number where all digits before the point are known
    large = abs(estimate.value) >= 10.0**digits
    return f"{estimate.value:{'.0f' if large else f'.{digits}g'}}{tail}"


def alike(lines: Sequence[Line]) -> dict[str, str]:
    """Tell in words what is the same in all lines.

    Returns
    -------
    dict
        Those of `conditions` that differ nowhere.
    """
    words = [conditions(line) for line in lines]
    first = words[0] if words else {}
    return {key: text for key, text in first.items() if all(w[key] == text for w in words)}


def conditions(line: Line) -> dict[str, str]:
    """Tell how a line was made.

    Returns
    -------
    dict
        What is told, in words, to its value: model, added dispersion, temperature, shape.
    """
    model = line.model
    if model is None:
        name, added = "not known: made by hand", "not known"
    else:
        name = f"{model.name} (sha256 {model.sha256[:12]})"
        added = model.dispersion
    return {
        "model": name,
        "D3 added": added,
        "temperature": "at rest (0 K)" if line.method == "EV" else f"{line.temperature_K:g} K",
        "shape of the cell": line.shape or "not known",
    }
