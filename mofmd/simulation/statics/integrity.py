"""What became of a framework: coordination of its metals, its linkers."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

from mofmd.analysis.structure.coordination import neighbours_of_each
from mofmd.analysis.structure.linkers import count_whole
from mofmd.errors import InputError
from mofmd.topology.building_units import find_linkers
from mofmd.topology.metal_donors import metal_donors
from mofmd.trajectory.frame import Frame


def compare(before: Atoms, after: Atoms) -> dict[str, Any]:
    """Compare a framework with what it was.

    Parameters
    ----------
    before, after
        The same atoms in the same order.

    Returns
    -------
    dict
        ``coordination``: of each metal by each donor, the mean number before and after;
        ``linkers``, ``linkers_intact``: how many there were, and are whole; ``caps``,
        ``caps_intact``: the same of caps, which are no linkers. What a structure without metals,
        linkers or caps has not is absent.
    """
    first, last = Frame.from_ase(before), Frame.from_ase(after)
    found: dict[str, Any] = {}
    coordination = {}
    for each in _donors(first):
        pair = (each.metal, each.donor)
        coordination["-".join(pair)] = [
            float(np.mean(neighbours_of_each(frame, pair, each.cutoff_A)))
            for frame in (first, last)
        ]
    if coordination:
        found["coordination"] = coordination
    linkers = find_linkers(first)
    whole = count_whole(last, linkers)
    for name, total, left in (
        ("linkers", linkers.n_linkers, whole.linkers),
        ("caps", linkers.n_caps, whole.caps),
    ):
        if total:
            found |= {name: total, f"{name}_intact": left}
    return found


def _donors(frame: Frame) -> list[Any]:
    try:
        return metal_donors(frame)
    except InputError:  # it has no metals
        return []
