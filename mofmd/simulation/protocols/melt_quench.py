"""Melt-quench: from crystal to glass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.errors import InputError
from mofmd.simulation.protocols.base.couplings import Thermostatted
from mofmd.simulation.protocols.base.fields import non_negative, positive
from mofmd.simulation.protocols.base.protocol import Variable, nearest_steps
from mofmd.units import FS_TO_PS


@dataclass(frozen=True, kw_only=True)
class MeltQuench(Thermostatted):
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
    temperature_hot_K, timestep_hot_fs
        Above 1500 K the timestep is 0.25 fs ("MLP-based molecular dynamics").
    """

    temperature_K: float = positive(300.0)
    temperature_max_K: float = positive(1500.0)
    rate_K_per_ps: float = positive(20.0)
    equilibration_ps: float = non_negative(20.0)
    plateau_ps: float = non_negative(50.0)
    anneal_ps: float = non_negative(100.0)
    temperature_hot_K: float = positive(1500.0)
    timestep_hot_fs: float = positive(0.25)

    NAME: ClassVar[str] = "melt_quench"

    @classmethod
    def fast(cls) -> MeltQuench:
        """Schedule for a demonstration: one cell, minutes on two cores.

        It shows every stage but makes no glass worth measuring: ramps are 100 times as steep as the
        paper's, the melt lasts 2.5 ps instead of 50, and it is kept at 1300 K: above that the
        paper's Allegro model broke linkers now and then, as does the one of the package.
        """
        return cls(
            temperature_max_K=1300.0,
            rate_K_per_ps=2000.0,
            equilibration_ps=0.5,
            plateau_ps=2.5,
            anneal_ps=1.0,
            frame_interval_fs=10.0,
            thermo_interval_fs=10.0,
            restart_interval_ps=1.0,
            supercell=(1, 1, 1),
            minimise_steps_max=20,
        )

    @classmethod
    def for_allegro(cls) -> MeltQuench:
        """Milder schedule of the same paper for its Allegro model: 100 ps at 1400 K.

        Section "Generation of glass models": above 1300 K that model broke linkers now and then.
        """
        return cls(temperature_max_K=1400.0, plateau_ps=100.0)

    @property
    def ramp_ps(self) -> float:
        """Time of each of the two ramps [ps]."""
        return (self.temperature_max_K - self.temperature_K) / self.rate_K_per_ps

    @property
    def total_ps(self) -> float:
        """Simulated time [ps]."""
        return self.equilibration_ps + 2 * self.ramp_ps + self.plateau_ps + self.anneal_ps

    @property
    def hottest_kelvin(self) -> float:
        """Temperature of the melt [K]."""
        return self.temperature_max_K

    @property
    def timesteps_fs(self) -> dict[float, float]:
        """Highest temperature [K] that each timestep [fs] is used at."""
        if not self._hot:
            return {self.timestep_fs: self.temperature_max_K}
        return {
            self.timestep_fs: self.temperature_hot_K,
            self.timestep_hot_fs: self.temperature_max_K,
        }

    @property
    def stage_steps(self) -> dict[str, int]:
        """Steps of each stage, as melt_quench.in counts them."""
        ramp = self.steps((self._cut_kelvin - self.temperature_K) / self.rate_K_per_ps)
        ramp_hot = nearest_steps(
            (self.temperature_max_K - self._cut_kelvin) / self.rate_K_per_ps, self.timestep_hot_fs
        )
        melt_timestep_fs = self.timestep_hot_fs if self._hot else self.timestep_fs
        return {
            "equilibrate": self.steps(self.equilibration_ps),
            "heat": ramp,
            "heat_hot": ramp_hot,
            "melt": nearest_steps(self.plateau_ps, melt_timestep_fs),
            "quench_hot": ramp_hot,
            "quench": ramp,
            "anneal": self.steps(self.anneal_ps),
        }

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of melt_quench.in."""
        del rotation
        return [
            Variable("temperature", self.temperature_K, "K, of the crystal and of the glass"),
            Variable("temperature_max", self.temperature_max_K, "K, of the melt"),
            Variable("rate", self.rate_K_per_ps, "K/ps, of heating and of cooling"),
            Variable("equilibration", self.equilibration_ps, "ps"),
            Variable("plateau", self.plateau_ps, "ps at temperature_max"),
            Variable("anneal", self.anneal_ps, "ps"),
            Variable("timestep_cold", self.timestep_fs * FS_TO_PS, "ps"),
            Variable("timestep_hot", self.timestep_hot_fs * FS_TO_PS, "ps, above temperature_hot"),
            Variable("temperature_hot", self.temperature_hot_K, "K"),
            self.thermostat,
        ]

    @property
    def _hot(self) -> bool:
        return self.temperature_max_K > self.temperature_hot_K

    @property
    def _cut_kelvin(self) -> float:
        """Where the ramps change their timestep [K]."""
        return min(self.temperature_hot_K, self.temperature_max_K)

    def _check_together(self) -> None:
        super()._check_together()
        if self.temperature_max_K < self.temperature_K:
            raise InputError(
                f"temperature_max_K: {self.temperature_max_K:g} is below temperature_K "
                f"{self.temperature_K:g}; a melt is hotter than the crystal"
            )
        if self._hot and self.temperature_hot_K < self.temperature_K:
            raise InputError(
                f"temperature_hot_K: {self.temperature_hot_K:g} is below temperature_K "
                f"{self.temperature_K:g}; set timestep_fs instead"
            )
        if self._hot and self.timestep_hot_fs > self.timestep_fs:
            raise InputError(
                f"timestep_hot_fs: {self.timestep_hot_fs:g} is above timestep_fs "
                f"{self.timestep_fs:g}; hotter atoms need a shorter step"
            )
