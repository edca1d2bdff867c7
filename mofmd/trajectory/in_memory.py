"""Trajectories in memory."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.structures.frame import Frame, Species
from mofmd.trajectory.file import RawFrame, TrajectoryFile
from mofmd.trajectory.raw_frame import ParsedFrame


@dataclass(frozen=True)
class Trajectory:
    """Frames of one simulation in memory; arrays are read-only.

    Parameters
    ----------
    species
        Element of each atom, atoms in the order of their LAMMPS ids.
    timesteps
        (frames,) step of each frame.
    positions
        (frames, atoms, 3) Cartesian positions [Å], float64.
    cells
        (frames, 3, 3) cell matrices, rows a, b, c [Å], in LAMMPS's orientation.
    incomplete_frame
        Whether the file ended within a frame, which was left out.
    times_ps
        (frames,) times, where they are known.
    unwrapped
        Whether positions run on beyond the cell, as diffusion needs them.
    """

    species: Species
    timesteps: np.ndarray
    positions: np.ndarray
    cells: np.ndarray
    incomplete_frame: bool = False
    times_ps: np.ndarray | None = None
    unwrapped: bool = True

    def __post_init__(self) -> None:
        """Make the arrays read-only, and the species an object."""
        freeze(self, "timesteps", "positions", "cells", "times_ps")
        if not isinstance(self.species, Species):
            object.__setattr__(self, "species", Species(self.species))

    @classmethod
    def from_ase(
        cls, images: Iterable[Atoms], interval_ps: float | None = None, *, unwrapped: bool = True
    ) -> Trajectory:
        """Take structures as frames, ``interval_ps`` apart; MD with ASE leaves them unwrapped."""
        frames = [Frame.from_ase(atoms, step=k) for k, atoms in enumerate(images)]
        if not frames:
            raise InputError("trajectory: no frames to average over")
        if any(frame.species != frames[0].species for frame in frames):
            raise InputError("trajectory: structures differ in their atoms; order them alike")
        return cls(
            species=frames[0].species,
            timesteps=np.arange(len(frames)),
            positions=np.array([frame.positions for frame in frames]),
            cells=np.array([frame.cell for frame in frames]),
            times_ps=None if interval_ps is None else interval_ps * np.arange(len(frames)),
            unwrapped=unwrapped,
        )

    def to_ase(self) -> list[Atoms]:
        """Structures of the frames."""
        return [frame.to_ase() for frame in self]

    def __len__(self) -> int:
        """Count the frames."""
        return len(self.timesteps)

    def __iter__(self) -> Iterator[Frame]:
        """Go through the frames."""
        for k, step in enumerate(self.timesteps):
            time = None if self.times_ps is None else float(self.times_ps[k])
            yield Frame(
                int(step), self.species, self.positions[k], self.cells[k], self.unwrapped, time
            )

    def raw_frames(self) -> Generator[RawFrame]:
        """Frames in order."""
        for frame in self:
            yield ParsedFrame(frame)

    def select(self, frames: np.ndarray) -> Trajectory:
        """Trajectory of some of the frames, given as a mask or as indices."""
        return replace(
            self,
            timesteps=self.timesteps[frames],
            positions=self.positions[frames],
            cells=self.cells[frames],
            times_ps=None if self.times_ps is None else self.times_ps[frames],
        )

    def atoms_of(self, element: str) -> np.ndarray:
        """Give the indices of the atoms of one element."""
        return self.species.atoms_of(element)


def read_dump(path: Path, **options: Any) -> Trajectory:
    """Read all frames of a file into memory.

    Parameters
    ----------
    path
        Any file that ``TrajectoryFile`` takes, unwrapped or with image flags.
    options
        As for ``TrajectoryFile``.

    Raises
    ------
    InputError
        If positions are wrapped.
    """
    file = TrajectoryFile(path, **options)
    frames = list(file)
    if not frames[0].unwrapped:
        raise InputError(
            f"{path}: positions are wrapped and lack image flags; write it with: dump ... custom "
            "... id element xu yu zu"
        )
    times = [frame.time_ps for frame in frames]
    return Trajectory(
        species=frames[0].species,
        timesteps=np.array([frame.step for frame in frames], dtype=np.int64),
        positions=np.array([frame.positions for frame in frames]),
        cells=np.array([frame.cell for frame in frames]),
        incomplete_frame=file.incomplete_frame,
        times_ps=None if None in times else np.array(times, dtype=np.float64),
    )
