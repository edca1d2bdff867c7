"""LAMMPS text dumps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.columns import Columns, Header, RawDump
from mofmd.trajectory.raw_frame import First, ParsedFrame
from mofmd.trajectory.streams import TruncatedError, Window
from mofmd.trajectory.table import ID, NAME, SKIP, Rows, parse_table

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
    units = ""
    while True:
        try:
            header, names, units = _read_header(window, units)
        except TruncatedError:
            yield None
            return
        if header is None:
            return
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


def _read_header(window: Window, units: str) -> tuple[Header | None, tuple[str, ...], str]:
    """Items up to ATOMS; None at the end of the file."""
    start = window.peek(64)
    if not start.strip():
        return None, (), units
    if not (start.startswith(b"ITEM:") or b"ITEM:".startswith(start)):
        line = start.split(b"\n")[0].decode(errors="replace").strip()
        raise InputError(f"{window.path}: not a LAMMPS text dump, found {line!r}")
    atoms = window.find(ATOMS)
    end = window.find(b"\n", atoms) if atoms >= 0 else -1
    if end < 0:
        raise TruncatedError
    lines = bytes(window.take(end + 1)).decode(errors="replace").splitlines()
    header = Header()
    while lines:
        line = lines.pop(0)
        if line.startswith("ITEM: TIMESTEP"):
            header.step = int(lines.pop(0))
        elif line.startswith("ITEM: TIME"):
            header.time = float(lines.pop(0))
        elif line.startswith("ITEM: NUMBER OF ATOMS"):
            header.n_atoms = int(lines.pop(0))
        elif line.startswith("ITEM: BOX BOUNDS"):
            header.set_box(line.split()[3:], [lines.pop(0).split() for _ in range(3)])
        elif line.startswith("ITEM: UNITS"):
            units = lines.pop(0).strip()
            if units != "metal":
                raise InputError(
                    f"{window.path}: in units {units}, expected metal; run with units metal"
                )
        elif line.startswith("ITEM: ATOMS"):
            return header, tuple(line.split()[2:]), units
        elif not line.startswith("ITEM:"):
            raise InputError(f"{window.path}: not a LAMMPS text dump, found {line[:60]!r}")
    raise TruncatedError
