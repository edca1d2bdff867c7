"""Self-consistent harmonic approximation: the phonons of least free energy at a temperature."""

from __future__ import annotations

import hashlib
import io
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.disk.atomic import write_atomic
from mofmd.disk.npz import read_arrays
from mofmd.disk.output import check_output, make_folder
from mofmd.disk.record import read_record
from mofmd.errors import InputError
from mofmd.phonons.calculation.collect import Progress, collect_forces, wall_time
from mofmd.phonons.calculation.displacements import Displacements
from mofmd.phonons.calculation.evaluators import Evaluator
from mofmd.phonons.calculation.folder import held_folder
from mofmd.phonons.calculation.force_constants import compact
from mofmd.phonons.calculation.least_squares import ForceConstantFit
from mofmd.phonons.calculation.store import ForceStore, Identity, structure_digest
from mofmd.phonons.cells import replicate, to_atoms
from mofmd.phonons.effective.fit import (
    anharmonicity,
    harmonic_forces,
    newton_step,
    symmetrised,
)
from mofmd.phonons.effective.results import Round, Sscha, SschaOptions
from mofmd.phonons.effective.sampling import STILL_THZ, draw, optical_THz, rms
from mofmd.phonons.run import FORCES, Model
from mofmd.phonons.spectrum.mesh import make_mesh
from mofmd.phonons.spectrum.thermal import TOLERANCE_THZ, constants, thermal_functions

if TYPE_CHECKING:
    from phonopy import Phonopy

PLAN_SCHEMA = "mofmd-sscha-plan-1"
PLAN, STATE = "sscha_plan.json", "state.npz"
LEAST_SUPERCELLS = 100
STEP_CONVERGED_A = 1e-3
TOO_BOLD = 0.8  # a round that changes more than this share of the one before takes half the step
BOLDER = 1.5


