"""Cards of models: what a model was made of, its errors, and what it is good for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

RANGE = "Range of validity"
ERRORS = "Errors"
COMPOSITIONS = "Compositions"
"""Blocks that a model was made for, where it is for more than one composition."""


@dataclass(frozen=True)
class Card:
    """A card, which lies beside its model as ``NAME.md``.

    Parameters
    ----------
    path
        The file.
    sections
        Text by heading: a paragraph begins with its heading in bold letters.
    """

    path: Path
    sections: Mapping[str, str]

    def section(self, beginning: str) -> str:
        """Text of the section whose heading begins so; empty where there is none."""
        found = (text for name, text in self.sections.items() if name.startswith(beginning))
        return next(found, "")

    @property
    def errors(self) -> list[list[str]]:
        """Table of errors, the headings first; empty where there is none."""
        lines = [line for line in self.section(ERRORS).splitlines() if line.startswith("|")]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
        return [row for row in rows if not all(set(cell) <= {"-", ":"} for cell in row)]


def read_card(model_file: Path) -> Card | None:
    """Read the card beside a model file; None where there is none."""
    path = model_file.with_name(model_file.name.split(".")[0] + ".md")
    if not path.is_file():
        return None
    text = path.read_text(encoding="utf-8")
    parts = re.split(r"^\*\*(.+?)\*\*", text, flags=re.MULTILINE)
    sections = {
        name.rstrip("."): body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }
    return Card(path, sections)
