"""Volumes at temperatures, of dynamics or of measurements, to set beside a quasi-harmonic one."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mofmd.analysis.base.statistics import mean_of_series, sample
from mofmd.errors import InputError, MissingFileError
from mofmd.study.sources import Run, find_runs

TEMPERATURE, VOLUME, ERROR = "temperature_K", "volume_A3", "volume_error_A3"


@dataclass(frozen=True)
class Measured:
    """Volume at a temperature.

    Parameters
    ----------
    name
        Of the run or file.
    temperature_K
        Mean of the run.
    volume_A3, volume_error_A3
        Of the unit cell, and its standard error; NaN where nobody knows.
    of_run
        Whether it is of dynamics.
    """

    name: str
    temperature_K: float
    volume_A3: float
    volume_error_A3: float
    of_run: bool


def read_measured(sources: Sequence[Path], atoms: int) -> tuple[Measured, ...]:
    """Read volumes, in the order of the temperatures.

    Parameters
    ----------
    sources
        Directories of runs at constant pressure, or of several, whose last stage counts; or CSV
        files with columns ``temperature_K``, ``volume_A3`` and, if known, ``volume_error_A3``.
    atoms
        Of the unit cell that volumes are told of; those in files are of it already.

    Raises
    ------
    InputError
        If a run has no changing volume, has not ended, or a file lacks a column.
    """
    found: list[Measured] = []
    for source in sources:
        if source.is_dir():
            found += [_of_run(run, atoms) for run in find_runs(source)]
        else:
            found += _of_table(source)
    return tuple(sorted(found, key=lambda each: each.temperature_K))


def mean_alpha_per_K(measured: Sequence[Measured]) -> tuple[float, float] | None:
    """Volumetric expansion over all temperatures, and its error; None for fewer than two.

    Least squares of ln V over T, weighted by the errors where all are known.
    """
    t = np.array([each.temperature_K for each in measured])
    if len(t) < 2 or np.ptp(t) < 1.0:
        return None
    v = np.array([each.volume_A3 for each in measured])
    errors = np.array([each.volume_error_A3 for each in measured])
    known = bool(np.isfinite(errors).all() and (errors > 0).all())
    weights = (v / errors) ** 2 if known else np.ones(len(t))
    middle = np.average(t, weights=weights)
    scale = float((weights * (t - middle) ** 2).sum())
    slope = float((weights * (t - middle) * np.log(v)).sum()) / scale
    return slope, (1.0 / math.sqrt(scale) if known else math.nan)


def by_source(measured: Sequence[Measured]) -> dict[str, tuple[Measured, ...]]:
    """Volumes of one origin together: all runs, and each table; one expansion is of one origin."""
    groups: dict[str, list[Measured]] = {}
    for each in measured:
        groups.setdefault("dynamics" if each.of_run else each.name, []).append(each)
    return {name: tuple(found) for name, found in groups.items()}


@dataclass(frozen=True)
class MeanAlpha:
    """Volumetric expansion over a range of temperatures, units in the names."""

    alpha_V_per_K: float
    alpha_V_error_per_K: float
    from_K: float
    to_K: float


def alphas_by_source(measured: Sequence[Measured]) -> dict[str, MeanAlpha]:
    """Expansion of each origin that has two temperatures or more."""
    return {
        name: MeanAlpha(*alpha, group[0].temperature_K, group[-1].temperature_K)
        for name, group in by_source(measured).items()
        if (alpha := mean_alpha_per_K(group)) is not None
    }


def _of_run(run: Run, atoms: int) -> Measured:
    if run.unfinished:
        raise InputError(f"{run.directory}: {run.unfinished}; its mean volume is not one yet")
    stages = run.stages
    volumes = stages[-1].columns.get("Volume") if stages else None
    if volumes is None or len(volumes) < 2 or np.ptp(volumes) < 1e-9 * volumes[0]:
        raise InputError(
            f"{run.directory}: its log has no volume that changes; expansion is of runs at "
            "constant pressure (npt)"
        )
    n = int(run.manifest["structure"]["n_atoms"])
    if n % atoms:
        raise InputError(f"{run.directory}: {n} atoms are no multiple of the crystal's {atoms}")
    sampling = sample(volumes)
    mean = mean_of_series(volumes, sampling)
    temperature = float(np.mean(stages[-1].columns["Temp"][sampling.cut :]))
    share = atoms / n
    return Measured(run.name, temperature, share * mean.value, share * mean.standard_error, True)


def _of_table(path: Path) -> list[Measured]:
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file or directory")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in (TEMPERATURE, VOLUME) if not rows or name not in rows[0]]
    if missing:
        raise InputError(
            f"{path}: has no column {' and '.join(missing)}; expected a CSV file with "
            f"{TEMPERATURE}, {VOLUME} and, if known, {ERROR}, or a directory of runs"
        )
    try:
        return [
            Measured(
                path.stem,
                float(row[TEMPERATURE]),
                float(row[VOLUME]),
                float(row.get(ERROR) or "nan"),
                False,
            )
            for row in rows
        ]
    except (TypeError, ValueError) as error:
        raise InputError(f"{path}: a value is no number: {error}") from error
