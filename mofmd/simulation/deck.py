"""Decks: a directory that holds all a simulation needs, and runs with ``lmp -in in.lammps``."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from ase import Atoms

import mofmd
from mofmd.engine.files import write_atomic
from mofmd.engine.lammps_data import render_data
from mofmd.errors import InputError, MissingFileError
from mofmd.simulation.protocols import MeltQuench
from mofmd.units import FS_TO_PS

SCHEMA = "mofmd-deck-1"
MANIFEST = "manifest.json"
SCRIPTS = ("melt_quench.in", "model.in", "thermo.in", "trajectory.in")
OUTPUTS = (
    "log.lammps",
    "output.txt",
    "trajectory.dump",
    "restart.a",
    "restart.b",
    "final.data",
    "status.json",
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
class Potential:
    """The interatomic potential of a deck.

    Parameters
    ----------
    pair_style
        LAMMPS pair style with its arguments, such as ``allegro``.
    model_file
        Deployed model.
    type_names
        Element of each LAMMPS type, in order; the model must know them.
    """

    pair_style: str
    model_file: Path
    type_names: tuple[str, ...]


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


def write_deck(
    protocol: MeltQuench,
    structure: Atoms,
    potential: Potential,
    directory: Path,
    *,
    overwrite: bool = False,
) -> Deck:
    """Write a deck; the same inputs give the same bytes.

    Parameters
    ----------
    protocol
        What to simulate.
    structure
        Periodic structure [Å]; it is repeated by ``protocol.supercell``.
    potential
        Pair style and model; the model file is copied into the deck.
    directory
        New or empty directory.
    overwrite
        Replace a deck that is there, and what a run of it left; never anything else.

    Raises
    ------
    InputError
        If the directory is in use, or the structure does not fit the elements.
    """
    _check_model(potential.model_file)
    supercell = structure.repeat(protocol.supercell)
    texts = _render(protocol, supercell, potential)
    hashes = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()}
    hashes[potential.model_file.name] = file_sha256(potential.model_file)
    manifest = _manifest(protocol, supercell, potential, hashes)
    _make_way(directory, overwrite)
    _copy_atomic(potential.model_file, directory / potential.model_file.name)
    for name, text in texts.items():
        write_atomic(directory / name, text)
    write_atomic(directory / MANIFEST, json.dumps(manifest, indent=2, sort_keys=True) + "\n")
    return Deck(directory, manifest)


def read_deck(directory: Path, *, allow_edited: bool = False) -> Deck:
    """Read a deck and check that its files are those its manifest names.

    Parameters
    ----------
    directory
        Where it is.
    allow_edited
        Accept files that were changed by hand.
    """
    manifest = _read_manifest(directory)
    for name, digest in manifest["files"].items():
        if not (directory / name).is_file():
            raise MissingFileError(f"{directory / name}: missing; write the deck again")
        if not allow_edited and file_sha256(directory / name) != digest:
            raise InputError(
                f"{directory / name}: differs from what {MANIFEST} records; write the deck again, "
                "or allow edited files"
            )
    return Deck(directory, manifest)


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file, so {directory} is not a deck")
    manifest: Any = json.loads(path.read_text(encoding="utf-8"))
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA:
        raise InputError(f"{path}: schema {schema!r}, expected {SCHEMA!r}; write the deck again")
    outside = [name for name in manifest["files"] if Path(name).name != name]
    if outside:
        raise InputError(f"{path}: {outside[0]!r} is not the name of a file of the deck")
    return dict(manifest)


def file_sha256(path: Path) -> str:
    """Hash a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _render(protocol: MeltQuench, supercell: Atoms, potential: Potential) -> dict[str, str]:
    """Text of each file of the deck, the manifest apart."""
    scripts = _scripts_directory()
    return {
        "in.lammps": _input_script(protocol, potential),
        "structure.data": render_data(supercell, potential.type_names),
        **{name: (scripts / name).read_text(encoding="utf-8") for name in SCRIPTS},
    }


