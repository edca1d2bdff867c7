"""Decks: a directory that holds all a simulation needs, and runs with ``lmp -in in.lammps``."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import mofmd
from mofmd.disk.atomic import folder_beside
from mofmd.disk.digest import file_sha256
from mofmd.disk.lock import is_going_on
from mofmd.disk.package_files import packaged_file
from mofmd.disk.record import read_record
from mofmd.engine.lammps_data import lammps_rotation, render_data
from mofmd.errors import InputError, MissingFileError, option
from mofmd.models.dispersion.dispersion import FILE as D3_FILE
from mofmd.simulation.deck.atom_types import AtomTypes
from mofmd.simulation.deck.limits import find_limits, render_limits
from mofmd.simulation.deck.notes import Notes
from mofmd.simulation.deck.novelty_watch import NOVELTY_FRAMES, NOVELTY_TABLE, NoveltyWatch
from mofmd.simulation.deck.potential import (
    POTENTIAL_SCRIPT,
    AnyPotential,
    Potential,
    PotentialScript,
    check_files,
    check_stress,
)
from mofmd.simulation.deck.timestep import check_timesteps
from mofmd.simulation.protocols.base.protocol import Protocol, Variable
from mofmd.structures.skew import check_thickness
from mofmd.structures.supercell import repeat_cells

__all__ = ["Deck", "Potential", "PotentialScript", "read_deck", "write_deck"]

SCHEMA = "mofmd-deck-2"
MANIFEST = "manifest.json"
INTEGRITY = "integrity.json"
NOVELTY_SCRIPT = "novelty.in"
SCRIPTS = (
    "system.in",
    POTENTIAL_SCRIPT,
    "start.in",
    "course.in",
    "part_begin.in",
    "part_end.in",
    "ensembles.in",
    "scale_cell.in",
    "shape_cell.in",
    "thermo.in",
    "trajectory.in",
    NOVELTY_SCRIPT,
    "finish.in",
)
# what a run makes; one from the beginning removes that of an earlier one
RESULTS = (
    "log.lammps",
    "trajectory.dump",
    NOVELTY_TABLE,
    NOVELTY_FRAMES,
    "restart.new",
    "restart.latest",
    "restart.previous",
    "restart.stopped",
    "restart.failed",
    "failed.data",
    "final.data",
    "points.csv",
)
OUTPUTS = (
    *RESULTS,
    "output.txt",
    "driver.txt",
    "status.json",
    "stop.request",
    "run.lock",
    "worker.lock",
)
UNITS = {
    "length": "angstrom",
    "time": "ps",
    "energy": "eV",
    "temperature": "K",
    "pressure": "bar",
    "mass": "g/mol",
}


@dataclass(frozen=True)
class Deck:
    """A deck on disk.

    Parameters
    ----------
    directory
        Where it is.
    manifest
        What its ``manifest.json`` says.
    """

    directory: Path
    manifest: Mapping[str, Any]


def write_deck(  # noqa: PLR0913 - what a deck is made of, and two options
    protocol: Protocol,
    structure: Atoms,
    potential: AnyPotential,
    directory: str | Path,
    *,
    types: AtomTypes | None = None,
    watch: NoveltyWatch | None = None,
    overwrite: bool = False,
    notes: Notes | None = None,
) -> Deck:
    """Write a deck; the same inputs give the same bytes.

    Parameters
    ----------
    protocol
        What to simulate.
    structure
        Periodic structure [Å]; it is repeated by ``protocol.supercell``.
    potential
        Pair style and model, or LAMMPS commands; its files are copied into the deck.
    directory
        New or empty directory.
    types
        LAMMPS types of the structure's atoms, those that the potential names; by default each
        element has one.
    watch
        How often to look how new atoms are to the model, whose file holds a density then.
    overwrite
        Replace a deck that is there, and what a run of it left; never anything else.
    notes
        What its readers should know, for the pages of its results.

    Raises
    ------
    InputError
        If the directory is in use, the structure does not fit the elements, the timestep is too
        long for the lightest atom, or the model gives no stress where the protocol needs it.
    """
    directory = Path(directory)
    check_files(potential, frozenset(("in.lammps", "structure.data", MANIFEST, INTEGRITY, D3_FILE))
                | frozenset((*SCRIPTS, *OUTPUTS, protocol.script)))  # fmt: skip
    check_timesteps(protocol, structure)
    if protocol.needs_stress:
        check_stress(potential, protocol.NAME)
    if watch is not None:
        watch.check(potential)
    texts, manifest = _contents(protocol, structure, potential, types, watch)
    manifest |= {} if notes is None else notes.as_record()
    _check_way(directory, overwrite)
    # written beside it and renamed: a deck is there as a whole or not at all
    target = directory.resolve()
    texts[MANIFEST] = json.dumps(manifest, indent=2, sort_keys=True) + "\n"
    with folder_beside(target) as work:
        for file in potential.files:
            shutil.copyfile(file, work / file.name)
        for name, text in texts.items():
            (work / name).write_text(text, encoding="utf-8")
        if _is_empty(target):
            work.replace(target)
        else:
            _clear(target)
            for name in (*manifest["files"], MANIFEST):
                (work / name).replace(target / name)
    return Deck(directory, manifest)


def is_deck_of(
    directory: Path, protocol: Protocol, structure: Atoms, potential: AnyPotential
) -> bool:
    """Whether a deck is of this protocol, structure and potential, whatever version wrote it."""
    manifest = read_deck(directory).manifest
    _, wanted = _contents(protocol, structure, potential, None, None)
    wanted = json.loads(json.dumps(wanted))
    names = ["structure.data", *(file.name for file in potential.files)]
    return all(manifest.get(key) == wanted[key] for key in ("protocol", "potential")) and all(
        manifest["files"].get(name) == wanted["files"][name] for name in names
    )


def read_deck(directory: str | Path, *, allow_edited: bool = False) -> Deck:
    """Read a deck and check that its files are those its manifest names.

    Parameters
    ----------
    directory
        Where it is.
    allow_edited
        Accept files that were changed by hand.
    """
    directory = Path(directory)
    manifest = _read_manifest(directory)
    for name, digest in manifest["files"].items():
        if not (directory / name).is_file():
            raise MissingFileError(f"{directory / name}: missing; write the deck again")
        if not allow_edited and file_sha256(directory / name) != digest:
            raise InputError(
                f"{directory / name}: differs from what {MANIFEST} records; write the deck again, "
                f"or run it as it is now with {option('allow_edited')}"
            )
    return Deck(directory, manifest)


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    manifest = read_record(path, SCHEMA, kind="a deck", mend="write the deck again")
    outside = [name for name in manifest["files"] if Path(name).name != name]
    if outside:
        raise InputError(f"{path}: {outside[0]!r} is not the name of a file of the deck")
    return manifest


def _contents(
    protocol: Protocol,
    structure: Atoms,
    potential: AnyPotential,
    types: AtomTypes | None,
    watch: NoveltyWatch | None,
) -> tuple[dict[str, str], dict[str, Any]]:
    """Text of each file that is written, and the manifest of the deck."""
    supercell = repeat_cells(structure, protocol.supercell)
    _check_dynamics(protocol, supercell)
    check_thickness(supercell)
    if types is not None:
        types = types.repeated(len(supercell) // len(structure))
    texts = _render(protocol, supercell, potential, types, watch)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    hashes.update({file.name: file_sha256(file) for file in potential.files})
    manifest = _manifest(protocol, supercell, potential, hashes)
    if types is not None:
        manifest["structure"]["guest_types"] = list(types.guest_types)
    if watch is not None:
        manifest["watch"] = watch.record(potential)
    return texts, manifest


def _check_dynamics(protocol: Protocol, supercell: Atoms) -> None:
    """Refuse dynamics of a single atom: no motion is left once that of the whole is taken out."""
    if len(supercell) == 1 and protocol.total_steps > 0:
        raise InputError(
            "structure: a single atom has no temperature, as the motion of the whole is taken out; "
            "use a supercell"
        )


def _render(
    protocol: Protocol,
    supercell: Atoms,
    potential: AnyPotential,
    types: AtomTypes | None,
    watch: NoveltyWatch | None,
) -> dict[str, str]:
    """Text of each file of the deck, the manifest apart."""
    scripts = packaged_file("lammps_inputs", "lammps_inputs", SCRIPTS[0]).parent
    names = [protocol.script, *SCRIPTS]
    if watch is None:
        names.remove(NOVELTY_SCRIPT)  # which part_begin.in includes for a watch alone
    texts = {name: (scripts / name).read_text(encoding="utf-8") for name in names}
    if potential.script is not None:
        texts[POTENTIAL_SCRIPT] = potential.script.read_text(encoding="utf-8")
    variables = [
        Variable("structure", "structure.data"),
        *potential.variables,
        Variable("elements", " ".join(potential.type_names), "of LAMMPS types 1, 2, ..."),
        *protocol.variables(lammps_rotation(supercell)),
        *([] if watch is None else watch.variables(potential)),
    ]
    return {
        "in.lammps": _input_script(protocol, variables),
        **potential.texts,
        "structure.data": render_data(
            supercell, potential.type_names, None if types is None else types.of_atoms
        ),
        INTEGRITY: render_limits(find_limits(supercell, potential.type_names)),
        **texts,
    }


def _input_script(protocol: Protocol, variables: list[Variable]) -> str:
    """Text of in.lammps: the variables of the protocol's script, then that script itself."""
    lines = [
        f"# The variables of this run; the procedure is in {protocol.script}.",
        "# Run with: lmp -in in.lammps (-var NAME VALUE replaces a value).",
        "# Units: Å, ps, eV, K, bar.",
        "",
    ]
    for name, value, comment in variables:
        text = _lammps_text(value)
        line = f"variable {name:18} index {text}"
        lines.append(f"{line:45}  # {comment}" if comment else line)
    return "\n".join([*lines, "", f"include {protocol.script}", ""])


