"""LAMMPS binary dumps (``dump custom file.bin``), format revision 2 of LAMMPS 2020 and later.

The layout is that of LAMMPS's tools/binary2txt.cpp. Elements are written as their types there, so
that names of the types must be given.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.columns import Columns, Header, RawDump
from mofmd.trajectory.raw_frame import First, ParsedFrame
from mofmd.trajectory.streams import TruncatedError, Window
from mofmd.trajectory.text.table import Rows

MAGIC_LENGTH = 64
ENDIAN, REVISION = 1, 2
PERIODIC = 0


@dataclass(frozen=True)
class BinaryFrame(RawDump):
    """A frame as it stands in a binary dump.

    Parameters
    ----------
    header, columns, where, first
        As for ``RawDump``.
    table
        (atoms, columns) float64, unsorted.
    """

    table: np.ndarray

    def rows(self) -> Rows:
        """Choose the columns; there are no names of elements."""
        names = self.columns.names
        ids = self.table[:, names.index("id")].astype(np.int64)
        values = self.table[:, [names.index(name) for name in self.columns.numbers]]
        return Rows(ids, np.zeros(0, dtype=np.uint64), values)


def binary_frames(
    window: Window, type_names: Mapping[int, str] | None = None
) -> Iterator[BinaryFrame | ParsedFrame | None]:
    """Frames of a binary dump, in order; a last None says that the file ends within a frame."""
    first: First | None = None
    units = "metal"
    while window.size(1):
        try:
            header, names = _read_header(window, units)
            table = _read_atoms(window, header.n_atoms, len(names))
        except TruncatedError:
            yield None
            return
        units = header.units  # stated once in a file
        names_without_element = tuple("" if name == "element" else name for name in names)
        columns = Columns.choose(names_without_element, type_names, str(window.path))
        where = f"{window.path}: step {header.step}"
        frame = BinaryFrame(header, columns, where, first, table)
        if first is None:
            parsed, first = frame.begin()
            yield parsed
        else:
            yield frame


def _read_header(window: Window, units: str) -> tuple[Header, tuple[str, ...]]:
    (minus_length,) = _unpack(window, "<q")
    if not 0 < -minus_length <= MAGIC_LENGTH:
        raise InputError(
            f"{window.path}: not a binary dump of LAMMPS 2020 or later; write a text dump, or name "
            "it so that it does not end in .bin"
        )
    magic = bytes(window.take(-minus_length))
    endian, revision = _unpack(window, "<ii")
    if not magic.startswith(b"DUMP") or endian != ENDIAN or revision < REVISION:
        raise InputError(
            f"{window.path}: binary dump of kind {magic!r}, revision {revision}, byte order "
            f"{endian:#x}; expected DUMPCUSTOM or DUMPATOM, revision {REVISION}, little-endian"
        )
    header = Header()
    header.step, header.n_atoms, triclinic, *boundary = _unpack(window, "<qqi6i")
    x, y, z = (face == PERIODIC for face in boundary[::2])
    header.pbc = (x, y, z)
    if triclinic not in (0, 1):
        raise InputError(f"{window.path}: general triclinic binary dump; write a text dump")
    bounds = _unpack(window, "<6d")
    tilts = _unpack(window, "<3d") if triclinic else (0.0, 0.0, 0.0)
    header.set_bounds(bounds[::2], bounds[1::2], tilts)
    (n_columns,) = _unpack(window, "<i")
    header.set_units(_read_word(window) or units, str(window.path))
    (has_time,) = _unpack(window, "<b")
    if has_time:
        (header.time,) = _unpack(window, "<d")
    names = tuple(_read_word(window).split())
    if len(names) != n_columns:
        raise InputError(f"{window.path}: {n_columns} columns but {len(names)} names of them")
    return header, names


def _read_atoms(window: Window, n_atoms: int, n_columns: int) -> np.ndarray:
    (n_chunks,) = _unpack(window, "<i")
    parts = []
    for _ in range(n_chunks):
        (length,) = _unpack(window, "<i")
        if length < 0:
            raise InputError(f"{window.path}: is damaged: a part of {length} numbers")
        parts.append(np.frombuffer(window.take(8 * length), dtype="<f8"))
    table = np.concatenate(parts) if parts else np.empty(0)
    if len(table) != n_atoms * n_columns:
        raise InputError(f"{window.path}: {len(table)} numbers for {n_atoms} × {n_columns}")
    return table.reshape(n_atoms, n_columns)


def _read_word(window: Window) -> str:
    (length,) = _unpack(window, "<i")
    word = bytes(window.take(length)) if length > 0 else b""
    return word.decode(errors="replace").rstrip("\0")


def _unpack(window: Window, form: str) -> tuple[int, ...]:
    return struct.unpack(form, window.take(struct.calcsize(form)))
