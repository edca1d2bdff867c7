"""Ensembles: many runs of one recipe that differ by their seed and any field of the protocol.

An ensemble is a directory: ``ensemble.json`` and one deck for each member in ``members/``. Its
state is that of the decks (their ``status.json``); no process holds any of it.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mofmd.disk.atomic import write_atomic, writing
from mofmd.disk.output import make_folder
from mofmd.disk.record import read_record
from mofmd.engine.lammps_log import read_log
from mofmd.errors import InputError, MissingFileError
from mofmd.simulation.deck.deck import MANIFEST
from mofmd.simulation.deck.request import Request, generate_deck
from mofmd.simulation.run.run import join_parts
from mofmd.simulation.run.status import read_status, run_state

SCHEMA = "mofmd-ensemble-1"
RECORD = "ensemble.json"
MEMBERS = "members"
RESULTS = "results.csv"
MISSING = "missing"
AVERAGED = ("Temp", "PotEng", "Press", "Volume")


@dataclass(frozen=True)
class Member:
    """One member.

    Parameters
    ----------
    name
        Number with leading zeros, also the name of its folder.
    directory
        Its deck.
    values
        The fields in which it differs from the others, seed included.
    """

    name: str
    directory: Path
    values: Mapping[str, Any]

    @property
    def state(self) -> str:
        """State of its run (see `run_state`), or ``missing`` where its deck is gone."""
        return run_state(self.directory) if self._has_deck else MISSING

    @property
    def reason(self) -> str:
        """Why it failed, stopped or is missing; empty where it did not."""
        if not self._has_deck:
            return f"{self.directory / MANIFEST} is gone; put its folder back"
        return str(read_status(self.directory).get("error") or "")

    @property
    def _has_deck(self) -> bool:
        return (self.directory / MANIFEST).is_file()

    @property
    def progress(self) -> str:
        """How far it is: stage, step, temperature; empty before the first step."""
        found = read_status(self.directory)
        if not found.get("stage"):
            return ""
        text = f"{found['stage']}, step {found.get('step')} of {found.get('total_steps')}"
        if found.get("temperature_K") is not None:
            text += f", {found['temperature_K']:.0f} K"
        return text


@dataclass(frozen=True)
class Ensemble:
    """An ensemble on disk.

    Parameters
    ----------
    directory
        Where it is.
    members
        In the order of their names.
    """

    directory: Path
    members: tuple[Member, ...]


def new_ensemble(
    request: Request, seeds: Sequence[int], vary: Mapping[str, Sequence[Any]]
) -> Ensemble:
    """Write the decks of an ensemble: each combination of the varied fields with each seed.

    Parameters
    ----------
    request
        What a deck is made of; its output is the folder of the ensemble.
    seeds
        Seeds of the first velocities.
    vary
        Fields of the protocol and the values that they take.

    Raises
    ------
    InputError
        If nothing is varied, the folder is in use, or a deck cannot be made.
    """
    directory = request.output
    if directory is None:
        raise InputError("output: missing; give a new folder for the ensemble")
    _check_seeds(seeds)
    if "seed" in vary:
        raise InputError("vary seed: seeds have their own option; use it instead")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory}: in use; choose a new folder for the ensemble")
    empty = [name for name, values in vary.items() if not values]
    if empty:
        raise InputError(f"vary {empty[0]}: no values; write {empty[0]}=first,second")
    combinations: list[dict[str, Any]] = [
        {**dict(zip(vary, values, strict=True)), "seed": seed}
        for values in itertools.product(*vary.values())
        for seed in seeds
    ]
    width = max(3, len(str(len(combinations) - 1)))
    members = tuple(
        Member(f"{number:0{width}}", directory / MEMBERS / f"{number:0{width}}", values)
        for number, values in enumerate(combinations)
    )
    _write_members(request, directory, members)
    return Ensemble(directory, members)


def _write_members(request: Request, directory: Path, members: tuple[Member, ...]) -> None:
    """Write all decks under a temporary name, then give the folder its own: all or nothing."""
    make_folder(directory.parent)
    prefix, parent = f".{directory.name}.", directory.parent
    with writing(directory), tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as folder:
        temporary = Path(folder) / directory.name
        for member in members:
            words = (f"{name}={json.dumps(value)}" for name, value in member.values.items())
            output = temporary / MEMBERS / member.name
            generate_deck(replace(request, settings=(*request.settings, *words), output=output))
        record = {
            "schema": SCHEMA,
            "protocol": request.protocol,
            "settings": list(request.settings),
            "members": [{"name": m.name, "values": dict(m.values)} for m in members],
        }
        write_atomic(temporary / RECORD, json.dumps(record, indent=2) + "\n")
        temporary.replace(directory)  # an empty folder of this name is replaced


def read_ensemble(directory: Path) -> Ensemble:
    """Read an ensemble that ``new_ensemble`` wrote."""
    record = read_record(
        directory / RECORD, SCHEMA, kind="an ensemble", mend="make the ensemble again"
    )
    return Ensemble(
        directory,
        tuple(
            Member(each["name"], directory / MEMBERS / each["name"], each["values"])
            for each in record["members"]
        ),
    )


def count_states(ensemble: Ensemble) -> dict[str, int]:
    """Count the members in each state."""
    return dict(Counter(member.state for member in ensemble.members))


def collect(ensemble: Ensemble) -> Path:
    """Write one table with a line for each member: ``results.csv``.

    Of a finished member: averages over the second half of its last stage, with units in the
    column names. Of any other: its state and the reason.
    """
    varied = list(dict.fromkeys(k for member in ensemble.members for k in member.values))
    names = {"Temp": "temperature_K", "PotEng": "energy_eV", "Press": "pressure_bar",
             "Volume": "volume_A3"}  # fmt: skip
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ["member", *varied, "state", "reason", "stage", "steps", *(names[k] for k in AVERAGED)]
    )
    for member in ensemble.members:
        values = [member.values.get(k, "") for k in varied]
        writer.writerow([member.name, *values, *_results(member)])
    path = ensemble.directory / RESULTS
    write_atomic(path, text.getvalue())
    return path


def _results(member: Member) -> list[str]:
    state = member.state
    blank = ["", "", *("" for _ in AVERAGED)]
    if state != "finished":
        return [state, member.reason, *blank]
    try:
        last = join_parts(read_log(member.directory / "log.lammps"))[-1]
    except (InputError, MissingFileError) as error:
        return [state, str(error), *blank]
    steps = last.columns["Step"]
    late = steps >= (steps[0] + steps[-1]) / 2
    averages = [f"{float(np.mean(last.columns[k][late])):.8g}" for k in AVERAGED]
    return [state, "", last.stage, f"{steps[-1]:.0f}", *averages]


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise InputError("seeds: none; give a number of members of at least 1")
    if len(set(seeds)) != len(seeds):
        raise InputError("seeds: one occurs twice; its members would be the same run")
