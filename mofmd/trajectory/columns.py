"""Columns of LAMMPS dumps, text and binary: from a table to a frame."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.raw_frame import FileFrame, First, species_of
from mofmd.trajectory.text.table import Rows, unpack_name
from mofmd.units import FS_TO_PS

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


# LAMMPS's units with lengths in Å, and their unit of time [ps]
TIME_UNITS_PS = {"metal": 1.0, "real": FS_TO_PS}


@dataclass
class Header:
    """What stands before the atoms of a frame; cell and origin [Å], time in ``units``."""

    step: int = -1
    n_atoms: int = -1
    time: float | None = None
    units: str = "metal"
    cell: np.ndarray = field(default_factory=lambda: np.zeros((3, 3)))
    origin: np.ndarray = field(default_factory=lambda: np.zeros(3))
    pbc: tuple[bool, bool, bool] = (True, True, True)

    def set_units(self, units: str, where: str) -> None:
        """Take LAMMPS's units; a file that does not say them is taken to be in metal."""
        if units not in TIME_UNITS_PS:
            raise InputError(
                f"{where}: in units {units}, expected {' or '.join(TIME_UNITS_PS)}; run with units "
                "metal"
            )
        self.units = units

    @property
    def unit_of_time_ps(self) -> float:
        """Unit of times [ps]; velocities are in Å per this."""
        return TIME_UNITS_PS[self.units]

    @property
    def time_ps(self) -> float | None:
        """Time [ps]; None where the file does not say it."""
        return None if self.time is None else self.time * self.unit_of_time_ps

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
                "with: dump ... custom ... id element xu yu zu (or name the elements of types 1, "
                "2, ..., as `mofmd analyse --types C,H,N,Zn` does)"
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


@dataclass(frozen=True)
class RawDump(FileFrame):
    """A frame as it stands in a dump.

    Parameters
    ----------
    header
        What stands before the atoms.
    columns
        Names of the columns and where they go.
    where
        Names the frame in errors.
    first
        The first frame; None for that itself.
    """

    header: Header
    columns: Columns
    where: str
    first: First | None

    @property
    def step(self) -> int:
        """Step of the frame."""
        return self.header.step

    @property
    def time_ps(self) -> float | None:
        """Time of the frame [ps]; None where the file does not say it."""
        return self.header.time_ps

    @abstractmethod
    def rows(self) -> Rows:
        """Ids, names of elements (if the file has them) and ``columns.numbers`` of the atoms."""

    def build(self) -> tuple[Frame, np.ndarray]:
        """Parse the atoms, sort them by id and unwrap them."""
        header, columns = self.header, self.columns
        rows = self.rows()
        order = order_of(rows.ids, self.where)
        values = rows.values[order]
        if columns.type_names:
            labels = values[:, -1].astype(np.int64)
            species = species_of(labels, self.first, self._name_of_type, self.where)
        else:
            labels = rows.names[order]
            species = species_of(labels, self.first, unpack_name, self.where)
        positions = np.ascontiguousarray(values[:, :3])
        if columns.fractional:
            positions = header.origin + positions @ header.cell
        if columns.images:
            positions = positions + values[:, 3:6] @ header.cell
        begin = 6 if columns.images else 3
        frame = Frame(
            step=header.step,
            species=species,
            positions=positions,
            cell=header.cell,
            unwrapped=columns.unwrapped,
            time_ps=header.time_ps,
            velocities=(
                values[:, begin : begin + 3] / header.unit_of_time_ps
                if columns.velocities
                else None
            ),
            pbc=header.pbc,
        )
        return frame, labels

    def _name_of_type(self, kind: int) -> str:
        names = self.columns.type_names or {}
        if kind not in names:
            raise InputError(f"{self.where}: type {kind} has no element; name one for each type")
        return names[kind]


def order_of(ids: np.ndarray, where: str) -> np.ndarray | slice:
    """Give the order that sorts the atoms by id."""
    if (ids[1:] > ids[:-1]).all():
        return slice(None)
    low, high = int(ids.min()), int(ids.max())
    # nearly always without gaps: then each id says its place
    if high - low < 2 * len(ids):
        places = np.full(high - low + 1, -1, dtype=np.int64)
        places[ids - low] = np.arange(len(ids))
        order = places[places >= 0]
        if len(order) < len(ids):
            twice = ids[places[ids - low] != np.arange(len(ids))][0]
            raise InputError(f"{where}: two atoms have the id {twice}")
        return order
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    if (ids[1:] == ids[:-1]).any():
        raise InputError(f"{where}: two atoms have the id {ids[1:][ids[1:] == ids[:-1]][0]}")
    return order
