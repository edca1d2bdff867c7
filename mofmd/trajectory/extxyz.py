"""Extended XYZ files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from ase.data import chemical_symbols

from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.raw_frame import FileFrame, First, ParsedFrame, species_of, whole_number
from mofmd.trajectory.streams import Window
from mofmd.trajectory.text.table import NAME, SKIP, parse_table, unpack_name

# key=value, the value a word, or in quotes, braces or brackets, which may hold brackets
KEY = re.compile(
    r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|\{([^}]*)\}|\[((?:[^][]|\[[^]]*\])*)\]|(\S+))"""
)
LATTICE = 'Lattice="ax ay az bx by bz cx cy cz"'
TRUE, FALSE = ("t", "true", "1"), ("f", "false", "0")


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

    @cached_property
    def keys(self) -> Mapping[str, str]:
        """Values of the comment, by keys in lower case."""
        return {key.lower(): "".join(values) for key, *values in KEY.findall(self.comment)}

    @property
    def step(self) -> int:
        """Step that the comment says, or the number of the frame in the file."""
        return whole_number(self.keys.get("step", str(self.number)), "step", self.where)

    @property
    def time_ps(self) -> float | None:
        """Time that the comment says [ps]."""
        return _time(self.keys.get("time_ps"), self.where)

    def build(self) -> tuple[Frame, np.ndarray]:
        """Parse the comment and the atoms."""
        keys = self.keys
        kinds, name_of = _columns(keys.get("properties", "species:S:1:pos:R:3"), self.where)
        rows = parse_table(self.text, self.n_atoms, kinds, self.where)
        frame = Frame(
            step=self.step,
            species=species_of(rows.names, self.first, name_of, self.where),
            positions=rows.values,
            cell=_cell(keys.get("lattice"), self.where),
            # the format does not say, and many programs wrap
            unwrapped=False,
            time_ps=self.time_ps,
            pbc=_periodic(keys.get("pbc", "T T T"), self.where),
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
            position = window.find(b"\n", position + 1)
            if position < 0:
                break
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


def _words(value: str) -> list[str]:
    """Words of an array, as ``1 2``, ``1, 2`` or ``[1, 2], [3, 4]``."""
    return re.findall(r"[^][\s,]+", value)


def _cell(value: str | None, where: str) -> np.ndarray:
    """(3, 3) rows a, b, c [Å] of the key Lattice."""
    if value is None:
        raise InputError(f"{where}: has no cell: no {LATTICE} in its comment")
    try:
        numbers = [float(word) for word in _words(value)]
    except ValueError:
        numbers = []
    if len(numbers) != 9:
        raise InputError(f"{where}: Lattice is {value!r}, expected {LATTICE}")
    return np.array(numbers).reshape(3, 3)


def _time(value: str | None, where: str) -> float | None:
    try:
        return None if value is None else float(value)
    except ValueError:
        raise InputError(f"{where}: time_ps is {value!r}, expected a number") from None


def _periodic(value: str, where: str) -> tuple[bool, bool, bool]:
    words = [word.lower() for word in _words(value)]
    if len(words) != 3 or not all(word in TRUE + FALSE for word in words):
        raise InputError(f'{where}: pbc is {value!r}, expected three of T and F: pbc="T T T"')
    a, b, c = (word in TRUE for word in words)
    return a, b, c


def _columns(properties: str, where: str) -> tuple[np.ndarray, Callable[[int], str]]:
    """Say what each column is, for ``parse_table``, from ``name:kind:number`` triples.

    Returns
    -------
    kinds, name_of
        (columns,) kinds, and what makes an element of what stands in the column NAME.
    """
    words = properties.split(":")
    widths = dict(zip(words[::3], words[2::3], strict=False))
    by_number = "species" not in widths and "Z" in widths
    name = "Z" if by_number else "species"
    if len(words) % 3 or not all(width.isdigit() for width in widths.values()):
        raise InputError(
            f"{where}: Properties={properties}, expected name:kind:columns of each, as in "
            "species:S:1:pos:R:3"
        )
    if widths.get(name) != "1" or widths.get("pos") != "3":
        raise InputError(f"{where}: Properties={properties} lacks species:S:1 or pos:R:3")
    kinds: list[int] = []
    for key, width in widths.items():
        special = {name: [NAME], "pos": [0, 1, 2]}
        kinds += special.get(key, [SKIP] * int(width))
    return np.array(kinds, dtype=np.int64), _element_of_number if by_number else unpack_name


def _element_of_number(packed: int) -> str:
    """Element of an atomic number; what is none stays as it is."""
    word = unpack_name(packed)
    known = word.isdigit() and 0 < int(word) < len(chemical_symbols)
    return str(chemical_symbols[int(word)]) if known else word
