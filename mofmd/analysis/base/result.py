"""Results of observables: frozen, with units and errors, to JSON, NPZ and CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from mofmd.analysis.base.statistics import INDEPENDENT_MIN, Estimate, Sampling
from mofmd.arrays import freeze
from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.errors import InputError, MissingFileError

SCHEMA = "mofmd-analysis-1"
Kind = Literal["curve", "bars", "series", "points", "map"]


@dataclass(frozen=True)
class Column:
    """Numbers of one kind; arrays are read-only copies.

    Parameters
    ----------
    values
        (rows,) values.
    unit
        Their unit; empty for pure numbers.
    standard_error
        (rows,) errors of the values, where they are known.
    label
        What an axis says, in the field's symbols: ``g(r)``; empty takes the column's name.
    """

    values: np.ndarray
    unit: str = ""
    standard_error: np.ndarray | None = None
    label: str = ""

    def __post_init__(self) -> None:
        """Make read-only copies of the arrays."""
        for name in ("values", "standard_error"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, np.array(getattr(self, name)))
        freeze(self, "values", "standard_error")


@dataclass(frozen=True)
class Table:
    """Columns of equal length; the first one is the abscissa.

    Parameters
    ----------
    columns
        Name to column.
    kind
        How it is drawn: a curve, bars, a series over time, points with errors, or a map: the third
        column over the first two, which run through an even grid, the second one faster.
    title
        What it shows.
    """

    columns: Mapping[str, Column]
    kind: Kind
    title: str

    def __post_init__(self) -> None:
        """Make the mapping read-only."""
        lengths = {len(column.values) for column in self.columns.values()}
        if len(lengths) > 1:
            raise ValueError(f"columns of different lengths {sorted(lengths)} in one table")
        object.__setattr__(self, "columns", MappingProxyType(dict(self.columns)))


@dataclass(frozen=True)
class Result:
    """What an observable found.

    Parameters
    ----------
    name
        Short name, unique among the results of an analysis, such as ``rdf Zn-N``.
    definition
        What was computed, with its source.
    settings
        Parameters of the observable, units in their names.
    scalars
        Single numbers.
    tables
        Curves, histograms and series over time.
    sampling
        Frames used; None where there is no series to judge by.
    notes
        What a reader must know, in sentences.
    """

    name: str
    definition: str
    settings: Mapping[str, Any]
    scalars: Mapping[str, Estimate]
    tables: Mapping[str, Table]
    sampling: Sampling | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Say so where there are too few independent samples; make the mappings read-only."""
        if self.sampling is not None:
            few = _few(self.sampling, self.scalars)
            if few and few not in self.notes:
                object.__setattr__(self, "notes", (*self.notes, few))
        for name in ("settings", "scalars", "tables"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; what is not a number is null."""
        return {
            "name": self.name,
            "definition": self.definition,
            "settings": dict(self.settings),
            "sampling": None if self.sampling is None else _sampling(self.sampling),
            "scalars": {
                name: {
                    "value": _number(scalar.value),
                    "standard_error": _number(scalar.standard_error),
                    "independent_samples": _number(scalar.independent),
                    "unit": scalar.unit,
                }
                for name, scalar in self.scalars.items()
            },
            "tables": {name: _table(table) for name, table in self.tables.items()},
            "notes": list(self.notes),
        }


def write_results(
    results: Iterable[Result], directory: Path, about: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write ``results.json`` (all), ``results.npz`` (arrays) and one CSV file per table.

    Parameters
    ----------
    results
        Results of an analysis.
    directory
        Made if it is not there.
    about
        Where they come from: goes to the JSON file as it is.
    """
    results = list(results)
    make_folder(directory)
    document = {
        "schema": SCHEMA,
        "about": dict(about or {}),
        "results": [result.as_dict() for result in results],
    }
    written = [directory / "results.json", directory / "results.npz"]
    write_atomic(written[0], json.dumps(document, indent=1, allow_nan=False) + "\n")
    write_atomic(written[1], _npz(results))
    for result in results:
        for name, table in result.tables.items():
            path = directory / f"{file_stem(result.name)}_{file_stem(name)}.csv"
            write_atomic(path, _csv(table))
            written.append(path)
    return written


def read_results(path: str | Path) -> list[Result]:
    """Read what ``write_results`` wrote to ``results.json``, or what was written so by hand.

    What is null becomes NaN. How the frames were sampled is not read back; the notes about it are.
    Of a result its name is needed, of a number its value and unit.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If it is no results.json of this version.
    """
    path = Path(path)
    if not path.is_file():
        raise MissingFileError(
            f"{path}: no such file; `mofmd analyse` and `mofmd report` write one"
        )
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        schema = document["schema"]
        results = [_result_of(item) for item in document["results"]] if schema == SCHEMA else []
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: no results.json of mofmd ({error!r})") from error
    if schema != SCHEMA:
        raise InputError(f"{path}: its schema is {schema!r}, expected {SCHEMA!r}")
    return results


def file_stem(name: str) -> str:
    """Part of a file name made of a name for people."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("_")


def header(name: str, column: Column) -> str:
    """Name of a column with its unit."""
    return f"{name} ({column.unit})" if column.unit else name


def axis_label(name: str, column: Column) -> str:
    """Name the axis of a column: its label or name, beginning with a capital, and its unit.

    Symbols such as ``r`` stay as they are.
    """
    text = column.label or (f"{name[0].upper()}{name[1:]}" if len(name) > 1 else name)
    return header(text, column)


def _few(sampling: Sampling, scalars: Mapping[str, Estimate]) -> str:
    """Say that there are too few samples, by the number that has the fewest; empty: enough."""
    if sampling.frames == 1:
        return "A single frame: values without errors."
    worst = min([sampling.independent, *(each.independent for each in scalars.values())])
    if worst >= INDEPENDENT_MIN:
        return ""
    least = "" if worst == sampling.independent else "as few as "
    return (
        f"Too few independent samples: {sampling.used} "
        f"{'frame is' if sampling.used == 1 else 'frames are'} worth {least}{worst:.1f} "
        f"({INDEPENDENT_MIN} are wanted); the errors are a lower bound. Run longer."
    )


def _sampling(sampling: Sampling) -> dict[str, Any]:
    return {
        "frames": sampling.frames,
        "equilibration_cut_frames": sampling.cut,
        "cut_found_automatically": sampling.automatic,
        "statistical_inefficiency_frames": _number(sampling.inefficiency),
        "independent_samples": _number(sampling.independent),
    }


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": table.title,
        "kind": table.kind,
        "columns": {
            name: {
                "unit": column.unit,
                **({"label": column.label} if column.label else {}),
                "values": [_number(value) for value in column.values],
                **(
                    {}
                    if column.standard_error is None
                    else {"standard_error": [_number(value) for value in column.standard_error]}
                ),
            }
            for name, column in table.columns.items()
        },
    }


def _number(value: Any) -> int | float | None:
    if isinstance(value, int | np.integer):
        return int(value)
    return float(f"{value:.12g}") if math.isfinite(value) else None


def _result_of(item: Mapping[str, Any]) -> Result:
    return Result(
        name=item["name"],
        definition=item.get("definition", ""),
        settings=item.get("settings", {}),
        scalars={
            name: Estimate(
                _float(scalar["value"]),
                _float(scalar.get("standard_error")),
                _float(scalar.get("independent_samples")),
                scalar["unit"],
            )
            for name, scalar in item.get("scalars", {}).items()
        },
        tables={
            name: Table(
                {label: _column_of(column) for label, column in table["columns"].items()},
                table["kind"],
                table["title"],
            )
            for name, table in item.get("tables", {}).items()
        },
        notes=tuple(item.get("notes", ())),
    )


def _column_of(column: Mapping[str, Any]) -> Column:
    errors = column.get("standard_error")
    return Column(
        np.array([_float(value) for value in column["values"]]),
        column["unit"],
        None if errors is None else np.array([_float(value) for value in errors]),
        column.get("label", ""),
    )


def _float(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _npz(results: list[Result]) -> bytes:
    arrays = {}
    for result in results:
        for name, table in result.tables.items():
            for label, column in table.columns.items():
                key = "/".join(map(file_stem, (result.name, name, label)))
                arrays[key] = column.values
                if column.standard_error is not None:
                    arrays[f"{key}.standard_error"] = column.standard_error
    buffer = io.BytesIO()
    # numpy's stub takes names for its own option allow_pickle alone
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def _csv(table: Table) -> str:
    heads, columns = [], []
    for name, column in table.columns.items():
        heads.append(header(name, column))
        columns.append(column.values)
        if column.standard_error is not None:
            heads.append(f"standard error of {header(name, column)}")
            columns.append(column.standard_error)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for row in zip(*columns, strict=True):
        writer.writerow([f"{value:.9g}" if np.isfinite(value) else "" for value in row])
    return text.getvalue()
