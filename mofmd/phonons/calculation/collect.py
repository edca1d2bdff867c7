"""Evaluates all displacements, keeping each result, and goes on where it was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError
from mofmd.phonons.calculation.displacements import Displacements
from mofmd.phonons.calculation.evaluators import Evaluator
from mofmd.phonons.calculation.store import ForceStore
from mofmd.units import EV_PER_A3_TO_GPA

FORCE_LIMIT_EV_PER_A = 1e-3
"""Largest force on an atom of a structure that counts as relaxed."""
MINUTE_S, HOUR_S = 60.0, 3600.0
TOLD_S = 0.5  # of time left, from where it is worth a word


@dataclass(frozen=True)
class Progress:
    """How far the forces are.

    Parameters
    ----------
    done, total
        Evaluations, that of the undisplaced supercell among them.
    left_s
        Wall time that the rest takes as it went so far [s].
    was_there
        Evaluations of earlier calls, which are not made again.
    """

    done: int
    total: int
    left_s: float
    was_there: int = 0

    def __str__(self) -> str:
        """Say it in a line."""
        left = f", {wall_time(self.left_s)} left" if self.left_s > TOLD_S else ""
        return f"forces {self.done}/{self.total}{left}"


def wall_time(seconds: float) -> str:
    """Say how long something takes, in the unit that suits it.

    Examples
    --------
    >>> [wall_time(s) for s in (12.3, 600.0, 90000.0)]
    ['12 s', '10 min', '25 h']
    """
    if seconds < 2 * MINUTE_S:
        return f"{seconds:.0f} s"
    return f"{seconds / MINUTE_S:.0f} min" if seconds < 2 * HOUR_S else f"{seconds / HOUR_S:.0f} h"


def collect_forces(
    displacements: Displacements,
    evaluator: Evaluator,
    store: ForceStore,
    *,
    force_limit_eV_per_A: float = FORCE_LIMIT_EV_PER_A,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> np.ndarray:
    """Evaluate what the store lacks; return all forces.

    Parameters
    ----------
    displacements
        What to evaluate.
    evaluator
        By which.
    store
        Where each result is kept.
    force_limit_eV_per_A
        A structure with a larger force is not relaxed.
    on_progress
        Called before the first evaluation, and after each.

    Returns
    -------
    np.ndarray
        (displacements, atoms, 3) [eV/Å].

    Raises
    ------
    InputError
        If the undisplaced structure is not relaxed: force constants are those of a minimum.
    RunError
        If an evaluation fails; what was evaluated is kept.
    """
    total = len(displacements) + 1
    missing = store.missing(len(displacements))
    start, n_before = time.monotonic(), total - len(missing)
    if missing[:1] != [-1]:
        _check_relaxed(store, force_limit_eV_per_A)
    on_progress(Progress(n_before, total, 0.0, n_before))
    for k, found in enumerate(evaluator.map(displacements.structures(missing)), start=1):
        number = missing[k - 1]
        store.keep(number, found)
        if number < 0:
            _check_relaxed(store, force_limit_eV_per_A)
        each = (time.monotonic() - start) / k
        on_progress(Progress(n_before + k, total, each * (len(missing) - k), n_before))
    return np.stack([store.forces(number) for number in range(len(displacements))])


def _check_relaxed(store: ForceStore, limit: float) -> None:
    _, forces, stress = store.undisplaced()
    sizes = np.linalg.norm(forces, axis=1)
    if sizes.max() <= limit:
        return
    pressure = -np.trace(stress) / 3.0 * EV_PER_A3_TO_GPA
    raise InputError(
        f"structure: is not relaxed for this model: the largest force is {sizes.max():.2g} eV/Å "
        f"(atom {int(sizes.argmax())} of the supercell, counted from zero; limit {limit:g} eV/Å; "
        f"pressure {pressure:.3g} GPa): relax it first (mofmd relax, or without --no-relax), or "
        "set --force-limit"
    )
