"""PV: volume as a function of pressure at constant temperature."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mofmd.simulation.protocols.base import Protocol, Row, Variable, table_variables
from mofmd.simulation.protocols.fields import choice, non_negative, number_list, positive
from mofmd.units import FS_TO_PS


@dataclass(frozen=True, kw_only=True)
class PressureGrid(Protocol):
    """V(P) by (N, P, T) runs at one pressure after the other.

    Parameters
    ----------
    temperature_K
        300 K.
    pressures_bar
        Compression positive, in the order in which they are visited (ours).
    equilibration_ps, sampling_ps
        At each pressure, before and while the volume is measured: 100 ps each (ours).
    coupling
        What the cell may change: ``iso``, ``aniso`` or ``tri``.
    thermostat_damping_fs, pressure_damping_fs
        100 fs and 1000 fs ("MLP-based molecular dynamics").
    """

    temperature_K: float = positive(300.0)
    pressures_bar: tuple[float, ...] = number_list((0.0, 250.0, 500.0, 750.0, 1000.0))
    equilibration_ps: float = non_negative(100.0)
    sampling_ps: float = positive(100.0)
    coupling: str = choice("tri", ("iso", "aniso", "tri"))
    thermostat_damping_fs: float = positive(100.0)
    pressure_damping_fs: float = positive(1000.0)

    NAME: ClassVar[str] = "pressure_grid"
    NEEDS_STRESS: ClassVar[bool] = True

    @property
    def hottest_kelvin(self) -> float:
        """The temperature [K]."""
        return self.temperature_K

    @property
    def rows(self) -> list[Row]:
        """Table of stages; its further column is pressure."""
        rows = []
        for number, pressure_bar in enumerate(self.pressures_bar, start=1):
            rows += [
                Row(f"equilibrate_{number}", self.steps(self.equilibration_ps), (pressure_bar,)),
                Row(f"sample_{number}", self.steps(self.sampling_ps), (pressure_bar,)),
            ]
        return rows

    @property
    def stage_steps(self) -> dict[str, int]:
        """Steps of each stage."""
        return {row.stage: row.steps for row in self.rows if row.steps > 0}

    def own_variables(self, rotation: np.ndarray) -> list[Variable]:
        """Variables of pressure_grid.in."""
        del rotation
        return [
            Variable("temperature", self.temperature_K, "K"),
            Variable("timestep_md", self.timestep_fs * FS_TO_PS, "ps"),
            Variable("coupling", self.coupling),
            Variable("box", "triclinic" if self.coupling == "tri" else "as_it_is"),
            Variable("damping", self.thermostat_damping_fs * FS_TO_PS, "ps, of the thermostat"),
            Variable("pressure_damping", self.pressure_damping_fs * FS_TO_PS, "ps"),
            *table_variables(self.rows, ("pressure",)),
        ]

    def _check_together(self) -> None:
        super()._check_together()
        self._check_damping("thermostat_damping_fs", self.timestep_fs)
        self._check_damping("pressure_damping_fs", self.timestep_fs)
