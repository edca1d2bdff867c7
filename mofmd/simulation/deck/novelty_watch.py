"""The watch of a deck: how new atoms are to the model, looked at while the run goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from mofmd.calculator.density.scorer import read_density
from mofmd.errors import InputError, MissingFileError, choices
from mofmd.models.files.deployed import read_density_record
from mofmd.simulation.deck.potential import AnyPotential, Potential
from mofmd.simulation.protocols.base.protocol import Variable

NOVELTY_TABLE = "novelty.csv"
NOVELTY_FRAMES = "novelty.dump"
NEVER = 1e300  # as novelty.in says that a run does not stop


@dataclass(frozen=True)
class NoveltyWatch:
    """How often to look, and what follows.

    The novelty of an atom is the score of the density in the model file (``mofmd learn density
    fit``): 0 is ordinary, 1 as rare as the quantile of the density says of atoms that the model
    knows: one in a thousand, or what it was made with.

    Parameters
    ----------
    every
        Steps between looks.
    keep_above
        Frames with an atom above are kept.
    stop_above
        The run stops when an atom is above; None: it goes on.
    """

    every: int = 20
    keep_above: float = 1.0
    stop_above: float | None = None

    def __post_init__(self) -> None:
        """Refuse values that make no sense, by name."""
        if isinstance(self.every, bool) or not isinstance(self.every, int) or self.every < 1:
            raise InputError(f"watch: every: {self.every!r}, expected a number of steps, 1 or more")
        for name in ("keep_above", "stop_above"):
            value = getattr(self, name)
            if value is None and name == "stop_above":
                continue
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or math.isnan(value):
                raise InputError(f"watch: {name}: {value!r}, expected a number")

    def check(self, potential: AnyPotential) -> None:
        """Refuse a potential that cannot tell how new atoms are to it."""
        if not isinstance(potential, Potential):
            raise InputError(
                "watch: goes with --model; in a potential script say fix NAME all pair 20 STYLE "
                "novelty 1 (docs/density.md)"
            )
        file = potential.model_file
        if read_density_record(file) is None:
            raise InputError(
                f"watch: {file.name} holds no density of features, by which it would know new "
                f"atoms; add one: mofmd learn density fit FRAMES --model {file.name} -o FILE"
            )

    def record(self, potential: AnyPotential) -> dict[str, Any]:
        """Give what the manifest says of it: its fields, and the quantile whose novelty is 1."""
        assert isinstance(potential, Potential)  # checked before
        return {**asdict(self), "quantile": read_density(potential.model_file).quantile}

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> NoveltyWatch:
        """Read what ``record`` wrote."""
        return cls(**{name: record[name] for name in (each.name for each in fields(cls))})

    def variables(self, potential: AnyPotential) -> list[Variable]:
        """Variables of novelty.in."""
        assert isinstance(potential, Potential)  # checked before
        stop = NEVER if self.stop_above is None else float(self.stop_above)
        return [
            Variable("watch_every", self.every, "steps between looks at how new atoms are"),
            Variable("watch_style", potential.pair_style.split()[0]),
            Variable("watch_keep", float(self.keep_above), "novelty above which frames are kept"),
            Variable("watch_stop", stop, "novelty above which the run stops"),
        ]


def parse_watch(values: Any) -> NoveltyWatch:
    """Make a watch from the mapping of a file or of words.

    Raises
    ------
    InputError
        Naming the key and what it may be.

    Examples
    --------
    >>> parse_watch({"every": 10, "stop_above": 3})
    NoveltyWatch(every=10, keep_above=1.0, stop_above=3)
    """
    if not isinstance(values, Mapping):
        raise InputError(f"watch: {values!r}, expected keys such as every: 20")
    names = [each.name for each in fields(NoveltyWatch)]
    for key in values:
        if key not in names:
            raise InputError(f"watch: {key}: unknown key{choices(str(key), names)}")
    return NoveltyWatch(**values)


class Look(NamedTuple):
    """A line of the table.

    Parameters
    ----------
    step, time_ps
        When.
    largest
        Novelty of the newest atom.
    new_atoms
        Atoms above ``keep_above``.
    atom, kind
        LAMMPS id and type of the newest atom; 0 in tables of decks that did not keep them.
    """

    step: int
    time_ps: float
    largest: float
    new_atoms: int
    atom: int = 0
    kind: int = 0


def read_novelty(directory: Path) -> list[Look]:
    """Read the table of a run, each step once.

    Raises
    ------
    MissingFileError, InputError
        If there is none, or it is damaged.
    """
    path = directory / NOVELTY_TABLE
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file; the deck was written without a watch")
    found = {look.step: look for look in parse_looks(path.read_text(encoding="utf-8"), path)}
    return [found[step] for step in sorted(found)]


def parse_looks(text: str, path: Path) -> Iterator[Look]:
    """Yield the looks of a table's text; a last line that is still being written is left out.

    Parameters
    ----------
    text
        Whole lines, and maybe the beginning of another.
    path
        Where it is from, for messages.

    Raises
    ------
    InputError
        If a line is no look.
    """
    for line in text[: text.rfind("\n") + 1].splitlines():
        row = line.split(",")
        if not row[0].isdigit():
            continue  # heads, and the empty lines with which LAMMPS begins each part
        try:
            step, time_ps, largest, count, *newest = row
            atom, kind = newest or (0, 0)
            yield Look(int(step), float(time_ps), float(largest), int(count), int(atom), int(kind))
        except ValueError as error:
            raise InputError(f"{path}: {line!r} is no line of the table") from error
