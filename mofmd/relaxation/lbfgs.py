"""L-BFGS with a preconditioner, one accepted step at a time, so that its state can be kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mofmd.errors import RunError

Solve = Callable[[np.ndarray], np.ndarray]
MEMORY = 200  # pairs: steps are dear, memory is not
DECREASE = 1e-4  # of what the slope promises (Armijo)
TRIALS = 12


@dataclass(frozen=True)
class Point:
    """A vector that was evaluated.

    Parameters
    ----------
    x
        The vector.
    value
        Enthalpy [eV].
    gradient
        Its derivative.
    """

    x: np.ndarray
    value: float
    gradient: np.ndarray


@dataclass
class Memory:
    """Pairs of steps and changes of the gradient, the latest last."""

    steps: list[np.ndarray] = field(default_factory=list)
    changes: list[np.ndarray] = field(default_factory=list)

    def add(self, step: np.ndarray, change: np.ndarray) -> None:
        """Take a pair, unless it says that the energy curves downwards."""
        if step @ change <= 1e-8 * np.sqrt((step @ step) * (change @ change)):
            return
        self.steps.append(step)
        self.changes.append(change)
        if len(self.steps) > MEMORY:
            del self.steps[0], self.changes[0]

    def clear(self) -> None:
        """Forget all."""
        self.steps.clear()
        self.changes.clear()

    def direction(self, gradient: np.ndarray, solve: Solve) -> np.ndarray:
        """Minus the inverse of the approximate Hessian, times the gradient.

        J. Nocedal, Math. Comput. 35, 773 (1980): two loops; ``solve`` is the inverse of the
        preconditioner, which stands for the Hessian before the first pair.
        """
        q = gradient.copy()
        weights = []
        for step, change in zip(reversed(self.steps), reversed(self.changes), strict=True):
            weight = (step @ q) / (step @ change)
            weights.append(weight)
            q -= weight * change
        q = solve(q)
        for step, change, weight in zip(self.steps, self.changes, reversed(weights), strict=True):
            q += step * (weight - (change @ q) / (step @ change))
        return -q


class NoStepError(RunError):
    """No step along a direction is better; what else fails, such as the model, is none of these.

    Parameters
    ----------
    reason
        What was found.
    is_noise
        Whether it may be the noise of float32.
    float64
        How the caller is asked for float64; empty where it has that already.
    """

    def __init__(
        self, reason: str, *, is_noise: bool = False, float64: str = "--dtype float64"
    ) -> None:
        mend = f" (float32 has noise of about 1e-4 eV/Å: take {float64})"
        super().__init__(reason + (mend if is_noise and float64 else ""))
        self._reason, self._is_noise = reason, is_noise

    def asking_with(self, float64: str) -> NoStepError:
        """Make the same error for a caller that is asked for float64 in other words."""
        return NoStepError(self._reason, is_noise=self._is_noise, float64=float64)


def next_point(
    here: Point,
    direction: np.ndarray,
    evaluate: Callable[[np.ndarray], Point],
    noise_eV: float,
) -> Point:
    """Go along a direction to a point that is better; the whole way first.

    A point is better when the energy falls as the slope promises. Near a minimum the energy changes
    by less than its rounding; there the slope decides: it must have become flatter (W. W. Hager,
    H. Zhang, SIAM J. Optim. 16, 170 (2005)).

    Parameters
    ----------
    here
        Where the way begins.
    direction
        Whole step.
    evaluate
        Evaluates a vector.
    noise_eV
        Rounding of the energy.

    Raises
    ------
    NoStepError
        If no step is better, however short.
    """
    slope = float(here.gradient @ direction)
    length = 1.0
    for _ in range(TRIALS):
        there = evaluate(here.x + length * direction)
        rise = there.value - here.value
        slope_there = float(there.gradient @ direction)
        if rise <= DECREASE * length * slope:
            return there
        if rise <= noise_eV and abs(slope_there) <= 0.9 * abs(slope):
            return there
        length *= _shorter(length, rise, slope, slope_there)
    raise NoStepError(
        "no step along the search direction lowers the energy, however short: forces and energy of "
        "the model do not belong together, or the limits are below what rounding allows",
        is_noise=True,
    )


def _shorter(length: float, rise: float, slope: float, slope_there: float) -> float:
    """Factor by which a step is shortened: to the minimum of the cubic through both ends."""
    if not np.isfinite(rise):
        return 0.1
    mean = 3.0 * -rise / length + slope + slope_there
    root = mean**2 - slope * slope_there
    if root < 0.0:
        return 0.5
    width = float(np.sqrt(root))
    denominator = slope_there - slope + 2.0 * width
    if denominator <= 0.0:
        return 0.5
    return float(np.clip(1.0 - (slope_there + width - mean) / denominator, 0.1, 0.5))
