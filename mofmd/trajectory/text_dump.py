"""LAMMPS text dumps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.columns import Columns, Header, build_frame
from mofmd.trajectory.frame import Frame, Species
from mofmd.trajectory.streams import TruncatedError, Window
from mofmd.trajectory.table import ID, NAME, SKIP, distinct_names, parse_table

ATOMS = b"ITEM: ATOMS"


@dataclass(frozen=True)
class TextFrame:
    """A frame as it stands in the file; ``decode`` is the work, and may run in any thread.

    Parameters
    ----------
    header
        What stands before the atoms.
    columns
        Names of the columns and where they go.
    text
        Lines of the atoms.
    where
        Names the frame in errors.
    species
        Elements of the first frame, which this one must share; None for the first.
    """

    header: Header
    columns: Columns
    text: bytes
    where: str
    species: Species | None

    @property
    def step(self) -> int:
        """Step of the frame."""
        return self.header.step

    def decode(self) -> Frame:
        """Parse the atoms, sort them by id and unwrap them."""
        names = self.columns.names
        kinds = np.full(len(names), SKIP, dtype=np.int64)
        kinds[names.index("id")] = ID
        if "element" in names:
            kinds[names.index("element")] = NAME
        for k, name in enumerate(self.columns.numbers):
            kinds[names.index(name)] = k
        rows = parse_table(self.text, self.header.n_atoms, kinds, self.where)
        elements = None
        if "element" in names:
            elements = distinct_names(rows.names)
        return build_frame(
            self.header, self.columns, rows.ids, rows.values, elements, self.where, self.species
        )


def text_frames(
    window: Window, type_names: Mapping[int, str] | None = None
) -> Iterator[TextFrame | None]:
    """Frames of a text dump, in order; a last None says that the file ends within a frame.

    Raises
    ------
    InputError
        If the file is no text dump, or its columns do not give what is needed.
    """
    species: Species | None = None
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
        frame = TextFrame(header, columns, window.take(end), where, species)
        if species is None:
            species = frame.decode().species
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
    lines = window.take(end + 1).decode(errors="replace").splitlines()
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
