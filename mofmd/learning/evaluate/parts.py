"""Force errors of parts of the atoms: by origin of the frame, element, and role in a cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from ase import Atoms

from mofmd.learning.data.dataset import Labels
from mofmd.learning.evaluate.metrics import UNITS, force_errors, force_summary
from mofmd.structures.molecules import is_molecule

ALL = ""  # of a kind that a part does not choose by
KINDS = ("origin", "element", "role")
FORCE_METRICS = ("force_mae", "force_rmse", "force_mae_p95")
MAP_COLUMN = "force_mae_p95"  # meV/Å


@dataclass(frozen=True)
class Part:
    """Atoms of one origin, element and role, and the errors of the forces on them.

    Parameters
    ----------
    origin, element, role
        Empty: whichever.
    atoms
        How many, in all frames.
    errors
        MAE, RMSE and MAE_p95 [meV/Å].
    """

    origin: str
    element: str
    role: str
    atoms: int
    errors: Mapping[str, float]


def errors_of_parts(
    frames: Sequence[Atoms], references: Sequence[Labels], predictions: Sequence[Labels]
) -> list[Part]:
    """Errors of all combinations of origin, element and role that there are.

    Parameters
    ----------
    frames
        ``info`` may name their ``origin``; clusters have a column ``role``.
    references, predictions
        Of each frame.
    """
    errors = force_errors(references, predictions)
    names = {
        "origin": np.concatenate([np.full(len(f), str(f.info.get("origin", ALL))) for f in frames]),
        "element": np.concatenate([np.array(f.get_chemical_symbols()) for f in frames]),
        "role": np.concatenate([_roles(frame) for frame in frames]),
    }
    found = []
    choices = [[ALL, *_several(names[kind])] for kind in KINDS]
    for origin, element, role in product(*choices):
        taken = np.ones(len(errors), dtype=bool)
        for kind, value in zip(KINDS, (origin, element, role), strict=True):
            if value != ALL:
                taken &= names[kind] == value
        if taken.any():
            summary = force_summary(errors[taken])
            found.append(Part(origin, element, role, int(taken.sum()), summary))
    return found


def _roles(frame: Atoms) -> np.ndarray:
    if "role" in frame.arrays:
        return np.array([str(each) for each in frame.arrays["role"]])
    return np.full(len(frame), ALL)


def _several(values: np.ndarray) -> list[str]:
    """Values to choose by: none where all are the same, which would be said twice."""
    found = sorted({str(value) for value in values})
    return [value for value in found if value != ALL] if len(found) > 1 else []


def part_rows(parts: Mapping[str, Sequence[Part]]) -> list[list[str]]:
    """Table of the parts of each model; the first row is the header, an empty cell means all."""
    rows = [["model", *KINDS, "atoms", *(f"{m} ({UNITS[m]})" for m in FORCE_METRICS)]]
    for model, own in parts.items():
        for part in own:
            numbers = [f"{part.errors[metric]:.4g}" for metric in FORCE_METRICS]
            rows.append([model, part.origin, part.element, part.role, str(part.atoms), *numbers])
    return rows


def error_maps(
    frames: Sequence[Atoms], references: Sequence[Labels], predictions: Sequence[Labels]
) -> dict[str, Atoms]:
    """Error of the force on each atom of each framework, over its frames.

    Parameters
    ----------
    frames
        Those of one origin with the same atoms belong together; molecules are left out.
    references, predictions
        Of each frame.

    Returns
    -------
    dict
        By origin (or formula): the first frame, with a column ``force_mae_p95`` [meV/Å], MAE_p95
        over the frames of the three components on each atom (Dobbelaere et al. 2025, Fig. 6C).
    """
    members: dict[tuple[str, str], list[int]] = {}
    for k, frame in enumerate(frames):
        if not is_molecule(frame):
            name = str(frame.info.get("origin") or frame.get_chemical_formula())
            members.setdefault((name, ",".join(map(str, frame.numbers))), []).append(k)
    maps: dict[str, Atoms] = {}
    for (name, _), rows in members.items():
        errors = force_errors([references[k] for k in rows], [predictions[k] for k in rows])
        by_atom = errors.reshape(len(rows), -1, 3).transpose(1, 0, 2)
        atoms = frames[rows[0]].copy()
        atoms.calc = None
        atoms.info = {"origin": name, "frames": len(rows)}
        values = [force_summary(each)["force_mae_p95"] for each in by_atom]
        atoms.set_array(MAP_COLUMN, np.array(values))
        label = name
        while label in maps:  # another order or number of atoms
            label += "_"
        maps[label] = atoms
    return maps
