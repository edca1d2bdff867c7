"""The newest atom of a watched run: what its table says, after the run or while it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mofmd.errors import InputError, counted
from mofmd.simulation.deck.novelty_watch import NOVELTY_TABLE, Look, parse_looks, read_novelty


@dataclass(frozen=True)
class Newest:
    """The newest atom of some looks, and how many atoms were new.

    Parameters
    ----------
    atom
        Element and LAMMPS id, such as ``Zr 5``; empty where the table does not tell.
    novelty
        Its score.
    step, time_ps
        When.
    bound
        Novelty above which atoms count as new (``keep_above`` of the watch).
    most_above
        Atoms above the bound at once, at most.
    """

    atom: str
    novelty: float
    step: int
    time_ps: float
    bound: float
    most_above: int

    def __str__(self) -> str:
        """Say it in a line."""
        who = f"{self.atom}, novelty" if self.atom else "novelty"
        return f"{who} {self.novelty:.3g} at step {self.step} ({self.time_ps:.4g} ps), {self.count}"

    @property
    def count(self) -> str:
        """How many atoms were new, in words."""
        if not self.most_above:
            return f"none above {self.bound:g}"
        return f"up to {counted(self.most_above, 'atom')} above {self.bound:g} at once"

    @property
    def brief(self) -> str:
        """Atom and score, for a line of progress in a narrow terminal."""
        return f"newest {self.atom}{': ' if self.atom else ''}{self.novelty:.3g}"

    @property
    def figures(self) -> str:
        """Atom, score, step and number of new atoms, for a line of progress."""
        return f"{self.brief} at step {self.step}, {self.count}"


def newest_of(looks: Sequence[Look], manifest: Mapping[str, Any]) -> Newest | None:
    """Find the newest atom of some looks of one run; None where there are none.

    Parameters
    ----------
    looks
        Lines of its table.
    manifest
        Of its deck, which has the bound and the names of LAMMPS's types.
    """
    if not looks:
        return None
    top = _top(looks)
    names = manifest.get("potential", {}).get("type_names", ())
    return Newest(
        f"{names[top.kind - 1]} {top.atom}" if 0 < top.kind <= len(names) else "",
        top.largest,
        top.step,
        top.time_ps,
        float(manifest.get("watch", {}).get("keep_above", 1.0)),
        _fullest(looks).new_atoms,
    )


def read_newest(directory: Path, manifest: Mapping[str, Any]) -> Newest | None:
    """Find the newest atom of a run; None where it was not watched, or has not begun.

    Raises
    ------
    InputError
        If its table is damaged.
    """
    if not (directory / NOVELTY_TABLE).is_file():
        return None
    return newest_of(read_novelty(directory), manifest)


class NewestFollower:
    """Follows the table of a run that is going on; each line is read once.

    Parameters
    ----------
    directory
        The deck.
    manifest
        Of the deck.
    """

    def __init__(self, directory: Path, manifest: Mapping[str, Any]) -> None:
        self._path = directory / NOVELTY_TABLE
        self._manifest = manifest
        self._at = 0
        self._kept: tuple[Look, ...] = ()

    def read(self) -> Newest | None:
        """Read what is new; return the newest atom so far, None before the first look.

        News with a damaged line are passed over: it ends no run, and `read_newest` tells of it.
        """
        if self._path.is_file():
            with self._path.open("rb") as table:
                table.seek(self._at)
                text = table.read()
            text = text[: text.rfind(b"\n") + 1]
            self._at += len(text)
            with suppress(InputError):
                looks = (*self._kept, *parse_looks(text.decode(errors="replace"), self._path))
                self._kept = (_top(looks), _fullest(looks)) if looks else ()
        return newest_of(self._kept, self._manifest)


def _top(looks: Sequence[Look]) -> Look:
    return max(looks, key=lambda look: look.largest)


def _fullest(looks: Sequence[Look]) -> Look:
    return max(looks, key=lambda look: look.new_atoms)
