"""A frame of a trajectory as a structure: extended XYZ, LAMMPS dumps."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from itertools import islice
from pathlib import Path

from ase import Atoms

from mofmd.errors import InputError
from mofmd.reading.elements import DEUTERIUM, deuterium_note, is_element
from mofmd.reading.reading import Reading, choose_index
from mofmd.structures.frame import Frame
from mofmd.trajectory.extxyz import XyzFrame
from mofmd.trajectory.file import TrajectoryFile
from mofmd.trajectory.text_dump import TextFrame


def read_frame(path: Path, choice: str | None = None) -> Reading:
    """Read one frame of a trajectory.

    Parameters
    ----------
    path
        Any file that ``TrajectoryFile`` takes.
    choice
        Number of the frame, from zero, −1 for the last; needed where the file holds several.

    Raises
    ------
    InputError
        If the frame is left open, has no cell, or an atom is of no element.
    """
    file = TrajectoryFile(path, one_run=False)
    index = 0
    notes: tuple[str, ...] = ()
    if choice is None:
        if (count := _count(file)) > 1:
            raise InputError(
                f"holds {count} frames; choose one, as in FILE#0, or FILE#-1 for the last"
            )
    else:
        index = choose_index(_count(file), choice, "frame")
    if file.incomplete_frame:
        notes = ("ends within a frame, which is left out",)
    with closing(file.raw_frames()) as frames:
        raw = next(islice(frames, index, None))
    # structures in one file need not be of the same atoms
    alone = replace(raw, first=None) if isinstance(raw, XyzFrame | TextFrame) else raw
    return _structure(alone.decode(), notes)


def _count(file: TrajectoryFile) -> int:
    with closing(file.raw_frames()) as frames:
        return sum(1 for _ in frames)


def _structure(frame: Frame, notes: tuple[str, ...]) -> Reading:
    names = list(frame.species)
    symbols = {name: name.capitalize() for name in frame.species.elements}
    for name, symbol in symbols.items():
        if not is_element(symbol) and symbol != DEUTERIUM:
            raise InputError(
                f"atom {names.index(name) + 1} is of no known element ({name}); name a chemical "
                "element"
            )
    if deuterium := sum(symbols[name] == DEUTERIUM for name in names):
        notes = (*notes, deuterium_note(deuterium))
    atoms = Atoms(
        ["H" if symbols[name] == DEUTERIUM else symbols[name] for name in names],
        positions=frame.positions,
        cell=frame.cell,
        pbc=frame.pbc,
    )
    return Reading(atoms, notes)
