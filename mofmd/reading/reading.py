"""What a reader of a format gives, and the choice among several structures in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ase import Atoms

from mofmd.errors import InputError

NAMES_SHOWN = 8


@dataclass(frozen=True)
class Reading:
    """A structure as a file gives it.

    Parameters
    ----------
    atoms
        Elements, positions [Å], cell and periodicity; nothing else.
    notes
        What people should know of how the file was taken.
    """

    atoms: Atoms
    notes: tuple[str, ...] = ()


def choose_index(count: int, choice: str, kind: str) -> int:
    """Find the structure that a choice numbers, from zero, or from −1 backwards.

    Parameters
    ----------
    count
        Structures in the file.
    choice
        What the user wrote.
    kind
        What they are called: frame.

    Raises
    ------
    InputError
        If it is no number, or none of these.
    """
    try:
        index = int(choice)
    except ValueError:
        raise InputError(f"has no {kind} {choice!r}: number it from 0 to {count - 1}") from None
    if not -count <= index < count:
        raise InputError(f"has no {kind} {index}: they are numbered from 0 to {count - 1}")
    return index % count


def listed(names: Sequence[str]) -> str:
    """Names in a message: the first few, and how many more."""
    more = len(names) - NAMES_SHOWN
    tail = f" and {more} more" if more > 0 else ""
    return ", ".join(names[:NAMES_SHOWN]) + tail
