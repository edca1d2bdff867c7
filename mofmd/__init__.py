"""Molecular dynamics of metal-organic frameworks with LAMMPS and machine-learned potentials.

What users need is here by name, such as ``mofmd.read_structure`` and ``mofmd.MeltQuench``. A name
is imported when it is first asked for: ``import mofmd`` itself is instant. The names and their
modules stand in ``__init__.pyi`` alone, where editors and type checkers read them too.
"""

from typing import Any

__version__ = "0.1.0"


def _modules() -> dict[str, str]:
    """Read the module of each name from the stub."""
    import ast
    from pathlib import Path

    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    return {
        alias.name: str(node.module)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def __getattr__(name: str) -> Any:
    """Import what is asked for, once."""
    if name.startswith("__") and name != "__all__":  # asked by Python itself, all the time
        raise AttributeError(name)
    modules = _modules()
    if name == "__all__":
        value: Any = ["__version__", *sorted(modules)]
    elif name in modules:
        import importlib

        value = getattr(importlib.import_module(modules[name]), name)
    else:
        from mofmd.errors import did_you_mean

        raise AttributeError(
            f"module 'mofmd' has no attribute {name!r}{did_you_mean(name, modules)}", name=name
        )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Names that can be asked for: no module that some other import has left here."""
    return ["__version__", *sorted(_modules())]
