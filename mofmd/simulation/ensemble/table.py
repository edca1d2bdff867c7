"""One table of an ensemble: what its members gave, and why others gave nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mofmd.analysis.base.statistics import mean_of_series, sample
from mofmd.disk.atomic import write_atomic
from mofmd.engine.lammps_log import read_log
from mofmd.errors import InputError, MissingFileError
from mofmd.simulation.deck.final import read_final
from mofmd.simulation.ensemble.ensemble import STRUCTURE, Ensemble, Member
from mofmd.simulation.run.minimised import read_minimised
from mofmd.simulation.run.newest import read_newest
from mofmd.simulation.run.run import join_parts
from mofmd.simulation.statics.conduct import read_results
from mofmd.simulation.statics.integrity import compare
from mofmd.simulation.statics.task import TASK, is_static
from mofmd.structures.read import read_structure

TABLE = "results.csv"
TABLE_JSON = "results.json"
AVERAGED = {
    "Temp": "temperature_K",
    "PotEng": "energy_eV",
    "Press": "pressure_bar",
    "Volume": "volume_A3",
}
Row = dict[str, Any]


def collect(ensemble: Ensemble) -> Path:
    """Write one table with a line for each member: ``results.csv``, and the same as JSON.

    Of a finished run: averages over the second half of its last stage, and how new its atoms were
    to the model where that was watched; where members differ by structure, also the error of the
    volume, its change, and what became of metals and linkers. Of a minimisation: where it ended.
    Of a finished static task: its results. Of any other: its state and the reason. Units are in
    the names.
    """
    rows = table_rows(ensemble)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _text(value) for name, value in row.items()} for row in rows)
    path = ensemble.directory / TABLE
    write_atomic(path, text.getvalue())
    write_atomic(ensemble.directory / TABLE_JSON, json.dumps(rows, indent=1) + "\n")
    return path


def table_rows(ensemble: Ensemble) -> list[Row]:
    """Return the lines of the table, the structures that were refused last."""
    varied = list(dict.fromkeys(k for member in ensemble.members for k in member.values))
    rows = [
        {
            "member": member.name,
            **{name: member.values.get(name, "") for name in varied},
            **_results(member),
        }
        for member in ensemble.members
    ]
    return rows + [
        {"member": "", STRUCTURE: name, "state": "refused", "reason": reason}
        for name, reason in ensemble.refused.items()
    ]


def _results(member: Member) -> Row:
    state = member.state
    if state != "finished":
        return {"state": state, "reason": member.reason}
    try:
        found = _of_task(member) if is_static(member.directory) else _of_run(member)
    except (InputError, MissingFileError) as error:
        return {"state": state, "reason": str(error)}
    return {"state": state, "reason": "", **found}


def _of_task(member: Member) -> Row:
    found = {k: v for k, v in read_results(member.directory).items() if not isinstance(v, list)}
    record = json.loads((member.directory / TASK).read_text(encoding="utf-8"))
    potential = {
        "model": Path(record["model"]).name,
        "dispersion": record["dispersion"] or "none",
    }
    return {"atoms": record["n_atoms"], **potential, **_flat(found)}


def _at_rest(member: Member) -> Row:
    """Tell what a minimisation reached; points of an equation of state have no mean."""
    found = read_minimised(member.directory)
    before = read_structure(member.directory / "structure.data")
    if found is None:
        return {"atoms": len(before)}
    row: Row = {
        "energy_eV": found.energy_eV,
        "pressure_bar": found.pressure_bar,
        "volume_A3": found.volume_A3,
        "force_max_eV_per_A": found.force_max_eV_per_A,
    }
    return row | _became(member, row)


def _of_run(member: Member) -> Row:
    if not member.record["total_steps"]:
        return _at_rest(member)
    last = join_parts(read_log(member.directory / "log.lammps"))[-1]
    steps = last.columns["Step"]
    late = steps >= (steps[0] + steps[-1]) / 2
    row: Row = {"stage": last.stage, "steps": int(steps[-1])}
    row |= {name: float(np.mean(last.columns[k][late])) for k, name in AVERAGED.items()}
    if newest := read_newest(member.directory, member.record):
        row |= {"largest_novelty": newest.novelty, "most_new_atoms": newest.most_above}
    if STRUCTURE not in member.values:
        return row
    volumes = last.columns["Volume"][late]
    row["volume_error_A3"] = mean_of_series(volumes, sample(volumes, 0)).standard_error
    return row | _became(member, row)


def _became(member: Member, row: Row) -> Row:
    """Tell what became of the structure: its volume, metals and linkers."""
    before = read_structure(member.directory / "structure.data")
    change = row["volume_A3"] / float(before.get_volume()) - 1.0
    compared = compare(before, read_final(member.directory))
    return {"atoms": len(before), "volume_change": change, **_flat(compared)}


def _flat(found: Mapping[str, Any]) -> Row:
    """Name the mean coordination numbers before and after one by one."""
    row = {name: value for name, value in found.items() if name != "coordination"}
    for pair, (before, after) in found.get("coordination", {}).items():
        row |= {f"{pair}_before": before, f"{pair}_after": after}
    return row


def _text(value: Any) -> str:
    if isinstance(value, float):
        return "" if np.isnan(value) else f"{value:.8g}"
    return str(value)
