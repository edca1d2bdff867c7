"""Voronoi cells of the nodes of a framework: local volumes, and neighbours without a cutoff."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, series_table
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import mean_of_series
from mofmd.analysis.option_text import number, word
from mofmd.analysis.structure.freud_system import freud_system, one_thread
from mofmd.analysis.structure.net_points import NetPoints, Of
from mofmd.errors import InputError
from mofmd.structures.frame import Frame

NEIGHBOURS = 65  # numbers of neighbours told apart: 0 to 64
RATIO_MAX = 3.0  # of a local volume to the mean one; larger ones are counted in the last bin


@dataclass(frozen=True)
class VoronoiCells:
    """Voronoi cells of the points of one frame.

    Parameters
    ----------
    volumes
        (points,) volumes, which fill the cell [Å³].
    neighbours
        (points,) neighbours: points and images of points whose cells share a large enough face.
    """

    volumes: np.ndarray
    neighbours: np.ndarray


def voronoi_cells(points: np.ndarray, cell: np.ndarray, face_share: float = 0.01) -> VoronoiCells:
    """Find the Voronoi cells of points in a periodic cell (voro++, through freud).

    Parameters
    ----------
    points
        (points, 3) positions [Å]; two points in one place have no cells.
    cell
        (3, 3) rows [Å], of any shape.
    face_share
        A face that is a smaller share of its cell's surface makes no neighbour: in a crystal
        vibrations open such faces where more than three cells meet in one edge.
    """
    import freud

    box, placed = freud_system(points, cell)
    with one_thread():
        found = freud.locality.Voronoi().compute((box, placed))
    first, areas = found.nlist.query_point_indices, found.nlist.weights
    surface = np.bincount(first, weights=areas, minlength=len(points))
    large = areas > face_share * surface[first]
    return VoronoiCells(
        np.array(found.volumes, dtype=np.float64),
        np.bincount(first[large], minlength=len(points)),
    )


@observable(
    "voronoi",
    title="Local volumes",
    interval_ps=0.1,
    frames=200,
    options={"of": word, "face_share": number, "bin_width": number},
    place=82,
)
@dataclass(eq=False)
class Voronoi(Observable):
    """Local volumes of the nodes of a framework, their spread, and their neighbours.

    The relative spread σ(V)/⟨V⟩ tells how uneven a structure is: the mean volume alone is the
    cell's over the number of nodes.

    Parameters
    ----------
    of
        ``nodes`` or ``metals``; None takes nodes, but metals where nodes are endless rods or
        layers.
    face_share
        A face that is a smaller share of its cell's surface makes no neighbour.
    bin_width
        Of the distribution of V/⟨V⟩.
    interval_ps, cut
        As for every observable.
    """

    of: Of | None = None
    face_share: float = 0.01
    bin_width: float = 0.02

    def __post_init__(self) -> None:
        """Refuse what cannot be; begin with no frame."""
        if not 0 <= self.face_share < 0.25:
            raise InputError(f"face_share: {self.face_share}, expected 0 to 0.25")
        bins = round(RATIO_MAX / self.bin_width) if self.bin_width > 0 else 0
        if bins < 1 or abs(bins * self.bin_width - RATIO_MAX) > 1e-9:
            raise InputError(f"bin_width: {self.bin_width} does not divide {RATIO_MAX:g}")
        self._edges = np.linspace(0, RATIO_MAX, bins + 1)
        self._record = Record()
        self._means: list[float] = []
        self._volumes: list[float] = []

    @property
    def name(self) -> str:
        """Short name for people."""
        return "voronoi"

    def check(self, frame: Frame) -> None:
        """Find the nodes; refuse a structure without metals."""
        self._points = NetPoints(frame, self.of, self.name)
        self._number = len(self._points.of_frame(frame))

    def measure(self, frame: Frame) -> tuple[float, np.ndarray, float, float]:
        """Relative spread, distributions, mean number of neighbours, mean volume [Å³]."""
        points = self._points.of_frame(frame)
        cells = voronoi_cells(points, frame.cell, self.face_share)
        mean = float(cells.volumes.mean())
        ratios = np.minimum(cells.volumes / mean, RATIO_MAX - 1e-9)
        counts, _ = np.histogram(ratios, bins=self._edges)
        numbers = np.bincount(np.minimum(cells.neighbours, NEIGHBOURS - 1), minlength=NEIGHBOURS)
        array = np.concatenate([counts / self.bin_width, numbers]) / len(points)
        return float(cells.volumes.std() / mean), array, float(cells.neighbours.mean()), mean

    def add(self, stamp: Stamp, value: tuple[float, np.ndarray, float, float]) -> None:
        """Take the measurement of the next frame."""
        spread, array, neighbours, volume = value
        self._record.add(stamp, spread, array)
        self._means.append(neighbours)
        self._volumes.append(volume)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        mean, error = self._record.average.mean(sampling)
        bins = len(self._edges) - 1
        spread, neighbours = np.array(self._record.series), np.array(self._means)
        volumes = np.array(self._volumes)
        top = int(np.flatnonzero(mean[bins:])[-1]) + 1
        one = self._points.of.rstrip("s")
        return Result(
            name=self.name,
            definition=f"Voronoi cells of the {self._points.of} (voro++ through freud; "
            "Ramasubramani et al. 2020): local volume V, relative spread σ(V)/⟨V⟩; neighbours "
            f"share a face of more than {self.face_share:.2g} of the cell's surface",
            settings={
                "of": self._points.of,
                "points": self._number,
                "face_share": self.face_share,
                "bin_width": self.bin_width,
            },
            scalars={
                "relative spread of the volume": mean_of_series(spread, sampling),
                f"volume per {one}": mean_of_series(volumes, sampling, "Å³"),
                "neighbours": mean_of_series(neighbours, sampling),
            },
            tables={
                "volume": Table(
                    {
                        "ratio": Column(
                            (self._edges[1:] + self._edges[:-1]) / 2, label="Local volume V/⟨V⟩"
                        ),
                        "density": Column(mean[:bins], "", error[:bins], "Probability density"),
                    },
                    "curve",
                    f"Local volumes of the {self._points.of}",
                ),
                "neighbours": Table(
                    {
                        "number": Column(
                            np.arange(top, dtype=np.float64), label=f"Voronoi neighbours of a {one}"
                        ),
                        "fraction": Column(
                            mean[bins : bins + top],
                            "",
                            error[bins : bins + top],
                            f"Fraction of {self._points.of}",
                        ),
                    },
                    "bars",
                    "Neighbours without a cutoff",
                ),
                "series": series_table(
                    self._record.stamps,
                    "Unevenness of local volumes over time",
                    spread=Column(spread, label="Relative spread of V"),
                ),
            },
            sampling=sampling,
        )
