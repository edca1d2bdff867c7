"""What every protocol has: how it is sampled and saved, and what a deck asks of it."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, get_args

import numpy as np

from mofmd.errors import InputError
from mofmd.simulation.protocols.base.fields import (
    check_fields,
    choice,
    non_negative,
    positive,
    whole,
    wholes,
)
from mofmd.units import FS_TO_PS

DAMPING_STEPS_LEAST = 10
STEPS_MAX = 2**31 - 1  # of a minimisation: LAMMPS keeps the number in four bytes
SEED_MAX = 2**31 - 2  # of LAMMPS's generator (Park and Miller), whose modulus is one more
COUNTED_MAX = 2**53  # steps that a number of LAMMPS's scripts counts exactly

FrameData = Literal["positions", "velocities"]
DUMPED: dict[FrameData, str] = {"positions": "xu yu zu", "velocities": "xu yu zu vx vy vz"}


class Variable(NamedTuple):
    """A LAMMPS variable of a deck.

    Parameters
    ----------
    name, value
        As in the script that uses it; the value is in LAMMPS's unit, or a column of the table of
        stages.
    comment
        Unit and meaning.
    """

    name: str
    value: str | float | tuple[str | float, ...]
    comment: str = ""


@dataclass(frozen=True, kw_only=True)
class Protocol(ABC):
    """A protocol: a typed record; a LAMMPS script of the same name is its procedure.

    Defaults are those of Castel et al., Digital Discovery 2024, 3, 355 (doi:10.1039/d3dd00236e),
    unless another source is named.

    Parameters
    ----------
    supercell
        Repetitions of the structure along a, b, c: 2 × 2 × 2.
    timestep_fs
        0.5 fs ("MLP-based molecular dynamics").
    frame_interval_fs
        Between frames of the trajectory: 100 fs ("Structural properties").
    frame_data
        What frames hold of each atom: its position, or ``velocities`` too, which the velocity
        autocorrelation needs (observable ``vacf``, with frames a few fs apart).
    thermo_interval_fs
        Between lines of the log: 25 fs, the window of the moving average in Fig. 5.
    restart_interval_ps
        Between restart files, from which a run continues: 10 ps (ours).
    minimise_steps_max
        Steps of minimisation before the dynamics, at most (the input published with the paper:
        20000); 0 leaves the structure as it is.
    seed
        Of the first velocities: members of an ensemble differ by it.
    """

    supercell: tuple[int, int, int] = wholes((2, 2, 2))
    timestep_fs: float = positive(0.5)
    frame_interval_fs: float = positive(100.0)
    frame_data: FrameData = choice("positions", get_args(FrameData))
    thermo_interval_fs: float = positive(25.0)
    restart_interval_ps: float = positive(10.0)
    minimise_steps_max: int = whole(20000, least=0, most=STEPS_MAX)
    seed: int = whole(20240, most=SEED_MAX)

    NAME: ClassVar[str]
    NEEDS_STRESS: ClassVar[bool] = False

    @property
    def needs_stress(self) -> bool:
        """Whether the cell answers to the stress, or the stress is what it measures."""
        return self.NEEDS_STRESS

    def __post_init__(self) -> None:
        """Refuse values that cannot be run, by the name of the field."""
        check_fields(self)
        self._check_together()

    @property
    def script(self) -> str:
        """Name of the LAMMPS script in ``lammps_inputs/``."""
        return f"{self.NAME}.in"

    @property
    @abstractmethod
    def stage_steps(self) -> dict[str, int]:
        """Steps of each stage of the dynamics, in order, as the script runs them."""

    @property
    @abstractmethod
    def hottest_kelvin(self) -> float:
        """Highest temperature that is meant to occur [K]."""

    @abstractmethod
    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of the protocol's own script.

        Parameters
        ----------
        rotation
            (3, 3) rotation from the structure's axes to LAMMPS's: v_lammps = v @ rotation.
        """

    @property
    def total_steps(self) -> int:
        """Steps of dynamics."""
        return sum(self.stage_steps.values())

    @property
    def timesteps_fs(self) -> dict[float, float]:
        """Highest temperature [K] that each timestep [fs] is used at: {timestep: temperature}."""
        return {self.timestep_fs: self.hottest_kelvin}

    def steps(self, time_ps: float) -> int:
        """Whole number of steps nearest to a time [ps]."""
        return nearest_steps(time_ps, self.timestep_fs)

    def variables(self, rotation: np.ndarray) -> list[Variable]:
        """All variables of the deck's scripts, the system and the potential apart."""
        return [
            *self.own_variables(rotation),
            Variable("seed", self.seed, "of the first velocities"),
            Variable("minimise_steps_max", self.minimise_steps_max),
            Variable("thermo_interval", self.thermo_interval_fs * FS_TO_PS, "ps"),
            Variable("frame_interval", self.frame_interval_fs * FS_TO_PS, "ps"),
            Variable("frame_columns", DUMPED[self.frame_data]),
            Variable("restart_interval", self.restart_interval_ps, "ps"),
        ]

    def _check_together(self) -> None:
        """Refuse fields that do not fit each other."""
        self._check_at_least_a_step("restart_interval_ps", self.restart_interval_ps / FS_TO_PS)
        self._check_at_least_a_step("thermo_interval_fs", self.thermo_interval_fs)
        self._check_at_least_a_step("frame_interval_fs", self.frame_interval_fs)

    def _check_at_least_a_step(self, name: str, time_fs: float) -> None:
        if time_fs < self.timestep_fs:
            raise InputError(
                f"{name}: {getattr(self, name):g} is shorter than timestep_fs, "
                f"{self.timestep_fs:g} fs; make it longer"
            )

    def _check_damping(self, name: str, timestep_fs: float) -> None:
        damping_fs: float = getattr(self, name)
        if damping_fs < DAMPING_STEPS_LEAST * timestep_fs:
            raise InputError(
                f"{name}: {damping_fs:g} fs is below ten timesteps of {timestep_fs:g} fs; "
                "the Nosé-Hoover chain would be unstable: take a longer one"
            )


