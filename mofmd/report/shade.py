"""Colours of atoms by a number: the scale, and how the view and its legend draw it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from mofmd.arrays import freeze

STEPS = 32  # colours of the scale
# share of the scale and colour: grey to blue up to the bound, orange to red above it
BOUNDED = (
    (0.0, (206, 212, 220)),
    (0.5, (70, 130, 190)),
    (0.5, (246, 178, 80)),
    (1.0, (160, 12, 20)),
)
PLAIN = ((0.0, (206, 212, 220)), (0.5, (246, 178, 80)), (1.0, (160, 12, 20)))


@dataclass(frozen=True)
class Shade:
    """A number of each atom, shown as its colour; the array is read-only.

    Parameters
    ----------
    values
        (atoms,) from 0 on; infinite ones have the last colour.
    label
        What it is, with its unit.
    bound
        Where the colours change from ordinary to not; None: nowhere.
    largest
        Value of the last colour, where scales are to be alike; None: the largest of these.
    """

    values: np.ndarray
    label: str
    bound: float | None = None
    largest: float | None = None

    def __post_init__(self) -> None:
        """Make the array read-only."""
        freeze(self, "values")

    @property
    def top(self) -> float:
        """Value of the last colour: as given, or the largest, twice the bound at least."""
        if self.largest is not None:
            return self.largest
        finite = self.values[np.isfinite(self.values)]
        largest = float(finite.max()) if len(finite) else 0.0
        return max(largest, 2 * self.bound if self.bound else 0.0) or 1.0

    def shares(self) -> np.ndarray:
        """(atoms,) place on the scale, 0 to 1; the bound is its middle, beyond it logarithmic."""
        values = np.clip(np.where(np.isnan(self.values), self.top, self.values), 0.0, self.top)
        if self.bound is None:
            return np.asarray(values / self.top)
        over = np.maximum(values / self.bound, 1.0)
        above = 0.5 + 0.5 * np.log(over) / np.log(self.top / self.bound)
        return np.where(values <= self.bound, 0.5 * values / self.bound, above)

    def scene(self, elements: list[dict[str, Any]], codes: np.ndarray) -> dict[str, Any]:
        """Kinds of atoms by element and step of the scale, and the kind of each atom.

        Parameters
        ----------
        elements
            Name, colour and radius of each.
        codes
            (atoms,) element of each atom.
        """
        steps = np.minimum((self.shares() * STEPS).astype(np.int64), STEPS - 1)
        kinds, places = np.unique(codes * STEPS + steps, return_inverse=True)
        return {
            "elements": [
                {**elements[kind // STEPS], "colour": self.colour((kind % STEPS + 0.5) / STEPS)}
                for kind in kinds.tolist()
            ],
            "codes": places.ravel().tolist(),
        }

    def colour(self, share: float) -> list[int]:
        """Red, green and blue at a place on the scale."""
        stops = PLAIN if self.bound is None else BOUNDED
        for (low, first), (high, last) in pairwise(stops):
            if low <= share <= high and high > low:
                part = (share - low) / (high - low)
                return [round(a + (b - a) * part) for a, b in zip(first, last, strict=True)]
        return list(stops[-1][1])

    def legend(self) -> str:
        """HTML of the scale with its ends and the bound."""
        stops = PLAIN if self.bound is None else BOUNDED
        colours = ",".join(f"rgb{colour} {100 * share:g}%" for share, colour in stops)
        middle = "" if self.bound is None else f"<b>{self.bound:g}</b>"
        return (
            f'<span class="scale"><span>{escape(self.label)}</span>'
            f'<span class="ends"><i style="background:linear-gradient(to right,{colours})"></i>'
            f"<span><b>0</b>{middle}<b>{self.top:.3g}</b></span></span></span>"
        )
