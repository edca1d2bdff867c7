"""What each atom of a cluster is there for."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Role of an atom in a cluster.

    The core is what is to be learned, the mantle surrounds it as the framework does, and a cap is
    a hydrogen atom where a bond was cut.
    """

    CORE = "core"
    MANTLE = "mantle"
    CAP = "cap"
