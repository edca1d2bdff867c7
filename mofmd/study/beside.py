"""Results of other analyses, laid beside ours: another model, an ensemble, numbers of a paper."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mofmd.analysis.base.result import Result, Table, read_results
from mofmd.analysis.base.statistics import Estimate
from mofmd.errors import InputError


@dataclass(frozen=True)
class Beside:
    """Another analysis.

    Parameters
    ----------
    name
        What it is called in tables and legends.
    path
        Its results.json.
    results
        What stands in it.
    """

    name: str
    path: Path
    results: Mapping[str, Result]

    def scalar(self, result: str, name: str) -> Estimate | None:
        """Return its number of this name, if it has one."""
        found = self.results.get(result)
        return None if found is None else found.scalars.get(name)

    def text(self, result: str, name: str) -> str:
        """Return its number of this name for a table; a dash where it has none."""
        scalar = self.scalar(result, name)
        return "–" if scalar is None or math.isnan(scalar.value) else str(scalar)

    def table(self, result: str, name: str, like: Table) -> Table | None:
        """Return its table of this name, if it has one with the columns and units of ours."""
        found = self.results.get(result)
        table = None if found is None else found.tables.get(name)
        if table is None or _columns(table) != _columns(like):
            return None
        return table


def read_beside(text: str) -> Beside:
    """Read ``NAME=FILE``, FILE being a results.json or the folder that it is in.

    Raises
    ------
    InputError
        If the text has another form.
    MissingFileError, InputError
        See :func:`mofmd.analysis.base.result.read_results`.
    """
    name, _, file = (part.strip() for part in text.partition("="))
    if not name or not file:
        raise InputError(
            f"beside: {text!r}, expected NAME=FILE, such as 'ab initio=others/results.json'"
        )
    path = Path(file)
    path = path / "results.json" if path.is_dir() else path
    results = read_results(path)
    names = [result.name for result in results]
    if twice := next((each for each in names if names.count(each) > 1), None):
        raise InputError(f"{path}: holds two results of the name {twice!r}; remove one of them")
    return Beside(name, path, dict(zip(names, results, strict=True)))


def check_names(others: Sequence[Beside], own: str) -> None:
    """Refuse two analyses of one name: nobody could tell their curves apart."""
    names = [own, *(other.name for other in others)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"beside: {name!r} names two analyses; give each a name of its own")


def _columns(table: Table) -> list[tuple[str, str]]:
    return [(name, column.unit) for name, column in table.columns.items()]
