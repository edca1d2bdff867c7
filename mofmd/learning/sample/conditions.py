"""Conditions of sampling runs, from a YAML file: structures, protocols, what is varied or drawn."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.disk.yaml_file import read_mapping
from mofmd.errors import InputError
from mofmd.learning.data.dataset import WEIGHT
from mofmd.simulation.deck.protocol_file import make_protocol
from mofmd.simulation.protocols.base.protocol import Protocol
from mofmd.structures.read import read_structure, split_choice

# sampling wants one cell, frames close enough to see a linker break, and no rest at the minimum
DEFAULTS: dict[str, Any] = {
    "supercell": [1, 1, 1],
    "frame_interval_fs": 10.0,
    "thermo_interval_fs": 50.0,
    "minimise_steps_max": 0,
}
_KEYS = ("structure", "origin", "phase", "protocol", "fields", "vary", "count", "draw")
_DEFORMATIONS = ("volume_change", "shear")
LARGEST_VOLUME_CHANGE = 0.5
DIGITS = 6  # of what is drawn
LARGEST_SEED = 2**31


@dataclass(frozen=True)
class Condition:
    """One run of a sampling.

    Parameters
    ----------
    name
        Of the run and of its trajectory.
    structure
        Built-in crystal or file.
    protocol
        With all its fields.
    volume_change
        Relative change of the cell's volume before the run.
    shear
        Largest element of a random deformation of the cell before the run.
    origin, phase
        For the frames.
    values
        What was varied or drawn.
    """

    name: str
    structure: str
    protocol: Protocol
    volume_change: float = 0.0
    shear: float = 0.0
    origin: str = ""
    phase: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)

    def start(self) -> Atoms:
        """Structure that the run begins with: deformed as the condition says."""
        rng = np.random.default_rng(self.protocol.seed)
        return deformed(read_structure(self.structure), self.volume_change, self.shear, rng)


def deformed(atoms: Atoms, volume_change: float, shear: float, rng: np.random.Generator) -> Atoms:
    """Strain a periodic structure: a random deformation, then the volume to what is wanted."""
    if not -LARGEST_VOLUME_CHANGE <= volume_change <= LARGEST_VOLUME_CHANGE:
        raise InputError(
            f"volume_change: {volume_change}, expected a share of the volume between "
            f"−{LARGEST_VOLUME_CHANGE} and {LARGEST_VOLUME_CHANGE}"
        )
    deformation = np.eye(3) + shear * rng.uniform(-1.0, 1.0, (3, 3))
    determinant = np.linalg.det(deformation)
    if determinant <= 0:
        raise InputError(f"shear: {shear} turns the cell inside out; take a few hundredths")
    deformation *= ((1.0 + volume_change) / determinant) ** (1.0 / 3.0)
    out = atoms.copy()
    out.set_cell(atoms.cell.array @ deformation, scale_atoms=True)
    out.info.pop(WEIGHT, None)  # was that of the frame at rest, or whatever it was
    return out


def read_conditions(path: Path, round_: int = 0) -> list[Condition]:
    """Read a YAML file with a list ``runs``; each entry is one run, or many by what it varies.

    Parameters
    ----------
    path
        The file.
    round_
        Of a loop: each draws anew.

    Raises
    ------
    MissingFileError, InputError
        If there is no such file, or a key or value that means nothing.
    """
    runs = read_mapping(path).get("runs")
    if not isinstance(runs, list) or not runs:
        raise InputError(f"{path}: expected a list `runs` of conditions")
    try:
        return make_conditions(runs, path.parent, round_)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def make_conditions(runs: list[Any], folder: Path, round_: int = 0) -> list[Condition]:
    """Make the conditions of all entries; files are looked for beside the YAML file first."""
    found: list[Condition] = []
    number = 0
    for place, entry in enumerate(runs, start=1):
        if not isinstance(entry, dict) or "structure" not in entry:
            raise InputError(f"runs, entry {place}: needs at least `structure`")
        unknown = sorted(set(entry) - set(_KEYS))
        if unknown:
            raise InputError(f"runs, entry {place}: {unknown[0]}: unknown; keys are {_KEYS}")
        given = entry["structure"]
        structures = given if isinstance(given, list) else [given]
        if len(structures) != 1 and "origin" in entry:
            raise InputError(f"runs, entry {place}: origin: names one structure, not several")
        for structure in structures:
            number += 1
            found += _expand({**entry, "structure": structure}, (number, round_), folder)
    return found


def _expand(entry: Mapping[str, Any], number: tuple[int, int], folder: Path) -> list[Condition]:
    """All combinations of what an entry varies; of each, so many with what is drawn.

    ``number`` is that of the entry and of the round.
    """
    vary, given, draw = (_mapping(entry, name) for name in ("vary", "fields", "draw"))
    for name, values in vary.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"vary {name}: {values!r}, expected a list of values")
    ranges = {name: _range(name, ends) for name, ends in draw.items()}
    twice = sorted(set(draw) & (set(vary) | set(given)))
    if twice:
        raise InputError(f"draw {twice[0]}: is given by fields or vary, too")
    count = entry.get("count", 1)
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise InputError(f"count: {count!r}, expected a whole number of at least 1")
    is_drawn = bool(draw) or "count" in entry
    if is_drawn and "seed" in vary:
        raise InputError("vary seed: runs that are drawn have seeds of their own; leave it out")
    # a seed of the entry is that of the draws; each run gets another from it
    rng = np.random.default_rng([int(given.get("seed", 1)), *number]) if is_drawn else None
    source = str(entry["structure"])
    if split_choice(folder / source)[0].is_file():
        source = str(folder / source)
    origin = str(entry.get("origin", Path(source).name.split(".")[0]))
    found = []
    for values in itertools.product(*vary.values()):
        chosen = dict(zip(vary, values, strict=True))
        words = [f"{name.partition('_')[0]}{_word(value)}" for name, value in chosen.items()]
        for walk in range(count):
            drawn: dict[str, Any] = {}
            if rng is not None:
                drawn = {name: _rounded(rng.uniform(*ends)) for name, ends in ranges.items()}
                drawn["seed"] = int(rng.integers(1, LARGEST_SEED))
            fields = {**DEFAULTS, **given, **chosen, **drawn}
            deformation = {name: _share(name, fields.pop(name, 0.0)) for name in _DEFORMATIONS}
            last = [f"walk{walk + 1}"] if is_drawn else []
            found.append(
                Condition(
                    name="-".join([f"{number[0]:02d}", origin, *words, *last]),
                    structure=source,
                    protocol=make_protocol(str(entry.get("protocol", "nvt")), fields),
                    origin=origin,
                    phase=str(entry.get("phase", "")),
                    values={**chosen, **drawn},
                    **deformation,
                )
            )
    return found


def _range(name: str, ends: Any) -> tuple[float, float]:
    """Read the ends between which a field is drawn."""
    if not isinstance(ends, list) or len(ends) != 2:
        raise InputError(f"draw {name}: {ends!r}, expected [lowest, highest]")
    low, high = (_share(f"draw {name}", end) for end in ends)
    if not low <= high:
        raise InputError(f"draw {name}: {ends!r}, expected [lowest, highest]")
    return low, high


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _mapping(entry: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = entry.get(name) or {}
    if not isinstance(found, dict):
        raise InputError(f"{name}: {found!r}, expected lines of the form key: value")
    return found


def _share(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name}: {value!r}, expected a number")
    return float(value)


def _word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)
