"""Energies, forces and stresses of structures, computed by LAMMPS itself."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from mofmd.engine.evaluate_worker import EVALUATED
from mofmd.engine.lammps_data import lammps_rotation, restricted_cell
from mofmd.engine.launch import (
    Ended,
    Launch,
    Resources,
    environment,
    how_it_ended,
    python_command,
)
from mofmd.engine.plugin_path import reasons_of_mofmd
from mofmd.errors import InputError, RunError
from mofmd.structures.molecules import in_a_box, is_molecule
from mofmd.units import BAR_TO_EV_PER_A3

LIMIT_S = 3600.0
BOX_SPACE_A = 2.0  # around molecules; nothing reaches through the faces of their box


@dataclass(frozen=True)
class Patience:
    """How long to wait for an evaluation, and whom to tell how far it is.

    Parameters
    ----------
    limit_s
        Wall time for each structure [s]; None for as long as it takes.
    stop
        Ends the evaluation when another thread sets it.
    on_result
        Called with the number of structures done, after each of them.
    """

    limit_s: float | None = LIMIT_S
    stop: threading.Event | None = None
    on_result: Callable[[int], None] = lambda _: None


@dataclass(frozen=True)
class Evaluation:
    """What a potential says of one structure of N atoms, in the orientation of the structure.

    Attributes
    ----------
    energy_eV
        Potential energy.
    atomic_energies_eV
        Shape (N,).
    forces_eV_per_A
        Shape (N, 3).
    stress_eV_per_A3
        Shape (3, 3), tension positive; NaN for a molecule, which has none.
    """

    energy_eV: float
    atomic_energies_eV: np.ndarray
    forces_eV_per_A: np.ndarray
    stress_eV_per_A3: np.ndarray


def evaluate(
    structures: Sequence[Atoms],
    pair_commands: Sequence[str],
    type_names: Sequence[str],
    resources: Resources | None = None,
    patience: Patience | None = None,
) -> list[Evaluation]:
    """Evaluate structures one after the other in one LAMMPS process (or one per rank).

    Parameters
    ----------
    structures
        Periodic structures with right-handed cells, or molecules, periodic in no direction and
        evaluated so; elements among ``type_names``.
    pair_commands
        ``pair_style`` and ``pair_coeff`` lines, ``units metal``; file names absolute.
    type_names
        Element of each LAMMPS type, in order.
    resources
        Ranks and threads; one of each by default.
    patience
        Time limit and progress; an hour for each structure by default.

    Raises
    ------
    InputError
        If a structure is periodic in some directions only, or holds an element without a type.
    RunError
        If LAMMPS fails, on whichever rank, or gives no result in time; the message holds its own.
    StoppedError
        If ``patience.stop`` was set.
    """
    resources = resources or Resources()
    with tempfile.TemporaryDirectory(prefix="mofmd-evaluate-") as folder:
        work = Path(folder)
        rotations = _write_job(work / "job.npz", structures, pair_commands, type_names)
        command = python_command(
            "mofmd.engine.evaluate_worker", ["job.npz", "results.npz"], resources
        )
        done = _follow(command, work, environment(resources), patience or Patience())
        if done.status != 0 or not (work / "results.npz").exists():
            raise RunError(f"LAMMPS could not evaluate the structures: {_reason(done)}")
        return _read_results(work / "results.npz", rotations)


def _write_job(
    path: Path,
    structures: Sequence[Atoms],
    pair_commands: Sequence[str],
    type_names: Sequence[str],
) -> list[np.ndarray]:
    """Write structures in LAMMPS's orientation; return the rotation of each (r_lammps = r @ R).

    A molecule gets a box, through whose faces nothing acts.
    """
    index = {name: k for k, name in enumerate(type_names, start=1)}
    masses = [float(atomic_masses[atomic_numbers[name]]) for name in type_names]
    arrays: dict[str, Any] = {}
    rotations = []
    for k, given in enumerate(structures):
        atoms = in_a_box(given, BOX_SPACE_A) if is_molecule(given) else given
        missing = sorted(set(atoms.symbols) - set(type_names))
        if missing:
            raise InputError(
                f"structure {k + 1} holds {missing[0]}, which is not among {' '.join(type_names)}"
            )
        arrays[f"is_molecule{k}"] = is_molecule(given)
        cell = restricted_cell(atoms)
        rotations.append(lammps_rotation(atoms))
        arrays[f"cell{k}"] = cell
        arrays[f"positions{k}"] = atoms.get_scaled_positions(wrap=True) @ cell
        arrays[f"types{k}"] = np.array([index[symbol] for symbol in atoms.symbols], dtype=np.int32)
    job = {
        "count": len(structures),
        "pair_commands": list(pair_commands),
        "masses": masses,
    }
    np.savez(path, job=json.dumps(job), **arrays)
    return rotations


def _read_results(path: Path, rotations: Sequence[np.ndarray]) -> list[Evaluation]:
    results = []
    with np.load(path) as file:
        for k, rotation in enumerate(rotations):
            pressure = file[f"pressure{k}"][[[0, 3, 4], [3, 1, 5], [4, 5, 2]]]
            if file[f"is_molecule{k}"]:
                pressure = np.full((3, 3), np.nan)
            results.append(
                Evaluation(
                    float(file[f"energy{k}"]),
                    file[f"energies{k}"],
                    file[f"forces{k}"] @ rotation.T,
                    -BAR_TO_EV_PER_A3 * rotation @ pressure @ rotation.T,
                )
            )
    return results


def _follow(command: list[str], work: Path, env: dict[str, str], patience: Patience) -> Ended:
    """Run the workers; each structure has its own time."""
    lines = []
    done = 0
    with Launch(command, work, env) as launch:
        launch.limit(patience.limit_s, patience.stop)
        try:
            for line in launch.lines():
                if line.startswith(EVALUATED):
                    done = int(line.removeprefix(EVALUATED))
                    launch.limit(patience.limit_s, patience.stop)
                    patience.on_result(done)
                else:
                    lines.append(line)
            return Ended(launch.wait(), "\n".join(lines))
        except TimeoutError as error:
            said = f"; its last words: {lines[-1]!r}" if lines else ""
            raise RunError(
                f"LAMMPS gave no result of structure {done + 1} within {patience.limit_s:g} s{said}"
            ) from error


def _reason(done: Ended) -> str:
    """Say why LAMMPS ended: what the worker that failed said, or MPI, or how the process ended."""
    lines = [line for line in done.output.splitlines() if line.strip()]
    for line in lines:
        if line.startswith("ERROR: "):
            # a plugin that does not fit says so itself
            return "; ".join([line.removeprefix("ERROR: "), *reasons_of_mofmd(lines)])
    for line in lines:
        if killed := re.search(r"(?:KILLED BY SIGNAL: |EXIT STRING: .*\(signal )(\d+)", line):
            return f"a rank {how_it_ended(-int(killed[1]))}"
    return "\n".join([done.how, *lines[-8:]])
