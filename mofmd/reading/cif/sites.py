"""The sites of a CIF: which element, where, and that they are whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import gemmi
import numpy as np

from mofmd.errors import InputError
from mofmd.reading.cif.text import CifBlock, plain
from mofmd.reading.elements import (
    DEUTERIUM,
    deuterium_note,
    element_of_type_symbol,
    elements_of_label,
)
from mofmd.reading.reading import listed

FRACTIONS = ("_atom_site_fract_x", "_atom_site_fract_y", "_atom_site_fract_z")
CARTESIAN = ("_atom_site_cartn_x", "_atom_site_cartn_y", "_atom_site_cartn_z")
MATRIX = "_atom_sites_fract_tran_matrix_"
VECTOR = "_atom_sites_fract_tran_vector_"
WHOLE = 0.01  # an occupancy that differs from one by more is partial
DUMMY = "dum"


@dataclass(frozen=True)
class Sites:
    """Sites of the asymmetric unit.

    Parameters
    ----------
    names
        For people: the label, with its number where a label occurs twice.
    elements
        Element of each.
    fractions
        (sites, 3) fractional coordinates.
    multiplicities
        Atoms that each site makes in the cell, where the file says it; 0 where not.
    notes
        What people should know.
    """

    names: tuple[str, ...]
    elements: tuple[str, ...]
    fractions: np.ndarray
    multiplicities: tuple[int, ...]
    notes: tuple[str, ...]


def read_sites(block: CifBlock, formula: Mapping[str, float]) -> Sites:
    """Read the sites of a block.

    Parameters
    ----------
    block
        A block that holds atoms.
    formula
        Elements of its chemical formula, which tell what a label in capitals means; or none.

    Raises
    ------
    InputError
        Naming the site that has no position or element, or is occupied partly.
    """
    tags = FRACTIONS if block.column(FRACTIONS[0]) else CARTESIAN
    columns = {tag: block.column(tag) for tag in tags}
    missing = [tag for tag, words in columns.items() if not words]
    if missing:
        raise InputError(f"lacks {missing[0]}")
    words = [column for column in columns.values() if column is not None]
    table = _Table(block, len(words[0]))
    names = _names(table)
    is_dummy = [table.word("_atom_site_calc_flag", k) == DUMMY for k in range(table.rows)]
    real = [k for k, dummy in enumerate(is_dummy) if not dummy]
    notes = []
    if dummies := [name for name, dummy in zip(names, is_dummy, strict=True) if dummy]:
        notes.append(f"dummy sites are left out: {listed(dummies)}")
    _refuse_partial(table, real, names)
    values = np.array([[_coordinate(words[x][k], tags[x], names[k]) for x in range(3)]
                       for k in real]).reshape(-1, 3)  # fmt: skip
    elements = [_element(table, k, names[k], formula) for k in real]
    if deuterium := elements.count(DEUTERIUM):
        notes.append(deuterium_note(deuterium) + " (sites of the asymmetric unit)")
    return Sites(
        names=tuple(names[k] for k in real),
        elements=tuple("H" if name == DEUTERIUM else name for name in elements),
        fractions=values if tags == FRACTIONS else _fractions(block, values),
        multiplicities=tuple(_multiplicity(table, k) for k in real),
        notes=tuple(notes),
    )


class _Table:
    """Columns of the sites, which must be of one length."""

    def __init__(self, block: CifBlock, rows: int) -> None:
        self.block = block
        self.rows = rows

    def word(self, tag: str, row: int) -> str | None:
        """Give what a column says of a site; None where it says nothing."""
        column = self.block.column(tag)
        if column is None:
            return None
        if len(column) != self.rows:
            raise InputError(f"{tag} has {len(column)} values for {self.rows} sites")
        return plain(column[row])


def _names(table: _Table) -> list[str]:
    """Names of the sites that tell them apart."""
    labels = [
        table.word("_atom_site_label", k) or table.word("_atom_site_type_symbol", k) or "site"
        for k in range(table.rows)
    ]
    counts = Counter(labels)
    return [
        label if counts[label] == 1 else f"{label} (site {k})"
        for k, label in enumerate(labels, start=1)
    ]


def _coordinate(raw: str, tag: str, name: str) -> float:
    word = plain(raw)
    if word is None:
        raise InputError(
            f"site {name} has no position ({tag} is {raw}); give it one, or remove the site"
        )
    value = float(gemmi.cif.as_number(word))
    if not np.isfinite(value):
        raise InputError(f"site {name}: {tag} is {word!r}, expected a number")
    return value


def _element(table: _Table, row: int, name: str, formula: Mapping[str, float]) -> str:
    symbol = table.word("_atom_site_type_symbol", row)
    label = table.word("_atom_site_label", row)
    if symbol is not None and (element := element_of_type_symbol(symbol)):
        return element
    candidates: Sequence[str] = ()
    for word in (symbol, label):
        candidates = candidates or elements_of_label(word or "")
    if len(candidates) > 1 and formula:
        candidates = [element for element in candidates if element in formula] or candidates
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise InputError(
            f"site {name} may be {' or '.join(candidates)}; say which in _atom_site_type_symbol"
        )
    raise InputError(
        f"site {name} names no chemical element; give one in _atom_site_type_symbol, or remove the "
        "site if it is no atom"
    )


def _refuse_partial(table: _Table, rows: Sequence[int], names: Sequence[str]) -> None:
    """Refuse sites that are occupied partly, and alternatives of one another."""
    mend = "choose one of the disordered positions and write an ordered structure"
    partial: list[str] = []
    groups: dict[str, dict[str, str]] = {}
    for k in rows:
        word = table.word("_atom_site_occupancy", k)
        share = 1.0 if word is None else float(gemmi.cif.as_number(word))
        if not abs(share - 1) <= WHOLE:
            element = table.word("_atom_site_type_symbol", k) or names[k]
            partial.append(f"{names[k]} is occupied partly ({element} {word})")
        group = table.word("_atom_site_disorder_group", k)
        if group not in (None, "0"):
            assembly = table.word("_atom_site_disorder_assembly", k) or ""
            groups.setdefault(assembly, {}).setdefault(group, names[k])
    if partial:
        more = f", and {len(partial) - 1} more" if len(partial) > 1 else ""
        raise InputError(f"site {partial[0]}{more}; {mend}")
    for alternatives in groups.values():
        if len(alternatives) > 1 or any(group.startswith("-") for group in alternatives):
            shown = ", ".join(f"{name} in group {group}" for group, name in alternatives.items())
            raise InputError(f"is disordered ({shown}); {mend}")


def _multiplicity(table: _Table, row: int) -> int:
    tags = ("_atom_site_symmetry_multiplicity", "_atom_site_site_symmetry_multiplicity")
    for tag in tags:
        if (word := table.word(tag, row)) is not None:
            value = gemmi.cif.as_number(word)
            return round(value) if np.isfinite(value) else 0
    return 0


def _fractions(block: CifBlock, positions: np.ndarray) -> np.ndarray:
    """Fractional coordinates of Cartesian ones, where the block says how axes and cell lie."""
    numbers = [block.number(f"{MATRIX}{i}{j}") for i in "123" for j in "123"]
    shifts = [block.number(f"{VECTOR}{i}") for i in "123"]
    if None in numbers:
        raise InputError(
            f"has Cartesian coordinates alone, and does not say how they lie in the cell ({MATRIX}"
            "11, ...); write fractional ones"
        )
    matrix = np.array(numbers, dtype=np.float64).reshape(3, 3)
    return np.asarray(positions @ matrix.T + [shift or 0.0 for shift in shifts])
