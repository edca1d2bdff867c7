"""Blueprints: how far a cluster reaches around a core, once found and used again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from mofmd.disk.atomic import write_atomic
from mofmd.errors import InputError, MissingFileError


@dataclass(frozen=True)
class Blueprint:
    """How clusters around one kind of block are cut.

    Parameters
    ----------
    signature
        The core: what block it is, and what it is bonded to.
    shells
        Shells of blocks around it.
    atoms
        Atoms of such a cluster.
    clusters
        How many were cut.
    """

    signature: str
    shells: int
    atoms: int
    clusters: int


class Blueprints:
    """Blueprints by signature; a core of a new kind is cut with the default number of shells.

    Parameters
    ----------
    shells
        That number.
    known
        Blueprints to begin with.
    """

    def __init__(self, shells: int = 1, known: tuple[Blueprint, ...] = ()) -> None:
        if shells < 0:
            raise InputError(f"shells: {shells}, expected a whole number of at least 0")
        self.shells = shells
        self._known = {blueprint.signature: blueprint for blueprint in known}

    def __iter__(self) -> Iterator[Blueprint]:
        """Go through the blueprints in the order in which they were first used."""
        return iter(self._known.values())

    def shells_for(self, signature: str) -> int:
        """Shells around a core of this signature."""
        known = self._known.get(signature)
        return self.shells if known is None else known.shells

    def used(self, signature: str, atoms: int) -> None:
        """Note that a cluster was cut."""
        known = self._known.get(signature)
        clusters = 1 if known is None else known.clusters + 1
        shells = self.shells_for(signature)
        self._known[signature] = Blueprint(signature, shells, atoms, clusters)

    def write(self, path: Path) -> None:
        """Write them as JSON."""
        write_atomic(path, json.dumps([asdict(each) for each in self], indent=1) + "\n")

    @classmethod
    def read(cls, path: Path, shells: int = 1) -> Blueprints:
        """Read what ``write`` wrote.

        Raises
        ------
        MissingFileError, InputError
            If there is no such file, or it holds something else.
        """
        if not path.is_file():
            raise MissingFileError(f"{path}: no such file of blueprints")
        try:
            known = tuple(Blueprint(**entry) for entry in json.loads(path.read_text("utf-8")))
            numbers = [n for each in known for n in (each.shells, each.atoms, each.clusters)]
            if not all(isinstance(n, int) and n >= 0 for n in numbers):
                raise TypeError("shells, atoms and clusters are whole numbers of at least 0")
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: is no file of blueprints: {error}") from error
        return cls(shells, known)
