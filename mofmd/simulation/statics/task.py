"""What a static task is, and its folder: a structure, a model and a few numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
from ase import Atoms
from ase.io import read

import mofmd
from mofmd.disk.atomic import write_atomic
from mofmd.disk.digest import file_sha256
from mofmd.disk.record import read_record
from mofmd.disk.yaml_file import read_mapping
from mofmd.engine.structure_file import write_structure
from mofmd.errors import InputError, MissingFileError, choices
from mofmd.models.dispersion.dispersion import Dispersion
from mofmd.relaxation.variables import CellFreedom
from mofmd.simulation.deck.notes import Notes
from mofmd.simulation.protocols.base.fields import (
    check_fields,
    choice,
    number_list,
    positive,
    whole,
)

SCHEMA = "mofmd-static-1"
TASK = "task.json"
STRUCTURE = "structure.extxyz"
LEAST_POINTS = 4


@dataclass(frozen=True, kw_only=True)
class Relaxing:
    """Atoms and cell at a minimum of the energy.

    Parameters
    ----------
    fmax_eV_per_A
        Limit of the largest force, and of the stress: 10 GPa per eV/Å of it.
    cell
        What of the cell is relaxed: ``tri`` all, ``aniso`` lengths, ``iso`` size.
    keep_symmetry
        ``yes`` keeps the space group.
    calls_max
        Force calls of a relaxation, at most.
    precision
        ``float64``, or that of the model's ``file``.
    """

    fmax_eV_per_A: float = positive(1e-3)
    cell: str = choice("tri", get_args(CellFreedom)[:3])
    keep_symmetry: str = choice("no", ("no", "yes"))
    calls_max: int = whole(1000)
    precision: str = choice("float64", ("float64", "file"))

    NAME: ClassVar[str] = "relax"

    def __post_init__(self) -> None:
        """Check the fields."""
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class EquationOfStateTask(Relaxing):
    """Energy against volume around the minimum: bulk modulus K, volume V0 (Birch-Murnaghan).

    Parameters
    ----------
    volume_range
        Volumes lie within this part of the relaxed one, to either side.
    points
        Number of volumes, an odd one.
    volume_ratios
        Volumes by the relaxed one, in place of ``volume_range`` and ``points``: also those far
        below it, where the framework is not stable (K < 0). K and V0 are of the stable part.
    shape
        ``fixed``: at each volume the cell is scaled and the atoms are relaxed; ``free``: the shape
        of the cell as well.
    """

    volume_range: float = positive(0.04)
    points: int = whole(11, least=5)
    volume_ratios: tuple[float, ...] = number_list((), positive_only=True)
    shape: str = choice("fixed", ("fixed", "free"))

    NAME: ClassVar[str] = "equation_of_state"

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        if self.points % 2 == 0:
            raise InputError(f"points: {self.points}, expected an odd number, of at least 5")
        if self.volume_range >= 0.5:
            raise InputError(f"volume_range: {self.volume_range}, expected less than 0.5")
        if self.volume_ratios and len(set(self.volume_ratios)) < LEAST_POINTS:
            raise InputError(
                f"volume_ratios: {len(set(self.volume_ratios))} different volumes, expected "
                f"{LEAST_POINTS} or more"
            )

    @property
    def ratios(self) -> tuple[float, ...]:
        """Volumes by the relaxed one, from the smallest on; one of them is 1."""
        if self.volume_ratios:
            return tuple(sorted({*self.volume_ratios, 1.0}))
        low, high = 1.0 - self.volume_range, 1.0 + self.volume_range
        found = np.linspace(low, high, self.points)
        found[self.points // 2] = 1.0
        return tuple(map(float, found))


@dataclass(frozen=True, kw_only=True)
class HeatCapacityTask(Relaxing):
    """Heat capacity at constant volume, of the relaxed structure's harmonic phonons.

    Parameters
    ----------
    fmax_eV_per_A, keep_symmetry
        As of ``relax``, with other defaults: force constants are those of a minimum, and symmetry
        leaves fewer displacements.
    temperature_K
        At which.
    supercell_width_A
        Atoms are displaced in as many cells as put opposite faces this far apart at least.
    tolerance_THz
        Frequencies below minus this count as imaginary.
    """

    fmax_eV_per_A: float = positive(1e-4)
    keep_symmetry: str = choice("yes", ("no", "yes"))
    temperature_K: float = positive(300.0)
    supercell_width_A: float = positive(10.0)
    tolerance_THz: float = positive(0.01)

    NAME: ClassVar[str] = "heat_capacity"
    # Phonons stand above this room: theirs is named, and loaded for such a task alone.
    ROOM: ClassVar[str] = "mofmd.phonons"


KINDS: dict[str, type[Relaxing]] = {
    kind.NAME: kind for kind in (Relaxing, EquationOfStateTask, HeatCapacityTask)
}


def static_kind(protocol: str) -> str | None:
    """Name the static task that a protocol's name or YAML file means; None for dynamics."""
    if Path(protocol).suffix in (".yaml", ".yml"):
        protocol = str(read_mapping(Path(protocol)).get("protocol", ""))
    name = protocol.replace("-", "_")
    return name if name in KINDS else None


