"""Extended XYZ files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.raw_frame import FileFrame, First, ParsedFrame, species_of
from mofmd.trajectory.streams import Window
from mofmd.trajectory.table import NAME, SKIP, parse_table, unpack_name

KEY = re.compile(r'(\w+)=(?:"([^"]*)"|\{([^}]*)\}|(\S+))')
KINDS = {"S": 1, "R": 1, "I": 1, "L": 1}


@dataclass(frozen=True)
class XyzFrame(FileFrame):
    """A frame as it stands in an extxyz file.

    Parameters
    ----------
    number
        Number of the frame in the file, from zero.
    n_atoms
        Number of atoms.
    comment
        Second line, with the cell and the columns.
    where
        Names the frame in errors.
    first
        The first frame; None for that itself.
    text
        Lines of the atoms.
    """

    number: int
    n_atoms: int
    comment: str
    where: str
    first: First | None
    text: memoryview

    @property
    def step(self) -> int:
        """Number of the frame in the file."""
        return self.number

    def build(self) -> tuple[Frame, np.ndarray]:
        """Parse the comment and the atoms."""
        keys = {key: a or b or c for key, a, b, c in KEY.findall(self.comment)}
        lattice = np.array(keys.get("Lattice", "").split(), dtype=np.float64)
        if lattice.shape != (9,):
            raise InputError(
                f'{self.where}: no Lattice="ax ay az bx by bz cx cy cz" in its comment'
            )
        kinds = _columns(keys.get("Properties", "species:S:1:pos:R:3"), self.where)
        rows = parse_table(self.text, self.n_atoms, kinds, self.where)
        periodic = keys.get("pbc", "T T T").upper().split()
        time = keys.get("time_ps")
        frame = Frame(
            step=int(keys.get("step", self.number)),
            species=species_of(rows.names, self.first, unpack_name, self.where),
            positions=rows.values,
            cell=lattice.reshape(3, 3),
            # the format does not say, and many programs wrap
            unwrapped=False,
            time_ps=float(time) if time is not None else None,
            pbc=(periodic[0] == "T", periodic[1] == "T", periodic[2] == "T"),
        )
        return frame, rows.names


def xyz_frames(window: Window) -> Iterator[XyzFrame | ParsedFrame | None]:
    """Frames of an extxyz file, in order; a last None says that the file ends within a frame."""
    first: First | None = None
    number = 0
    while window.peek(CHECK).strip():
        end = window.find(b"\n")
        line = window.peek(end if end >= 0 else CHECK)
        if end >= 0 and not line.strip().isdigit():
            raise InputError(
                f"{window.path}: not an extxyz file, found {line[:60].decode(errors='replace')!r} "
                "where the number of atoms should be"
            )
        n_atoms = int(line) if end >= 0 else 0
        position = end
        for _ in range(n_atoms + 1):
            position = window.find(b"\n", position + 1) if position >= 0 else -1
        if position < 0:
            yield None
            return
        behind = window.find(b"\n", end + 1)
        text = window.take(position + 1)
        comment = bytes(text[end + 1 : behind]).decode(errors="replace")
        where = f"{window.path}: frame {number}"
        frame = XyzFrame(number, n_atoms, comment, where, first, text[behind + 1 :])
        if first is None:
            parsed, first = frame.begin()
            yield parsed
        else:
            yield frame
        number += 1


CHECK = 64


def _columns(properties: str, where: str) -> np.ndarray:
    """Say what each column is, for ``parse_table``, from ``name:kind:number`` triples."""
    words = properties.split(":")
    triples = list(zip(words[::3], words[1::3], words[2::3], strict=False))
    kinds: list[int] = []
    for name, _, number in triples:
        if name == "species":
            kinds += [NAME]
        elif name == "pos":
            kinds += [0, 1, 2]
        else:
            kinds += [SKIP] * int(number)
    if NAME not in kinds or 2 not in kinds:
        raise InputError(f"{where}: Properties={properties} lacks species or pos")
    return np.array(kinds, dtype=np.int64)
