"""Protocols: what is simulated, as typed records with the units in their names."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from mofmd.errors import InputError
from mofmd.units import FS_TO_PS


@dataclass(frozen=True)
class MeltQuench:
    """Crystal to glass at constant volume: equilibrate, heat, melt, quench, anneal.

    Defaults are those of Castel et al., Digital Discovery 2024, 3, 355 (doi:10.1039/d3dd00236e),
    section "Melt-quenching" unless another one is named. The whole procedure is (N, V, T).

    Parameters
    ----------
    temperature_K
        Temperature of the crystal and of the glass: 300 K.
    temperature_max_K
        Temperature of the melt: 1500 K.
    rate_K_per_ps
        Rate of heating and of cooling: 20 K/ps.
    equilibration_ps
        Crystal at ``temperature_K``: 20 ps, from the input file published with the paper.
    plateau_ps
        Melt at ``temperature_max_K``: 50 ps, enough to melt ZIF-4 at 1500 K.
    anneal_ps
        Glass at ``temperature_K``, during which its properties are measured: 100 ps.
    timestep_fs
        0.5 fs ("MLP-based molecular dynamics"); the authors take 0.25 fs above 1500 K.
    thermostat_damping_fs
        Of the Nosé-Hoover thermostat: 100 fs ("MLP-based molecular dynamics").
    frame_interval_fs
        Between frames of the trajectory: 100 fs ("Structural properties").
    thermo_interval_fs
        Between lines of the log: 25 fs, the window of the moving average in Fig. 5.
    restart_interval_ps
        Between restart files: 10 ps (ours).
    supercell
        Repetitions of the structure along a, b, c: 2 × 2 × 2.
    seed
        Of the first velocities: members of an ensemble differ by it.
    minimise_steps_max
        Steps of minimisation before the dynamics, at most (the published input: 20000).
    """

    temperature_K: float = 300.0
    temperature_max_K: float = 1500.0
    rate_K_per_ps: float = 20.0
    equilibration_ps: float = 20.0
    plateau_ps: float = 50.0
    anneal_ps: float = 100.0
    timestep_fs: float = 0.5
    thermostat_damping_fs: float = 100.0
    frame_interval_fs: float = 100.0
    thermo_interval_fs: float = 25.0
    restart_interval_ps: float = 10.0
    supercell: tuple[int, int, int] = (2, 2, 2)
    seed: int = 20240
    minimise_steps_max: int = 20000

    def __post_init__(self) -> None:
        """Refuse values that cannot be run, by the name of the field."""
        for field in fields(self):
            if field.type == "float":
                self._check_number(field.name)
        for name in ("seed", "minimise_steps_max"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name}: {value!r}, expected a whole number of at least 1")
        if len(self.supercell) != 3 or any(not isinstance(n, int) or n < 1 for n in self.supercell):
            raise InputError(f"supercell: {self.supercell}, expected three whole numbers ≥ 1")
        if self.temperature_max_K < self.temperature_K:
            raise InputError(
                f"temperature_max_K: {self.temperature_max_K:g} is below temperature_K "
                f"{self.temperature_K:g}"
            )
        if self.thermostat_damping_fs < 10 * self.timestep_fs:
            raise InputError(
                f"thermostat_damping_fs: {self.thermostat_damping_fs:g} fs is below ten timesteps "
                f"of {self.timestep_fs:g} fs; the paper's is 100 fs"
            )

    @classmethod
    def fast(cls) -> MeltQuench:
        """Schedule of the demonstration: 5 ps of one cell, minutes on two cores.

        It shows every stage, at the paper's temperatures, but makes no glass worth measuring:
        ramps are 100 times as steep as the paper's and the melt lasts 2.3 ps instead of 50.
        """
        return cls(
            rate_K_per_ps=2000.0,
            equilibration_ps=0.5,
            plateau_ps=2.3,
            anneal_ps=1.0,
            frame_interval_fs=10.0,
            thermo_interval_fs=10.0,
            restart_interval_ps=1.0,
            supercell=(1, 1, 1),
            minimise_steps_max=20,
        )

    @property
    def ramp_ps(self) -> float:
        """Time of each of the two ramps [ps]."""
        return (self.temperature_max_K - self.temperature_K) / self.rate_K_per_ps

    @property
    def total_ps(self) -> float:
        """Simulated time [ps]."""
        return self.equilibration_ps + 2 * self.ramp_ps + self.plateau_ps + self.anneal_ps

    @property
    def total_steps(self) -> int:
        """Steps of dynamics, as the deck runs them."""
        times = (self.equilibration_ps, self.ramp_ps, self.ramp_ps, self.plateau_ps, self.anneal_ps)
        return sum(self.steps(time) for time in times)

    def steps(self, time_ps: float) -> int:
        """Whole number of steps nearest to a time [ps]."""
        return math.floor(time_ps / (self.timestep_fs * FS_TO_PS) + 0.5)

    def _check_number(self, name: str) -> None:
        value = getattr(self, name)
        zero_allowed = name in ("equilibration_ps", "plateau_ps", "anneal_ps")
        least = "zero or more" if zero_allowed else "more than zero"
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value) or value < 0 or (value == 0 and not zero_allowed):
            raise InputError(f"{name}: {value!r}, expected a number of {least}")
        # 300 and 300.0 are the same protocol and must give the same manifest
        object.__setattr__(self, name, float(value))
