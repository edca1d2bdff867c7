"""Density, cell and thermal expansion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, series_table
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result
from mofmd.analysis.base.statistics import Estimate, mean_of_series
from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.units import G_PER_MOL_A3_TO_G_PER_CM3

CELL = {
    "a": "Å",
    "b": "Å",
    "c": "Å",
    "alpha": "degree",
    "beta": "degree",
    "gamma": "degree",
}
# what axes of quantities of each unit say
LABELS = {"g/cm³": "Density", "Å³": "Volume", "Å": "Cell length", "degree": "Cell angle"}


@observable(
    "density", title="Density and cell", interval_ps=0.1, frames=200, by_default=True, place=40
)
@dataclass(eq=False)
class Density(Observable):
    """Density, volume, and lengths and angles of the cell."""

    def __post_init__(self) -> None:
        """Begin with no frame."""
        self._record = Record()
        self._rows: list[np.ndarray] = []

    @property
    def name(self) -> str:
        """Short name for people."""
        return "density"

    def measure(self, frame: Frame) -> np.ndarray:
        """Density [g/cm³], volume [Å³], lengths [Å] and angles [degree]."""
        density = frame.species.masses.sum() / frame.volume_A3 * G_PER_MOL_A3_TO_G_PER_CM3
        return np.array([density, frame.volume_A3, *cell_parameters(frame.cell)])

    def add(self, stamp: Stamp, value: np.ndarray) -> None:
        """Take the measurement of the next frame."""
        self._record.add(stamp, float(value[1]))
        self._rows.append(value)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        rows = np.array(self._rows)
        units = {"density": "g/cm³", "volume": "Å³", **CELL}
        columns = {
            name: Column(rows[:, k], unit, label=LABELS[unit])
            for k, (name, unit) in enumerate(units.items())
        }
        return Result(
            name=self.name,
            definition="mass of the atoms over the volume of the cell",
            settings={},
            scalars={
                name: mean_of_series(column.values, sampling, column.unit)
                for name, column in columns.items()
            },
            tables={"series": series_table(self._record.stamps, "Density and cell", **columns)},
            sampling=sampling,
        )


def cell_parameters(cell: np.ndarray) -> np.ndarray:
    """Lengths a, b, c [Å] and angles α, β, γ [degree] of a cell."""
    lengths = np.linalg.norm(cell, axis=1)
    cosines = [cell[i] @ cell[j] / (lengths[i] * lengths[j]) for i, j in ((1, 2), (0, 2), (0, 1))]
    return np.concatenate([lengths, np.degrees(np.arccos(np.clip(cosines, -1, 1)))])


def thermal_expansion(temperatures_K: Sequence[float], volumes_A3: Sequence[Estimate]) -> Estimate:
    """Volumetric coefficient of thermal expansion α = (1/V) dV/dT [1/K].

    A straight line through V(T), weighted by the errors of the volumes where all have one, over its
    value at the mean temperature.

    Parameters
    ----------
    temperatures_K
        At least three different temperatures.
    volumes_A3
        Mean volume at each.
    """
    if len(set(temperatures_K)) < 3 or len(temperatures_K) != len(volumes_A3):
        raise InputError(
            f"thermal_expansion: {len(set(temperatures_K))} temperatures for {len(volumes_A3)} "
            "volumes; at least three different ones are needed, one volume each"
        )
    centre = float(np.mean(temperatures_K))
    t = np.asarray(temperatures_K, dtype=np.float64) - centre
    volumes = np.array([volume.value for volume in volumes_A3])
    errors = np.array([volume.standard_error for volume in volumes_A3])
    known = bool(np.all(np.isfinite(errors) & (errors > 0)))
    matrix = (
        np.stack([t, np.ones(len(t))], axis=1) / (errors if known else np.ones(len(t)))[:, None]
    )
    target = volumes / errors if known else volumes
    (slope, volume), *_ = np.linalg.lstsq(matrix, target)
    covariance = np.linalg.inv(matrix.T @ matrix)
    if not known:
        residual = target - matrix @ [slope, volume]
        covariance *= residual @ residual / (len(t) - 2)
    return Estimate(
        float(slope / volume), float(np.sqrt(covariance[0, 0]) / volume), float(len(t)), "1/K"
    )
