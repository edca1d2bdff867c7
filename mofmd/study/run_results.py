"""Results that stand in a run's own output: equations of state, stiffness matrices, minima."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mofmd.analysis.base.observable import Stamp
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import Estimate, mean_of_series, sample
from mofmd.analysis.mechanics.branches import Point, convex_part, stable_part
from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.analysis.mechanics.equation_of_state import (
    EquationOfState,
    Order,
    fit_energy_volume,
    fit_pressure_volume,
    largest_pressure,
)
from mofmd.analysis.mechanics.forms import birch_murnaghan_energy
from mofmd.analysis.mechanics.points import numbers_of, read_points, read_stiffness
from mofmd.analysis.mechanics.strain_fluctuation import (
    StrainFluctuation,
    stiffness_table,
    tensor_scalars,
)
from mofmd.engine.lammps_log import ThermoTable, join_stages, lines_from
from mofmd.errors import InputError
from mofmd.simulation.run.minimised import read_minimised
from mofmd.units import BAR_TO_GPA, EV_PER_A3_TO_GPA

POINTS = "points.csv"
LINE_POINTS = 200
CELL_PLACES = {"Lx": (0, 0), "Xy": (1, 0), "Ly": (1, 1), "Xz": (2, 0), "Yz": (2, 1), "Lz": (2, 2)}
BIRCH = "Birch and Murnaghan, Phys. Rev. 1947, 71, 809"


@dataclass(frozen=True)
class RunOutput:
    """What a run left besides its trajectory.

    Parameters
    ----------
    directory
        Its deck.
    protocol
        Protocol of the deck's manifest.
    thermo
        Thermo output of the log.
    mass_g_per_mol
        Mass of the cell.
    start_ps
        Time from which it is to count; of what is a mean over stages it chooses nothing.
    temperature_K
        Temperature; None takes the protocol's.
    """

    directory: Path
    protocol: Mapping[str, Any]
    thermo: Sequence[ThermoTable]
    mass_g_per_mol: float
    start_ps: float | None = None
    temperature_K: float | None = None


def run_results(run: RunOutput) -> list[Result]:
    """Results of the run's protocol beyond its trajectory; none for most protocols."""
    name = run.protocol.get("name", "")
    maker = MAKERS.get(name)
    if maker is None:
        return []
    found = maker(run)
    if run.start_ps is not None and name in POINT_ENSEMBLES:
        note = "--start-ps chooses nothing of it: it is of whole stages, sample_1 and so on."
        found = replace(found, notes=(*found.notes, note))
    return [found]


def _finite_strain(run: RunOutput) -> Result:
    """Pressures of cells of fixed shape: Castel et al. 2024, "Finite strain difference method"."""
    return _constant_volume(run, "pressure at constant volume and shape")


def _volume_grid(run: RunOutput) -> Result:
    """Pressures of cells of free shape: Rogge et al., J. Chem. Theory Comput. 2015, 11, 5583."""
    return _constant_volume(run, "pressure at constant volume, shape free (Rogge et al. 2015)")


def _constant_volume(run: RunOutput, what: str) -> Result:
    """Pressures at fixed volumes."""
    return _pressure_volume(run, pressure_points(run), what)


def _pressure_grid(run: RunOutput) -> Result:
    """Volumes at fixed pressures: what the volume is uncertain by, the pressure is by its slope."""
    points = pressure_points(run)
    errors = np.array([point.volume.standard_error for point in points])
    return _pressure_volume(run, points, "volume at constant pressure", errors)


def pressure_points(run: RunOutput) -> list[Point]:
    """P(V) of a run of volumes or of pressures, mean over the stages sample_1, sample_2, ...

    Raises
    ------
    InputError
        If the protocol is of neither kind, or the run has not come that far.
    """
    protocol = run.protocol.get("name", "")
    if protocol not in POINT_ENSEMBLES:
        raise InputError(
            f"{run.directory}: is a run of {protocol or 'no protocol'}, which gives no P(V); "
            "pressure_grid, volume_grid and finite_strain do"
        )
    samples = _samples(run)
    found = []
    if protocol != "PressureGrid":
        for columns in samples:
            pressure = mean_of_series(columns["Press"], sample(columns["Press"]), "bar")
            volume = Estimate(float(columns["Volume"].mean()), 0.0, pressure.independent, "Å³")
            found.append(Point(volume, _in_GPa(pressure), POINT_ENSEMBLES[protocol]))
        return found
    targets = [float(value) for value in run.protocol["pressures_bar"]][: len(samples)]
    volumes = [
        mean_of_series(columns["Volume"], sample(columns["Volume"]), "Å³") for columns in samples
    ]
    values = [volume.value for volume in volumes]
    slope = float(np.polyfit(values, targets, 1)[0]) if len(set(values)) > 1 else np.nan
    for target, volume in zip(targets, volumes, strict=True):
        error = abs(slope) * volume.standard_error
        pressure = Estimate(target, error, volume.independent, "bar")
        found.append(Point(volume, _in_GPa(pressure), POINT_ENSEMBLES[protocol]))
    return found


