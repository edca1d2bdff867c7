"""What results of a module depend on: its source, those of what it imports, values told plainly."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import re
import sys
import sysconfig
from collections.abc import Iterator
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

import numpy as np

OWN = __name__.partition(".")[0]


def source_digests(module: str) -> dict[str, str | None]:
    """Hash the source of a module and of all own modules that it imports, in functions too.

    Own modules are those outside Python's folders of installed packages; they are read from disk
    as they are now. Nothing is imported. Installed packages are told by their versions.

    Parameters
    ----------
    module
        Name of a module, be it installed or not.

    Returns
    -------
    dict
        By names, sorted: SHA-256 of sources, versions of installed packages where they are known.
    """
    found: dict[str, str | None] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        spec = _spec(name)
        if spec is None or not (spec.origin or "").endswith(".py"):
            continue
        path = Path(str(spec.origin))
        own = not _installed(name, path)
        if own or name == module:
            source = path.read_bytes()
            found[name] = hashlib.sha256(source).hexdigest()
            if own:
                package = name if spec.submodule_search_locations else name.rpartition(".")[0]
                waiting += _imports(source, package)
        top = name.partition(".")[0]
        if not own and top not in found:
            found[top] = version_of(top)
    return dict(sorted(found.items()))


def plain(value: Any) -> Any:
    """Write a value so that JSON can hold it, and that no address in memory is in it."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in sorted(value.items(), key=str)}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, set | frozenset):
        return sorted(repr(plain(each)) for each in value)
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))


def version_of(package: str) -> str | None:
    """Version of an installed package; None where it is none."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _spec(name: str) -> ModuleSpec | None:
    """Find a module without importing it or its packages."""
    top, *rest = name.split(".")
    if top in sys.stdlib_module_names:
        return None
    try:
        spec = importlib.util.find_spec(top)
        for part in rest:
            if spec is None or spec.submodule_search_locations is None:
                return None
            places = list(spec.submodule_search_locations)
            spec = PathFinder.find_spec(f"{spec.name}.{part}", places)
    except (ImportError, ValueError):  # a module without a specification, such as __main__
        return None
    return spec


def _installed(name: str, path: Path) -> bool:
    places = [sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")]
    if name.partition(".")[0] == OWN:
        return True
    return any(path.resolve().is_relative_to(Path(place).resolve()) for place in places)


def _imports(source: bytes, package: str) -> Iterator[str]:
    """Names of modules that a source may import, with the packages that they are in."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [each.name for each in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                above = parts[: len(parts) - node.level + 1]
                base = ".".join([*above, *([base] if base else [])])
            names = [base, *(f"{base}.{each.name}" for each in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:k]) for k in range(1, len(parts) + 1) if all(parts))
