"""NVE: constant energy."""

from dataclasses import dataclass
from typing import ClassVar

from mofmd.simulation.protocols.base.protocol import Dynamics


@dataclass(frozen=True, kw_only=True)
class NVE(Dynamics):
    """Constant energy and volume, with first velocities for ``temperature_K``.

    The test of a potential and a timestep: the total energy must not drift.
    """

    NAME: ClassVar[str] = "nve"
