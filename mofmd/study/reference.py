"""Measured curves laid over ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import Estimate
from mofmd.arrays import freeze
from mofmd.errors import InputError, MissingFileError, absent

# F = S − 1; a curve of another kind is named by its column in the results
SHORT = {"D": "D xray", "G": "G xray", "S": "S xray", "F": "F xray"}
NEEDED = {"D": "scattering", "G": "scattering", "S": "scattering", "F": "scattering", "g": "rdf"}
COMMENTS = ("#", "!", "%", ";")


@dataclass(frozen=True)
class Reference:
    """A measured curve; arrays are read-only.

    Parameters
    ----------
    quantity
        Column of the results that it is compared with, such as ``D xray``; or ``F xray``.
    name
        What the curve is called.
    x, y
        (points,) abscissa [Å or 1/Å] and values, in the units of the column.
    """

    quantity: str
    name: str
    x: np.ndarray
    y: np.ndarray

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "x", "y")


def read_reference(text: str) -> Reference:
    """Read a curve from ``QUANTITY=FILE`` or ``QUANTITY:NAME=FILE``.

    The file has two columns or more, the first two of which count; lines that begin with ``#`` are
    comments. A last line of zeros, as Gudrun writes it, is left out.

    Parameters
    ----------
    text
        QUANTITY is D, G, S, F (X-ray, divided by ⟨f⟩²), or a column such as ``D neutron``,
        ``D xray self`` (divided by ⟨f²⟩, as Gudrun may be told to) or ``g Zn-N``.
    """
    what, separator, file = text.partition("=")
    quantity, _, name = (part.strip() for part in what.partition(":"))
    path = Path(file)
    if not separator or not quantity or not file:
        raise InputError(
            f"reference: {text!r}, expected QUANTITY=FILE or QUANTITY:NAME=FILE, such as "
            "D=glass.dofr"
        )
    if not path.is_file():
        raise MissingFileError(f"reference: {path}: {absent(path)}")
    rows = []
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        words = re.split(r"[\s,]+", line.strip())
        if not words[0] or words[0].startswith(COMMENTS):
            continue
        try:
            row = [float(word) for word in words[:2]]
        except ValueError:
            row = [np.nan]
        if not np.isfinite(row).all():
            raise InputError(
                f"reference: {path}: line {number} holds {line.strip()[:60]!r}, expected two "
                "numbers; put # before comments"
            )
        rows.append(row)
    if rows and not any(rows[-1]):
        rows.pop()
    table = np.array([row for row in rows if len(row) == 2])
    if len(table) != len(rows) or len(table) < 2 or not (np.diff(table[:, 0]) > 0).all():
        raise InputError(
            f"reference: {path}: expected two columns, the first of them rising, and two lines at "
            "least"
        )
    quantity = SHORT.get(quantity, quantity)
    return Reference(quantity, name or path.stem, table[:, 0].copy(), table[:, 1].copy())


def check_observables(reference: Reference, observables: Sequence[str]) -> None:
    """Refuse a curve whose observable is not measured, before the measuring begins."""
    needed = NEEDED.get(reference.quantity.split()[0])
    if needed is not None and needed not in observables:
        raise InputError(
            f"reference: {reference.quantity} needs the observable {needed}; give --observables "
            f"{','.join([*observables, needed])}"
        )


def compare(results: Sequence[Result], reference: Reference) -> Result:
    """Lay a measured curve over the calculated one, where both are known.

    R_w = (Σ (y − y_measured)² / Σ y_measured²)^½ over the measured points.

    Raises
    ------
    InputError
        If the results hold no such curve, or the ranges do not meet.
    """
    wanted = reference.quantity.replace("F ", "S ", 1)
    found = [
        (result, table, column)
        for result in results
        for table in result.tables.values()
        for column in table.columns
        if wanted in (column, f"{column} {result.name.rpartition(' ')[2]}")
    ]
    if not found:
        known = sorted(
            {c for r in results for t in r.tables.values() if t.kind == "curve" for c in t.columns}
        )
        raise InputError(
            f"reference: no curve {reference.quantity!r} in the results ({', '.join(known)}); add "
            "its observable (--observables scattering for D, G, S, F)"
        )
    result, table, name = found[0]
    abscissa, column = next(iter(table.columns)), table.columns[name]
    axis = table.columns[abscissa]
    inside = (reference.x >= axis.values[0]) & (reference.x <= axis.values[-1])
    if inside.sum() < 2:
        raise InputError(
            f"reference: {reference.name} spans {reference.x[0]:g} to {reference.x[-1]:g}, but "
            f"{name} {axis.values[0]:g} to {axis.values[-1]:g} {axis.unit}"
        )
    x, measured = reference.x[inside], reference.y[inside]
    values, label = column.values, column.label
    if reference.quantity.startswith("F "):  # R_w of S = F + 1 would say less
        values, label = values - 1, label.replace("S(", "F(")
        name = reference.quantity
    ours = np.interp(x, axis.values, values)
    misfit = float(np.sqrt(np.sum((ours - measured) ** 2) / np.sum(measured**2)))
    return Result(
        name=f"reference {reference.name}",
        definition=f"{name} of {result.name} at the points of {reference.name}; "
        "R_w = (Σ(y − y_measured)²/Σy_measured²)^½",
        settings={"quantity": reference.quantity},
        scalars={"R_w": Estimate(misfit, np.nan, np.inf)},
        tables={
            "curves": Table(
                {
                    abscissa: Column(x.copy(), axis.unit, label=axis.label),
                    reference.name: Column(measured.copy(), column.unit, label=label),
                    f"{name}, simulated": Column(ours, column.unit, label=label),
                },
                "curve",
                f"{name}: simulated and measured",
            )
        },
    )
