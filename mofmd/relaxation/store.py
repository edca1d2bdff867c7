"""The folder of a relaxation: its state, from which it goes on, and what it leaves."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator

from mofmd.disk.atomic import write_atomic, writing
from mofmd.disk.output import check_output, make_folder
from mofmd.errors import InputError
from mofmd.relaxation.lbfgs import Memory
from mofmd.relaxation.relaxation import ROW, Evaluated, Relaxation, State

STATE = "state.npz"
TRAJECTORY = "trajectory.extxyz"
TABLE = "convergence.csv"
RESULT = "relaxed.json"
SCHEMA = "mofmd-relaxation-1"
_POINT = ("value", "energy_eV", "volume_A3", "force_max_eV_per_A", "stress_max_GPa")
_ARRAYS = ("x", "gradient", "forces")


def task_digest(atoms: Atoms, task: dict[str, Any]) -> str:
    """Hash of all that decides where a relaxation goes, the numbers of its limits apart."""
    digest = hashlib.sha256(json.dumps(task, sort_keys=True, default=str).encode())
    for array in (atoms.numbers, atoms.positions, atoms.cell.array, np.array(atoms.pbc)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class Store:
    """Files of a relaxation in a folder.

    After each step the frame is added to the trajectory and then the state is replaced, in one
    piece: killed at any moment, a relaxation goes on from its last step as if nothing had been.

    Parameters
    ----------
    folder
        Is made if it lacks.
    digest
        Of the task, see ``task_digest``.
    """

    def __init__(self, folder: Path, digest: str) -> None:
        self.folder = folder
        self._digest = digest
        check_output(folder)

    @property
    def has_state(self) -> bool:
        """Whether a relaxation has been begun here."""
        return (self.folder / STATE).exists()

    def save(self, relaxation: Relaxation) -> None:
        """Add the present point to the trajectory and keep the state."""
        make_folder(self.folder)  # not before: what cannot be evaluated leaves no folder
        state = relaxation.state
        size = self._add_frame(relaxation)
        here = state.here
        arrays: dict[str, Any] = {name: getattr(here, name) for name in _ARRAYS}
        arrays |= {name: np.float64(getattr(here, name)) for name in _POINT}
        if here.stress is not None:
            arrays["stress"] = here.stress
        arrays |= {
            "steps": np.array(state.memory.steps).reshape(-1, len(here.x)),
            "changes": np.array(state.memory.changes).reshape(-1, len(here.x)),
            "anchor": state.anchor,
            "rows": np.array(state.rows),
            "calls": np.int64(state.calls),
            "proper": np.bool_(state.proper),
            "trajectory_bytes": np.int64(size),
            "digest": np.str_(self._digest),
            "schema": np.str_(SCHEMA),
        }
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        write_atomic(self.folder / STATE, buffer.getvalue())

    def load(self) -> State:
        """Read the state back, and cut off what was written after it.

        Raises
        ------
        InputError
            If it is of another task, or damaged.
        """
        path = self.folder / STATE
        try:
            with np.load(path) as file:
                arrays = {name: file[name] for name in file.files}
            schema, digest = str(arrays["schema"]), str(arrays["digest"])
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise InputError(f"{path}: is damaged ({error}); remove {self.folder}") from error
        if schema != SCHEMA:
            raise InputError(f"{path}: is of another version of mofmd; remove {self.folder}")
        if digest != self._digest:
            raise InputError(
                f"{self.folder}: holds a relaxation of another structure, model, dispersion or "
                "freedom: choose another folder, or --overwrite"
            )
        point: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
        point |= {name: float(arrays[name]) for name in _POINT}
        here = Evaluated(**point, stress=arrays.get("stress"))
        with (self.folder / TRAJECTORY).open("r+b") as trajectory:
            trajectory.truncate(int(arrays["trajectory_bytes"]))
        return State(
            here,
            int(arrays["calls"]),
            Memory(list(arrays["steps"]), list(arrays["changes"])),
            arrays["anchor"],
            [tuple(map(float, row)) for row in arrays["rows"]],
            bool(arrays.get("proper", False)),
        )

    def clear(self) -> None:
        """Remove what an earlier relaxation has left."""
        for name in (STATE, TRAJECTORY, TABLE, RESULT):
            (self.folder / name).unlink(missing_ok=True)

    def write_table(self, relaxation: Relaxation) -> None:
        """Write the table of steps; units are in its heads."""
        lines = [",".join(("step", *ROW))]
        for step, row in enumerate(relaxation.state.rows):
            lines.append(",".join([str(step), str(int(row[0])), *(repr(v) for v in row[1:])]))
        write_atomic(self.folder / TABLE, "\n".join(lines) + "\n")

    def _add_frame(self, relaxation: Relaxation) -> int:
        """Append the present structure; return the size of the trajectory."""
        path = self.folder / TRAJECTORY
        with writing(path), path.open("ab") as file:
            file.write(frame_text(relaxation).encode())
            file.flush()
            return file.tell()


def frame_text(relaxation: Relaxation) -> str:
    """Write the present structure with energy, forces and stress as extended XYZ [eV, Å]."""
    from ase.io import write

    here = relaxation.state.here
    atoms = relaxation.structure()
    labels: dict[str, Any] = {"energy": here.energy_eV, "forces": here.forces}
    if here.stress is not None:
        labels["stress"] = here.stress
    atoms.calc = SinglePointCalculator(atoms, **labels)
    text = io.StringIO()
    write(text, atoms, format="extxyz")
    return text.getvalue()
