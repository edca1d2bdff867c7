"""Means over the members of an ensemble, with standard errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mofmd.analysis.result import Column, Result, Table
from mofmd.analysis.statistics import ensemble_mean
from mofmd.errors import InputError


def ensemble_results(members: Sequence[Sequence[Result]]) -> list[Result]:
    """Average results over members.

    Scalars and curves are averaged; the spread between the members is the error, whatever each
    member's own is. Series over time stay with the members.

    Parameters
    ----------
    members
        Results of each member: the same observables, in the same order.
    """
    if not members:
        raise InputError("ensemble: has no members")
    names = [[result.name for result in member] for member in members]
    if any(other != names[0] for other in names):
        raise InputError("ensemble: members have different observables; analyse them alike")
    return [_average(column) for column in zip(*members, strict=True)]


def _average(results: tuple[Result, ...]) -> Result:
    first = results[0]
    n = len(results)
    scalars = {
        name: ensemble_mean([result.scalars[name].value for result in results], scalar.unit)
        for name, scalar in first.scalars.items()
        if all(name in result.scalars for result in results)
    }
    tables = {
        name: mean
        for name, table in first.tables.items()
        if table.kind != "series"
        and (mean := _mean_table([result.tables[name] for result in results])) is not None
    }
    note = f"Mean over {n} members; errors are those of the mean, from the spread of the members."
    return replace(
        first, scalars=scalars, tables=tables, sampling=None, notes=(note,) if n > 1 else ()
    )


def _mean_table(tables: Sequence[Table]) -> Table | None:
    """Mean of tables with one abscissa.

    Shorter histograms are continued by zeros; of curves only what all members have is kept.
    """
    first = tables[0]
    abscissa = next(iter(first.columns))
    choose = max if first.kind == "bars" else min
    axis = choose((table.columns[abscissa].values for table in tables), key=len)
    for table in tables:
        own = table.columns[abscissa].values
        both = min(len(own), len(axis))
        if not np.allclose(own[:both], axis[:both]):
            return None
    columns = {abscissa: Column(axis.copy(), first.columns[abscissa].unit)}
    for name, column in first.columns.items():
        if name == abscissa:
            continue
        stack = np.zeros((len(tables), len(axis)))
        for row, table in zip(stack, tables, strict=True):
            values = table.columns[name].values[: len(axis)]
            row[: len(values)] = values
        error = None
        if len(tables) > 1:
            error = np.std(stack, axis=0, ddof=1) / np.sqrt(len(tables))
        columns[name] = Column(np.mean(stack, axis=0), column.unit, error)
    return Table(columns, first.kind, first.title)
