"""Is energy conserved? Constant-energy dynamics, for as long as the model holds the structure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.engine.script import ScriptError
from mofmd.models.gate.engine import GateEngine
from mofmd.units import FS_TO_PS

TIMESTEP_FS = 0.25
TEMPERATURE_K = 300.0
_SECONDS = 30.0  # for each of minimisation and dynamics
_MAX_STEPS, _MIN_STEPS = 2000, 200
_MAX_EVALUATIONS, _MIN_EVALUATIONS = 200, 30
# What a structure at rest cannot do: the model is not at home there.
_DEEPEST_FALL_EV = 3.0  # per atom, in the minimisation
_HOTTEST = 5.0  # times the temperature at the beginning


class UnstableError(Exception):
    """The model does not hold the structure together; the text says how."""


@dataclass(frozen=True)
class Drift:
    """Slope of the total energy in NVE [meV/atom/ps], with the uncertainty of the fit."""

    slope: float
    uncertainty: float
    picoseconds: float


def measure_drift(engine: GateEngine, atoms: Atoms) -> Drift:
    """Minimise and run NVE at 300 K; the length depends on the model's speed.

    Raises
    ------
    UnstableError
        If the energy falls without end, the structure heats up or LAMMPS says that it fails.
    """
    seconds = max((engine.seconds_per_atom or 0.0) * len(atoms), 1e-3)
    steps = int(np.clip(_SECONDS / seconds, _MIN_STEPS, _MAX_STEPS))
    evaluations = int(np.clip(_SECONDS / seconds, _MIN_EVALUATIONS, _MAX_EVALUATIONS))
    every = max(1, steps // 200)
    begin_K = 2.0 * TEMPERATURE_K  # half of it turns into potential energy
    script = [
        "thermo_style custom step temp pe etotal",
        "thermo_modify format float %.10f",
        "thermo 10",
        f"minimize 0 0.05 {evaluations} {evaluations}",
        "reset_timestep 0",
        f"velocity all create {begin_K} 11 loop geom",
        f"timestep {TIMESTEP_FS * FS_TO_PS}",
        f"thermo {every}",
        "fix 1 all nve",
        f"run {steps}",
    ]
    picoseconds = steps * TIMESTEP_FS * FS_TO_PS
    engine.progress(f"minimisation and {picoseconds:.2f} ps of dynamics", 0, 0)
    limit_s = engine.limit_s(len(atoms), steps + evaluations)
    try:
        _, (minimisation, dynamics) = engine.run_script(atoms, script, limit_s)
    except ScriptError as error:
        raise UnstableError(str(error)) from error
    _refuse_unstable(minimisation, dynamics, len(atoms), begin_K)
    time_ps = dynamics["Step"] * TIMESTEP_FS * FS_TO_PS
    slope, uncertainty = _slope(time_ps, 1e3 * dynamics["TotEng"] / len(atoms))
    return Drift(slope, uncertainty, picoseconds)


def _refuse_unstable(
    minimisation: Mapping[str, np.ndarray],
    dynamics: Mapping[str, np.ndarray],
    count: int,
    begin_K: float,
) -> None:
    energies = minimisation["PotEng"]
    if not np.isfinite(energies).all() or not np.isfinite(dynamics["TotEng"]).all():
        raise UnstableError("the energy is no longer a number")
    fall = float(energies[0] - energies[-1]) / count
    if fall > _DEEPEST_FALL_EV:
        raise UnstableError(f"the energy falls by {fall:.3g} eV/atom in the minimisation")
    hottest = float(dynamics["Temp"].max())
    if hottest > _HOTTEST * begin_K:
        raise UnstableError(f"the structure heats itself to {hottest:.3g} K")


def _slope(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Fit a line; the uncertainty counts the fluctuations as often as they change their sign.

    Energy under Verlet's integrator oscillates with the fastest vibrations: neighbouring samples
    are not independent.
    """
    slope, offset = map(float, np.polyfit(x, y, 1))
    residual: np.ndarray = y - (slope * x + offset)
    changes = int(np.count_nonzero(np.diff(residual > 0)))
    spread = float(residual.std()) / math.sqrt(max(changes, 2))
    return slope, spread / max(float(x.std()), np.finfo(float).tiny)
