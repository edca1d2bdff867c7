"""Memory that an evaluation will take beside what is free, told before it is made."""

from __future__ import annotations

from pathlib import Path

from mofmd.errors import InputError
from mofmd.models.files.deployed import find_manifest
from mofmd.units import GIB

SHARE = 0.8
"""Of the free memory that an evaluation may take, as in the pair styles."""
# files of limit, use and statistics, and the name of what can be given up: of both versions
_VERSIONS = {
    "": ("", "memory.max", "memory.current", "inactive_file"),
    "memory": (
        "memory",
        "memory.limit_in_bytes",
        "memory.usage_in_bytes",
        "total_inactive_file",
    ),
}


def memory_per_edge(model: Path, dtype: str) -> float:
    """Bytes per edge of an evaluation, as measured when the file was made; 0 where it tells none.

    Parameters
    ----------
    model
        File of a model.
    dtype
        In which it is run, perhaps not that of the file.
    """
    manifest = find_manifest(model) or {}
    is_converted = (manifest.get("dtype"), dtype) == ("float32", "float64")
    return float(manifest.get("bytes_per_edge") or 0.0) * (2.0 if is_converted else 1.0)


def refuse_too_large(
    name: str, bytes_per_edge: float, edges: int, atoms: int, free_bytes: float | None
) -> None:
    """Refuse an evaluation that does not fit: Linux would end the process without a word.

    Parameters
    ----------
    name
        Of the model's file.
    bytes_per_edge
        Of an evaluation, as measured when the file was made.
    edges, atoms
        Of the structure.
    free_bytes
        See ``available_bytes``; None where nobody knows.

    Raises
    ------
    InputError
        Naming what it takes, what is free and how many atoms fit.
    """
    if free_bytes is None:
        return
    needed, share = bytes_per_edge * edges, SHARE * free_bytes
    if needed <= share:
        return
    raise InputError(
        f"out of memory: an evaluation of {atoms} atoms with {name} would take about "
        f"{needed / GIB:.1f} GiB ({edges} edges of {bytes_per_edge:.0f} bytes), {share / GIB:.1f} "
        f"GiB are free for it; about {int(atoms * share / needed)} atoms of this kind fit: take a "
        "smaller cell, a smaller model or float32, or run it in LAMMPS, which evaluates large "
        "structures in parts (pair_style ... chunk auto)"
    )


def available_bytes(
    proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """Memory that this process may still take: of the machine, and of its job or container.

    Parameters
    ----------
    proc, groups
        Where Linux tells of memory and of control groups.

    Returns
    -------
    float or None
        None where nothing tells it.
    """
    found = [*_of_machine(proc), *_of_groups(proc, groups)]
    return min(found) if found else None


def _of_machine(proc: Path) -> list[float]:
    for line in _lines(proc / "meminfo"):
        if line.startswith("MemAvailable:"):
            return [1024.0 * float(line.split()[1])]
    return []


def _of_groups(proc: Path, groups: Path) -> list[float]:
    """Give what each control group above this process leaves, if it has a limit."""
    found = []
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        version = next((v for v in _VERSIONS if v in controllers.split(",")), None)
        if version is None:
            continue
        mount, limit_file, use_file, inactive = _VERSIONS[version]
        folder, root = groups / mount / path.strip("/"), groups / mount
        for each in (folder, *folder.parents):
            limit, use = _lines(each / limit_file), _lines(each / use_file)
            if limit and use and limit[0] != "max":
                kept = dict(text.split() for text in _lines(each / "memory.stat"))
                # pages of files that were read, and are given up when memory is asked for
                found.append(float(limit[0]) - float(use[0]) + float(kept.get(inactive, 0)))
            if each == root:
                break
    return found


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
