"""Whole structures by their features: which of a pool to take, and how to deal sets out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.select.descriptor import Descriptor
from mofmd.learning.select.features import ModelFeatures
from mofmd.learning.select.picking import Features, pick_farthest, standardised
from mofmd.structures.symmetry import symmetry_search

_ONE = "structure"  # in the place of an element: a structure is a point
# space groups of the crystal systems, up to and with
CRYSTAL_SYSTEMS = {
    "triclinic": 2,
    "monoclinic": 15,
    "orthorhombic": 74,
    "tetragonal": 142,
    "trigonal": 167,
    "hexagonal": 194,
    "cubic": 230,
}


def mean_features(frames: Sequence[Atoms], model: Path | None) -> np.ndarray:
    """(frames, features) means over the atoms of each frame.

    By the model of a file, or by the descriptor of distances and angles, to which the share of each
    element is added: its features are those of the neighbours.
    """
    if model is not None:
        features = ModelFeatures(model)
        rows = []
        for frame in frames:
            (found,) = features.of_frames([frame])
            rows.append(np.concatenate(list(found.values())).mean(axis=0))
        return np.array(rows)
    elements = tuple(sorted({str(symbol) for frame in frames for symbol in set(frame.symbols)}))
    descriptor = Descriptor(elements)
    return np.array(
        [
            [
                *descriptor.of_atoms(frame).mean(axis=0),
                *(np.mean(frame.symbols == element) for element in elements),
            ]
            for frame in frames
        ]
    )


def pick_structures(
    pool: np.ndarray,
    wanted: int,
    known: np.ndarray | None = None,
    groups: Sequence[str] = (),
) -> list[int]:
    """Pick structures, one after the other, farthest in features from those taken so far.

    Parameters
    ----------
    pool
        (structures, features) to pick from.
    wanted
        Number of structures.
    known
        (structures, features) that are taken already; the same features.
    groups
        Of each structure of the pool: the first picks are of groups of which none is taken yet.

    Returns
    -------
    list of int
        Rows in the order in which they were picked; of structures with the same features one only.
    """
    rows = [{_ONE: row[None]} for row in pool]
    taken = [] if known is None else [{_ONE: row[None]} for row in known]
    scaled, scaled_known = standardised(rows, taken)
    if not groups:
        return pick_farthest(scaled, wanted, scaled_known)
    found: list[int] = []
    for group in dict.fromkeys(groups):  # in the pool's order
        if len(found) == wanted:
            break
        there = [k for k, name in enumerate(groups) if name == group]
        before: list[Features] = [*scaled_known, *(scaled[k] for k in found)]
        found += [there[k] for k in pick_farthest([scaled[k] for k in there], 1, before)]
    rest = [k for k in range(len(pool)) if k not in found]
    more = min(wanted - len(found), len(rest))
    if more > 0:
        before = [*scaled_known, *(scaled[k] for k in found)]
        found += [rest[k] for k in pick_farthest([scaled[k] for k in rest], more, before)]
    return found


def crystal_system(atoms: Atoms, tolerance_A: float = 0.01) -> str:
    """Name the crystal system of the space group that a structure has within a tolerance.

    Raises
    ------
    InputError
        If no symmetry is found.
    """
    from ase.spacegroup.symmetrize import check_symmetry

    with symmetry_search(atoms, tolerance_A):
        found = check_symmetry(atoms, tolerance_A)
    if found is None:
        raise InputError(f"no space group found within {tolerance_A:g} Å")
    return next(name for name, last in CRYSTAL_SYSTEMS.items() if found.number <= last)
