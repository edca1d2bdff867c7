"""Columns of LAMMPS dumps, text and binary: from a table to a frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame, Species

POSITIONS = ("xu", "yu", "zu")
IMAGES = ("ix", "iy", "iz")
VELOCITIES = ("vx", "vy", "vz")
# in order of preference: columns, whether they are fractional, whether they are unwrapped
COORDINATES = (
    (POSITIONS, False, True),
    (("xsu", "ysu", "zsu"), True, True),
    (("x", "y", "z"), False, False),
    (("xs", "ys", "zs"), True, False),
)


@dataclass
class Header:
    """What stands before the atoms of a frame; cell and origin [Å], time [ps]."""

    step: int = -1
    n_atoms: int = -1
    time: float | None = None
    cell: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))
    pbc: tuple[bool, bool, bool] = (True, True, True)

    def set_box(self, words: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Take the box from the lines of BOX BOUNDS, in any of LAMMPS's three forms."""
        periodic = [word.startswith("p") for word in words[-3:]] if len(words) >= 3 else [True] * 3
        self.pbc = (periodic[0], periodic[1], periodic[2])
        numbers = [[float(word) for word in row] for row in rows]
        if words[:2] == ["abc", "origin"]:
            self.cell = np.array([row[:3] for row in numbers])
            self.origin = np.array([row[3] for row in numbers])
        else:
            tilts = [row[2] if len(row) > 2 else 0.0 for row in numbers]
            self.set_bounds([row[0] for row in numbers], [row[1] for row in numbers], tilts)

    def set_bounds(
        self, low: Sequence[float], high: Sequence[float], tilts: Sequence[float]
    ) -> None:
        """Take the box from its bounding box and the tilt factors xy, xz, yz.

        For a triclinic box LAMMPS writes the bounding box (LAMMPS manual, Howto_triclinic).
        """
        xy, xz, yz = tilts
        xlo = low[0] - min(0.0, xy, xz, xy + xz)
        xhi = high[0] - max(0.0, xy, xz, xy + xz)
        ylo, yhi = low[1] - min(0.0, yz), high[1] - max(0.0, yz)
        self.cell = np.array([[xhi - xlo, 0, 0], [xy, yhi - ylo, 0], [xz, yz, high[2] - low[2]]])
        self.origin = np.array([xlo, ylo, low[2]])


@dataclass(frozen=True)
class Columns:
    """Where the columns of a dump go.

    Parameters
    ----------
    names
        All columns of the file.
    coordinates
        The three columns with positions.
    fractional, unwrapped
        What these are.
    images, velocities
        Whether image flags and velocities are there (and the first are needed).
    type_names
        Element of each LAMMPS type, where the file does not name elements.
    """

    names: tuple[str, ...]
    coordinates: tuple[str, str, str]
    fractional: bool
    unwrapped: bool
    images: bool
    velocities: bool
    type_names: Mapping[int, str] | None

    @classmethod
    def choose(
        cls, names: tuple[str, ...], type_names: Mapping[int, str] | None, where: str
    ) -> Columns:
        """Choose the columns to read.

        Raises
        ------
        InputError
            If ids, elements or positions cannot be had from them.
        """
        coordinates = next((c for c in COORDINATES if all(name in names for name in c[0])), None)
        lacks = [] if "id" in names else ["id"]
        if "element" not in names and not (type_names and "type" in names):
            lacks.append("element")
        lacks += [] if coordinates else list(POSITIONS)
        if lacks or coordinates is None:
            raise InputError(
                f"{where}: has columns {' '.join(names)} but lacks {' '.join(lacks)}; write it "
                "with: dump ... custom ... id element xu yu zu (or name the elements of the types)"
            )
        columns, fractional, unwrapped = coordinates
        images = not unwrapped and all(name in names for name in IMAGES)
        return cls(
            names=names,
            coordinates=(columns[0], columns[1], columns[2]),
            fractional=fractional,
            unwrapped=unwrapped or images,
            images=images,
            velocities=all(name in names for name in VELOCITIES),
            type_names=None if "element" in names else type_names,
        )

    @property
    def numbers(self) -> tuple[str, ...]:
        """Columns of numbers to read, in the order ``build_frame`` takes them."""
        return (
            *self.coordinates,
            *(IMAGES if self.images else ()),
            *(VELOCITIES if self.velocities else ()),
            *(("type",) if self.type_names else ()),
        )


def build_frame(  # noqa: PLR0913, PLR0917 - the parts of a frame
    header: Header,
    columns: Columns,
    ids: np.ndarray,
    values: np.ndarray,
    elements: tuple[tuple[str, ...], np.ndarray] | None,
    where: str,
    species: Species | None,
) -> Frame:
    """Sort a table by id and make a frame of it.

    Parameters
    ----------
    header
        Cell, step and time.
    columns
        What the columns mean.
    ids
        (atoms,) ids.
    values
        (atoms, columns.numbers) numbers.
    elements
        Different elements, and each atom's index among them; None takes the types' names.
    where
        Names the frame in errors.
    species
        Elements of the first frame, which this one must share; None for the first.
    """
    order: np.ndarray | slice = slice(None)
    if (ids[1:] <= ids[:-1]).any():
        order = np.argsort(ids, kind="stable")
        ids = ids[order]
        if (ids[1:] == ids[:-1]).any():
            raise InputError(f"{where}: two atoms have the id {ids[1:][ids[1:] == ids[:-1]][0]}")
    values = values[order]
    found = _species(columns, values, elements, order, where)
    if species is None:
        species = found
    elif found != species:
        raise InputError(
            f"{where}: atoms or elements are not those of the first step; one dump must hold one "
            "system"
        )
    positions = np.array(values[:, :3])
    if columns.fractional:
        positions = header.origin + positions @ header.cell
    if columns.images:
        positions += values[:, 3:6] @ header.cell
    first = 6 if columns.images else 3
    return Frame(
        step=header.step,
        species=species,
        positions=positions,
        cell=header.cell,
        unwrapped=columns.unwrapped,
        time_ps=header.time,
        velocities=np.array(values[:, first : first + 3]) if columns.velocities else None,
        pbc=header.pbc,
    )


def _species(
    columns: Columns,
    values: np.ndarray,
    elements: tuple[tuple[str, ...], np.ndarray] | None,
    order: np.ndarray | slice,
    where: str,
) -> Species:
    if elements is not None:
        names, codes = elements
        return Species.from_codes(names, codes[order])
    types, codes = np.unique(values[:, -1].astype(np.int64), return_inverse=True)
    type_names = columns.type_names or {}
    unnamed = [int(kind) for kind in types if int(kind) not in type_names]
    if unnamed:
        raise InputError(f"{where}: type {unnamed[0]} has no element; name one for each type")
    return Species.from_codes([type_names[int(kind)] for kind in types], codes)