def _lammps_text(value: str | float | tuple[str | float, ...]) -> str:
    """Value of an index variable: one word, or the words of a column."""
    if isinstance(value, tuple):
        return " ".join(map(_lammps_text, value))
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return f'"{text}"' if " " in text else text


def _manifest(
    protocol: Protocol, supercell: Atoms, potential: AnyPotential, hashes: dict[str, str]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "versions": {
            "mofmd": mofmd.__version__,
            "lammps": metadata.version("lammps"),
        },
        "units": UNITS,
        "protocol": {"name": type(protocol).__name__, **asdict(protocol)},
        "stage_steps": protocol.stage_steps,
        "total_steps": protocol.total_steps,
        "hottest_kelvin": protocol.hottest_kelvin,
        "structure": {
            "formula": supercell.get_chemical_formula(),
            "n_atoms": len(supercell),
            # v_lammps = v @ rotation: LAMMPS has a along x and b in the xy plane
            "rotation": np.round(lammps_rotation(supercell), 12).tolist(),
        },
        "potential": potential.record,
        "files": dict(sorted(hashes.items())),
    }


def _is_empty(directory: Path) -> bool:
    return not directory.exists() or not any(directory.iterdir())


def _check_way(directory: Path, overwrite: bool) -> None:
    """Refuse a directory that holds anything but a deck which may be replaced."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: is a file, expected a directory")
    if _is_empty(directory):
        return
    if not overwrite:
        raise InputError(
            f"{directory}: not empty; choose another directory, or replace the deck that is there "
            f"with {option('overwrite')}"
        )
    try:
        _read_manifest(directory)
    except (InputError, MissingFileError) as error:
        raise InputError(
            f"{directory}: not empty and not a deck, so it is not overwritten ({error})"
        ) from error
    if is_going_on(directory):
        raise InputError(f"{directory}: is being run; wait for the run or stop it first")


def remove_results(directory: Path) -> None:
    """Remove what a run of a deck has made, as one from the beginning must not find it."""
    for name in RESULTS:
        (directory / name).unlink(missing_ok=True)


def _clear(directory: Path) -> None:
    """Remove a deck and what runs of it left, nothing else."""
    manifest = _read_manifest(directory)
    # the manifest first: a deck that is half removed must not look like one
    for name in (MANIFEST, *manifest["files"], *OUTPUTS):
        (directory / name).unlink(missing_ok=True)