def self_consistent(  # noqa: PLR0913 - one argument per part
    phonopy: Phonopy,
    evaluator: Evaluator,
    model: Model,
    folder: Path,
    options: SschaOptions | None = None,
    *,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    on_round: Callable[[Round], None] = lambda _: None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Sscha:
    """Find the harmonic phonons of least free energy; run again, it goes on where it was.

    F = F_harm(Φ) + ⟨V − V_Φ⟩ over the thermal displacements of Φ is the least where Φ is the mean
    second derivative over them, and mean forces vanish (Hooton, Phil. Mag. 46, 422 (1955); Errea,
    Calandra and Mauri, Phys. Rev. B 89, 064302 (2014)). Each round draws displacements of Φ and
    fits the next Φ to the forces.

    Parameters
    ----------
    phonopy
        With the force constants to begin with.
    evaluator
        Of the model.
    model
        Tells its forces from others'.
    folder
        Gets a folder for each round, with the state it began with and the forces.
    options
        How.
    overwrite
        Begin anew.
    tell
        Called with how much is to be done at most, before it, and with how long that takes after
        the rounds that were evaluated.
    on_round, on_progress
        Called after each round, and after each evaluation.

    Raises
    ------
    InputError
        If the supercells are too few, or the folder holds something else.
    """
    chosen = options or SschaOptions()
    check_output(folder)
    fit = ForceConstantFit(phonopy)
    supercells = chosen.supercells or max(4 * fit.least, LEAST_SUPERCELLS)
    fit.check(supercells // 2, "supercells: pairs")
    start = compact(phonopy)
    tell(
        f"at most {chosen.rounds} rounds of {supercells + 1} evaluations of "
        f"{len(phonopy.supercell)} atoms, {chosen.rounds * (supercells + 1)} in all, each with a "
        f"fit of {fit.parameters} force constants; they end where frequencies change by less "
        f"than {chosen.change_THz:g} THz"
    )

    def begin() -> object:
        return list(evaluator.map([to_atoms(phonopy.supercell)]))

    with held_folder(folder, ("round-[0-9][0-9]", PLAN), overwrite=overwrite, begin=begin):
        _check_plan(folder, phonopy, start, model, supercells, chosen)
        work = _Work(phonopy, fit, evaluator, model, chosen, supercells, on_progress)
        state = _State(start, np.zeros((len(phonopy.supercell), 3)), 1.0, math.inf)
        rounds: list[Round] = []
        while True:
            begun = time.monotonic()
            found, state, noise = work.round(len(rounds), state, folder)
            took_s = time.monotonic() - begun
            rounds.append(found)
            on_round(found)
            converged = (
                found.change_THz < chosen.change_THz
                and found.imaginary == 0
                and (found.step_A < STEP_CONVERGED_A or not chosen.positions)
            )
            left = chosen.rounds - len(rounds)
            if converged or not left:
                break
            if work.has_evaluated:
                tell(f"at most {left} more rounds, {wall_time(left * took_s)}")
    return Sscha(
        chosen.temperature_K,
        state.values,
        state.shifts,
        tuple(rounds),
        converged,
        noise(),
        fit.parameters,
    )


@dataclass(frozen=True)
class _State:
    """What a round begins with."""

    values: np.ndarray
    shifts: np.ndarray
    mixing: float
    change_before: float


class _Work:
    """Does rounds."""

    def __init__(  # noqa: PLR0913, PLR0917 - one argument per part
        self,
        phonopy: Phonopy,
        fit: ForceConstantFit,
        evaluator: Evaluator,
        model: Model,
        options: SschaOptions,
        supercells: int,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self.phonopy = replicate(phonopy)
        self.fit = fit
        self.evaluator = evaluator
        self.model = model
        self.options = options
        self.supercells = supercells
        self.on_progress = on_progress
        self.static_eV = 0.0
        self.has_evaluated = False  # in the round that was done last; else its forces were there

    def round(
        self, number: int, state: _State, folder: Path
    ) -> tuple[Round, _State, Callable[[], float]]:
        """Do a round; return also the state that follows, and what measures the noise."""
        place = folder / f"round-{number:02d}"
        state, u, replaced = self._begin(place, state)
        forces, energies = self._evaluate(place, number, state, u)
        mean = symmetrised(self.phonopy, forces.mean(axis=0))
        forces = forces - mean
        fitted = self.fit(u, forces)
        before = optical_THz(self.phonopy, state.values)
        after = optical_THz(self.phonopy, fitted)
        change = rms(after, before)
        slow = change > TOO_BOLD * state.change_before
        mixing = min(1.0, state.mixing * (0.5 if slow else BOLDER))
        step = np.zeros_like(state.shifts)
        if self.options.positions:
            step = mixing * newton_step(self.phonopy, fitted, mean)
        parts = (None,) * 4 if replaced else self._free_energy(state.values, u, energies)
        found = Round(
            number,
            len(u),
            *parts,
            change,
            float(after.min(initial=np.inf)),
            int((after < STILL_THZ).sum()),
            float(np.linalg.norm(step, axis=1).max()),
            anharmonicity(forces, harmonic_forces(self.phonopy, fitted, u)),
            mixing,
        )
        following = _State(
            state.values + mixing * (fitted - state.values), state.shifts + step, mixing, change
        )

        def noise() -> float:
            pairs = len(u) // 2
            halves = []
            for some in (np.arange(0, pairs, 2), np.arange(1, pairs, 2)):
                both = np.concatenate([some, some + pairs])
                halves.append(optical_THz(self.phonopy, self.fit(u[both], forces[both])))
            return 0.5 * rms(*halves)

        return found, following, noise

    def _begin(self, place: Path, state: _State) -> tuple[_State, np.ndarray, int]:
        """Draw displacements, or read those that were drawn: not a bit may differ on resuming."""
        path = place / STATE
        if not path.exists():
            make_folder(place)
            drawn = draw(
                self.phonopy,
                state.values,
                self.options.temperature_K,
                self.supercells,
                self.options.seed,
            )
            buffer = io.BytesIO()
            np.savez(
                buffer,
                displacements_A=drawn.displacements_A,
                replaced=np.int64(drawn.replaced),
                **vars(state),
            )
            write_atomic(path, buffer.getvalue())
        arrays = read_arrays(path)
        shapes = {name: np.shape(value) for name, value in vars(state).items()}
        shapes |= {"displacements_A": (self.supercells, *state.shifts.shape), "replaced": ()}
        for name, shape in shapes.items():
            if name not in arrays or arrays[name].shape != shape:
                raise InputError(
                    f"{path}: is damaged: {name} lacks or has another shape than {shape}; remove "
                    f"{place} and the rounds after it, and they are made anew"
                )
        kept = _State(
            arrays["values"],
            arrays["shifts"],
            float(arrays["mixing"]),
            float(arrays["change_before"]),
        )
        return kept, arrays["displacements_A"], int(arrays["replaced"])

    def _evaluate(
        self, place: Path, number: int, state: _State, u: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate forces [eV/Å], and energies above that of the structure begun with [eV]."""
        atoms = to_atoms(self.phonopy.supercell)
        atoms.positions += state.shifts
        displaced = Displacements(atoms, u, None, (), "thermal")
        store = ForceStore(
            place / FORCES,
            Identity(structure_digest(atoms), self.model.identity, displaced.digest),
            len(atoms),
            {"temperature_K": self.options.temperature_K, "model_facts": self.model.facts},
        )
        self.has_evaluated = bool(store.missing(len(u)))
        forces = collect_forces(
            displaced,
            self.evaluator,
            store,
            force_limit_eV_per_A=math.inf,
            on_progress=self.on_progress,
        )
        if number == 0:
            self.static_eV = store.undisplaced()[0]
        energies = np.array([store.energy(k) for k in range(len(u))])
        return forces, energies - self.static_eV

    def _free_energy(
        self, values: np.ndarray, u: np.ndarray, energies: np.ndarray
    ) -> tuple[float | None, float | None, float | None, float | None]:
        """Free energy, its error, and its two parts [eV]."""
        self.phonopy.force_constants = values
        mesh = make_mesh(self.phonopy, self.options.mesh)
        mass = float(self.phonopy.primitive.masses.sum())
        thermal = thermal_functions(
            mesh, np.array([self.options.temperature_K]), mass, TOLERANCE_THZ
        )
        if thermal.imaginary_share > 0.0:
            return None, None, None, None
        harmonic = float(thermal.free_energy_kJ_per_mol[0]) / constants().eV_to_kJ_per_mol
        cells = len(self.phonopy.supercell) / len(self.phonopy.primitive)
        of_phonons = -0.5 * (u * harmonic_forces(self.phonopy, values, u)).sum(axis=(1, 2))
        more = (energies - of_phonons) / cells
        pairs = more.reshape(2, -1).mean(axis=0)
        error = float(pairs.std(ddof=1) / np.sqrt(len(pairs)))
        anharmonic = float(pairs.mean())
        return harmonic + anharmonic, error, harmonic, anharmonic


def _check_plan(  # noqa: PLR0913, PLR0917 - what the plan says
    folder: Path,
    phonopy: Phonopy,
    start: np.ndarray,
    model: Model,
    supercells: int,
    options: SschaOptions,
) -> None:
    """Refuse a folder of another calculation."""
    plan: dict[str, Any] = {
        "schema": PLAN_SCHEMA,
        "structure": structure_digest(to_atoms(phonopy.supercell)),
        "force constants to begin with": hashlib.sha256(np.round(start, 6).tobytes()).hexdigest(),
        "model": model.identity,
        "temperature": options.temperature_K,
        "supercells": supercells,
        "mean positions": options.positions,
        "seed": options.seed,
    }
    path = folder / PLAN
    if not path.exists():
        write_atomic(path, json.dumps(plan, indent=1) + "\n")
        return
    found = read_record(
        path, PLAN_SCHEMA, kind="a folder of mofmd phonons sscha", mend="remove it, or --overwrite"
    )
    other = [name for name, value in plan.items() if found.get(name) != value]
    if other:
        raise InputError(
            f"{folder}: holds a calculation of another {', another '.join(other)}; choose another "
            "folder, or --overwrite"
        )
