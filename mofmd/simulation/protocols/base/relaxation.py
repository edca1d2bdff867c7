"""What the protocols without dynamics share: relaxations at 0 K."""

from __future__ import annotations

from dataclasses import dataclass

from mofmd.simulation.protocols.base.fields import non_negative
from mofmd.simulation.protocols.base.protocol import Protocol


@dataclass(frozen=True, kw_only=True)
class AtRest(Protocol):
    """Relaxations; nothing moves in time.

    Parameters
    ----------
    force_tolerance_eV_per_A
        Ends a relaxation: norm of the vector of all forces, 1e-4 eV/Å (ours).
    """

    force_tolerance_eV_per_A: float = non_negative(1e-4)

    @property
    def stage_steps(self) -> dict[str, int]:
        """There is no dynamics."""
        return {}

    @property
    def hottest_kelvin(self) -> float:
        """Atoms are at rest [K]."""
        return 0.0
