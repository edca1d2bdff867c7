"""E(V) and P(V) of variants of a framework, from their runs."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.branches import Curve, Point, convex_part, join
from mofmd.analysis.mechanics.equation_of_state import EquationOfState, fit_energy_volume
from mofmd.analysis.mechanics.forms import Form
from mofmd.analysis.mechanics.points import numbers_of, read_points
from mofmd.disk.record import read_record
from mofmd.errors import InputError, MissingFileError, absent
from mofmd.simulation.deck.potential import POTENTIAL_SCRIPT
from mofmd.simulation.ensemble.ensemble import RECORD, STRUCTURE, read_ensemble
from mofmd.simulation.run.status import STATUS, run_state
from mofmd.simulation.statics.conduct import read_results
from mofmd.simulation.statics.task import SCHEMA, TASK, is_static
from mofmd.study.run_results import POINT_ENSEMBLES, POINTS, RunOutput, pressure_points
from mofmd.study.sources import DUMP, Run
from mofmd.units import BAR_TO_GPA

FORMS: tuple[Form, ...] = ("birch-murnaghan", "vinet")
# columns of a table of numbers from elsewhere, all but the first optional
REFERENCE_COLUMNS = ("structure", "method", "K_GPa", "V0_A3", "Pmax_GPa", "source")


@dataclass(frozen=True, order=True)
class ModelUsed:
    """The potential of runs.

    Parameters
    ----------
    name
        Of its file.
    sha256
        Hash of the file.
    added_dispersion
        What was added to the model, as ``d3bj:pbe``; empty where nothing was.
    """

    name: str
    sha256: str
    added_dispersion: str = ""

    @property
    def dispersion(self) -> str:
        """What was added, in a word: ``none`` where nothing was."""
        if self.name == POTENTIAL_SCRIPT:
            return f"as {POTENTIAL_SCRIPT} says"
        return self.added_dispersion or "none"

    def __str__(self) -> str:
        """Name, begin of the hash, and what was added."""
        added = f" with {self.added_dispersion}" if self.added_dispersion else ""
        return f"{self.name} {self.sha256[:8]}{added}"


@dataclass(frozen=True)
class Energies:
    """E(V) at 0 K.

    Parameters
    ----------
    volumes_A3, energies_eV
        (points,) of the cell, from the smallest volume on.
    fits
        By form, on the part where E(V) bends upwards; those that could be made.
    why_none
        Why one could not be made.
    curve
        P(V) of the same cells; None where their pressures are not known.
    shape
        Of the cell at each volume (see `Variant`).
    """

    volumes_A3: np.ndarray
    energies_eV: np.ndarray
    fits: Mapping[Form, EquationOfState]
    why_none: str
    curve: Curve | None
    shape: str = ""


@dataclass(frozen=True)
class Variant:
    """What is known of one structure.

    Parameters
    ----------
    name
        Of the structure.
    energies
        Static, if there are any.
    points
        Of dynamics at a temperature.
    temperature_K
        Of the dynamics.
    shape
        Of the cell in the dynamics: ``free``, ``fixed`` or ``angles fixed``, or more of these;
        empty where nothing tells.
    model
        Of all its runs; None where they were made by hand.
    """

    name: str
    energies: Energies | None = None
    points: tuple[Point, ...] = ()
    temperature_K: float = math.nan
    shape: str = ""
    model: ModelUsed | None = None

    @property
    def curve(self) -> Curve | None:
        """P(V), of three points at least."""
        return join(self.points) if len(self.points) > 2 else None


@dataclass
class _Found:
    """What the folders of one structure give."""

    # columns volume [Å³], energy [eV], pressure [GPa], which may not be a number
    energies: list[np.ndarray] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)
    # what must be the same for one curve, as text
    temperatures: set[str] = field(default_factory=set)
    models: set[ModelUsed] = field(default_factory=set)
    static_cells: set[str] = field(default_factory=set)
    moving_cells: set[str] = field(default_factory=set)
    # whether the shape of the cell was free, which may differ
    static_shapes: set[str] = field(default_factory=set)
    moving_shapes: set[str] = field(default_factory=set)

    def add(self, other: _Found) -> None:
        """Add what another run of the structure gives."""
        self.energies += other.energies
        self.points += other.points
        self.temperatures |= other.temperatures
        self.models |= other.models
        self.static_cells |= other.static_cells
        self.moving_cells |= other.moving_cells
        self.static_shapes |= other.static_shapes
        self.moving_shapes |= other.moving_shapes

    def check(self, name: str) -> None:
        """Refuse runs that make no one curve."""
        for what, values in (
            ("", self.temperatures),
            ("different models: ", set(map(str, self.models))),
            ("different cells: ", self.static_cells),
            ("different cells: ", self.moving_cells),
        ):
            if len(values) > 1:
                raise InputError(
                    f"{name}: its runs are of {what}{' and '.join(sorted(values))}, which make no "
                    "one curve: give those of one, or other names to the others (NAME=FOLDER)"
                )


def read_variants(sources: Sequence[str]) -> tuple[list[Variant], list[str]]:
    """Read runs and ensembles; those of one structure are put together.

    Parameters
    ----------
    sources
        Folders: of ensembles whose members are structures, of runs (pressure_grid, volume_grid,
        finite_strain, energy_volume) or tasks (equation_of_state). A run is named as its folder,
        or with NAME=FOLDER; the structures of an ensemble are named as their files, or with
        NAME=FOLDER as NAME and their file.

    Returns
    -------
    variants, left_out
        In the order in which they are met; and what gave nothing, with the reason.

    Raises
    ------
    InputError, MissingFileError
        If a folder is not there, nothing is found, or runs of one structure are of different
        temperatures, models or cells.
    """
    found: dict[str, _Found] = {}
    left_out: list[str] = []
    for source in sources:
        for name, folder in _folders(source):
            try:
                found.setdefault(name, _Found()).add(_read(folder))
            except (InputError, MissingFileError) as error:
                left_out.append(f"{name}: {error}")
            except (KeyError, ValueError) as error:  # files that others have changed
                left_out.append(f"{name}: {folder}: is damaged ({error!r})")
    variants = [
        _variant(name, each) for name, each in found.items() if each.energies or each.points
    ]
    if not variants:
        raise InputError("; ".join(left_out) or "no runs: give folders of runs or ensembles")
    return variants, left_out


def _folders(source: str) -> Iterator[tuple[str, Path]]:
    """Names and folders of the runs of a source."""
    name, separator, rest = source.partition("=")
    folder = Path(rest if separator else source)
    if not folder.is_dir():
        raise MissingFileError(f"{folder}: {absent(folder, 'folder of runs')}")
    if (folder / RECORD).is_file():
        for member in read_ensemble(folder).members:
            given = str(member.values.get(STRUCTURE, "")) or member.name
            stem = Path(given).name.split(".")[0]
            yield f"{name} {stem}" if separator else stem, member.directory
    else:
        yield name if separator else folder.resolve().name, folder


def _read(folder: Path) -> _Found:
    """Read what a run gives."""
    found = _Found()
    # a run by hand has no status; a task that has not begun neither
    state = run_state(folder) if (folder / STATUS).is_file() or is_static(folder) else "finished"
    if state != "finished":
        raise InputError(f"{folder}: is not finished ({state})")
    if is_static(folder):
        results = read_results(folder)
        if "volumes_A3" not in results:
            raise InputError(f"{folder}: is a static task, but not equation_of_state")
        pressures = results.get("pressures_GPa") or [None] * len(results["volumes_A3"])
        pressures = [np.nan if each is None else each for each in pressures]
        columns = (results["volumes_A3"], results["energies_eV"], pressures)
        found.energies.append(np.array(columns, dtype=np.float64).T)
        task = read_record(folder / TASK, SCHEMA, kind="a static task", mend="make it again")
        name = Path(task["model"]).name
        found.models.add(ModelUsed(name, task["model_sha256"], task["dispersion"] or ""))
        found.static_cells.add(task["formula"])
        found.static_shapes.add(task["settings"]["shape"])
        return found
    run = Run(folder.name, folder / DUMP)
    structure = str(run.manifest.get("structure", {}).get("formula", ""))
    if (folder / POINTS).is_file():
        rows = read_points(folder / POINTS)
        volumes, energies, pressures = (
            numbers_of(rows, name, folder / POINTS)
            for name in ("volume_A3", "energy_eV", "pressure_bar")
        )
        found.energies.append(np.array([volumes, energies, BAR_TO_GPA * pressures]).T)
        found.static_cells |= {structure} - {""}
        found.static_shapes |= {run.protocol.get("shape", "")} - {""}
        found.models |= _potential_of(run)
        return found
    if run.protocol.get("name") not in POINT_ENSEMBLES:
        raise InputError(f"{folder}: holds no run that gives E(V) or P(V)")
    found.points += pressure_points(RunOutput(folder, run.protocol, run.thermo, math.nan))
    found.temperatures.add(f"{run.protocol.get('temperature_K', math.nan):g} K")
    found.moving_cells |= {structure} - {""}
    found.moving_shapes.add(_shape_of(run.protocol))
    found.models |= _potential_of(run)
    return found


def _shape_of(protocol: Mapping[str, Any]) -> str:
    """Whether the shape of the cell was free in a run of a protocol that gives P(V)."""
    if protocol["name"] != "PressureGrid":
        return "free" if protocol["name"] == "VolumeGrid" else "fixed"
    return {"iso": "fixed", "aniso": "angles fixed"}.get(protocol["coupling"], "free")


def _potential_of(run: Run) -> set[ModelUsed]:
    """Of a deck; nothing of a run by hand."""
    potential = run.manifest.get("potential", {})
    name = str(potential.get("model", ""))
    sha256 = run.manifest.get("files", {}).get(name, "")
    return {ModelUsed(name, sha256, potential.get("dispersion", ""))} if sha256 else set()


def _variant(name: str, found: _Found) -> Variant:
    found.check(name)
    energies = None
    if found.energies:
        curve = static_curve(*np.concatenate(found.energies).T)
        energies = replace(curve, shape=_joined(found.static_shapes))
    temperature = next(iter(found.temperatures), "nan K").removesuffix(" K")
    return Variant(
        name,
        energies,
        tuple(found.points),
        float(temperature),
        _joined(found.moving_shapes),
        next(iter(found.models), None),
    )


def _joined(shapes: set[str]) -> str:
    return " and ".join(sorted(shapes))


def static_curve(
    volumes_A3: np.ndarray, energies_eV: np.ndarray, pressures_GPa: np.ndarray
) -> Energies:
    """E(V) with its equations of state, fitted where it bends upwards.

    Parameters
    ----------
    volumes_A3, energies_eV, pressures_GPa
        (points,); pressures may not be numbers.
    """
    order = np.argsort(volumes_A3)
    volumes, energies, pressures = volumes_A3[order], energies_eV[order], pressures_GPa[order]
    chosen = convex_part(volumes.tolist(), energies.tolist())
    fits: dict[Form, EquationOfState] = {}
    why = ""
    for form in FORMS:
        try:
            fits[form] = fit_energy_volume(
                volumes[chosen].tolist(), energies[chosen].tolist(), 3, form
            )
        except InputError as error:
            why = str(error)
    curve = None
    if len(volumes) > 2 and np.isfinite(pressures).all():
        curve = join([_static_point(v, p) for v, p in zip(volumes, pressures, strict=True)])
    return Energies(volumes, energies, fits, why, curve)


def _static_point(volume: float, pressure: float) -> Point:
    exact = Estimate(float(volume), 0.0, math.inf, "Å³")
    return Point(exact, Estimate(float(pressure), 0.0, math.inf, "GPa"), "static")


def read_published(path: Path) -> list[dict[str, Any]]:
    """Read a table of numbers from elsewhere.

    Parameters
    ----------
    path
        CSV with the columns ``structure``, and any of ``method`` (``EV`` or ``PV``), ``K_GPa``,
        ``V0_A3``, ``Pmax_GPa``, ``source``; numbers are shown as they are written, so that
        ``>0.34`` and ``23-30`` may stand there.

    Raises
    ------
    MissingFileError, InputError
        If there is no such file, or it has other columns.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: {absent(path, 'table')}")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(line for line in file if not line.startswith("#"))
        names = reader.fieldnames or []
        unknown = sorted(set(names) - set(REFERENCE_COLUMNS))
        if "structure" not in names or unknown:
            raise InputError(
                f"{path}: columns {', '.join(names) or 'none'}; expected structure and any of "
                f"{', '.join(REFERENCE_COLUMNS[1:])}"
            )
        return [{key: (value or "").strip() for key, value in row.items()} for row in reader]
