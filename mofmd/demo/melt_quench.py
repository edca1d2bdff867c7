"""What a melt-quench run shows: crystal, melt and glass compared, and how it got there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.analysis.base.result import Result, Table
from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.coordination import CoordinationNumber
from mofmd.analysis.structure.linkers import Integrity
from mofmd.analysis.structure.rdf import Rdf
from mofmd.disk.atomic import write_atomic
from mofmd.engine.lammps_log import ThermoTable, join_stages
from mofmd.errors import InputError
from mofmd.simulation.run.run import Run
from mofmd.structures.frame import Frame
from mofmd.topology.building_units import find_linkers
from mofmd.topology.metal_donors import metal_donors
from mofmd.trajectory.in_memory import Trajectory, read_dump

SCHEMA = "mofmd-melt-quench-1"
# the state that is measured in the second half of each of these stages
STATES = MappingProxyType({"crystal": "equilibrate", "melt": "melt", "glass": "anneal"})
RDF_MAX_A = 8.0


@dataclass(frozen=True)
class Stage:
    """A stage of the run.

    Parameters
    ----------
    name
        As in the LAMMPS script.
    start_step, end_step
        First and last step.
    start_ps, end_ps
        The same, as times.
    """

    name: str
    start_step: int
    end_step: int
    start_ps: float
    end_ps: float


@dataclass(frozen=True)
class State:
    """Averages over the second half of a stage.

    Parameters
    ----------
    rdf
        Radial distribution function of the metal and its donor: columns r [Å] and g.
    coordination
        Mean coordination number of the metal by its donor.
    temperature_K
        Mean temperature.
    energy_eV_per_atom
        Mean potential energy.
    frames
        Frames used.
    """

    rdf: Table
    coordination: float
    temperature_K: float
    energy_eV_per_atom: float
    frames: int


@dataclass(frozen=True)
class MeltQuenchResults:
    """Results of one run; arrays are read-only.

    Parameters
    ----------
    n_atoms
        Atoms simulated.
    stages
        Stages of the dynamics, in order.
    states
        Crystal, melt and glass.
    thermo
        Step, Time [ps], Temp [K], PotEng [eV] and Press [bar], one value per line of the log.
    minimum_energy_eV_per_atom
        Potential energy of the minimised crystal.
    timesteps, frame_times_ps
        (frames,) steps and times of the frames that the next two belong to.
    coordination, integrity
        Coordination of the metal by the donor that most of its bonds go to, and intact linkers:
        their series have a value for each frame.
    incomplete_frame
        Whether the trajectory ended within a frame.
    """

    n_atoms: int
    stages: tuple[Stage, ...]
    states: Mapping[str, State]
    thermo: Mapping[str, np.ndarray]
    minimum_energy_eV_per_atom: float
    timesteps: np.ndarray
    frame_times_ps: np.ndarray
    coordination: Result
    integrity: Result
    incomplete_frame: bool

    @property
    def pair(self) -> tuple[str, str]:
        """Metal and donor."""
        metal, donor = self.coordination.settings["pair"]
        return metal, donor

    @property
    def cutoff_A(self) -> float:
        """Longest bond of the metal and its donor [Å]."""
        return float(self.coordination.settings["cutoff_A"])

    @property
    def coordination_numbers(self) -> np.ndarray:
        """(frames,) mean coordination number of the metal."""
        return self.coordination.tables["series"].columns["number"].values

    @property
    def intact(self) -> np.ndarray:
        """(frames,) number of intact linkers."""
        return self.integrity.tables["series"].columns["intact"].values.astype(np.int64)

    @property
    def n_linkers(self) -> int:
        """Linkers of the crystal."""
        return int(self.integrity.scalars["linkers"].value)


def analyse_melt_quench(run: Run, crystal: Atoms) -> MeltQuenchResults:
    """Analyse a finished run.

    Parameters
    ----------
    run
        The run; its trajectory is read from the deck.
    crystal
        Structure that the deck was written for, before it was repeated: its linkers are followed.
    """
    protocol = run.deck.manifest["protocol"]
    trajectory = read_dump(run.deck.directory / "trajectory.dump")
    dynamics = [table for table in run.tables if table.stage != "minimise"]
    thermo = join_stages(dynamics, ("Step", "Time", "Temp", "PotEng", "Press"))
    for column in thermo.values():
        column.setflags(write=False)
    # a stage has a table for each part that a run was cut into
    stages = tuple(
        _stage(name, list(parts)) for name, parts in groupby(dynamics, lambda table: table.stage)
    )
    bonded = metal_donors(Frame.from_ase(crystal))[0]
    linkers = find_linkers(crystal.repeat(protocol["supercell"]))
    coordination, integrity = analyse(
        trajectory,
        [
            CoordinationNumber(bonded.metal, bonded.donor, bonded.cutoff_A, cut=0),
            Integrity(linkers, cut=0),
        ],
    )
    states = {
        state: _state(stage, trajectory, coordination, thermo)
        for state, name in STATES.items()
        for stage in stages
        if stage.name == name and stage.end_step > stage.start_step
    }
    # the timestep may change on the way: LAMMPS's own clock says when a frame was
    frame_times_ps = np.interp(trajectory.timesteps, thermo["Step"], thermo["Time"])
    return MeltQuenchResults(
        n_atoms=len(trajectory.species),
        stages=stages,
        states=MappingProxyType(states),
        thermo=MappingProxyType(thermo),
        minimum_energy_eV_per_atom=_minimum_energy(run.tables) / len(trajectory.species),
        timesteps=trajectory.timesteps,
        frame_times_ps=frame_times_ps,
        coordination=coordination,
        integrity=integrity,
        incomplete_frame=trajectory.incomplete_frame,
    )


def write_results(results: MeltQuenchResults, run: Run, directory: Path) -> None:
    """Write ``summary.json``, ``rdf.csv`` and ``timeseries.csv``."""
    summary = json.dumps(summarise(results, run), indent=2)
    write_atomic(directory / "summary.json", summary + "\n")
    write_atomic(directory / "rdf.csv", _rdf_table(results))
    write_atomic(directory / "timeseries.csv", _time_series(results))


def summarise(results: MeltQuenchResults, run: Run) -> dict[str, Any]:
    """Numbers of a run as plain values; units are in the names."""
    manifest = run.deck.manifest
    pair = _word(results)
    return {
        "schema": SCHEMA,
        "deck": run.deck.directory.name,
        "versions": manifest["versions"],
        "protocol": manifest["protocol"],
        "potential": manifest["potential"],
        "model_sha256": manifest["files"][manifest["potential"]["model"]],
        "n_atoms": manifest["structure"]["n_atoms"],
        "states": {
            name: {
                f"{pair}_coordination": state.coordination,
                "temperature_K": state.temperature_K,
                "energy_eV_per_atom": state.energy_eV_per_atom,
                "frames": state.frames,
            }
            for name, state in results.states.items()
        },
        f"{pair}_cutoff_A": results.cutoff_A,
        "linkers": results.n_linkers,
        "linkers_intact_fewest": int(results.intact.min()),
        "linkers_intact_final": int(results.intact[-1]),
        "final": {
            "temperature_K": float(results.thermo["Temp"][-1]),
            "energy_eV_per_atom": float(results.thermo["PotEng"][-1])
            / manifest["structure"]["n_atoms"],
            f"{pair}_coordination": float(results.coordination_numbers[-1]),
        },
        "minimum_energy_eV_per_atom": results.minimum_energy_eV_per_atom,
        "steps": run.steps,
        "frames": len(results.frame_times_ps),
        "incomplete_frame": results.incomplete_frame,
        "wall_s": round(run.wall_s, 2),
        "ms_per_step": run.ms_per_step,
        "lammps_warnings": list(run.warnings),
    }


def _stage(name: str, parts: Sequence[ThermoTable]) -> Stage:
    first, last = parts[0].columns, parts[-1].columns
    return Stage(
        name,
        int(first["Step"][0]),
        int(last["Step"][-1]),
        float(first["Time"][0]),
        float(last["Time"][-1]),
    )


def _state(
    stage: Stage,
    trajectory: Trajectory,
    coordination: Result,
    thermo: Mapping[str, np.ndarray],
) -> State:
    middle = (stage.start_step + stage.end_step) / 2
    frames = (trajectory.timesteps > middle) & (trajectory.timesteps <= stage.end_step)
    lines = (thermo["Step"] > middle) & (thermo["Step"] <= stage.end_step)
    if not frames.any() or not lines.any():
        raise InputError(
            f"stage {stage.name}: its second half holds no frame or no line of the log; "
            "shorten frame_interval_fs and thermo_interval_fs"
        )
    first, second = coordination.settings["pair"]
    (rdf,) = analyse(
        trajectory.select(frames), [Rdf(first, second, RDF_MAX_A, beyond_half_cell=True, cut=0)]
    )
    return State(
        rdf=rdf.tables["g"],
        coordination=float(coordination.tables["series"].columns["number"].values[frames].mean()),
        temperature_K=float(thermo["Temp"][lines].mean()),
        energy_eV_per_atom=float(thermo["PotEng"][lines].mean()) / len(trajectory.species),
        frames=int(frames.sum()),
    )


def _minimum_energy(tables: tuple[ThermoTable, ...]) -> float:
    energies = [table.columns["PotEng"][-1] for table in tables if table.stage == "minimise"]
    if not energies:
        raise InputError("the log holds no minimisation; was the deck run from its beginning?")
    return float(energies[-1])


def _word(results: MeltQuenchResults) -> str:
    """Metal and donor in the names of columns."""
    return "_".join(results.pair).lower()


def _rdf_table(results: MeltQuenchResults) -> str:
    """Table of g(r) for each state, without unit."""
    states = list(results.states.values())
    columns = [state.rdf.columns["g"].values for state in states]
    if states:
        columns.insert(0, states[0].rdf.columns["r"].values)
    return _csv(
        ["r_A", *(f"g_{_word(results)}_{name}" for name in results.states)],
        [[f"{value:.6g}" for value in row] for row in zip(*columns, strict=True)],
    )


def _time_series(results: MeltQuenchResults) -> str:
    """One line per line of the log and per frame; values that a line lacks are blank."""
    rows: dict[int, list[str]] = {}
    thermo = results.thermo
    n_atoms = results.n_atoms
    for step, time, temperature, energy in zip(
        thermo["Step"], thermo["Time"], thermo["Temp"], thermo["PotEng"], strict=True
    ):
        rows[int(step)] = [f"{time:.6g}", f"{temperature:.6g}", f"{energy / n_atoms:.9g}", "", ""]
    frames = zip(
        results.timesteps,
        results.frame_times_ps,
        results.coordination_numbers,
        results.intact,
        strict=True,
    )
    for step, time, number, intact in frames:
        row = rows.setdefault(int(step), [f"{time:.6g}", "", "", "", ""])
        row[3:] = [f"{number:.6g}", str(intact)]
    return _csv(
        [
            "step",
            "time_ps",
            "temperature_K",
            "energy_eV_per_atom",
            f"{_word(results)}_coordination",
            "linkers_intact",
        ],
        [[str(step), *rows[step]] for step in sorted(rows)],
    )


def _csv(header: list[str], rows: list[list[str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