@dataclass(frozen=True, kw_only=True)
class Dynamics(Protocol):
    """Molecular dynamics of one stage at one temperature.

    Parameters
    ----------
    temperature_K
        300 K.
    time_ps
        100 ps ("Structural properties": averages over 100 ps).
    """

    temperature_K: float = positive(300.0)
    time_ps: float = non_negative(100.0)

    @property
    def stage_steps(self) -> dict[str, int]:
        """Steps of the one stage."""
        return {self.NAME: self.steps(self.time_ps)}

    @property
    def hottest_kelvin(self) -> float:
        """The temperature [K]."""
        return self.temperature_K

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Temperature, time and timestep."""
        del rotation
        return [
            Variable("temperature", self.temperature_K, "K"),
            Variable("time", self.time_ps, "ps"),
            Variable("timestep", self.timestep_fs * FS_TO_PS, "ps"),
        ]


def nearest_steps(time_ps: float, timestep_fs: float) -> int:
    """Whole number of steps nearest to a time, halves upwards, as LAMMPS's scripts count.

    Raises
    ------
    InputError
        If a time of more than zero makes no step, or more than can be counted.
    """
    steps = math.floor(time_ps / (timestep_fs * FS_TO_PS) + 0.5)
    if steps == 0 and time_ps > 0:
        raise InputError(
            f"time: {time_ps:g} ps is shorter than half a timestep of {timestep_fs:g} fs, so that "
            "no step is made; make it longer"
        )
    if steps > COUNTED_MAX:
        raise InputError(
            f"time: {time_ps:g} ps is {steps:.0e} timesteps of {timestep_fs:g} fs, more than can "
            "be counted; make it shorter"
        )
    return steps