def describe_statics() -> str:
    """Text that lists the static tasks and their fields, as ``describe_protocols`` does."""
    lines = []
    for name, kind in KINDS.items():
        first = (kind.__doc__ or "").partition("\n")[0]
        lines.append(f"{name}: {first.rstrip('.')} (without LAMMPS).")
        lines += [f"  {each.name} = {each.default}" for each in fields(kind)]
    return "\n".join(lines)


def make_static(name: str, values: Mapping[str, Any]) -> Relaxing:
    """Make the settings of a static task.

    Raises
    ------
    InputError
        If a key or value does not fit it.
    """
    names = [each.name for each in fields(KINDS[name])]
    for given in values:
        if given not in names:
            raise InputError(f"{given}: unknown key of {name}{choices(str(given), names)}")
    return KINDS[name](**values)


@dataclass(frozen=True)
class StaticTask:
    """A static task on disk.

    Parameters
    ----------
    directory
        Its folder.
    settings
        What is done.
    atoms
        The structure to begin with.
    model
        File of the model; it stays where it is.
    dispersion
        Added to the model.
    record
        All that its file says.
    """

    directory: Path
    settings: Relaxing
    atoms: Atoms
    model: Path
    dispersion: Dispersion | None
    record: Mapping[str, Any]


def write_static(  # noqa: PLR0913, PLR0917 - what a task is made of
    directory: Path,
    settings: Relaxing,
    atoms: Atoms,
    model: Path,
    dispersion: Dispersion | None,
    notes: Notes | None = None,
) -> StaticTask:
    """Write the folder of a task, a new or empty one, with notes for the pages of its results.

    Raises
    ------
    InputError
        If the folder is in use.
    """
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory}: in use; choose a new folder")
    write_structure(directory / STRUCTURE, atoms)
    record = {
        "schema": SCHEMA,
        "mofmd_version": mofmd.__version__,
        "task": settings.NAME,
        "settings": asdict(settings),
        "model": str(model.resolve()),
        "model_sha256": file_sha256(model),
        "dispersion": None if dispersion is None else str(dispersion),
        "formula": atoms.get_chemical_formula(),
        "n_atoms": len(atoms),
        "volume_A3": float(atoms.get_volume()),
        **({} if notes is None else notes.as_record()),
    }
    write_atomic(directory / TASK, json.dumps(record, indent=2) + "\n")
    return read_static(directory)


def is_static(directory: Path) -> bool:
    """Whether a folder is that of a static task."""
    return (directory / TASK).is_file()


def read_static(directory: Path) -> StaticTask:
    """Read the folder of a task.

    Raises
    ------
    InputError, MissingFileError
        If it is none, or its model has gone or changed.
    """
    from mofmd.models.dispersion.dispersion import parse_d3

    record = read_record(directory / TASK, SCHEMA, kind="a static task", mend="make it again")
    model = Path(record["model"])
    if not model.is_file():
        raise MissingFileError(f"{directory}: its model is gone: {model}; make the task again")
    if file_sha256(model) != record["model_sha256"]:
        raise InputError(f"{directory}: its model has changed: {model}; make the task again")
    word = record["dispersion"]
    return StaticTask(
        directory,
        make_static(record["task"], record["settings"]),
        read(directory / STRUCTURE),
        model,
        parse_d3(word) if word else None,
        record,
    )
