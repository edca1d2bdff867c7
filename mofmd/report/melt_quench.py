"""What a melt-quench run shows: crystal, melt and glass compared, and how it got there."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.analysis.building_units import LinkerIntegrity, find_linkers, linkers_intact
from mofmd.analysis.coordination import Coordination, coordination_numbers
from mofmd.analysis.rdf import RadialDistribution, radial_distribution
from mofmd.engine.files import write_atomic
from mofmd.engine.lammps_log import ThermoTable, join_stages
from mofmd.errors import InputError
from mofmd.simulation.run import Run
from mofmd.trajectory.dump import Trajectory, read_dump

SCHEMA = "mofmd-melt-quench-1"
# the state that is measured in the second half of each of these stages
STATES = MappingProxyType({"crystal": "equilibrate", "melt": "melt", "glass": "anneal"})
PAIR = ("Zn", "N")


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
        Zn-N radial distribution function.
    coordination
        Mean Zn-N coordination number.
    temperature_K
        Mean temperature.
    energy_eV_per_atom
        Mean potential energy.
    frames
        Frames used.
    """

    rdf: RadialDistribution
    coordination: float
    temperature_K: float
    energy_eV_per_atom: float
    frames: int


@dataclass(frozen=True)
class MeltQuenchResults:
    """Results of one run; arrays are read-only.

    Parameters
    ----------
    stages
        Stages of the dynamics, in order.
    states
        Crystal, melt and glass.
    thermo
        Step, Time [ps], Temp [K], PotEng [eV] and Press [bar], one value per line of the log.
    minimum_energy_eV_per_atom
        Potential energy of the minimised crystal.
    frame_times_ps
        (frames,) times of the frames that the next two belong to.
    coordination, integrity
        Zn-N coordination and intact linkers of each frame.
    incomplete_frame
        Whether the trajectory ended within a frame.
    """

    stages: tuple[Stage, ...]
    states: Mapping[str, State]
    thermo: Mapping[str, np.ndarray]
    minimum_energy_eV_per_atom: float
    frame_times_ps: np.ndarray
    coordination: Coordination
    integrity: LinkerIntegrity
    incomplete_frame: bool


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
    names, thermo = join_stages(dynamics, ("Step", "Time", "Temp", "PotEng", "Press"))
    for column in thermo.values():
        column.setflags(write=False)
    stages = tuple(_stage(table) for table in dynamics)
    coordination = coordination_numbers(trajectory, PAIR)
    linkers = find_linkers(crystal.repeat(protocol["supercell"]))
    states = {
        state: _state(stage, trajectory, coordination, thermo)
        for state, name in STATES.items()
        for stage in stages
        if stage.name == name and stage.end_step > stage.start_step
    }
    frame_times_ps = trajectory.timesteps * protocol["timestep_fs"] * 1e-3
    return MeltQuenchResults(
        stages=stages,
        states=MappingProxyType(states),
        thermo=MappingProxyType(thermo),
        minimum_energy_eV_per_atom=_minimum_energy(run.tables) / len(trajectory.species),
        frame_times_ps=frame_times_ps,
        coordination=coordination,
        integrity=linkers_intact(trajectory, linkers),
        incomplete_frame=trajectory.incomplete_frame,
    )
