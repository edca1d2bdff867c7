"""Pores: volume and surface that a probe can reach, and the spheres that fit and pass."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, series_table
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result
from mofmd.analysis.base.statistics import mean_of_series
from mofmd.analysis.option_text import flag, number, numbers_by_element
from mofmd.analysis.pores.basins import Basins, find_basins
from mofmd.analysis.pores.distance_field import (
    OpenVoxels,
    covered_voxels,
    distance_field,
    grid_shape,
    select_voxels,
)
from mofmd.analysis.pores.local_field import DistanceProbe
from mofmd.analysis.pores.network import PoreNetwork, build_network
from mofmd.analysis.pores.radii import atom_radii, element_radii
from mofmd.analysis.pores.surface import surface_points
from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.units import A3_TO_CM3_PER_MOL, G_TO_KG

HELIUM_RADIUS_A = 1.2  # Castel et al., Digital Discovery 2024, 3, 355, "Structural properties"
SPACING_A = 0.2
# column of the results to the field of ``Pores``, its unit and what an axis says
COLUMNS = {
    "total volume": ("total_cm3_per_kg", "cm³/kg", "Pore volume"),
    "accessible volume": ("accessible_A3", "Å³", "Pore volume per cell"),
    "inaccessible volume": ("inaccessible_A3", "Å³", "Pore volume per cell"),
    "largest cavity diameter": ("largest_cavity_A", "Å", "Sphere diameter"),
    "pore limiting diameter": ("limiting_A", "Å", "Sphere diameter"),
    "accessible surface": ("accessible_A2", "Å²", "Surface per cell"),
    "inaccessible surface": ("inaccessible_A2", "Å²", "Surface per cell"),
}


@dataclass(frozen=True)
class Pores:
    """Pores of one structure.

    Parameters
    ----------
    probe_radius_A
        Radius of the probe [Å].
    accessible_A3, inaccessible_A3
        Volume that the centre of the probe can be in, where it can leave for another cell and where
        it is locked in [Å³ per cell].
    accessible_A2, inaccessible_A2
        Surface that the centre of the probe touches the framework from [Å² per cell]; NaN where it
        was not asked for.
    largest_cavity_A
        Diameter of the largest sphere that fits (LCD, D_i) [Å].
    limiting_A
        Diameter of the largest sphere that passes through (PLD, D_f) [Å]; NaN if none of positive
        size does.
    largest_on_way_A
        Diameter of the largest sphere that fits on that way (D_if) [Å].
    volume_A3, mass_g_per_mol
        Of the cell.
    """

    probe_radius_A: float
    accessible_A3: float
    inaccessible_A3: float
    accessible_A2: float
    inaccessible_A2: float
    largest_cavity_A: float
    limiting_A: float
    largest_on_way_A: float
    volume_A3: float
    mass_g_per_mol: float

    @property
    def total_cm3_per_kg(self) -> float:
        """Accessible and inaccessible volume per mass [cm³/kg]."""
        total = self.accessible_A3 + self.inaccessible_A3
        return total * A3_TO_CM3_PER_MOL / (self.mass_g_per_mol * G_TO_KG)


def find_pores(
    frame: Frame,
    probe_radius_A: float = HELIUM_RADIUS_A,
    spacing_A: float = SPACING_A,
    radii_A: Mapping[str, float] | None = None,
    *,
    surface: bool = True,
) -> Pores:
    """Find the pores of a structure.

    The volume is counted on a grid: of a random cut through N voxels of the surface its error is of
    the order of √N voxels. Sizes of necks are those of a local grid of a twelfth of the spacing.

    Parameters
    ----------
    frame
        Any periodic cell.
    probe_radius_A
        Radius of the probe [Å]: 1.2 Å for helium.
    spacing_A
        Largest step of the grid [Å].
    radii_A
        Radii of elements instead of those of ``mofmd.analysis.pores.radii`` [Å].
    surface
        Whether to measure the surface too.
    """
    if not probe_radius_A >= 0:
        raise InputError(f"probe_radius_A: {probe_radius_A}, expected zero or more")
    radii = atom_radii(frame.species, radii_A)
    voxels, basins, network, probe = _network(frame, radii, probe_radius_A, spacing_A)
    inside = voxels.distance >= probe_radius_A
    reached = network.accessible[basins.label] if len(basins.peak) else np.zeros(0, dtype=np.bool_)
    areas = (np.nan, np.nan)
    if surface:
        areas = surface_points(frame, radii, probe_radius_A, voxels, reached)
    largest = _largest_sphere(voxels, basins, probe, spacing_A)
    return Pores(
        probe_radius_A=probe_radius_A,
        accessible_A3=float((inside & reached).sum()) * voxels.voxel_A3,
        inaccessible_A3=float((inside & ~reached).sum()) * voxels.voxel_A3,
        accessible_A2=areas[0],
        inaccessible_A2=areas[1],
        largest_cavity_A=2 * largest,
        limiting_A=2 * network.percolation_A,
        largest_on_way_A=2 * network.along_A,
        volume_A3=frame.volume_A3,
        mass_g_per_mol=float(frame.species.masses.sum()),
    )


def pore_volume_A3(
    frame: Frame,
    probe_radius_A: float = HELIUM_RADIUS_A,
    spacing_A: float = SPACING_A,
    radii_A: Mapping[str, float] | None = None,
) -> float:
    """Volume that the centre of a probe can be in, whether it can get there or not [Å³ per cell].

    The paper's total pore volume, without the search for what is accessible.

    Parameters
    ----------
    frame, probe_radius_A, spacing_A, radii_A
        As for ``find_pores``.
    """
    radii = atom_radii(frame.species, radii_A) + probe_radius_A
    shape = grid_shape(frame.cell, spacing_A)
    covered = covered_voxels(frame.positions, radii, frame.cell, shape)
    return float(frame.volume_A3 * (1 - np.count_nonzero(covered) / covered.size))


def _largest_sphere(
    voxels: OpenVoxels, basins: Basins, probe: DistanceProbe, spacing_A: float
) -> float:
    """Radius of the largest sphere that fits; NaN without open voxels."""
    heights = voxels.distance[basins.peak]
    if len(heights) == 0:
        return float("nan")
    # a summit is higher than its voxel by this at most; after a first look by a quarter of it
    slack = np.sqrt(3) / 2 * spacing_A
    peaks = basins.peak[heights >= heights.max() - slack]
    points = voxels.positions(peaks)
    looks = probe.summits(points, spacing_A)
    best = -np.inf
    for k in np.argsort(-looks):
        if looks[k] + slack / 4 < best:
            break
        best = max(best, probe.climb(points[k], spacing_A))
    return float(best)


def _network(
    frame: Frame, radii: np.ndarray, probe_radius_A: float, spacing_A: float
) -> tuple[OpenVoxels, Basins, PoreNetwork, DistanceProbe]:
    """Pore network down to the probe, or to what passes through if that is smaller."""
    # a neck on the grid is too low by this at most
    least = probe_radius_A - np.sqrt(3) / 2 * spacing_A
    field = distance_field(frame.positions, radii, frame.cell, spacing_A)
    while True:
        voxels = select_voxels(field, frame.cell, least)
        basins = find_basins(voxels)
        # D changes by no more than the way, and local grids reach a few steps
        reach = max(0.0, float(voxels.distance.max(initial=0.0))) + 8 * spacing_A
        probe = DistanceProbe(frame.positions, radii, frame.cell, reach)
        network = build_network(voxels, basins, probe, probe_radius_A)
        if np.isfinite(network.percolation_A) or least <= 0:
            return voxels, basins, network, probe
        least = max(0.0, least - 0.3)


@observable(
    "pores",
    title="Pores",
    interval_ps=10.0,
    frames=30,
    options={
        "probe_radius_A": number,
        "spacing_A": number,
        "radii_A": numbers_by_element,
        "surface": flag,
    },
    by_default=True,
    place=80,
)
@dataclass(eq=False)
class PoreStatistics(Observable):
    """Pore volume, surface, and diameters of the spheres that fit and pass, over time.

    Parameters
    ----------
    probe_radius_A, spacing_A, radii_A, surface
        As for ``find_pores``.
    interval_ps, cut
        As for every observable; the paper's interval is 10 ps.
    """

    probe_radius_A: float = HELIUM_RADIUS_A
    spacing_A: float = SPACING_A
    radii_A: Mapping[str, float] | None = None
    surface: bool = True

    def __post_init__(self) -> None:
        """Begin with no frame."""
        self._record = Record()
        self._rows: list[Pores] = []

    @property
    def name(self) -> str:
        """Short name for people."""
        return "pores"

    def check(self, frame: Frame) -> None:
        """Find the radii; refuse what is no chemical element."""
        self._radii_A = element_radii(frame.species, self.radii_A)

    def measure(self, frame: Frame) -> Pores:
        """Find the pores of a frame."""
        return find_pores(
            frame, self.probe_radius_A, self.spacing_A, self.radii_A, surface=self.surface
        )

    def add(self, stamp: Stamp, value: Pores) -> None:
        """Take the measurement of the next frame."""
        self._record.add(stamp, value.total_cm3_per_kg)
        self._rows.append(value)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        rows = self._rows
        columns = {
            name: Column(np.array([getattr(p, field) for p in rows]), unit, label=label)
            for name, (field, unit, label) in COLUMNS.items()
            if self.surface or unit != "Å²"
        }
        closed = int(np.isnan(columns["pore limiting diameter"].values).sum())
        return Result(
            name=self.name,
            definition="volume that the centre of the probe can be in, accessible and inaccessible "
            "(Castel et al. 2024); LCD and PLD: largest spheres that fit and that pass through",
            settings={
                "probe_radius_A": self.probe_radius_A,
                "spacing_A": self.spacing_A,
                "radii_A": self._radii_A,
            },
            scalars={
                name: mean_of_series(column.values, sampling, column.unit)
                for name, column in columns.items()
                if np.isfinite(column.values).all()
            },
            tables={"series": series_table(self._record.stamps, "Pores over time", **columns)},
            sampling=sampling,
            notes=(f"No sphere passes through {closed} of the frames.",) if closed else (),
        )
