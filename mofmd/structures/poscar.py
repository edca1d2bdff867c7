"""POSCAR files of VASP, read by ASE once it is clear which elements and which structure."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from mofmd.errors import InputError
from mofmd.structures.elements import DEUTERIUM, deuterium_note, is_element
from mofmd.structures.reading import Reading, choose_index

NUMBER = re.compile(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?", re.ASCII)
SYMBOLS_LINE = 5  # of a structure, from zero; VASP 4 has the numbers of atoms there


def read_poscar(path: Path, choice: str | None = None) -> Reading:
    """Read a structure from a POSCAR or CONTCAR.

    Parameters
    ----------
    path
        The file.
    choice
        Number of the structure, from zero, where several follow each other.

    Raises
    ------
    InputError
        If elements or the structure are left open, or a line cannot be read.
    """
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    starts = _starts(lines)
    if choice is not None:
        index = choose_index(len(starts), choice, "structure")
    elif len(starts) > 1:
        raise InputError(f"holds {len(starts)} structures; choose one, as in FILE#0")
    else:
        index = 0
    part = lines[starts[index] : (*starts, len(lines))[index + 1]]
    symbols, counts, notes = _composition(part)
    _check_cell(part)
    body = _body(part, sum(counts))
    header = [*part[:SYMBOLS_LINE], " ".join(symbols), " ".join(map(str, counts))]
    atoms = _read("\n".join([*header, *body]) + "\n")
    return Reading(atoms, notes)


def _starts(lines: Sequence[str]) -> list[int]:
    """Lines that structures begin with: each has a line of symbols before one of numbers."""
    found = [
        k - SYMBOLS_LINE
        for k in range(SYMBOLS_LINE, len(lines) - 1)
        if _are_symbols(lines[k]) and _are_counts(lines[k + 1])
    ]
    return found if found and found[0] == 0 else [0]


def _are_symbols(line: str) -> bool:
    return bool(line.split()) and all(re.fullmatch(r"[A-Z][a-z]?(_\w+)?(/\w+)?", word)
                                      for word in line.split())  # fmt: skip


def _are_counts(line: str) -> bool:
    words = line.partition("!")[0].split()
    return bool(words) and all(word.isdigit() for word in words)


def _composition(lines: Sequence[str]) -> tuple[list[str], list[int], tuple[str, ...]]:
    """Elements and their numbers of atoms, and notes; line by line what VASP 4 and 5 write."""
    if len(lines) <= SYMBOLS_LINE + 2:
        raise InputError(f"has {len(lines)} lines; a POSCAR has at least eight")
    line = lines[SYMBOLS_LINE]
    notes: list[str] = []
    if _are_counts(line):
        counts = _counts(line)
        symbols = lines[0].split()
        if len(symbols) != len(counts) or not all(map(is_element, symbols)):
            raise InputError(
                "names no elements: line 6 has the numbers of atoms (VASP 4); write the symbols "
                "in a line before it"
            )
        notes.append(
            f"names no elements in line 6 (VASP 4); those of its first line are taken: "
            f"{' '.join(symbols)}"
        )
    else:
        # VASP writes the name of the potential, and its hash: Zr_sv/7a2b
        symbols = [word.split("/")[0].split("_")[0] for word in line.split()]
        counts = _counts(lines[SYMBOLS_LINE + 1])
    for symbol in symbols:
        if not is_element(symbol) and symbol != DEUTERIUM:
            raise InputError(f"line 6: {symbol!r} is no chemical element")
    if len(symbols) != len(counts):
        raise InputError(f"has {len(symbols)} elements, but {len(counts)} numbers of atoms")
    if DEUTERIUM in symbols:
        notes.append(deuterium_note(sum(n for s, n in zip(symbols, counts, strict=True)
                                        if s == DEUTERIUM)))  # fmt: skip
    return ["H" if symbol == DEUTERIUM else symbol for symbol in symbols], counts, tuple(notes)


def _check_cell(lines: Sequence[str]) -> None:
    """Refuse a scale or lattice vectors that are no numbers, with the line."""
    scale = _numbers(lines[1].partition("!")[0])
    if len(scale) not in (1, 3) or not all(scale):
        raise InputError(f"line 2: {lines[1].strip()!r}, expected the scale: one number, or three")
    for number, line in enumerate(lines[2:5], start=3):
        if len(_numbers(line)) < 3:
            raise InputError(f"line {number}: {line.strip()!r}, expected three numbers")


def _counts(line: str) -> list[int]:
    if not _are_counts(line):
        raise InputError(f"{line.strip()!r}, expected the numbers of atoms of each element")
    return [int(word) for word in line.partition("!")[0].split()]


def _body(lines: Sequence[str], n_atoms: int) -> list[str]:
    """Lines from the kind of coordinates to the last atom; velocities behind it are left out."""
    begin = SYMBOLS_LINE + (1 if _are_counts(lines[SYMBOLS_LINE]) else 2)
    mode = begin + (1 if lines[begin].strip()[:1] in ("s", "S") else 0)
    kind = lines[mode].strip() if mode < len(lines) else ""
    if kind[:1].lower() not in ("c", "k", "d"):
        raise InputError(f"line {mode + 1}: {kind!r}, expected Direct or Cartesian")
    rows = lines[mode + 1 : mode + 1 + n_atoms]
    for number, row in enumerate(rows, start=mode + 2):
        if len(_numbers(row)) < 3:
            raise InputError(f"line {number}: {row.strip()!r}, expected three coordinates")
    if len(rows) < n_atoms:
        raise InputError(f"has the coordinates of {len(rows)} atoms, expected {n_atoms}")
    return list(lines[begin : mode + 1 + n_atoms])


def _numbers(row: str) -> list[float]:
    words = row.split()[:3]
    return [float(word) for word in words] if all(map(NUMBER.fullmatch, words)) else []


def _read(text: str) -> Atoms:
    from ase.io.vasp import read_vasp

    return read_vasp(io.StringIO(text))
