"""LAMMPS data files as structures: elements from labels and masses, positions in LAMMPS's axes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.reading.elements import (
    DEUTERIUM,
    deuterium_note,
    element_of_mass,
    element_of_type_symbol,
    elements_of_label,
    has_mass,
    is_element,
)
from mofmd.reading.reading import Reading

# atom style: columns with the type and with x; y, z and image flags follow
STYLES = {
    "atomic": (1, 2),
    "charge": (1, 3),
    "dipole": (1, 3),
    "molecular": (2, 3),
    "bond": (2, 3),
    "angle": (2, 3),
    "full": (2, 4),
}
# units whose lengths and masses are Å and g/mol
UNITS = ("metal", "real")
HEADER = re.compile(
    r"(?P<values>.+?)\s+(?P<name>atoms|atom types|xlo xhi|ylo yhi|zlo zhi|xy xz yz|[abc]vec"
    r"|abc origin)"
)


@dataclass
class _File:
    """Parts of a data file that say what the structure is."""

    title: str = ""
    header: dict[str, list[float]] = field(default_factory=dict)
    # lines of each section: number in the file, words, comment
    sections: dict[str, list[_Line]] = field(default_factory=dict)
    # comments behind the names of sections
    comments: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Line:
    number: int
    words: list[str]
    comment: str


def read_lammps_data(path: Path) -> Reading:
    """Read a structure from a LAMMPS data file.

    The element of a type comes from the section Atom Type Labels or a comment behind its mass,
    checked against the mass, or from the mass alone.

    Raises
    ------
    InputError
        If elements, atom style or units are left open, or a line cannot be read.
    """
    file = _parse(path.read_text(encoding="utf-8", errors="replace").splitlines())
    notes = _check_units(file.title)
    n_atoms = int(_header(file, "atoms")[0])
    rows = file.sections.get("Atoms", [])
    if not rows:
        raise InputError("has no Atoms section, or an empty one")
    if len(rows) != n_atoms:
        raise InputError(
            f"has {len(rows)} lines in its Atoms section, {n_atoms} atoms in its header"
        )
    labels = _type_labels(file)
    numbers = {label: kind for kind, label in labels.items()}
    style, type_column, begin = _style(file, rows, numbers)
    table = np.array([_numbers(row, begin, style) for row in rows])
    kinds = np.array([_kind(row, type_column, numbers) for row in rows])
    ids = np.array([_whole(row, row.words[0]) for row in rows])
    order = np.argsort(ids, kind="stable")
    if len(twice := ids[order][1:][np.diff(ids[order]) == 0]):
        raise InputError(f"two atoms have the id {twice[0]}")
    elements = _elements(file, labels, kinds)
    if deuterium := sum(elements[kind] == DEUTERIUM for kind in kinds.tolist()):
        notes.append(deuterium_note(deuterium))
    symbols = {kind: "H" if name == DEUTERIUM else name for kind, name in elements.items()}
    cell = _cell(file)
    atoms = Atoms(
        [symbols[kind] for kind in kinds[order].tolist()],
        positions=table[order, :3] + table[order, 3:] @ cell,
        cell=cell,
        pbc=True,
    )
    return Reading(atoms, tuple(notes))


def _parse(lines: list[str]) -> _File:
    """Sort the lines into header and sections; the first is a title, whatever it says."""
    file = _File(title=lines[0] if lines else "")
    section = ""
    for number, line in enumerate(lines[1:], start=2):
        text, _, comment = line.partition("#")
        words = text.split()
        if not words:
            continue
        if _is_name_of_section(lines, number - 1, words):
            section = " ".join(words)
            file.sections[section] = []
            file.comments[section] = comment.strip()
        elif section:
            file.sections[section].append(_Line(number, words, comment.strip()))
        elif match := HEADER.fullmatch(" ".join(words)):
            line_of_header = _Line(number, match["values"].split(), "")
            file.header[match["name"]] = [
                _number(line_of_header, word) for word in line_of_header.words
            ]
    return file


def _is_name_of_section(lines: list[str], index: int, words: list[str]) -> bool:
    """Names stand alone between blank lines and begin with a capital; data begin with numbers."""
    after = lines[index + 1].split("#")[0].strip() if index + 1 < len(lines) else ""
    return words[0][0].isupper() and not after and not re.search(r"\d", " ".join(words))


def _check_units(title: str) -> list[str]:
    match = re.search(r"units\s*=?\s*(lj|real|metal|si|cgs|electron|micro|nano)\b", title)
    units = match[1] if match else "metal"
    if units not in UNITS:
        raise InputError(
            f"is in units {units}; convert it to metal (Å, g/mol): read it in LAMMPS and scale it"
        )
    if units != "metal":
        return [f"is in units {units}; lengths and masses are those of metal, which mofmd runs in"]
    return []


def _header(file: _File, name: str) -> list[float]:
    """Numbers before a name in the header: as many as words, or three of a vector."""
    if name not in file.header:
        raise InputError(f"has no line '... {name}' in its header; is it a LAMMPS data file?")
    numbers = file.header[name]
    expected = {"atoms": 1, "atom types": 1}.get(name, 2 if "lo " in name else 3)
    if len(numbers) != expected:
        raise InputError(f"has {len(numbers)} numbers before {name}, expected {expected}")
    return numbers


def _cell(file: _File) -> np.ndarray:
    """(3, 3) rows a, b, c [Å]."""
    if "avec" in file.header:
        return np.array([_header(file, name) for name in ("avec", "bvec", "cvec")])
    cell = np.zeros((3, 3))
    for k, axis in enumerate("xyz"):
        low, high = _header(file, f"{axis}lo {axis}hi")
        if high <= low:
            raise InputError(f"{axis}lo {axis}hi: {low:g} to {high:g}; the box has no volume")
        cell[k, k] = high - low
    if "xy xz yz" in file.header:
        cell[1, 0], cell[2, 0], cell[2, 1] = _header(file, "xy xz yz")
    return cell


def _style(file: _File, rows: list[_Line], labels: dict[str, int]) -> tuple[str, int, int]:
    """Atom style, and the columns of type and x: as stated behind Atoms, or as columns show it."""
    stated = file.comments["Atoms"].split()
    width = len(rows[0].words)
    if stated:
        if stated[0] not in STYLES:
            raise InputError(
                f"atom style {stated[0]!r} is not read here, but {', '.join(STYLES)} are; write "
                "one of them"
            )
        return stated[0], *STYLES[stated[0]]
    types = {*labels, *map(str, range(1, int(_header(file, "atom types")[0]) + 1))}
    possible = [
        style
        for style in ("atomic", "charge", "molecular", "full")
        if width - STYLES[style][1] in (3, 6) and _could_be(style, rows, types)
    ]
    if len(possible) != 1:
        raise InputError(
            f"the Atoms section does not name its style, and {width} columns do not show it; write "
            "'Atoms # atomic' (or charge, molecular, full)"
        )
    return possible[0], *STYLES[possible[0]]


def _could_be(style: str, rows: list[_Line], types: set[str]) -> bool:
    """Whether the columns hold types, and whole numbers for ids of molecules and image flags."""
    type_column, begin = STYLES[style]
    width = len(rows[0].words)
    whole = [*range(1, type_column), *range(begin + 3, width)]
    return all(
        len(row.words) == width
        and row.words[type_column] in types
        and all(re.fullmatch(r"[+-]?\d+", row.words[k]) for k in whole)
        for row in rows
    )


def _numbers(row: _Line, begin: int, style: str) -> list[float]:
    """Position and image flags of a line."""
    behind = len(row.words) - begin
    allowed = (6, 9) if style == "dipole" else (3, 6)
    if behind not in allowed:
        raise InputError(
            f"line {row.number}: {len(row.words)} columns, expected {begin + allowed[0]} or "
            f"{begin + allowed[1]} of atom style {style}"
        )
    flags = row.words[-3:] if behind == allowed[1] else ["0"] * 3
    return [_number(row, word) for word in (*row.words[begin : begin + 3], *flags)]


def _kind(row: _Line, column: int, labels: dict[str, int]) -> int:
    word = row.words[column]
    return labels[word] if word in labels else _whole(row, word)


def _whole(row: _Line, word: str) -> int:
    try:
        return int(word)
    except ValueError:
        raise InputError(f"line {row.number}: {word!r}, expected a whole number") from None


def _number(row: _Line, word: str) -> float:
    try:
        value = float(word)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise InputError(f"line {row.number}: {word!r}, expected a number")
    return value


def _type_labels(file: _File) -> dict[int, str]:
    return {
        _whole(row, row.words[0]): row.words[-1]
        for row in file.sections.get("Atom Type Labels", [])
    }


def _elements(file: _File, labels: dict[int, str], kinds: np.ndarray) -> dict[int, str]:
    """Element of each type that has atoms."""
    numbers = {label: kind for kind, label in labels.items()}
    masses, comments = {}, {}
    for row in file.sections.get("Masses", []):
        kind = _kind(row, 0, numbers)
        masses[kind] = _number(row, row.words[-1])
        comments[kind] = row.comment.split()[0] if row.comment else ""
    if not masses and not labels:
        raise InputError(
            "has no Masses section, so that nothing says which elements its types are; add one, "
            "such as: 1 65.38 # Zn"
        )
    return {
        kind: _element(kind, masses.get(kind), labels.get(kind) or comments.get(kind, ""))
        for kind in np.unique(kinds).tolist()
    }


def _element(kind: int, mass: float | None, label: str) -> str:
    """Element of a type from its mass and label."""
    name = f"type {kind}" + (f" ({label})" if label else "")
    symbol = element_of_type_symbol(label)
    possible = {symbol, *elements_of_label(label)} - {None}
    if mass is None:
        if is_element(label) or (symbol is not None and len(possible) == 1):
            return label if is_element(label) else str(symbol)
        raise InputError(f"{name} has no mass and its label names no element; add Masses")
    by_mass = element_of_mass(mass)
    if by_mass is None:
        rounded = [element for element in possible if element and has_mass(element, mass)]
        if len(rounded) == 1:
            return rounded[0]
        raise InputError(
            f"{name} has mass {mass:g} g/mol; mass {mass:g} g/mol is that of no element: remove "
            "its atoms if they are dummy particles, or name the element behind the mass, such as: "
            f"{kind} 1.0 # H"
        )
    isotope = by_mass == DEUTERIUM and label == "H"
    if is_element(label) and label != by_mass and not isotope:
        raise InputError(
            f"{name} has mass {mass:g} g/mol, which is that of {by_mass}; correct mass or label"
        )
    return by_mass
