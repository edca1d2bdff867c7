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
from mofmd.disk.npz import read_arrays
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
_OPTIONAL = ("stress", "proper")
_MAY_BE_NAN = ("rows", "volume_A3", "stress_max_GPa")  # of molecules
CELL_VARIABLES = 6  # at most


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

    def load(self, n_atoms: int) -> State:
        """Read the state back, and cut off what was written after it.

        Parameters
        ----------
        n_atoms
            Of the structure that is relaxed.

        Raises
        ------
        InputError
            If it is of another task, or damaged.
        """
        path = self.folder / STATE
        try:
            arrays = read_arrays(path)
            schema, digest = str(arrays["schema"]), str(arrays["digest"])
        except InputError as error:
            raise InputError(f"{error}; {self._mend}") from error
        except KeyError as error:
            raise InputError(f"{path}: has no {error}, it is damaged; {self._mend}") from error
        if schema != SCHEMA:
            raise InputError(f"{path}: is of another version of mofmd; {self._mend}")
        if digest != self._digest:
            raise InputError(
                f"{self.folder}: holds a relaxation of another structure, model, dispersion or "
                "freedom: choose another folder, or --overwrite"
            )
        try:
            _check(arrays, n_atoms)
            state = _state(arrays)
            size = int(arrays["trajectory_bytes"])
        except KeyError as error:
            raise InputError(f"{path}: has no {error}, it is damaged; {self._mend}") from error
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: is damaged: {error}; {self._mend}") from error
        self._cut_trajectory(size)
        return state

    @property
    def _mend(self) -> str:
        return f"remove {self.folder}, or begin anew with --overwrite"

    def _cut_trajectory(self, size: int) -> None:
        """Cut off what was written after the state."""
        path = self.folder / TRAJECTORY
        try:
            with path.open("r+b") as file:
                there = file.seek(0, io.SEEK_END)
                if there >= size:
                    file.truncate(size)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be gone on with ({error.strerror}); {self._mend}"
            ) from error
        if there < size:
            raise InputError(
                f"{path}: has {there} bytes, fewer than the {size} of the steps that {STATE} "
                f"holds: it was changed or cut; {self._mend}"
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


def _check(arrays: dict[str, np.ndarray], n_atoms: int) -> None:
    """Refuse arrays of a state whose shapes do not go together, or that are not numbers."""
    length = arrays["x"].size
    if not 3 * n_atoms <= length <= 3 * n_atoms + CELL_VARIABLES:
        raise ValueError(f"x has {length} values, which are not those of {n_atoms} atoms")
    memory = arrays["steps"].shape[:1] or (0,)
    shapes: dict[str, tuple[int, ...]] = {
        "x": (length,),
        "gradient": (length,),
        "anchor": (length,),
        "forces": (n_atoms, 3),
        "stress": (3, 3),
        "steps": (*memory, length),
        "changes": (*memory, length),
        "rows": (max(1, len(np.atleast_1d(arrays["rows"]))), len(ROW)),
        **dict.fromkeys((*_POINT, "calls", "trajectory_bytes", "proper"), ()),
    }
    for name, shape in shapes.items():
        if name in _OPTIONAL and name not in arrays:
            continue
        if arrays[name].shape != shape:
            raise ValueError(f"{name} has the shape {arrays[name].shape}, expected {shape}")
        if name not in _MAY_BE_NAN and not np.isfinite(arrays[name]).all():
            raise ValueError(f"{name} holds what is not a number")


def _state(arrays: dict[str, np.ndarray]) -> State:
    point: dict[str, Any] = {name: arrays[name] for name in _ARRAYS}
    point |= {name: float(arrays[name]) for name in _POINT}
    return State(
        Evaluated(**point, stress=arrays.get("stress")),
        int(arrays["calls"]),
        Memory(list(arrays["steps"]), list(arrays["changes"])),
        arrays["anchor"],
        [tuple(map(float, row)) for row in arrays["rows"]],
        bool(arrays.get("proper", False)),
    )


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