def _in_GPa(pressure: Estimate) -> Estimate:
    value, error = (BAR_TO_GPA * each for each in (pressure.value, pressure.standard_error))
    return Estimate(value, error, pressure.independent, "GPa")


def _energy_volume(run: RunOutput) -> Result:
    """Energies of relaxed cells."""
    path = run.directory / POINTS
    rows = read_points(path)
    volumes = numbers_of(rows, "volume_A3", path)
    energies = numbers_of(rows, "energy_eV", path)
    pressures = numbers_of(rows, "pressure_bar", path) * BAR_TO_GPA
    tables = {
        "points": Table(
            {
                "volume": Column(volumes, "Å³"),
                "energy": Column(energies, "eV"),
                "pressure": Column(pressures, "GPa"),
            },
            "points",
            "Energy of the relaxed cell against its volume",
        )
    }
    kept = sorted(convex_part(volumes.tolist(), energies.tolist()))
    order: Order = 3 if len(kept) >= 5 else 2
    fit, notes = _try(
        lambda: fit_energy_volume(volumes[kept].tolist(), energies[kept].tolist(), order)
    )
    notes += _left_out(volumes.tolist(), kept, "E(V) no longer bends upwards")
    scalars = {}
    if fit is not None:
        scalars = _scalars(fit, run.mass_g_per_mol)
        k, v = fit.bulk_modulus.value / EV_PER_A3_TO_GPA, fit.volume.value
        shape = birch_murnaghan_energy(volumes, 0.0, k, v, fit.derivative.value)
        lowest = float(np.mean((energies - shape)[kept]))
        line = np.linspace(volumes[kept].min(), volumes[kept].max(), LINE_POINTS)
        fitted = birch_murnaghan_energy(line, lowest, k, v, fit.derivative.value)
        tables["fit"] = _line(line, "energy", Column(fitted, "eV"), f"Fit of order {order}")
    return Result(
        name="equation of state",
        definition=f"E(V) of relaxed cells at 0 K; fit: {BIRCH}, order {order}",
        settings={"order": order, "shape": run.protocol.get("shape")},
        scalars=scalars,
        tables=tables,
        notes=notes,
    )


def _elastic(run: RunOutput) -> Result:
    """Stiffness from stresses of strained cells."""
    found = read_stiffness(run.directory / POINTS)
    tensor = ElasticTensor(found.stiffness_GPa)
    return Result(
        name="elasticity",
        definition="C_ij = ∂σ_i/∂ε_j at 0 K, central differences of the stress, atoms relaxed; in "
        "the axes of the simulation",
        settings={
            "strain": run.protocol.get("strain"),
            "asymmetry_GPa": found.asymmetry_GPa,
            "voigt_order": "xx yy zz yz xz xy",
        },
        scalars=tensor_scalars(tensor),
        tables={"stiffness": stiffness_table(found.stiffness_GPa, None)},
        notes=() if tensor.is_stable else ("The elastic tensor has a negative eigenvalue.",),
    )


def _minimise(run: RunOutput) -> Result:
    """Where LAMMPS's minimisation has ended."""
    found = read_minimised(run.directory)
    if found is None:
        raise InputError(
            f"{run.directory}: its log tells of no minimum; the run has not come that far"
        )
    numbers = {
        "energy": (found.energy_eV, "eV"),
        "largest force component": (found.force_max_eV_per_A, "eV/Å"),
        "norm of all forces": (found.force_norm_eV_per_A, "eV/Å"),
        "pressure": (found.pressure_bar * BAR_TO_GPA, "GPa"),
    }
    return Result(
        name="minimum",
        definition="Energy, forces and virial where LAMMPS's minimisation has ended, at 0 K",
        settings={
            "cell": run.protocol.get("cell"),
            "pressure_bar": run.protocol.get("pressure_bar"),
            "force_tolerance_eV_per_A": found.force_tolerance_eV_per_A,
        },
        scalars={
            name: Estimate(value, np.nan, np.inf, unit) for name, (value, unit) in numbers.items()
        },
        tables={},
        notes=()
        if found.reached
        else ("The force tolerance was not reached: `mofmd relax` goes further.",),
    )


def _strain_fluctuation(run: RunOutput) -> Result:
    """Stiffness from the cells of the log, of which there are more than frames."""
    tables = [table for table in run.thermo if table.stage == "sample"]
    if not tables:
        raise InputError(
            f"{run.directory}: its log holds no stage sample; the run has not come that far"
        )
    timed = ("Time",) if run.start_ps is not None else ()
    joined = join_stages(tables, ("Step", "Lx", "Ly", "Lz", "Xy", "Xz", "Yz", *timed))
    columns = lines_from(joined, run.start_ps)
    if not len(columns["Step"]):
        raise InputError(f"{run.directory}: its log ends before {run.start_ps:g} ps")
    temperature_K = run.temperature_K or float(run.protocol["temperature_K"])
    cells = np.zeros((len(columns["Step"]), 3, 3))
    for name, place in CELL_PLACES.items():
        cells[(slice(None), *place)] = columns[name]
    observable = StrainFluctuation(temperature_K=temperature_K)
    for step, cell in zip(columns["Step"], cells, strict=True):
        observable.add(Stamp(int(step), None), cell)
    found = observable.result()
    settings = {**found.settings, "cells_of_the_log": len(cells)}
    return replace(found, settings=settings)


