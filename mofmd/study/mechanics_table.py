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
from mofmd.study.mechanics import Variant

COLUMNS = (
    *("structure", "method", "temperature_K"),
    *("K_GPa", "K_error_GPa", "K_vinet_GPa", "K_vinet_error_GPa"),
    *("V0_A3", "V0_error_A3", "Pmax_GPa", "Pmax_error_GPa", "Pmax_is_bound"),
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
    """

    name: str
    method: str
    temperature_K: float
    fits: Mapping[Form, EquationOfState]
    curve: Curve | None
    why_none: str

    def row(self) -> dict[str, Any]:
        """Numbers by column; None where there is none."""
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row |= {"structure": self.name, "method": self.method}
        row["temperature_K"] = self.temperature_K
        if fit := self.fits.get("birch-murnaghan"):
            row |= _pair("K_GPa", fit.bulk_modulus) | _pair("V0_A3", fit.volume)
        if fit := self.fits.get("vinet"):
            row |= _pair("K_vinet_GPa", fit.bulk_modulus)
        if self.curve is not None:
            row |= _pair("Pmax_GPa", self.curve.largest)
            row["Pmax_is_bound"] = self.curve.is_bound
        return row


def _pair(name: str, estimate: Estimate) -> dict[str, float | None]:
    quantity, _, unit = name.rpartition("_")
    known = np.isfinite(estimate.standard_error)
    error = estimate.standard_error if known else None
    return {name: estimate.value, f"{quantity}_error_{unit}": error}


def lines_of(variants: Sequence[Variant]) -> list[Line]:
    """Lines of the table: each structure by each method that there is."""
    lines = []
    for variant in variants:
        if (found := variant.energies) is not None:
            lines.append(Line(variant.name, "EV", 0.0, found.fits, found.curve, found.why_none))
        if (curve := variant.curve) is not None:
            lines.append(
                Line(variant.name, "PV", variant.temperature_K, curve.fits, curve, curve.why_none)
            )
    return lines
