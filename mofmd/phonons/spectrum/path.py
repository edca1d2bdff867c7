"""Paths through the Brillouin zone."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.arrays import freeze
from mofmd.disk.yaml_file import read_mapping
from mofmd.errors import InputError

if TYPE_CHECKING:
    from phonopy import Phonopy

SPACING_PER_A = 0.0025
"""Distance of the points of a path where their number is not given, without 2π."""
LEAST_POINTS, MOST_POINTS = 6, 101  # of a segment then
GREEK = {"GAMMA": "Γ", "SIGMA": "Σ", "DELTA": "Δ", "LAMBDA": "Λ"}


@dataclass(frozen=True)
class BandPath:
    """Straight segments between points of high symmetry; arrays are read-only.

    Parameters
    ----------
    q
        (points, 3) wave vectors, in units of the reciprocal vectors of the primitive cell.
    distances_per_A
        (points,) length of the path up to each [1/Å], without 2π.
    segments
        First point of each segment and the one after its last.
    labels
        Names of both ends of each segment.
    """

    q: np.ndarray
    distances_per_A: np.ndarray
    segments: tuple[tuple[int, int], ...]
    labels: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "q", "distances_per_A")

    def point_labels(self) -> list[str]:
        """Name of each point; empty for those between points of high symmetry."""
        found = [""] * len(self.q)
        for (first, end), (left, right) in zip(self.segments, self.labels, strict=True):
            found[first], found[end - 1] = left, right
        return found

    def point_segments(self) -> list[str]:
        """Segment of each point by the names of its ends, such as ``Γ-X``."""
        found: list[str] = []
        for (first, end), ends in zip(self.segments, self.labels, strict=True):
            found += ["-".join(ends)] * (end - first)
        return found

    def ticks(self) -> list[tuple[float, str]]:
        """Places and names of the points of high symmetry along the path."""
        found: list[tuple[float, str]] = []
        for (first, end), (left, right) in zip(self.segments, self.labels, strict=True):
            x = float(self.distances_per_A[first])
            if found and abs(found[-1][0] - x) < 1e-9:
                if found[-1][1] != left:
                    found[-1] = (x, f"{found[-1][1]}|{left}")
            else:
                found.append((x, left))
            found.append((float(self.distances_per_A[end - 1]), right))
        return found


def make_path(
    ends: list[tuple[np.ndarray, np.ndarray]],
    labels: list[tuple[str, str]],
    cell_A: np.ndarray,
    points: int | None = None,
) -> BandPath:
    """Make a path of the ends of its segments.

    Parameters
    ----------
    ends
        First and last wave vector of each segment.
    labels
        Their names.
    cell_A
        Primitive cell.
    points
        Of each segment; None: by ``SPACING_PER_A``.
    """
    if points is not None and points < 2:
        raise InputError(f"points: {points}, expected 2 or more of a segment")
    reciprocal = np.linalg.inv(cell_A).T
    q, x, start = [], [], 0.0
    segments: list[tuple[int, int]] = []
    for first, last in ends:
        length = float(np.linalg.norm((last - first) @ reciprocal))
        n = points or min(MOST_POINTS, max(LEAST_POINTS, 1 + round(length / SPACING_PER_A)))
        steps = np.linspace(0.0, 1.0, n)[:, None]
        q.append(first + steps * (last - first))
        x.append(start + steps[:, 0] * length)
        begin = segments[-1][1] if segments else 0
        segments.append((begin, begin + n))
        start += length
    return BandPath(np.concatenate(q), np.concatenate(x), tuple(segments), tuple(labels))


def standard_path(phonopy: Phonopy, points: int | None = None) -> BandPath:
    """Path of the Bravais lattice, in the axes of the primitive cell as it is.

    Hinuma et al., Comput. Mater. Sci. 128, 140 (2017), by seekpath.
    """
    import seekpath

    cell = phonopy.primitive
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lattices on the edge between two kinds
        found = seekpath.get_path_orig_cell(
            (cell.cell, cell.scaled_positions, cell.numbers),
            symprec=phonopy.primitive_symmetry.tolerance,
        )
    place = {name: np.array(q) for name, q in found["point_coords"].items()}
    ends = [(place[a], place[b]) for a, b in found["path"]]
    labels = [(_label(a), _label(b)) for a, b in found["path"]]
    return make_path(ends, labels, cell.cell, points)


def read_path(file: Path, cell_A: np.ndarray) -> BandPath:
    """Read a path: YAML with ``labels``, ``npoints`` and ``paths``.

    ``paths`` is a list of connected lines, each a list of wave vectors; ``labels`` names all points
    in their order.

    Raises
    ------
    InputError
        If it is no such file.
    """
    content: dict[str, Any] = read_mapping(file)
    try:
        lines = [np.array(line, dtype=float).reshape(-1, 3) for line in content["paths"]]
        names = [_label(str(name)) for name in content["labels"]]
        points = int(content["npoints"]) if "npoints" in content else None
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{file}: {error}; expected labels, npoints and paths (lists of wave vectors)"
        ) from error
    if len(names) != sum(map(len, lines)):
        raise InputError(f"{file}: {len(names)} labels for {sum(map(len, lines))} points")
    ends, labels, k = [], [], 0
    for line in lines:
        for i in range(len(line) - 1):
            ends.append((line[i], line[i + 1]))
            labels.append((names[k + i], names[k + i + 1]))
        k += len(line)
    if not ends:
        raise InputError(f"{file}: paths: has no line of two points")
    return make_path(ends, labels, cell_A, points)


def _label(name: str) -> str:
    letter, line, rest = name.partition("_")
    return GREEK.get(letter.upper(), letter) + line + rest
