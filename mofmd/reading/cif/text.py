"""The text of a CIF: its blocks, and what their tags say, read by gemmi."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gemmi

from mofmd.errors import InputError

# what the structure is made of; a line with one of these is never left out
NEEDED = re.compile(
    r"_(cell|symmetry|space_group|atom_site|atom_type|chemical_formula)", re.IGNORECASE
)
REPAIRS_MAX = 100


@dataclass
class CifBlock:
    """A data block: what each tag says, as it is written.

    Parameters
    ----------
    name
        Of the block, without ``data_``.
    values
        By tags in lower case, dots of newer dictionaries as underscores; one value outside a loop.
    repeated
        Tags that stand there more than once; their words follow each other.
    """

    name: str
    values: dict[str, list[str]] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)

    def column(self, *tags: str) -> list[str] | None:
        """Words of the first of some tags that is there; None without one.

        Raises
        ------
        InputError
            If the tag stands there twice.
        """
        tag = next((tag for tag in tags if tag in self.values), None)
        if tag in self.repeated:
            raise InputError(f"{tag} stands there twice; remove one of the two lists")
        return self.values[tag] if tag is not None else None

    def text(self, *tags: str) -> str | None:
        """Word of the first of some tags that is there and says something.

        Raises
        ------
        InputError
            If a tag stands there twice and says two things.
        """
        for tag in tags:
            words = {word for raw in self.values.get(tag, []) if (word := plain(raw)) is not None}
            if len(words) > 1:
                raise InputError(f"{tag} is given as {' and as '.join(sorted(words))}; remove one")
            if words:
                return words.pop()
        return None

    def number(self, tag: str) -> float | None:
        """Give the number of a tag without its standard uncertainty; None where it says nothing.

        Raises
        ------
        InputError
            If it is no number.
        """
        text = self.text(tag)
        if text is None:
            return None
        value = gemmi.cif.as_number(text)
        if not math.isfinite(value):
            raise InputError(f"{tag} is {text!r}, expected a number")
        return float(value)

    @property
    def has_atoms(self) -> bool:
        """Whether it holds positions of atoms."""
        return any(self.values.get(tag) for tag in ("_atom_site_fract_x", "_atom_site_cartn_x"))


def plain(raw: str) -> str | None:
    """Give a word without its quotes; None for ``?`` and ``.``, and for nothing."""
    return None if gemmi.cif.is_null(raw) else gemmi.cif.as_string(raw).strip() or None


def read_blocks(path: Path) -> tuple[list[CifBlock], list[str]]:
    """Read the blocks of a CIF.

    A line outside of what a structure is made of that breaks the rules of the format (quotes,
    blanks in a value) is left out.

    Returns
    -------
    blocks, notes
        In the order of the file; what was left out.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    lines = _decode(path.read_bytes()).splitlines()
    notes: list[str] = []
    for _ in range(REPAIRS_MAX):
        try:
            document = gemmi.cif.read_string("\n".join(lines) + "\n", check_level=0)
        except (ValueError, RuntimeError) as error:
            notes.append(_repair(lines, str(error)))
        else:
            return [_block(block) for block in document], notes
    raise InputError(f"cannot be read as CIF: more than {REPAIRS_MAX} lines break its rules")


def choose_block(blocks: Sequence[CifBlock], choice: str | None) -> CifBlock:
    """Find the block to take, by its name, or by its number from zero where no name fits.

    Raises
    ------
    InputError
        If none holds atoms, several do and none is chosen, or the choice fits none.
    """
    with_atoms = [block for block in blocks if block.has_atoms]
    if not with_atoms:
        names = ", ".join(block.name for block in blocks) or "none"
        raise InputError(
            f"holds no atoms: no block ({names}) has _atom_site_fract_x; is it a CIF of "
            "publication data, or of reflections?"
        )
    if choice is None:
        if len(with_atoms) > 1:
            raise InputError(
                f"holds {len(with_atoms)} structures, blocks {_names(with_atoms)}; choose one, as "
                f"in FILE#{_choice(with_atoms)}"
            )
        return with_atoms[0]
    named = [block for block in with_atoms if block.name.lower() == choice.lower()]
    if len(named) == 1:
        return named[0]
    if not named and choice.isdigit() and int(choice) < len(with_atoms):
        return with_atoms[int(choice)]
    raise InputError(
        f"has {'several blocks' if named else 'no block'} {choice!r}; blocks with atoms are "
        f"{_names(with_atoms)}, or by their numbers 0 to {len(with_atoms) - 1}"
    )


def _names(blocks: Sequence[CifBlock]) -> str:
    return ", ".join(block.name or "(without a name)" for block in blocks)


def _choice(blocks: Sequence[CifBlock]) -> str:
    """Write what chooses the first block: its name, if that is one word and no other's."""
    names = [block.name.lower() for block in blocks]
    unique = names.count(names[0]) == 1 and re.fullmatch(r"[\w.+-]+", names[0])
    return blocks[0].name if unique else "0"


def _decode(data: bytes) -> str:
    """Text in UTF-8, or else in what older programs on Windows wrote."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _block(block: gemmi.cif.Block) -> CifBlock:
    found = CifBlock(block.name.strip())
    for item in block:
        pair: Any = item.pair  # gemmi's types say no more than object
        if pair is not None:
            _add(found, pair[0], [pair[1]])
        elif item.loop is not None:
            width, words = len(item.loop.tags), list(item.loop.values)
            for k, tag in enumerate(item.loop.tags):
                _add(found, tag, words[k::width])
    return found


def _add(block: CifBlock, tag: str, words: list[str]) -> None:
    name = tag.lower().replace(".", "_")
    if name in block.values:
        block.repeated.add(name)
    block.values.setdefault(name, []).extend(words)


def _repair(lines: list[str], message: str) -> str:
    """Mend the line that a message of gemmi's names, in place; say what was done."""
    for k in _outside_text_fields(lines):
        if header := re.match(r"\s*data\s+(\S.*)$", lines[k], re.IGNORECASE):
            name = re.sub(r"\s+", "_", header[1].strip())
            lines[k] = f"data_{name}"
            return f"line {k + 1} lacks the underscore of data_{name}"
    found = re.match(r"\w+:(\d+)\S*\s*(.*)", message)
    number = int(found[1]) if found else 0
    reason = found[2] if found else message
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    if (header := re.match(r"\s*data_(\S+\s+[^_#\s].*)$", line, re.IGNORECASE)) is not None:
        name = re.sub(r"\s+", "_", header[1].strip())
        lines[number - 1] = f"data_{name}"
        return f"line {number}: the name of the block has blanks; it is called {name}"
    if (tag := re.match(r"\s*(_\S+)\s+\S", line)) and not NEEDED.match(tag[1]):
        lines[number - 1] = f"{tag[1]} ?"
        return f"line {number}: {tag[1]} is left out ({reason})"
    where = f", line {number}" if line else ""
    shown = f": {line.strip()[:60]!r}" if line.strip() else ""
    raise InputError(f"cannot be read as CIF{where}: {reason}{shown}")


def _outside_text_fields(lines: Sequence[str]) -> Iterator[int]:
    """Lines that are not within a text field, which a semicolon begins and ends."""
    within = False
    for k, line in enumerate(lines):
        if line.startswith(";"):
            within = not within
        elif not within:
            yield k
