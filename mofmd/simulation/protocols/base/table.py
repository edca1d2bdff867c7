"""Tables of stages: protocols that visit one state after the other."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

from mofmd.simulation.protocols.base.couplings import Thermostatted
from mofmd.simulation.protocols.base.fields import positive
from mofmd.simulation.protocols.base.protocol import Protocol, Variable
from mofmd.units import FS_TO_PS


class Row(NamedTuple):
    """A stage of a protocol whose table of stages is written into the deck.

    Parameters
    ----------
    stage
        Its name.
    steps
        Of dynamics.
    values
        Its values in the further columns.
    """

    stage: str
    steps: int
    values: tuple[str | float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tabulated(Protocol):
    """A protocol whose deck holds its table of stages."""

    @property
    @abstractmethod
    def rows(self) -> list[Row]:
        """Table of stages."""

    @property
    def stage_steps(self) -> dict[str, int]:
        """Steps of each stage."""
        return {row.stage: row.steps for row in self.rows if row.steps > 0}

    def table(self, *columns: str) -> list[Variable]:
        """Columns of the table as LAMMPS variables; what is the same in all rows is not one.

        Parameters
        ----------
        columns
            Names of the columns beyond stage and steps, which the protocol's script names too.
        """
        kept = [row for row in self.rows if row.steps > 0]
        return [
            Variable("stage", tuple(row.stage for row in kept)),
            Variable("steps", tuple(row.steps for row in kept)),
            *(
                Variable(name, tuple(row.values[k] for row in kept))
                for k, name in enumerate(columns)
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class Isothermal(Tabulated, Thermostatted):
    """A table of stages at one temperature.

    Parameters
    ----------
    temperature_K
        300 K.
    """

    temperature_K: float = positive(300.0)

    @property
    def hottest_kelvin(self) -> float:
        """The temperature [K]."""
        return self.temperature_K

    @property
    def conditions(self) -> list[Variable]:
        """Temperature and timestep, the same in all stages."""
        return [
            Variable("temperature", self.temperature_K, "K"),
            Variable("timestep_md", self.timestep_fs * FS_TO_PS, "ps"),
        ]
