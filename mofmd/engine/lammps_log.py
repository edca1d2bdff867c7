"""LAMMPS logs: thermo output as arrays, from a finished log or from a running process.

The scripts of mofmd print two kinds of lines of their own, which are read here as well:
``mofmd plan <stage> <steps> ...`` once, and ``mofmd stage <stage>`` as each stage begins.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from mofmd.errors import InputError, MissingFileError

MINIMISE = "minimise"  # the stage before dynamics
Row = dict[str, float]


@dataclass(frozen=True)
class ThermoTable:
    """Thermo output of one ``run`` or ``minimize`` command.

    Parameters
    ----------
    stage
        Name of the stage it belongs to, empty before the first.
    columns
        LAMMPS's column name to a read-only float64 array, one value per line of output. Units
        are those of the script (``metal``: Time in ps, Temp in K, PotEng in eV, Press in bar).
    loop_seconds, loop_steps
        Wall time of the loop as LAMMPS gives it [s], and its steps; None if the run did not end.
    """

    stage: str
    columns: Mapping[str, np.ndarray]
    loop_seconds: float | None = None
    loop_steps: int | None = None

    @property
    def ms_per_step(self) -> float:
        """LAMMPS's own loop time per step [ms]; NaN if the run did not end or had no step."""
        if self.loop_seconds is None or not self.loop_steps:
            return float("nan")
        return 1e3 * self.loop_seconds / self.loop_steps


@dataclass
class LogParser:
    """Reads a log line by line; what it has read so far is in its attributes."""

    stage: str = ""
    plan: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    finished: bool = False
    tables: list[ThermoTable] = field(default_factory=list)
    _header: list[str] = field(default_factory=list)
    _rows: list[Row] = field(default_factory=list)

    def feed(self, line: str) -> Row | None:
        """Take one line; return its values if it is a line of thermo output."""
        words = line.split()
        if words[:1] == ["mofmd"]:
            self._read_own(words[1:])
        elif line.startswith("ERROR"):
            self.errors.append(line.strip())
        elif line.startswith("WARNING"):
            self.warnings.append(line.strip())
        elif words[:1] == ["Step"]:
            self._close()
            self._header = words
        elif line.startswith("Loop time of"):
            self._close(float(words[3]), int(words[8]))
        elif self._header and len(words) == len(self._header):
            return self._read_row(words)
        return None

    def close(self) -> list[ThermoTable]:
        """Tables read so far, one that did not end included."""
        self._close()
        return self.tables

    def _read_own(self, words: list[str]) -> None:
        match words:
            case ["plan", *pairs]:
                self.plan = {
                    name: int(steps) for name, steps in zip(pairs[::2], pairs[1::2], strict=True)
                }
            case ["stage", name]:
                self.stage = name
            case ["done"]:
                self.finished = True

    def _read_row(self, words: list[str]) -> Row | None:
        try:
            row = dict(zip(self._header, map(float, words), strict=True))
        except ValueError:
            return None  # a message between two lines of output
        self._rows.append(row)
        return row

    def _close(self, loop_seconds: float | None = None, loop_steps: int | None = None) -> None:
        if self._header:
            columns = {name: np.array([row[name] for row in self._rows]) for name in self._header}
            for column in columns.values():
                column.setflags(write=False)
            table = ThermoTable(self.stage, MappingProxyType(columns), loop_seconds, loop_steps)
            self.tables.append(table)
        self._header, self._rows = [], []


class LogFollower:
    """Reads a log while it grows: at which stage and step LAMMPS is.

    Parameters
    ----------
    path
        The log; it may not be there yet.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._rest = path, 0, ""
        self._parser = LogParser()
        self.step: int | None = None

    @property
    def stage(self) -> str:
        """Stage that has begun last; empty before the first."""
        return self._parser.stage

    def read(self) -> None:
        """Read what is new."""
        if not self._path.is_file():
            return
        with self._path.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._at)
            text = self._rest + log.read()
            self._at = log.tell()
        *lines, self._rest = text.split("\n")
        for line in lines:
            row = self._parser.feed(line)
            if row is not None:
                self.step = int(row["Step"])


def read_log(path: Path) -> list[ThermoTable]:
    """Read every thermo table of a log file.

    Raises
    ------
    InputError
        If the file holds no thermo output.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such log; LAMMPS writes it while it runs")
    with path.open(encoding="utf-8", errors="replace") as lines:
        tables = parse_log(lines).close()
    if not tables:
        raise InputError(f"{path}: holds no thermo output (a line that begins with 'Step')")
    return tables


def parse_log(lines: Iterable[str]) -> LogParser:
    """Feed all lines to a new parser."""
    parser = LogParser()
    for line in lines:
        parser.feed(line)
    return parser


def join_stages(tables: Iterable[ThermoTable], columns: Iterable[str]) -> dict[str, np.ndarray]:
    """Join columns of the tables of consecutive stages, each step once.

    LAMMPS writes the last step of a run again as the first of the next one; the first is kept.
    """
    parts: dict[str, list[np.ndarray]] = {name: [] for name in columns}
    last = -np.inf
    for table in tables:
        new = table.columns["Step"] > last
        last = max(last, *table.columns["Step"])
        for name, part in parts.items():
            part.append(table.columns[name][new])
    return {name: np.concatenate(part) for name, part in parts.items()}


def lines_from(columns: Mapping[str, np.ndarray], start_ps: float | None) -> dict[str, np.ndarray]:
    """Take the lines from a time on, by the column Time [ps]; None takes all."""
    if start_ps is None:
        return dict(columns)
    counts = columns["Time"] >= start_ps
    return {name: values[counts] for name, values in columns.items()}
