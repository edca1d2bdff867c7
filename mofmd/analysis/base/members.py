"""Means over the members of an ensemble, with standard errors."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import INDEPENDENT_MIN, Estimate, ensemble_mean
from mofmd.errors import InputError

NAMES_MAX = 6


@dataclass(frozen=True)
class AveragedResults:
    """A mean over members.

    Parameters
    ----------
    results
        What all members have.
    left_out
        Names of results that some lack, and which do.
    """

    results: tuple[Result, ...]
    left_out: Mapping[str, str]


def average_results(members: Mapping[str, Sequence[Result]]) -> AveragedResults:
    """Average results over members.

    Scalars and curves are averaged; the spread between the members is the error, whatever each
    member's own is. Series over time stay with the members. What a part of them lacks is left out
    and named; their notes are kept, with their names.

    Parameters
    ----------
    members
        Results of each member, by its name.

    Raises
    ------
    InputError
        If there is none, or they have nothing in common.
    """
    if not members:
        raise InputError("ensemble: has no members")
    if len(members) == 1:
        return AveragedResults(tuple(next(iter(members.values()))), {})
    by_name = {
        member: {result.name: result for result in results} for member, results in members.items()
    }
    names = list(dict.fromkeys(name for results in by_name.values() for name in results))
    missing = {
        name: f"missing in {_list([m for m, results in by_name.items() if name not in results])}"
        for name in names
    }
    shared = [name for name in names if all(name in results for results in by_name.values())]
    if not shared:
        raise InputError("ensemble: its members have no observable in common; analyse them alike")
    return AveragedResults(
        tuple(
            _average({member: results[name] for member, results in by_name.items()})
            for name in shared
        ),
        {name: missing[name] for name in names if name not in shared},
    )


def _average(members: Mapping[str, Result]) -> Result:
    first = next(iter(members.values()))
    not_averaged: dict[str, str] = {}
    scalars = _mean_scalars(members, not_averaged)
    tables = _mean_tables(members, not_averaged)
    settings, varied = _shared_settings(members)
    notes = [_mean_note(len(members))]
    if not_averaged:
        told = "; ".join(f"{name} ({reason})" for name, reason in not_averaged.items())
        notes.append(f"Not averaged: {told}.")
    if varied:
        told = "; ".join(
            f"{name} {_list([f'{value!r} in {member}' for member, value in values.items()])}"
            for name, values in varied.items()
        )
        notes.append(f"Settings differ between the members: {told}.")
    return replace(
        first,
        settings=settings,
        scalars=scalars,
        tables=tables,
        sampling=None,
        notes=(*notes, *_members_notes(members)),
    )


def _mean_note(n: int) -> str:
    note = f"Mean over {n} members; errors are those of the mean, from the spread of the members"
    if n < INDEPENDENT_MIN:
        note += f", and themselves uncertain by {100 / np.sqrt(2 * (n - 1)):.0f} %"
    return f"{note}."


def _mean_scalars(
    members: Mapping[str, Result], not_averaged: dict[str, str]
) -> dict[str, Estimate]:
    scalars = {}
    for name in dict.fromkeys(name for result in members.values() for name in result.scalars):
        found = {m: result.scalars[name] for m, result in members.items() if name in result.scalars}
        reason = _why_not(members, found) or _other_units(
            {m: scalar.unit for m, scalar in found.items()}
        )
        if reason:
            not_averaged[name] = reason
        else:
            values = [scalar.value for scalar in found.values()]
            scalars[name] = ensemble_mean(values, next(iter(found.values())).unit)
    return scalars


def _mean_tables(members: Mapping[str, Result], not_averaged: dict[str, str]) -> dict[str, Table]:
    tables = {}
    for name in dict.fromkeys(name for result in members.values() for name in result.tables):
        found = {m: result.tables[name] for m, result in members.items() if name in result.tables}
        if any(table.kind == "series" for table in found.values()):
            continue
        reason = _why_not(members, found)
        if not reason:
            mean, reason = _mean_table(name, found, not_averaged)
            if mean is not None:
                tables[name] = mean
        if reason:
            not_averaged[f"table {name}"] = reason
    return tables


def _mean_table(
    name: str, tables: Mapping[str, Table], not_averaged: dict[str, str]
) -> tuple[Table | None, str]:
    """Mean of tables with one abscissa, or None and why there is none.

    Shorter histograms are continued by zeros; of curves only what all members have is kept.
    """
    first = next(iter(tables.values()))
    abscissa = next(iter(first.columns))
    columns_of = {member: dict(table.columns) for member, table in tables.items()}
    if any(next(iter(table.columns)) != abscissa for table in tables.values()):
        return None, "its first column is another in some members"
    axes = {member: columns[abscissa] for member, columns in columns_of.items()}
    if reason := _other_units({member: axis.unit for member, axis in axes.items()}):
        return None, reason
    choose = max if first.kind == "bars" else min
    axis = choose((each.values for each in axes.values()), key=len)
    for each in axes.values():
        both = min(len(each.values), len(axis))
        if not np.allclose(each.values[:both], axis[:both]):
            return None, f"its {abscissa} has other values in some members"
    one = next(iter(axes.values()))
    means = {abscissa: Column(axis.copy(), one.unit, label=one.label)}
    for label in dict.fromkeys(label for columns in columns_of.values() for label in columns):
        found = {m: columns[label] for m, columns in columns_of.items() if label in columns}
        reason = _why_not(tables, found) or _other_units({m: c.unit for m, c in found.items()})
        if reason:
            not_averaged[f"{label} of table {name}"] = reason
        elif label != abscissa:
            means[label] = _mean_column(list(found.values()), len(axis))
    if len(means) < 2:
        return None, "its members have no column in common"
    return Table(means, first.kind, first.title), ""


def _mean_column(columns: Sequence[Column], rows: int) -> Column:
    stack = np.zeros((len(columns), rows))
    for row, column in zip(stack, columns, strict=True):
        values = column.values[:rows]
        row[: len(values)] = values
    error = np.std(stack, axis=0, ddof=1) / np.sqrt(len(columns))
    return Column(np.mean(stack, axis=0), columns[0].unit, error, columns[0].label)


def _why_not(members: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    """Say which members lack something; empty if none does."""
    missing = [member for member in members if member not in found]
    return f"missing in {_list(missing)}" if missing else ""


def _other_units(units: Mapping[str, str]) -> str:
    """Say which units there are, if they differ."""
    if len(set(units.values())) < 2:
        return ""
    return _list([f"in {unit or 'no unit'} in {member}" for member, unit in units.items()])


def _shared_settings(
    members: Mapping[str, Result],
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Find the settings that all members share, and the others as they are in each.

    How many frames there were is a setting of each, and none that the mean depends on.
    """
    names = dict.fromkeys(name for result in members.values() for name in result.settings)
    shared, varied = {}, {}
    for name in names:
        values = {member: result.settings.get(name) for member, result in members.items()}
        first = next(iter(values.values()))
        if all(_is_same(value, first) for value in values.values()):
            shared[name] = first
        elif name.startswith("frames_"):
            shared[name] = values
        else:
            shared[name] = varied[name] = values
    return shared, varied


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other))
    return bool(one == other)


def _members_notes(members: Mapping[str, Result]) -> list[str]:
    """Give notes of the members with their names; others than by numbers are told once."""
    alike: dict[str, dict[str, list[str]]] = {}
    for member, result in members.items():
        for note in result.notes:
            texts = alike.setdefault(re.sub(r"\d+(\.\d+)?", "#", note), {})
            texts.setdefault(note, []).append(member)
    told = []
    for texts in alike.values():
        (note, own), *others = texts.items()
        text = f"Member{'s' if len(own) > 1 else ''} {_list(own)}: {note}"
        if others:
            names = [member for _, owners in others for member in owners]
            text += f" (With other numbers: {_list(names)}.)"
        told.append(text)
    return told


def _list(names: Sequence[str]) -> str:
    shown = names[:NAMES_MAX]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
