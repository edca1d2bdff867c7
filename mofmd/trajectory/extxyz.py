"""Extended XYZ files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame, Species
from mofmd.trajectory.streams import Window
from mofmd.trajectory.table import NAME, SKIP, distinct_names, parse_table

KEY = re.compile(r'(\w+)=(?:"([^"]*)"|\{([^}]*)\}|(\S+))')
KINDS = {"S": 1, "R": 1, "I": 1, "L": 1}


@dataclass(frozen=True)
class XyzFrame:
    """A frame as it stands in the file; ``decode`` is the work, and may run in any thread.

    Parameters
    ----------
    step
        Number of the frame in the file, from zero.
    n_atoms
        Number of atoms.
    comment
        Second line, with the cell and the columns.
    text
        Lines of the atoms.
    where
        Names the frame in errors.
    species
        Elements of the first frame, which this one must share; None for the first.
    """

    step: int
    n_atoms: int
    comment: str
    text: bytes
    where: str
    species: Species | None

    def decode(self) -> Frame:
        """Parse the comment and the atoms."""
        keys = {key: a or b or c for key, a, b, c in KEY.findall(self.comment)}
        lattice = np.array(keys.get("Lattice", "").split(), dtype=np.float64)
        if lattice.shape != (9,):
            raise InputError(
                f'{self.where}: no Lattice="ax ay az bx by bz cx cy cz" in its comment'
            )
        kinds = _columns(keys.get("Properties", "species:S:1:pos:R:3"), self.where)
        rows = parse_table(self.text, self.n_atoms, kinds, self.where)
        found = Species.from_codes(*distinct_names(rows.names))
        if self.species is not None and found != self.species:
            raise InputError(
                f"{self.where}: atoms or elements are not those of the first frame; one file must "
                "hold one system"
            )
        periodic = keys.get("pbc", "T T T").upper().split()
        time = keys.get("time_ps")
        return Frame(
            step=int(keys.get("step", self.step)),
            species=self.species or found,
            positions=rows.values,
            cell=lattice.reshape(3, 3),
            # the format does not say, and many programs wrap
            unwrapped=False,
            time_ps=float(time) if time is not None else None,
            pbc=(periodic[0] == "T", periodic[1] == "T", periodic[2] == "T"),
        )


def xyz_frames(window: Window) -> Iterator[XyzFrame | None]:
    """Frames of an extxyz file, in order; a last None says that the file ends within a frame."""
    species: Species | None = None
    number = 0
    while window.peek(CHECK).strip():
        end = window.find(b"\n")
        first = window.peek(end if end >= 0 else CHECK)
        if end >= 0 and not first.strip().isdigit():
            raise InputError(
                f"{window.path}: not an extxyz file, found {first[:60].decode(errors='replace')!r} "
                "where the number of atoms should be"
            )
        n_atoms = int(first) if end >= 0 else 0
        position = end
        for _ in range(n_atoms + 1):
            position = window.find(b"\n", position + 1) if position >= 0 else -1
        if position < 0:
            yield None
            return
        text = window.take(position + 1)[end + 1 :]
        comment, atoms = text.split(b"\n", maxsplit=1)
        where = f"{window.path}: frame {number}"
        frame = XyzFrame(number, n_atoms, comment.decode(errors="replace"), atoms, where, species)
        if species is None:
            species = frame.decode().species
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
