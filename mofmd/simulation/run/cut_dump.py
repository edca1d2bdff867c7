"""Cutting a trajectory back to a step, before a run continues from there."""

from __future__ import annotations

from itertools import islice
from pathlib import Path


def cut_trajectory(path: Path, last_step: int) -> None:
    """Remove the frames after a step, and one that was being written when the run was killed.

    Parameters
    ----------
    path
        LAMMPS text dump; nothing happens if there is none.
    last_step
        Last step whose frame stays.
    """
    if not path.is_file():
        return
    end = _end_of_step(path, last_step)
    if end < path.stat().st_size:
        with path.open("r+b") as file:
            file.truncate(end)


def cut_table(path: Path, last_step: int) -> None:
    """Remove the lines after a step from a table whose first column is the step.

    A line that was being written when the run was killed goes as well; before the first step, of
    -1, nothing stays: the run writes its heads again.
    """
    if not path.is_file():
        return
    end = 0
    with path.open("r+b") as file:
        while last_step >= 0 and (line := file.readline()):
            step = line.partition(b",")[0]
            if not line.endswith(b"\n") or (step.isdigit() and int(step) > last_step):
                break
            end = file.tell()
        file.truncate(end)


def _end_of_step(path: Path, last_step: int) -> int:
    """Size in bytes of the complete frames up to and with a step."""
    end = n_atoms = 0
    with path.open("rb") as file:
        while line := file.readline():
            if line.startswith(b"ITEM: TIMESTEP"):
                step = file.readline()
                if not step.endswith(b"\n") or int(step) > last_step:
                    return end
            elif line.startswith(b"ITEM: NUMBER OF ATOMS"):
                n_atoms = int(file.readline() or 0)
            elif line.startswith(b"ITEM: ATOMS"):
                atoms = list(islice(iter(file.readline, b""), n_atoms))
                if len(atoms) < n_atoms or not atoms[-1].endswith(b"\n"):
                    return end
                end = file.tell()
    return end
