"""The packages of ``mofmd[phonons]``, asked for before any work is done."""

from __future__ import annotations

from importlib.util import find_spec

from mofmd.errors import InputError

PACKAGES = ("phonopy", "seekpath")


def need_packages() -> None:
    """Say what lacks.

    Raises
    ------
    InputError
        Naming the packages and how to install them.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise InputError(
            f"phonons: {', '.join(missing)} not installed: pip install 'mofmd[phonons]'"
        )
