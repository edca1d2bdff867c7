"""LAMMPS text dumps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.columns import Columns, Header, RawDump
from mofmd.trajectory.raw_frame import First, ParsedFrame, whole_number
from mofmd.trajectory.streams import TruncatedError, Window
from mofmd.trajectory.text.table import ID, NAME, SKIP, Rows, parse_table

ATOMS = b"ITEM: ATOMS"


@dataclass(frozen=True)
class TextFrame(RawDump):
    """A frame as it stands in a text dump.

    Parameters
    ----------
    header, columns, where, first
        As for ``RawDump``.
    text
        Lines of the atoms.
    """

    text: memoryview

    def rows(self) -> Rows:
        """Parse the lines."""
        names = self.columns.names
        kinds = np.full(len(names), SKIP, dtype=np.int64)
        kinds[names.index("id")] = ID
        if "element" in names:
            kinds[names.index("element")] = NAME
        for k, name in enumerate(self.columns.numbers):
            kinds[names.index(name)] = k
        return parse_table(self.text, self.header.n_atoms, kinds, self.where)


def text_frames(
    window: Window, type_names: Mapping[int, str] | None = None
) -> Iterator[TextFrame | ParsedFrame | None]:
    """Frames of a text dump, in order; a last None says that the file ends within a frame.

    Raises
    ------
    InputError
        If the file is no text dump, or its columns do not give what is needed.
    """
    first: First | None = None
    columns: Columns | None = None
    units = "metal"
    while True:
        try:
            header, names = _read_header(window, units)
        except TruncatedError:
            yield None
            return
        if header is None:
            return
        units = header.units  # stated once in a file
        if columns is None or columns.names != names:
            columns = Columns.choose(names, type_names, str(window.path))
        end = window.find(b"ITEM:")
        if end < 0:
            # the last frame: whole only if every line is there
            end = window.size(1 << 62)
            if window.peek(end).count(b"\n") < header.n_atoms:
                yield None
                return
        where = f"{window.path}: step {header.step}"
        frame = TextFrame(header, columns, where, first, window.take(end))
        if first is None:
            parsed, first = frame.begin()
            yield parsed
        else:
            yield frame


def _read_header(window: Window, units: str) -> tuple[Header | None, tuple[str, ...]]:
    """Items up to ATOMS; None at the end of the file."""
    start = window.peek(64)
    if not start.strip():
        return None, ()
    if not (start.startswith(b"ITEM:") or b"ITEM:".startswith(start)):
        line = start.split(b"\n")[0].decode(errors="replace").strip()
        raise InputError(f"{window.path}: not a LAMMPS text dump, found {line!r}")
    atoms = window.find(ATOMS)
    end = window.find(b"\n", atoms) if atoms >= 0 else -1
    if end < 0:
        raise TruncatedError
    lines = bytes(window.take(end + 1)).decode(errors="replace").splitlines()
    header = Header(units=units)
    *items, columns = _items(lines)
    names = [name for name, _ in items]
    if len(set(names)) < len(names):  # the atoms of a frame are missing: two would become one
        raise InputError(
            f"{window.path}: a frame lacks ITEM: ATOMS, or has ITEM: "
            f"{next(name for name in names if names.count(name) > 1)} twice"
        )
    for name, rows in items:
        _take(header, name, rows, str(window.path))
    missing = [
        name for name, value in (("TIMESTEP", header.step), ("NUMBER OF ATOMS", header.n_atoms))
        if value < 0
    ]  # fmt: skip
    if missing or not header.cell.any():
        raise InputError(
            f"{window.path}: a frame lacks ITEM: {missing[0] if missing else 'BOX BOUNDS'}"
        )
    return header, tuple(columns[0].split()[1:])


def _items(lines: list[str]) -> list[tuple[str, list[str]]]:
    """Sort the lines of a header: what follows ITEM:, and the lines of each."""
    items: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("ITEM:"):
            items.append((line.removeprefix("ITEM:").strip(), []))
        else:
            items[-1][1].append(line)
    return items


def _take(header: Header, name: str, rows: list[str], where: str) -> None:
    """Take an item of the header; what is not needed is passed over."""
    needed = {"BOX BOUNDS": 3, "TIMESTEP": 1, "TIME": 1, "NUMBER OF ATOMS": 1, "UNITS": 1}
    known = next((key for key in needed if name == key or name.startswith(f"{key} ")), None)
    if known is None:
        return
    if len(rows) != needed[known]:
        raise InputError(f"{where}: ITEM: {name} has {len(rows)} lines, expected {needed[known]}")
    try:
        if known == "TIMESTEP":
            header.step = whole_number(rows[0], "a timestep", where)
        elif known == "TIME":
            header.time = float(rows[0])
        elif known == "NUMBER OF ATOMS":
            header.n_atoms = whole_number(rows[0], "the number of atoms", where)
        elif known == "UNITS":
            header.set_units(rows[0].strip(), where)
        else:
            header.set_box(name.split()[2:], [row.split() for row in rows])
    except (ValueError, IndexError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: ITEM: {name}: {rows}, expected numbers") from error
