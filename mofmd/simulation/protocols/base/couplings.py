"""What the protocols with a thermostat, and those with a barostat too, share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mofmd.simulation.protocols.base.fields import positive
from mofmd.simulation.protocols.base.protocol import Protocol, Variable
from mofmd.units import FS_TO_PS


@dataclass(frozen=True, kw_only=True)
class Thermostatted(Protocol):
    """Constant temperature, or a ramp of it: a Nosé-Hoover chain.

    Parameters
    ----------
    thermostat_damping_fs
        100 fs ("MLP-based molecular dynamics").
    """

    thermostat_damping_fs: float = positive(100.0)

    @property
    def thermostat(self) -> Variable:
        """Variable of the thermostat."""
        return Variable("damping", self.thermostat_damping_fs * FS_TO_PS, "ps, of the thermostat")

    def _check_together(self) -> None:
        super()._check_together()
        self._check_damping("thermostat_damping_fs", self.timestep_fs)


@dataclass(frozen=True, kw_only=True)
class Barostatted(Thermostatted):
    """Constant temperature and stress: the cell moves, by a Nosé-Hoover chain too.

    Parameters
    ----------
    pressure_damping_fs
        1000 fs ("MLP-based molecular dynamics").
    """

    pressure_damping_fs: float = positive(1000.0)

    NEEDS_STRESS: ClassVar[bool] = True

    @property
    def barostat(self) -> Variable:
        """Variable of the barostat."""
        return Variable("pressure_damping", self.pressure_damping_fs * FS_TO_PS, "ps")

    def _check_together(self) -> None:
        super()._check_together()
        self._check_damping("pressure_damping_fs", self.timestep_fs)
