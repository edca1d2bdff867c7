"""Where guests are in the pores: their density in space, smoothed by a Gaussian."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, series_table
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import BlockAverage, Estimate, mean_of_series
from mofmd.analysis.option_text import number
from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs
from mofmd.structures.frame import Frame
from mofmd.topology.bond_graph import connected_parts, find_bonds
from mofmd.topology.guests import guest_atoms
from mofmd.units import G_PER_MOL_A3_TO_G_PER_CM3

VOXELS_MAX = 250_000  # 64 blocks of these are kept
PROFILE_POINTS = 100
CONTACT_MAX_A = 8.0  # a guest that is farther from the framework counts as this far
SIGMA_STEPS = 1.5  # steps of the grid that a Gaussian is wide at least, or it would not be resolved


def gaussian_density(
    points: np.ndarray, cell: np.ndarray, shape: tuple[int, int, int], sigma_A: float
) -> np.ndarray:
    """Density of points smoothed by a Gaussian, in any periodic cell.

    Each point is counted in its voxel, and the counts are multiplied by the Gaussian's transform
    exp(−σ²G²/2): exact but for the voxel's own size, whatever the shape of the cell. (freud's
    GaussianDensity takes its grid for a rectangular one.)

    Parameters
    ----------
    points
        (points, 3) anywhere in space [Å].
    cell
        (3, 3) rows [Å].
    shape
        Voxels along a, b, c.
    sigma_A
        Width of the Gaussian [Å].

    Returns
    -------
    np.ndarray
        ``shape``: density in the middle of each voxel [1/Å³]; its mean is that of the points.
    """
    inverse = np.linalg.inv(cell)
    fractional = points @ inverse
    fractional -= np.floor(fractional)
    indices = np.minimum((fractional * shape).astype(np.int64), np.array(shape) - 1)
    flat = np.ravel_multi_index(tuple(indices.T), shape)
    size = int(np.prod(shape))
    counts = np.bincount(flat, minlength=size).reshape(shape)
    frequencies = [np.fft.fftfreq(n, 1 / n) for n in shape[:2]] + [
        np.fft.rfftfreq(shape[2], 1 / shape[2])
    ]
    waves = np.stack(np.meshgrid(*frequencies, indexing="ij"), axis=-1) @ (2 * np.pi * inverse.T)
    smooth = np.exp(-0.5 * sigma_A**2 * (waves**2).sum(axis=-1))
    blurred = np.fft.irfftn(np.fft.rfftn(counts) * smooth, shape, axes=(0, 1, 2))
    return np.asarray(np.maximum(blurred, 0.0) * size / np.linalg.det(cell))


@observable(
    "guests",
    title="Guests",
    interval_ps=0.1,
    frames=200,
    options={"sigma_A": number, "spacing_A": number, "level": number},
    place=86,
)
@dataclass(eq=False)
class GuestDensity(Observable):
    """Density of the guests' atoms in space, its profiles along the cell, and a slice.

    Guests are the molecules of the first frame that are not bonded to the framework, whose drift is
    taken out. Hydrogen does not count, unless guests are nothing else.

    Parameters
    ----------
    sigma_A
        Width of the Gaussian that stands for an atom [Å].
    spacing_A
        Largest step of the grid [Å]; coarser where the cell would have too many.
    level
        Fraction of c that the slice is at; None takes where guests are densest.
    interval_ps, cut
        As for every observable.
    """

    sigma_A: float = 0.6
    spacing_A: float = 0.4
    level: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be; begin with no frame."""
        if not self.spacing_A > 0:
            raise InputError(f"spacing_A: {self.spacing_A}, expected more than zero")
        if self.sigma_A < SIGMA_STEPS * self.spacing_A - 1e-9:
            raise InputError(
                f"sigma_A: {self.sigma_A} is less than {SIGMA_STEPS} steps of the grid, of "
                f"{self.spacing_A} Å; give a wider Gaussian or a smaller spacing_A"
            )
        if self.level is not None and not 0 <= self.level < 1:
            raise InputError(f"level: {self.level}, expected a fraction of c from 0 to below 1")
        self._record = Record()
        self._density = BlockAverage()
        self._mass_densities: list[float] = []

    @property
    def name(self) -> str:
        """Short name for people."""
        return "guests"

    def check(self, frame: Frame) -> None:
        """Find the guests and the grid; refuse a structure without guests."""
        guests = guest_atoms(frame.to_ase())
        if not guests.any():
            raise InputError(f"{self.name}: no molecules in the pores in the first frame")
        if guests.mean() > 0.5:
            raise InputError(
                f"{self.name}: most atoms would be taken for guests: the structure's bonds do not "
                "make a framework"
            )
        hydrogen = np.array(frame.species.names) == "H"
        heavy = guests & ~hydrogen
        self._counted = np.flatnonzero(heavy if heavy.any() else guests)
        self._framework = np.flatnonzero(~guests)
        self._mass = float(frame.species.masses[guests].sum())
        parts = connected_parts(find_bonds(frame))
        self._molecules = len(np.unique(parts.labels[guests]))
        fractional = frame.positions @ np.linalg.inv(frame.cell)
        self._places = fractional[self._framework]
        lengths = np.linalg.norm(frame.cell, axis=1)
        coarser = max(1.0, float(np.prod(lengths / self.spacing_A) / VOXELS_MAX) ** (1 / 3))
        a, b, c = np.maximum(np.ceil(lengths / (self.spacing_A * coarser)).astype(int), 3)
        self._shape = (int(a), int(b), int(c))
        self._sigma_A = self.sigma_A * coarser

    def measure(self, frame: Frame) -> tuple[float, np.ndarray, float]:
        """Mean distance from the framework [Å], density [1/Å³], mass density [g/cm³]."""
        moved = (frame.positions @ np.linalg.inv(frame.cell))[self._framework] - self._places
        drift = (moved - np.rint(moved)).mean(axis=0) @ frame.cell
        points = frame.positions[self._counted] - drift
        density = gaussian_density(points, frame.cell, self._shape, self._sigma_A)
        found = find_pairs(
            frame.positions,
            frame.cell,
            CONTACT_MAX_A,
            centres=self._counted,
            others=self._framework,
        )
        nearest = np.full(len(frame), CONTACT_MAX_A)
        np.minimum.at(nearest, found.first, found.distances)
        mass_density = self._mass / frame.volume_A3 * G_PER_MOL_A3_TO_G_PER_CM3
        return float(nearest[self._counted].mean()), density, mass_density

    def add(self, stamp: Stamp, value: tuple[float, np.ndarray, float]) -> None:
        """Take the measurement of the next frame."""
        distance, density, mass_density = value
        self._record.add(stamp, distance, _profiles(density))
        self._density.add(density)
        self._mass_densities.append(mass_density)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        density, _ = self._density.mean(sampling)
        profiles, error = self._record.average.mean(sampling)
        distances = np.array(self._record.series)
        levels = self._shape[2]
        level = (
            int(self.level * levels)
            if self.level is not None
            else int(density.max(axis=(0, 1)).argmax())
        )
        height = (level + 0.5) / levels
        along = (np.arange(PROFILE_POINTS) + 0.5) / PROFILE_POINTS
        a, b = np.meshgrid(*((np.arange(n) + 0.5) / n for n in self._shape[:2]), indexing="ij")
        return Result(
            name=self.name,
            definition="density of the guests' atoms other than hydrogen, each a Gaussian, "
            "relative to the framework; the smallest share of the cell that holds half of them",
            settings={
                "sigma_A": self._sigma_A,
                "grid": list(self._shape),
                "atoms_counted": len(self._counted),
            },
            scalars={
                "molecules": Estimate(float(self._molecules), 0.0, float("inf")),
                "density": mean_of_series(np.array(self._mass_densities), sampling, "g/cm³"),
                "distance from the framework": mean_of_series(distances, sampling, "Å"),
                "share of the cell with half of them": Estimate(
                    _share_of_half(density), np.nan, sampling.independent
                ),
            },
            tables={
                "profile": Table(
                    {
                        "fraction": Column(along, label="Fraction of the cell's edge"),
                        **{
                            f"along {edge}": Column(
                                profiles[k], "1/Å³", error[k], "Density of guest atoms"
                            )
                            for k, edge in enumerate("abc")
                        },
                    },
                    "curve",
                    "Guests along the cell",
                ),
                # members whose slices are at other heights are not averaged
                f"slice at {height:.3f} c": Table(
                    {
                        "a": Column(a.ravel(), label="Fraction of a"),
                        "b": Column(b.ravel(), label="Fraction of b"),
                        "density": Column(
                            density[:, :, level].ravel(), "1/Å³", label="Density of guest atoms"
                        ),
                    },
                    "map",
                    f"Guests in the plane of a and b at z/c = {height:.3f}",
                ),
                "series": series_table(
                    self._record.stamps,
                    "Guests over time",
                    distance=Column(distances, "Å", label="Distance from the framework"),
                ),
            },
            sampling=sampling,
        )


def _profiles(density: np.ndarray) -> np.ndarray:
    """(3, points) mean density along a, b and c, at even fractions of the edges."""
    along = (np.arange(PROFILE_POINTS) + 0.5) / PROFILE_POINTS
    rows = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        values = density.mean(axis=others)
        places = (np.arange(len(values)) + 0.5) / len(values)
        rows.append(np.interp(along, places, values, period=1.0))
    return np.array(rows)


def _share_of_half(density: np.ndarray) -> float:
    """Share of the voxels, the densest first, that hold half of what there is."""
    ordered = np.sort(density.ravel())[::-1]
    held = np.cumsum(ordered)
    return float((np.searchsorted(held, held[-1] / 2) + 1) / len(ordered))
