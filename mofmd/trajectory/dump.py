"""LAMMPS text dumps as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np

from mofmd.errors import InputError, MissingFileError

COLUMNS = ("id", "element", "xu", "yu", "zu")


@dataclass(frozen=True)
class Trajectory:
    """Frames of one simulation; arrays are read-only.

    Parameters
    ----------
    species
        Element of each atom, atoms in the order of their LAMMPS ids.
    timesteps
        (frames,) step of each frame.
    positions
        (frames, atoms, 3) unwrapped Cartesian positions [Å], float64.
    cells
        (frames, 3, 3) cell matrices, rows a, b, c [Å], in LAMMPS's orientation.
    incomplete_frame
        Whether the file ended within a frame, which was left out.
    """

    species: tuple[str, ...]
    timesteps: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    incomplete_frame: bool = False

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        for array in (self.timesteps, self.positions, self.cells):
            array.setflags(write=False)

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.timesteps)

    def select(self, frames: np.ndarray) -> Trajectory:
        """Trajectory of some of the frames, given as a mask or as indices."""
        return replace(
            self,
            timesteps=self.timesteps[frames],
            positions=self.positions[frames],
            cells=self.cells[frames],
        )

    def atoms_of(self, element: str) -> np.ndarray:
        """Give the indices of the atoms of one element."""
        return np.flatnonzero(np.array(self.species) == element)


def read_dump(path: Path) -> Trajectory:
    """Read all frames of a text dump with columns id, element, xu, yu, zu (others are skipped).

    A last frame that was being written when the run was killed is left out and reported in
    ``incomplete_frame``.

    Raises
    ------
    InputError
        If positions are wrapped or scaled, the units are not ``metal``, or the number, the ids or
        the elements of the atoms change from frame to frame.
    """
    if not path.is_file():
        raise MissingFileError(f"{path}: no such dump; a run writes it as trajectory.dump")
    frames: list[_Frame] = []
    incomplete = False
    with path.open(encoding="utf-8", errors="replace") as file:
        try:
            for frame in _frames(path, file):
                _check_same_system(path, frame, frames[0] if frames else frame)
                frames.append(frame)
        except _FileEndedError:
            incomplete = True
    if not frames:
        raise InputError(f"{path}: holds no complete frame")
    return Trajectory(
        species=frames[0].species,
        timesteps=np.array([frame.step for frame in frames], dtype=np.int64),
        positions=np.array([frame.positions for frame in frames]),
        cells=np.array([frame.cell for frame in frames]),
        incomplete_frame=incomplete,
    )


@dataclass(frozen=True)
class _Frame:
    step: int
    ids: tuple[int, ...]
    species: tuple[str, ...]
    positions: np.ndarray
    cell: np.ndarray


def _check_same_system(path: Path, frame: _Frame, first: _Frame) -> None:
    if frame.ids != first.ids or frame.species != first.species:
        raise InputError(
            f"{path}: atoms or elements at step {frame.step} are not those of step {first.step}; "
            "one dump must hold one system"
        )


class _FileEndedError(Exception):
    """The file ends within a frame."""


def _frames(path: Path, file: TextIO) -> Iterator[_Frame]:
    while True:
        header = _read_header(path, file)
        if header is None:
            return
        step, n_atoms, cell, columns = header
        missing = [name for name in COLUMNS if name not in columns]
        if missing:
            raise InputError(
                f"{path}: has columns {' '.join(columns)} but lacks {' '.join(missing)}; write it "
                "with: dump ... custom ... id element xu yu zu"
            )
        lines = list(islice(file, n_atoms))
        if len(lines) < n_atoms or not lines[-1].endswith("\n"):
            raise _FileEndedError
        yield _read_atoms(lines, columns, step, cell)


def _read_header(path: Path, file: TextIO) -> tuple[int, int, np.ndarray, list[str]] | None:
    """Items up to ATOMS: step, number of atoms, cell, columns. None at the end of the file."""
    step, n_atoms, cell = -1, -1, np.zeros((3, 3))
    line = file.readline()
    if not line:
        return None
    while not line.startswith("ITEM: ATOMS") or not line.endswith("\n"):
        if line.startswith("ITEM: TIMESTEP"):
            step = int(_line(file))
        elif line.startswith("ITEM: NUMBER OF ATOMS"):
            n_atoms = int(_line(file))
        elif line.startswith("ITEM: BOX BOUNDS"):
            cell = _cell([_line(file).split() for _ in range(3)])
        elif line.startswith("ITEM: UNITS"):
            units = _line(file).strip()
            if units != "metal":
                raise InputError(f"{path}: in units {units}, expected metal")
        elif not line.startswith("ITEM:"):
            if not line.endswith("\n"):
                raise _FileEndedError
            raise InputError(f"{path}: not a LAMMPS text dump, found {line.strip()[:60]!r}")
        else:
            _line(file)
        line = _line(file)
    return step, n_atoms, cell, line.split()[2:]


def _line(file: TextIO) -> str:
    line = file.readline()
    if not line.endswith("\n"):
        raise _FileEndedError
    return line


def _cell(bounds: list[list[str]]) -> np.ndarray:
    """Cell matrix from the lines of BOX BOUNDS.

    For a triclinic box LAMMPS writes the bounding box and the tilt factors xy, xz, yz
    (LAMMPS manual, Howto_triclinic).
    """
    (xlo, xhi, *xy), (ylo, yhi, *xz), (zlo, zhi, *yz) = [list(map(float, row)) for row in bounds]
    tilt_xy, tilt_xz, tilt_yz = (row[0] if row else 0.0 for row in (xy, xz, yz))
    xlo -= min(0.0, tilt_xy, tilt_xz, tilt_xy + tilt_xz)
    xhi -= max(0.0, tilt_xy, tilt_xz, tilt_xy + tilt_xz)
    ylo -= min(0.0, tilt_yz)
    yhi -= max(0.0, tilt_yz)
    return np.array(
        [[xhi - xlo, 0.0, 0.0], [tilt_xy, yhi - ylo, 0.0], [tilt_xz, tilt_yz, zhi - zlo]]
    )


def _read_atoms(lines: list[str], columns: list[str], step: int, cell: np.ndarray) -> _Frame:
    """Atoms of a frame, sorted by id."""
    table = np.array([line.split() for line in lines])
    ids = table[:, columns.index("id")].astype(np.int64)
    order = np.argsort(ids)
    xyz = [columns.index(name) for name in ("xu", "yu", "zu")]
    return _Frame(
        step=step,
        ids=tuple(ids[order].tolist()),
        species=tuple(table[order, columns.index("element")].tolist()),
        positions=table[order][:, xyz].astype(np.float64),
        cell=cell,
    )
