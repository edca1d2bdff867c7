"""Rounds of phonons, a move off the saddle point, and a relaxation, until no mode is imaginary."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.disk.atomic import write_atomic
from mofmd.disk.npz import read_arrays
from mofmd.disk.record import read_record
from mofmd.engine.structure_file import write_structure
from mofmd.errors import InputError, RunError
from mofmd.phonons.calculation.collect import Progress
from mofmd.phonons.calculation.evaluators import Evaluator
from mofmd.phonons.calculation.folder import held_folder
from mofmd.phonons.calculation.store import structure_digest
from mofmd.phonons.cells import check_crystal
from mofmd.phonons.imaginary.moves import (
    Mapped,
    RemovalOptions,
    cold_dynamics,
    host_of,
    map_mode,
    mode_rattle,
    rattle,
    taking_part,
)
from mofmd.phonons.run import ForceOptions, Model, choose_supercell, phonons_in_folder
from mofmd.phonons.spectrum.soft import Soft, exact_points, soft_modes
from mofmd.relaxation import RelaxOptions, relax_in_folder
from mofmd.relaxation.relaxation import Relaxation

OPTIONS, HISTORY, STABLE, LAST = "options.json", "history.json", "stable.cif", "last.cif"
SCHEMA = "mofmd-imaginary-1"
MADE = ("round-[0-9][0-9]", OPTIONS, HISTORY, STABLE, LAST)


@dataclass(frozen=True)
class Round:
    """What one round found.

    Parameters
    ----------
    number
        From zero: the structure as relaxed.
    atoms
        Of the cell.
    energy_eV_per_atom, volume_A3_per_atom
        Of the relaxed structure.
    imaginary
        Number of imaginary modes at the wave vectors that fit into the supercell.
    wave_vectors
        How many of these there are; 1 is Γ alone.
    lowest_THz
        The lowest frequency, negative where imaginary; that of the lowest mode counted, or 0.
    q
        Its wave vector.
    way
        How it was left; empty in the last round.
    mapped
        Energy along the mode, of the way ``map``.
    """

    number: int
    atoms: int
    energy_eV_per_atom: float
    volume_A3_per_atom: float
    imaginary: int
    wave_vectors: int
    lowest_THz: float
    q: tuple[float, ...]
    way: str
    mapped: Mapped | None = None

    def __str__(self) -> str:
        """Say it in a line."""
        at = "Γ" if self.wave_vectors == 1 else f"{self.wave_vectors} wave vectors"
        found = (
            f"no imaginary mode at {at}"
            if not self.imaginary
            else (
                f"{self.imaginary} imaginary modes, the lowest {-self.lowest_THz:.3f}i THz at q = "
                f"({', '.join(f'{v:.3g}' for v in self.q)})"
            )
        )
        left = f"; {self.way}" if self.way else ""
        return f"round {self.number}: {self.energy_eV_per_atom:.7f} eV/atom, {found}{left}"


@dataclass(frozen=True)
class Removal:
    """The end of the rounds.

    Parameters
    ----------
    atoms
        The last structure, relaxed.
    stable
        Whether it has no imaginary mode.
    history
        All rounds.
    """

    atoms: Atoms
    stable: bool
    history: tuple[Round, ...]


def remove_imaginary(  # noqa: PLR0913, PLR0917 - one argument per part
    atoms: Atoms,
    calculator: Any,
    evaluator: Evaluator,
    model: Model,
    folder: Path,
    options: RemovalOptions | None = None,
    forces: ForceOptions | None = None,
    *,
    overwrite: bool = False,
    on_round: Callable[[Round], None] = lambda _: None,
    on_forces: Callable[[Progress], None] = lambda _: None,
) -> Removal:
    """Remove imaginary modes; run again after any interruption, it goes on as if nothing had been.

    Parameters
    ----------
    atoms
        A structure; it is relaxed first.
    calculator
        ASE calculator of the model.
    evaluator
        Of the same model.
    model
        Tells its forces from others'.
    folder
        Gets ``round-00`` and so on, ``options.json``, ``history.json``, ``stable.cif`` or
        ``last.cif``.
    options, forces
        How.
    overwrite
        Begin anew, whatever is in the folder.
    on_round
        Called after each round.
    on_forces
        Called before the first evaluation of the phonons of each round, and after each.

    Raises
    ------
    InputError
        If the structure is no crystal, or the folder holds rounds of another one, or rounds that
        were made with other options; more of them may be asked for.
    RunError
        If a relaxation does not keep its limits, or another calculation goes on in the folder.
    """
    check_crystal(atoms)
    chosen, forces = options or RemovalOptions(), forces or ForceOptions()
    matrix = choose_supercell(atoms, model, forces)
    history: list[Round] = []
    relaxing = RelaxOptions(fmax_eV_per_A=chosen.fmax_eV_per_A, cell=chosen.cell, calls_max=3000)

    def begin() -> Relaxation:
        return Relaxation(atoms, calculator, relaxing)

    with held_folder(folder, MADE, overwrite=overwrite, begin=begin):
        for number in range(chosen.rounds + 1):
            place = folder / f"round-{number:02d}"
            place.mkdir(exist_ok=True)
            start = _start(place, atoms)
            if number == 0:
                _check_start(start, atoms, folder)
                _check_options(chosen, folder)
            done = relax_in_folder(start, calculator, relaxing, place / "relax")
            if not done.converged:
                raise RunError(f"{place / 'relax'}: the limits were not kept: {done}")
            relaxed = done.atoms
            phonopy = phonons_in_folder(relaxed, evaluator, model, place, matrix, forces, on_forces)
            modes = soft_modes(phonopy, chosen.tolerance_THz)
            last = not modes or number == chosen.rounds
            mapped = None
            if not last:
                atoms, mapped = _move(
                    phonopy, modes, relaxed, calculator, evaluator, chosen, number
                )
                matrix = _smaller(matrix, relaxed, atoms)
            here = Round(
                number,
                len(relaxed),
                done.energy_eV / len(relaxed),
                float(relaxed.get_volume()) / len(relaxed),
                len(modes),
                exact_points(phonopy),
                modes[0].frequency_THz if modes else 0.0,
                tuple(float(v) for v in modes[0].q) if modes else (),
                "" if last else chosen.way,
                mapped,
            )
            history.append(here)
            write_atomic(
                folder / HISTORY,
                json.dumps([asdict(each) for each in history], indent=1, ensure_ascii=False) + "\n",
            )
            on_round(here)
            if last:
                name, other = (LAST, STABLE) if modes else (STABLE, LAST)
                write_structure(folder / name, relaxed)
                (folder / other).unlink(missing_ok=True)  # of an earlier call with fewer rounds
                return Removal(relaxed, not modes, tuple(history))
    raise AssertionError  # the last round returns


def _check_start(start: Atoms, atoms: Atoms, folder: Path) -> None:
    """Refuse to go on with rounds that began with another structure."""
    if structure_digest(start) != structure_digest(atoms):
        raise InputError(
            f"{folder}: holds rounds of another structure; choose another folder, or --overwrite"
        )


def _check_options(options: RemovalOptions, folder: Path) -> None:
    """Refuse to go on with rounds that left their saddle points in another way."""
    path = folder / OPTIONS
    asked: dict[str, Any] = json.loads(json.dumps(asdict(options)))
    del asked["rounds"]
    if not path.exists():
        write_atomic(path, json.dumps({"schema": SCHEMA, **asked}, indent=1) + "\n")
        return
    mend = f"remove {path}, or --overwrite"
    kept = read_record(path, SCHEMA, kind="a folder of mofmd phonons imaginary", mend=mend)
    other = [f"{name} {kept.get(name)}" for name in asked if kept.get(name) != asked[name]]
    if other:
        raise InputError(
            f"{folder}: holds rounds made with {', '.join(other)}; choose another folder, or "
            "--overwrite"
        )


def _start(place: Path, atoms: Atoms) -> Atoms:
    """Keep where a round begins: on resume it begins there again, to the last bit."""
    path = place / "start.npz"
    if not path.exists():
        buffer = io.BytesIO()
        np.savez(
            buffer, numbers=atoms.numbers, positions_A=atoms.positions, cell_A=atoms.cell.array
        )
        write_atomic(path, buffer.getvalue())
    found = read_arrays(path)
    return Atoms(found["numbers"], found["positions_A"], cell=found["cell_A"], pbc=True)


def _move(  # noqa: PLR0913, PLR0917 - one argument per part
    phonopy: Any,
    modes: list[Soft],
    relaxed: Atoms,
    calculator: Any,
    evaluator: Evaluator,
    options: RemovalOptions,
    number: int,
) -> tuple[Atoms, Mapped | None]:
    host = host_of(phonopy, relaxed)
    seed = options.seed + number
    if options.way == "map":
        return map_mode(modes[0], host, evaluator)
    if options.way == "mode-rattle":
        return mode_rattle(modes, host, options.amplitude_A, seed), None
    if options.way == "nve":
        return cold_dynamics(relaxed, calculator, options, seed), None
    movable = np.ones(len(relaxed), dtype=bool)
    if options.atoms == "mode":
        movable = taking_part(modes)[host.owners]
    movable[list(options.fixed)] = False
    return rattle(relaxed, options.amplitude_A, seed, movable), None


def _smaller(matrix: np.ndarray, before: Atoms, after: Atoms) -> np.ndarray:
    """Repetitions for a cell that has become larger, so that the supercell stays as large."""
    times = np.rint(after.cell.lengths() / before.cell.lengths()).astype(int)
    diagonal = np.diag(matrix)
    if times.max() > 1 and np.array_equal(np.diag(diagonal), matrix):
        return np.diag(-(-diagonal // times))
    return matrix
