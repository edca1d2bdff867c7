"""Atoms and cell to a minimum of the enthalpy, within tight limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.errors import InputError, RunError
from mofmd.relaxation.lbfgs import Memory, NoStepError, Point, next_point
from mofmd.relaxation.options import RelaxOptions
from mofmd.relaxation.preconditioner import ModelHessian
from mofmd.relaxation.symmetry import Symmetry, symmetrised
from mofmd.relaxation.variables import Variables
from mofmd.units import EV_PER_A3_TO_GPA

MAX_STRAIN = 0.03  # of a step
MOVED_A = 0.5  # by which an atom moves before the preconditioner is made anew
ROUNDING = 4e-15  # of an energy, relative
FLOAT32_NOISE_EV_PER_A = 1e-3
"""Forces of float32 that are to be equal by symmetry differ by less."""
NOISE_SHARE, MORE_THAN_NOISE = 2e-4, 5.0
_NO_NUMBER_MEND = (
    "look at the structure there (atoms at one place? elements that the model does not know?), or "
    "take another model"
)
ROW = (
    "calls",
    "energy_eV",
    "enthalpy_eV",
    "volume_A3",
    "force_max_eV_per_A",
    "stress_max_GPa",
)
"""Columns of the table of steps."""


@dataclass(frozen=True)
class Evaluated(Point):
    """A vector with all that is known of it.

    Parameters
    ----------
    energy_eV
        Potential energy.
    volume_A3
        Of the cell; not a number where there is none.
    force_max_eV_per_A, stress_max_GPa
        See ``Gradient``.
    forces
        (atoms, 3) of the model [eV/Å].
    stress
        (3, 3) of the model, tension positive [eV/Å³]; None where it gives none.
    """

    energy_eV: float
    volume_A3: float
    force_max_eV_per_A: float
    stress_max_GPa: float
    forces: np.ndarray
    stress: np.ndarray | None


@dataclass
class State:
    """Everything that the next step depends on.

    Parameters
    ----------
    here
        The present point.
    calls
        Force calls so far, those of steps that were tried and not taken among them.
    memory
        Of L-BFGS.
    anchor
        Vector that the preconditioner was made at.
    rows
        Of the table of steps, see ``ROW``.
    proper
        Whether the symmetry that is kept is without reflections, since the model has none.
    """

    here: Evaluated
    calls: int
    memory: Memory
    anchor: np.ndarray
    rows: list[tuple[float, ...]] = field(default_factory=list)
    proper: bool = False


class Relaxation:
    """A relaxation under way.

    Parameters
    ----------
    atoms
        Where it begins.
    calculator
        ASE calculator that gives energy, forces and, where the cell moves, stress.
    options
        Limits and freedoms.
    state
        To go on from, of the same atoms, calculator and options; None to begin.

    Attributes
    ----------
    was_there
        Force calls of the state that it goes on from, which are not made again.

    Raises
    ------
    InputError
        If atoms and options do not go together.
    """

    def __init__(
        self, atoms: Atoms, calculator: Any, options: RelaxOptions, state: State | None = None
    ) -> None:
        self.options = options
        self.calculator = calculator
        mask = np.zeros(len(atoms), dtype=bool)
        for index in options.fixed:
            if not 0 <= index < len(atoms):
                raise InputError(
                    f"fixed: {index}, but atoms are counted from 0 to {len(atoms) - 1}"
                )
            mask[index] = True
        self.symmetry: Symmetry | None = None
        if options.keep_symmetry:
            if not np.all(atoms.pbc):
                raise InputError("keep_symmetry: the structure is no crystal (it is not periodic)")
            atoms = symmetrised(atoms, options.symmetry_tolerance_A)
            self.symmetry = Symmetry(atoms, proper=state is not None and state.proper)
        self.was_there = 0 if state is None else state.calls
        self._calls = 0
        self._no_number = ""  # what the model said last in place of numbers
        self.variables = self._new_variables(atoms, mask)
        if state is None:
            state = self._begin(atoms, mask)
        self._calls = state.calls
        self.state = state
        self._model = self._model_hessian()

    @property
    def converged(self) -> bool:
        """Whether both limits are kept."""
        here, options = self.state.here, self.options
        return (
            here.force_max_eV_per_A < options.fmax_eV_per_A
            and here.stress_max_GPa < options.stress_limit_GPa
        )

    @property
    def ended(self) -> bool:
        """Whether there is nothing left to do."""
        return self.converged or self.state.calls >= self.options.calls_max

    @property
    def unsymmetric_eV_per_A(self) -> float:
        """Largest force that the symmetry which is kept takes from those of the model [eV/Å]."""
        if self.symmetry is None:
            return 0.0
        return self.symmetry.left_out(self.state.here.forces, self.structure().cell.array)

    def structure(self) -> Atoms:
        """Give the present structure."""
        return self.variables.structure(self.state.here.x)

    def step(self) -> None:
        """Take one step.

        Raises
        ------
        RunError
            If none is better than the present point.
        """
        state = self.state
        if self._moved_from_anchor() > MOVED_A:
            state.anchor = state.here.x.copy()
            self._model = self._model_hessian()
        there = self._try(state.memory)
        state.memory.add(there.x - state.here.x, there.gradient - state.here.gradient)
        state.here = there
        state.calls = self._calls
        state.rows.append(_row(self._calls, there))

    def _new_variables(self, atoms: Atoms, mask: np.ndarray) -> Variables:
        options = self.options
        return Variables(atoms, options.cell, mask, options.pressure_eV_per_A3, self.symmetry)

    def _begin(self, atoms: Atoms, mask: np.ndarray) -> State:
        """Evaluate the structure; keep no reflection that the model does not have."""
        here = self._first()
        proper = False
        if self.symmetry is not None and self.symmetry.has_mirrors:
            rotations = Symmetry(atoms, proper=True)
            if self._lacks_mirrors(here.forces, atoms.cell.array, self.symmetry, rotations):
                proper = True
                self.symmetry = rotations
                self.variables = self._new_variables(atoms, mask)
                # the model's answer is the same; what it means for the variables is not
                slope = self._slope(here.x, here.forces, here.stress, here.volume_A3)
                here = replace(here, **slope)
        state = State(here, self._calls, Memory(), here.x.copy(), proper=proper)
        state.rows.append(_row(self._calls, here))
        return state

    def _first(self) -> Evaluated:
        here = self._evaluate(self.variables.first)
        if self._no_number:
            raise RunError(f"{self._no_number}; {_NO_NUMBER_MEND}")
        return here

    def _lacks_mirrors(
        self, forces: np.ndarray, cell: np.ndarray, whole: Symmetry, rotations: Symmetry
    ) -> bool:
        """Whether forces are of the rotations of a group, and not of its reflections.

        What rotations leave out as well is noise: of float32, or of a self-consistent field.
        """
        exact = getattr(self.calculator, "dtype", "float64") == "float64"
        noise = max(
            NOISE_SHARE * float(np.linalg.norm(forces, axis=1).max(initial=0.0)),
            MORE_THAN_NOISE * rotations.left_out(forces, cell),
            0.0 if exact else FLOAT32_NOISE_EV_PER_A,
        )
        return whole.left_out(forces, cell) > max(self.options.fmax_eV_per_A, noise)

    def _try(self, memory: Memory) -> Evaluated:
        here = self.state.here
        noise = ROUNDING * max(1.0, abs(here.energy_eV)) * np.sqrt(self.variables.n_atoms)
        direction = self._direction(memory)
        if here.gradient @ direction >= 0.0:
            memory.clear()
            direction = self._direction(memory)
        try:
            return self._next(direction, noise)
        except NoStepError:
            if not memory.steps:
                raise
            memory.clear()
            return self._next(self._direction(memory), noise)

    def _next(self, direction: np.ndarray, noise_eV: float) -> Evaluated:
        self._no_number = ""
        try:
            found = next_point(self.state.here, direction, self._evaluate, noise_eV)
        except NoStepError as error:
            if not self._no_number:
                raise
            raise NoStepError(
                f"{self._no_number}, and shorter steps were no better; {_NO_NUMBER_MEND}"
            ) from error
        assert isinstance(found, Evaluated)
        return found

    def _direction(self, memory: Memory) -> np.ndarray:
        here = self.state.here
        raw = memory.direction(here.gradient, self._model.solve)
        direction = self.variables.direction(raw, here.x)
        moves = direction[: 3 * self.variables.n_atoms].reshape(-1, 3)
        longest = float(np.sqrt((moves**2).sum(axis=1).max(initial=0.0)))
        strain = float(np.abs(direction[3 * self.variables.n_atoms :]).max(initial=0.0))
        over = max(longest / self.options.max_move_A, strain / MAX_STRAIN)
        return direction / over if over > 1.0 else direction

    def _moved_from_anchor(self) -> float:
        moves = (self.state.here.x - self.state.anchor)[: 3 * self.variables.n_atoms]
        return float(np.sqrt((moves.reshape(-1, 3) ** 2).sum(axis=1).max(initial=0.0)))

    def _model_hessian(self) -> ModelHessian:
        return ModelHessian(self.variables.structure(self.state.anchor), self.variables)

    def _evaluate(self, x: np.ndarray) -> Evaluated:
        atoms = self.variables.structure(x)
        atoms.calc = self.calculator
        energy = float(atoms.get_potential_energy())
        forces = np.array(atoms.get_forces(apply_constraint=False))
        self._calls += 1
        periodic = bool(np.all(atoms.pbc))
        volume = float(atoms.get_volume()) if periodic else float("nan")
        moves_cell = len(self.variables.basis) > 0
        stress = None
        if periodic and (moves_cell or "stress" in self.calculator.implemented_properties):
            stress = _stress(atoms, needed=moves_cell)
            if stress is not None and not (moves_cell or np.isfinite(stress).all()):
                stress = None  # it is not needed
        pressure = self.variables.pressure_eV_per_A3
        value = energy + (pressure * volume if pressure else 0.0)
        lacking = _not_numbers(energy, forces, stress)
        if lacking:
            self._no_number = f"force call {self._calls}: the model gave no number for {lacking}"
            value = float("inf")  # a shorter step may be within what the model can evaluate
        return Evaluated(
            x=x,
            value=value,
            energy_eV=energy,
            volume_A3=volume,
            forces=forces,
            stress=stress,
            **self._slope(x, forces, stress, volume),
        )

    def _slope(
        self, x: np.ndarray, forces: np.ndarray, stress: np.ndarray | None, volume_A3: float
    ) -> dict[str, Any]:
        """Gradient, largest force and largest stress of a point, by their names."""
        gradient = self.variables.gradient(x, forces, stress, volume_A3)
        return {
            "gradient": gradient.vector,
            "force_max_eV_per_A": gradient.force_max_eV_per_A,
            "stress_max_GPa": gradient.stress_max_eV_per_A3 * EV_PER_A3_TO_GPA,
        }


def _not_numbers(energy_eV: float, forces: np.ndarray, stress: np.ndarray | None) -> str:
    """Name what of a model's answer is not a number; empty where all is."""
    wrong = [] if np.isfinite(energy_eV) else ["the energy"]
    atoms = np.flatnonzero(~np.isfinite(forces).all(axis=1))
    if len(atoms):
        more = f" and {len(atoms) - 1} more" if len(atoms) > 1 else ""
        wrong.append(f"the forces of atom {atoms[0]}{more} (counted from zero)")
    if stress is not None and not np.isfinite(stress).all():
        wrong.append("the stress")
    return ", ".join(wrong)


def _stress(atoms: Atoms, needed: bool) -> np.ndarray | None:
    from ase.calculators.calculator import PropertyNotImplementedError

    try:
        return np.array(atoms.get_stress(voigt=False, apply_constraint=False))
    except PropertyNotImplementedError as error:
        if not needed:
            return None
        raise InputError(
            "the model gives no stress, so that the cell cannot be relaxed: use --cell fixed, or a "
            "model with stress"
        ) from error


def _row(calls: int, point: Evaluated) -> tuple[float, ...]:
    return (
        float(calls),
        point.energy_eV,
        point.value,
        point.volume_A3,
        point.force_max_eV_per_A,
        point.stress_max_GPa,
    )


def run(
    relaxation: Relaxation, on_step: Callable[[Relaxation], None] = lambda _: None
) -> Relaxation:
    """Take steps until the limits are kept, or the calls are used up; ``on_step`` after each."""
    while not relaxation.ended:
        relaxation.step()
        on_step(relaxation)
    return relaxation
