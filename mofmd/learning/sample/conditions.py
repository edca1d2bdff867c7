"""Conditions of sampling runs, from a YAML file: structures, protocols, and what is varied."""

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
from mofmd.reading.read import read_structure, split_choice
from mofmd.simulation.deck.protocol_file import make_protocol
from mofmd.simulation.protocols.base.protocol import Protocol

# sampling wants one cell, frames close enough to see a linker break, and no rest at the minimum
DEFAULTS: dict[str, Any] = {
    "supercell": [1, 1, 1],
    "frame_interval_fs": 10.0,
    "thermo_interval_fs": 50.0,
    "minimise_steps_max": 0,
}
_KEYS = ("structure", "origin", "phase", "protocol", "fields", "vary")
_DEFORMATIONS = ("volume_change", "shear")
LARGEST_VOLUME_CHANGE = 0.5


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
    return out


def read_conditions(path: Path) -> list[Condition]:
    """Read a YAML file with a list ``runs``; each entry is one run, or many by what it varies.

    Raises
    ------
    MissingFileError, InputError
        If there is no such file, or a key or value that means nothing.
    """
    runs = read_mapping(path).get("runs")
    if not isinstance(runs, list) or not runs:
        raise InputError(f"{path}: expected a list `runs` of conditions")
    try:
        return make_conditions(runs, path.parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def make_conditions(runs: list[Any], folder: Path) -> list[Condition]:
    """Make the conditions of all entries; files are looked for beside the YAML file first."""
    found: list[Condition] = []
    for number, entry in enumerate(runs):
        if not isinstance(entry, dict) or "structure" not in entry:
            raise InputError(f"runs, entry {number + 1}: needs at least `structure`")
        unknown = sorted(set(entry) - set(_KEYS))
        if unknown:
            raise InputError(f"runs, entry {number + 1}: {unknown[0]}: unknown; keys are {_KEYS}")
        found += _expand(entry, number, folder)
    return found


def _expand(entry: Mapping[str, Any], number: int, folder: Path) -> list[Condition]:
    """All combinations of what an entry varies."""
    vary, given = (_mapping(entry, name) for name in ("vary", "fields"))
    for name, values in vary.items():
        if not isinstance(values, list) or not values:
            raise InputError(f"vary {name}: {values!r}, expected a list of values")
    source = str(entry["structure"])
    if split_choice(folder / source)[0].is_file():
        source = str(folder / source)
    origin = str(entry.get("origin", Path(source).name.split(".")[0]))
    found = []
    for values in itertools.product(*vary.values()):
        chosen = dict(zip(vary, values, strict=True))
        fields = {**DEFAULTS, **given, **chosen}
        deformation = {name: _share(name, fields.pop(name, 0.0)) for name in _DEFORMATIONS}
        words = [f"{name.partition('_')[0]}{_word(value)}" for name, value in chosen.items()]
        found.append(
            Condition(
                name="-".join([f"{number + 1:02d}", origin, *words]),
                structure=source,
                protocol=make_protocol(str(entry.get("protocol", "nvt")), fields),
                origin=origin,
                phase=str(entry.get("phase", "")),
                values=chosen,
                **deformation,
            )
        )
    return found


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