# of protocols that give P(V): what is held in each
POINT_ENSEMBLES = {"FiniteStrain": "cell", "VolumeGrid": "volume", "PressureGrid": "pressure"}
MAKERS: Mapping[str, Callable[[RunOutput], Result]] = {
    "FiniteStrain": _finite_strain,
    "VolumeGrid": _volume_grid,
    "PressureGrid": _pressure_grid,
    "EnergyVolume": _energy_volume,
    "Elastic": _elastic,
    "Minimise": _minimise,
    "StrainFluctuation": _strain_fluctuation,
}


def _samples(run: RunOutput) -> list[dict[str, np.ndarray]]:
    """Thermo columns of the stages sample_1, sample_2, ..., each joined of its parts."""
    stages: dict[str, list[ThermoTable]] = {}
    for table in run.thermo:
        if table.stage.startswith("sample_") and len(table.columns["Step"]):
            stages.setdefault(table.stage, []).append(table)
    if not stages:
        raise InputError(
            f"{run.directory}: its log holds no stage sample_1; the run has not come that far"
        )
    return [join_stages(tables, ("Step", "Press", "Volume")) for tables in stages.values()]


def _pressure_volume(
    run: RunOutput, points: Sequence[Point], what: str, volume_errors: np.ndarray | None = None
) -> Result:
    volumes = [point.volume.value for point in points]
    values = np.array([point.pressure.value for point in points])
    errors = np.array([point.pressure.standard_error for point in points])
    pressures = [
        Estimate(p.value / BAR_TO_GPA, p.standard_error / BAR_TO_GPA, p.independent, "bar")
        for p in (point.pressure for point in points)
    ]
    tables = {
        "points": Table(
            {
                "volume": Column(np.array(volumes), "Å³", volume_errors),
                "pressure": Column(values, "GPa", None if volume_errors is not None else errors),
            },
            "points",
            "Pressure against volume",
        )
    }
    order = np.argsort(volumes)[::-1]
    stable, _ = stable_part([points[k] for k in order])
    kept = sorted(order[stable])
    fitted = [volumes[k] for k in kept], [pressures[k] for k in kept]
    fit, notes = _try(lambda: fit_pressure_volume(*fitted, 2))
    notes += _left_out(volumes, kept, "the pressure turns")
    scalars = {}
    if fit is not None:
        scalars = _scalars(fit, run.mass_g_per_mol)
        line = np.linspace(min(fitted[0]), max(fitted[0]), LINE_POINTS)
        column = Column(fit.pressure_GPa(line), "GPa")
        tables["fit"] = _line(line, "pressure", column, "Fit of second order")
    third, more = _try(lambda: fit_pressure_volume(*fitted, 3))
    if third is not None and len(kept) > 3:
        for name, scalar in _scalars(third, run.mass_g_per_mol).items():
            scalars[f"{name}, third order"] = scalar
    elif len(kept) > 3:
        notes += more
    if _turns(np.array(volumes), values, errors):
        scalars["largest pressure P_max"] = largest_pressure(volumes, pressures)[0]
    return Result(
        name="equation of state",
        definition=f"{what}, mean over the stages sample_1, sample_2, ...; fit: {BIRCH}, second "
        "order as Castel et al. 2024, and third",
        settings={"temperature_K": run.protocol.get("temperature_K")},
        scalars=scalars,
        tables=tables,
        notes=notes,
    )


def _left_out(volumes: Sequence[float], kept: Sequence[int], why: str) -> tuple[str, ...]:
    """Name the points that are no part of a fit."""
    others = ", ".join(f"{v:.0f}" for k, v in enumerate(volumes) if k not in kept)
    return (f"Not fitted, as {why} before them: V = {others} Å³.",) if others else ()


def _turns(volumes: np.ndarray, values: np.ndarray, errors: np.ndarray) -> bool:
    """Whether the pressure is lower at the smallest volume than before, by more than its error."""
    top, last = int(np.argmax(values)), int(np.argmin(volumes))
    noise = 2 * np.hypot(*np.nan_to_num(errors[[top, last]]))
    return bool(values[top] - values[last] > noise)


def _try(fit: Callable[[], EquationOfState]) -> tuple[EquationOfState | None, tuple[str, ...]]:
    """Fit, or None and the reason why there is none."""
    try:
        return fit(), ()
    except InputError as error:
        return None, (f"No fit: {error}",)


def _scalars(fit: EquationOfState, mass_g_per_mol: float) -> dict[str, Estimate]:
    scalars = {"bulk modulus K": fit.bulk_modulus, "volume V₀": fit.volume}
    if fit.order == 3:
        scalars["derivative K′"] = fit.derivative
    scalars["density ρ₀"] = fit.density(mass_g_per_mol)
    return scalars


def _line(volumes: np.ndarray, name: str, column: Column, title: str) -> Table:
    return Table({"volume": Column(volumes, "Å³"), name: column}, "curve", title)
