"""The few numbers that a protocol is run for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.statistics import Estimate, ensemble_mean, mean_of_series, sample
from mofmd.engine.lammps_log import join_stages
from mofmd.study.member import Member
from mofmd.study.study import Analysis

SHOWN = 3
Choice = tuple[str, str, str]  # first word(s) of the result, name of the number, what it is called
LOG = "log"  # numbers that stand in no result but in the log

_DENSITY: Choice = ("density", "density", "Density")
_COORDINATION: Choice = ("coordination", "coordination number", "{} coordination")
_PORES: Choice = ("pores", "total volume", "Pore volume")
_CAVITY: Choice = ("pores", "largest cavity diameter", "Largest cavity")
_TEMPERATURE: Choice = (LOG, "Temp", "Temperature")
USUAL: Sequence[Choice] = (
    _DENSITY,
    _COORDINATION,
    _PORES,
    _CAVITY,
    ("rings", "rings per node", "Rings per node"),
    ("density", "volume", "Volume"),
    ("rdf", "highest peak", "{} distance"),
)
_EQUATION: Sequence[Choice] = (
    ("equation of state", "bulk modulus K", "Bulk modulus"),
    ("equation of state", "volume V₀", "Volume V₀"),
    ("equation of state", "density ρ₀", "Density ρ₀"),
)
_ELASTIC: Sequence[Choice] = (
    ("elasticity", "bulk modulus K (Hill)", "Bulk modulus (Hill)"),
    ("elasticity", "Young's modulus E (Hill)", "Young's modulus (Hill)"),
    ("elasticity", "shear modulus G (Hill)", "Shear modulus (Hill)"),
)
# what each protocol is run for; where one of these is missing, the usual ones fill its place
CHOSEN: Mapping[str, Sequence[Choice]] = {
    "MeltQuench": (_DENSITY, _COORDINATION, _PORES),
    "NPT": (_DENSITY, ("density", "volume", "Volume"), _COORDINATION),
    "NST": (_DENSITY, ("density", "volume", "Volume"), _COORDINATION),
    "NVT": (_TEMPERATURE, (LOG, "Press", "Pressure"), _COORDINATION),
    "NVE": ((LOG, "drift", "Drift of the energy"), _TEMPERATURE, _COORDINATION),
    "Minimise": (_DENSITY, _CAVITY, ("pores", "pore limiting diameter", "Pore limit")),
    "FiniteStrain": _EQUATION,
    "VolumeGrid": _EQUATION,
    "PressureGrid": _EQUATION,
    "EnergyVolume": _EQUATION,
    "Elastic": _ELASTIC,
    "StrainFluctuation": _ELASTIC,
}


@dataclass(frozen=True)
class KeyNumber:
    """A number that a reader looks for first.

    Parameters
    ----------
    label
        What it is called.
    estimate
        Its value.
    """

    label: str
    estimate: Estimate


def key_numbers(analysis: Analysis) -> tuple[KeyNumber, ...]:
    """Choose up to three numbers, by the protocol; of a file by what was measured of it."""
    protocol = str(analysis.members[0].manifest.get("protocol", {}).get("name", ""))
    found: list[KeyNumber] = []
    for choice in (*CHOSEN.get(protocol, ()), *USUAL):
        number = _find(analysis, choice)
        if number is not None and number.label not in {each.label for each in found}:
            found.append(number)
        if len(found) == SHOWN:
            break
    return tuple(found)


def _find(analysis: Analysis, choice: Choice) -> KeyNumber | None:
    result_name, name, label = choice
    if result_name == LOG:
        estimate = _of_log(analysis.members, name)
        return None if estimate is None else KeyNumber(label, estimate)
    for result in analysis.results:
        if result.name == result_name or result.name.startswith(f"{result_name} "):
            scalar = result.scalars.get(name)
            if scalar is not None and np.isfinite(scalar.value):
                pair = result.name.removeprefix(result_name).strip().replace("-", "–")
                return KeyNumber(label.format(pair), scalar)
    return None


def _of_log(members: Sequence[Member], name: str) -> Estimate | None:
    """Give a number of the log; of several members the mean."""
    values = [_of_one_log(member, name) for member in members]
    known = [value for value in values if value is not None]
    if len(known) < len(members):
        return None
    if len(known) == 1:
        return known[0]
    return ensemble_mean([value.value for value in known], known[0].unit)


def _of_one_log(member: Member, name: str) -> Estimate | None:
    tables = [
        table
        for table in member.thermo
        if table.stage != "minimise" and (not member.stage or table.stage == member.stage)
    ]
    wanted = {"Temp": ("Temp", "K"), "Press": ("Press", "bar"), "drift": ("TotEng", "")}[name]
    needed = ("Step", "Time", wanted[0])
    if not tables or any(set(needed) - set(table.columns) for table in tables):
        return None
    columns = join_stages(tables, needed)
    values = columns[wanted[0]]
    if name != "drift":
        return mean_of_series(values, sample(values), wanted[1]) if len(values) > 1 else None
    return _drift(columns["Time"], values / len(member.last))


def _drift(time_ps: np.ndarray, energy_eV: np.ndarray) -> Estimate | None:
    """Slope of the total energy per atom, with the error of the fitted line."""
    if len(time_ps) < 5:
        return None
    (slope, _), covariance = np.polyfit(time_ps, energy_eV * 1e3, 1, cov=True)
    return Estimate(
        float(slope), float(np.sqrt(covariance[0, 0])), float(len(time_ps)), "meV/atom/ps"
    )
