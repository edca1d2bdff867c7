"""Maps of errors: frameworks whose atoms are coloured by the error of the force on them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from html import escape
from pathlib import Path

from ase import Atoms
from ase.io import write

from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.learning.evaluate.parts import MAP_COLUMN
from mofmd.report.page import html_page
from mofmd.report.shade import Shade
from mofmd.report.view import view
from mofmd.trajectory.frame import Frame

PAGE = "maps.html"
LABEL = "MAE_p95 of the force (meV/Å)"


def write_maps(maps: Mapping[str, Mapping[str, Atoms]], folder: Path) -> None:
    """Write a file for each model and framework, and a page with all of them.

    Parameters
    ----------
    maps
        Of each model: framework to atoms with a column of errors.
    folder
        Gets ``MODEL-FRAMEWORK.extxyz`` and ``maps.html``; none where there is no framework.
    """
    if not any(maps.values()):
        return
    make_folder(folder)
    # one scale for all models, so that they can be compared
    top = {
        name: max(own[name].arrays[MAP_COLUMN].max() for own in maps.values() if name in own)
        for name in dict.fromkeys(name for own in maps.values() for name in own)
    }
    parts = ["<header><h1>Errors of the forces, by atom</h1></header>"]
    number = 0
    for model, own in maps.items():
        for name, atoms in own.items():
            buffer = io.StringIO()
            write(buffer, atoms, format="extxyz")
            write_atomic(folder / f"{model}-{name}.extxyz", buffer.getvalue())
            values = atoms.arrays[MAP_COLUMN]
            worst = int(values.argmax())
            what = (
                f"{name}, {atoms.info['frames']} frames; worst is atom {worst + 1} "
                f"({atoms.symbols[worst]}): {values[worst]:.0f} meV/Å"
            )
            shade = Shade(values, LABEL, largest=float(top[name]))
            number += 1
            drawn = view(Frame.from_ase(atoms), model, what, shade, f"view{number}")
            parts.append(f"<section><h2>{escape(f'{model}: {name}')}</h2>{drawn}</section>")
    write_atomic(folder / PAGE, html_page("mofmd: errors by atom", parts))
