"""Reference of the Python API: a page for each room of the package, from the docstrings."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import text

import mofmd

# rooms that are no interface: the command line has a reference of its own, the rest is internal
LEFT_OUT = ("cli", "plugin", "demo", "data", "processes", "__main__", "models.export")
FRONT = "a_front_door"  # first by its name


def pages() -> dict[str, str]:
    """Name and reStructuredText of each page."""
    rooms = [
        each.name for each in pkgutil.iter_modules(mofmd.__path__) if each.name not in LEFT_OUT
    ]
    found = {}
    if names := getattr(mofmd, "__all__", ()):
        found[FRONT] = _front_page(sorted(names))
    for room in sorted(rooms):
        module = importlib.import_module(f"mofmd.{room}")
        if hasattr(module, "__path__"):
            found[room] = _room_page(module)
    alone = [room for room in sorted(rooms) if room not in found]
    found["basics"] = _title("Errors, units and other basics") + "".join(
        _module(f"mofmd.{room}") for room in alone
    )
    return found


def _front_page(names: list[str]) -> str:
    rows = []
    for name in names:
        thing = getattr(mofmd, name)
        module = getattr(thing, "__module__", "")
        if name.startswith("_") or not module.startswith("mofmd"):
            continue
        path = f"{module}.{getattr(thing, '__qualname__', name)}"
        rows.append(f"* - :py:obj:`mofmd.{name} <{path}>`\n  - {_first_line(thing)}\n")
    lines = "".join("   " + line + "\n" for row in rows for line in row.splitlines())
    return (
        _title("import mofmd")
        + "What ``import mofmd`` gives; each name links to its full description.\n\n"
        + ".. list-table::\n   :widths: 30 70\n\n"
        + lines
    )


def _room_page(module: ModuleType) -> str:
    parts = [_title(module.__name__), _docstring(module)]
    for each in sorted(pkgutil.walk_packages(module.__path__, f"{module.__name__}."), key=_order):
        inside = each.name.removeprefix("mofmd.")
        if inside.startswith(LEFT_OUT) or each.ispkg:
            continue
        parts.append(_module(each.name))
    return "\n".join(parts)


def _order(info: pkgutil.ModuleInfo) -> tuple[int, str]:
    # a room's own modules first, then its folders
    return info.name.count("."), info.name


def _module(name: str) -> str:
    return f"{_title(name, '-')}.. automodule:: {name}\n   :members:\n   :show-inheritance:\n\n"


def _docstring(module: ModuleType) -> str:
    return (module.__doc__ or "").strip() + "\n"


def _first_line(thing: object) -> str:
    return text.summary(thing).replace("`", "``") or repr(thing)


def _title(words: str, line: str = "=") -> str:
    return f"{words}\n{line * len(words)}\n\n"