def _input_script(protocol: MeltQuench, potential: Potential) -> str:
    """Text of in.lammps: the variables of melt_quench.in, then that script itself."""
    p = protocol
    variables = [
        ("structure", "structure.data", ""),
        ("pair_style", potential.pair_style, ""),
        ("model", potential.model_file.name, ""),
        ("elements", " ".join(potential.type_names), "of LAMMPS types 1, 2, ..."),
        ("temperature", p.temperature_K, "K, of the crystal and of the glass"),
        ("temperature_max", p.temperature_max_K, "K, of the melt"),
        ("rate", p.rate_K_per_ps, "K/ps, of heating and of cooling"),
        ("equilibration", p.equilibration_ps, "ps"),
        ("plateau", p.plateau_ps, "ps at temperature_max"),
        ("anneal", p.anneal_ps, "ps"),
        ("timestep", p.timestep_fs * FS_TO_PS, "ps"),
        ("damping", p.thermostat_damping_fs * FS_TO_PS, "ps, of the thermostat"),
        ("seed", p.seed, "of the first velocities"),
        ("minimise_steps_max", p.minimise_steps_max, ""),
        ("thermo_every", _interval(p, p.thermo_interval_fs * FS_TO_PS), "steps"),
        ("dump_every", _interval(p, p.frame_interval_fs * FS_TO_PS), "steps"),
        ("restart_every", _interval(p, p.restart_interval_ps), "steps"),
    ]
    lines = [
        "# Melt-quench of a framework: the variables of this run; the procedure is in",
        "# melt_quench.in. Run with: lmp -in in.lammps (-var NAME VALUE replaces a value).",
        "# Units: Å, ps, eV, K.",
        "",
    ]
    for name, value, comment in variables:
        text = f"{value:.10g}" if isinstance(value, float) else str(value)
        text = f'"{text}"' if " " in text else text
        line = f"variable {name:18} index {text}"
        lines.append(f"{line:45}  # {comment}" if comment else line)
    return "\n".join([*lines, "", "include melt_quench.in", ""])


def _interval(protocol: MeltQuench, time_ps: float) -> int:
    return max(1, protocol.steps(time_ps))


def _manifest(
    protocol: MeltQuench, supercell: Atoms, potential: Potential, hashes: dict[str, str]
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "versions": {"mofmd": mofmd.__version__, "lammps": metadata.version("lammps")},
        "units": UNITS,
        "protocol": {"name": type(protocol).__name__, **asdict(protocol)},
        "total_steps": protocol.total_steps,
        "structure": {
            "formula": supercell.get_chemical_formula(),
            "n_atoms": len(supercell),
            "cell": [[round(float(x), 10) for x in row] for row in supercell.cell],
        },
        "potential": {
            "pair_style": potential.pair_style,
            "model": potential.model_file.name,
            "type_names": list(potential.type_names),
        },
        "files": dict(sorted(hashes.items())),
    }


def _scripts_directory() -> Path:
    """Folder of the LAMMPS scripts: in the package when installed, beside it in a checkout."""
    package = Path(str(resources.files("mofmd")))
    for candidate in (package / "lammps_inputs", package.parent / "lammps_inputs"):
        if (candidate / SCRIPTS[0]).is_file():
            return candidate
    raise MissingFileError(
        f"lammps_inputs: the LAMMPS scripts are neither in {package} nor beside it; "
        "install mofmd again"
    )


def _make_way(directory: Path, overwrite: bool) -> None:
    """Make an empty directory, or clear one that holds a deck, or refuse."""
    if directory.exists() and not directory.is_dir():
        raise InputError(f"{directory}: is a file, expected a directory")
    directory.mkdir(parents=True, exist_ok=True)
    if not any(directory.iterdir()):
        return
    if not overwrite:
        raise InputError(f"{directory}: not empty; choose another directory or allow overwriting")
    try:
        manifest = _read_manifest(directory)
    except (InputError, MissingFileError) as error:
        raise InputError(
            f"{directory}: not empty and not a deck, so it is not overwritten ({error})"
        ) from error
    # the manifest first: a deck that is half removed must not look like one
    for name in (MANIFEST, *manifest["files"], *OUTPUTS):
        (directory / name).unlink(missing_ok=True)


def _check_model(model_file: Path) -> None:
    """Refuse a model that is not there, or whose name LAMMPS or the deck cannot take."""
    if not model_file.is_file():
        raise MissingFileError(f"{model_file}: no such model file")
    name = model_file.name
    if not re.fullmatch(r"[\w.+=-]+", name, flags=re.ASCII):
        raise InputError(
            f"model_file: {name!r} cannot stand in a LAMMPS script; rename it to letters, digits "
            "and . _ + = -"
        )
    if name in ("in.lammps", "structure.data", MANIFEST, *SCRIPTS, *OUTPUTS):
        raise InputError(f"model_file: a deck has another file named {name!r}; rename the model")


def _copy_atomic(source: Path, target: Path) -> None:
    temporary = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, temporary)
    temporary.replace(target)
