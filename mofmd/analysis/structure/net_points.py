"""The points that stand for a framework's net: its nodes, or its metals."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.topology.bonds import NON_METALS
from mofmd.topology.building_units import BuildingUnits, Cutoffs, find_units
from mofmd.topology.node_net import node_centres

Of = Literal["nodes", "metals"]


class NetPoints:
    """Nodes or metals of a framework, frame by frame.

    Parameters
    ----------
    frame
        First frame: its bonds tell what belongs to a node.
    of
        ``nodes`` (the mean position of a node's metals), or ``metals``; None takes nodes, but
        metals where nodes are endless rods or layers.
    name
        Of the observable, for errors.
    metal_cutoffs_A
        As for ``find_bonds``.
    """

    def __init__(
        self, frame: Frame, of: Of | None, name: str, metal_cutoffs_A: Cutoffs | None = None
    ) -> None:
        if of not in ("nodes", "metals", None):
            raise InputError(f"{name}: of is {of!r}, expected nodes or metals")
        elements = np.array(frame.species.elements)
        self._metals = np.flatnonzero(
            ~np.isin(elements, sorted(NON_METALS))[frame.species.codes],
        )
        if not len(self._metals):
            raise InputError(f"{name}: no metal in the structure, whose net is looked for")
        self._units: BuildingUnits | None = None
        if of != "metals":
            units = find_units(frame, metal_cutoffs_A=metal_cutoffs_A)
            if not units.endless_nodes.any():
                self._units = units
            elif of == "nodes":
                raise InputError(
                    f"{name}: nodes are rods or layers without a centre; take metals (command "
                    f"line: --set {name}.of=metals)"
                )
        self.of: Of = "metals" if self._units is None else "nodes"

    def of_frame(self, frame: Frame) -> np.ndarray:
        """(points, 3) positions [Å]."""
        if self._units is None:
            return np.asarray(frame.positions[self._metals])
        return node_centres(self._units, frame)
