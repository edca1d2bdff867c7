"""What people are told while a deck or a task is made, kept for the pages of its results."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mofmd.errors import InputWarning

NOTES = "notes"
"""Key of the records of decks and tasks."""


class Notes:
    """Notes of one deck, each told to people as it comes and kept once."""

    def __init__(self) -> None:
        self._texts: dict[str, None] = {}

    def add(self, text: str) -> None:
        """Keep a note that is told already."""
        self._texts[text] = None

    def hint(self, text: str) -> None:
        """Tell a note on standard error, and keep it."""
        print(f"mofmd: note: {text}", file=sys.stderr)
        self.add(text)

    def as_record(self) -> dict[str, list[str]]:
        """Give them as a part of a record; nothing where there are none."""
        return {NOTES: list(self._texts)} if self._texts else {}


@contextmanager
def kept_notes() -> Iterator[Notes]:
    """Keep what is warned of within the block; it is told where the block ends, failed or not."""
    notes = Notes()
    caught: list[warnings.WarningMessage] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", InputWarning)
            yield notes
    finally:
        for each in caught:
            if issubclass(each.category, InputWarning):
                notes.add(str(each.message))
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)


def notes_of(record: Mapping[str, Any]) -> list[str]:
    """Return the notes of the record of a deck or task; those of earlier versions have none."""
    return [str(text) for text in record.get(NOTES, ())]
