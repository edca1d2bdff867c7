"""Inside a running LAMMPS: integrity, progress on disk, and the request to stop.

LAMMPS calls the watch every few steps on all ranks (``fix external`` that adds nothing to any
force, so that the trajectory is the one without it). Decisions are taken together, over MPI.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from mofmd.disk.stop_request import is_asked_to_stop
from mofmd.engine.mpi_guard import fail
from mofmd.processes.alive import Process, is_alive
from mofmd.simulation.deck.limits import Limits, LocalAtoms, Violation, find_violation
from mofmd.simulation.deck.novelty_watch import NoveltyWatch
from mofmd.units import BOLTZMANN_EV_PER_K, EV_PER_G_PER_MOL_TO_A2_PER_PS2

STATUS_INTERVAL_S = 2.0
CHECK_SHARE = 0.005  # of the wall time of a run may go into checks
SLOW_STEP_S = 0.05  # steps that take longer are watched one by one
STRIDE = 10
PRESSURES = ("Press", "Pxx", "Pyy", "Pzz", "Pyz", "Pxz", "Pxy")
RUNAWAY_FACTOR = 10  # times the protocol's highest temperature
# eV per atom above the start, beyond what RUNAWAY_FACTOR in temperature would explain, or below it
ENERGY_MARGIN_EV = 2.0

FIX = "mofmd_watch"
NOVELTY_FIX = "novelty"  # of novelty.in
NOVELTY = "novelty"  # kind of the violation by an atom that is too new
LMP_STYLE_ATOM, LMP_TYPE_VECTOR = 1, 1  # of LAMMPS's library


class StopReason(Enum):
    """Why a run stops before its end, in words."""

    ASKED = "asked to stop"
    ALONE = "stopped, as the process that waited for it has gone,"

    @property
    def state(self) -> str:
        """State of a run that has stopped so."""
        return "stopped" if self is StopReason.ASKED else "interrupted"


@dataclass
class Watch:
    """Watches one run on one rank.

    Parameters
    ----------
    lmp, comm
        LAMMPS and its communicator.
    limits
        Bonds and contacts.
    n_atoms
        Atoms of the system.
    hottest_kelvin
        Highest temperature that is meant to occur.
    directory
        Of the deck.
    watched
        Processes that wait for this run; when one is gone, the run stops.
    report
        Called on rank 0 every other second, with step and temperature.
    novelty
        How often the deck looks how new atoms are to the model, and at what the run stops.
    gives_stress
        Whether the model does; the pressures of one that does not are no numbers.
    """

    lmp: Any
    comm: Any
    limits: Limits
    n_atoms: int
    hottest_kelvin: float
    directory: Path
    watched: tuple[Process, ...]
    report: Callable[[int, float], None]
    novelty: NoveltyWatch | None = None
    gives_stress: bool = True
    signalled: bool = False
    stop_reason: StopReason | None = None
    is_called: bool = False
    violation: Violation | None = None
    violation_step: int = 0
    start_energy_eV: float | None = None
    seconds_in_watch: float = 0.0
    _began: float = field(default_factory=time.monotonic)
    _reported: float = 0.0

    def install(self, seconds_per_step: float) -> None:
        """Begin to watch the part that LAMMPS has just set up."""
        every = 1 if seconds_per_step > SLOW_STEP_S else STRIDE
        if self._stops_at_novelty and self.novelty:
            every = math.gcd(every, self.novelty.every)  # so that no look is missed
        self.lmp.command(f"fix {FIX} all external pf/callback {every} {every}")
        # what it adds to virial and energy is not set yet when the fixes before it are set up:
        # a barostat, or a variable of the pressure, would take whatever was in the memory
        self.lmp.command(f"fix_modify {FIX} virial no energy no")
        self.lmp.set_fix_external_callback(FIX, self._called, None)

    def remove(self, step: int) -> None:
        """Look at the last step of a part, then stop watching: no part passes unchecked."""
        self.is_called = False
        if not self.violation:
            self._check(step)
        self.lmp.command(f"unfix {FIX}")

    @property
    def share(self) -> float:
        """Share of the wall time that went into the watch."""
        return self.seconds_in_watch / max(time.monotonic() - self._began, 1e-9)

    def _called(self, _: Any, step: int, *__: Any) -> None:
        """Look at a step; an exception here would be lost inside LAMMPS, so none leaves."""
        if self.stop_reason or self.violation:
            return
        self.is_called = True
        try:
            self._look(step)
        except Exception as error:
            # the other ranks may be waiting for this one: no way to stop them in good order
            fail(self.comm, error)

    def _look(self, step: int) -> None:
        # every rank does as rank 0 says, at the same step
        check, stop = self.comm.bcast(
            (self.share < CHECK_SHARE, self.reason_to_stop()) if self.comm.rank == 0 else None
        )
        if check:
            self._check(step)
        self._look_for_novelty(step)
        if stop or self.violation:
            self.stop_reason = stop
            self.lmp.lib.lammps_force_timeout(self.lmp.lmp)

    @property
    def _stops_at_novelty(self) -> bool:
        return self.novelty is not None and self.novelty.stop_above is not None

    def _look_for_novelty(self, step: int) -> None:
        """Judge what the deck's own fix has found at this step."""
        watch = self.novelty
        if watch is None or watch.stop_above is None or step % watch.every or self.violation:
            return
        begun = time.monotonic()
        n_own = self.lmp.extract_setting("nlocal")
        mine: tuple[float, int, str] = (-math.inf, 0, "")
        if n_own:
            scores = self.lmp.numpy.extract_fix(NOVELTY_FIX, LMP_STYLE_ATOM, LMP_TYPE_VECTOR)[
                :n_own
            ]
            atom = int(np.argmax(scores))
            kind = int(self.lmp.numpy.extract_atom("type", nelem=n_own)[atom])
            number = int(self.lmp.numpy.extract_atom("id", nelem=n_own)[atom])
            mine = (float(scores[atom]), number, self.limits.type_names[kind - 1])
        self.seconds_in_watch += time.monotonic() - begun
        score, number, name = max(self.comm.allgather(mine))
        if not score <= watch.stop_above:
            self.violation_step = step
            self.violation = Violation(
                NOVELTY,
                f"{name} {number} is new to the model: novelty {score:.3g}, allowed is "
                f"{watch.stop_above:g} (watch, stop_above)",
                (number,),
            )

    def reason_to_stop(self) -> StopReason | None:
        """Why the run should stop, if it should; for rank 0."""
        if self.signalled or is_asked_to_stop(self.directory):
            return StopReason.ASKED
        return None if all(map(is_alive, self.watched)) else StopReason.ALONE

    def _check(self, step: int) -> None:
        begun = time.monotonic()
        atoms = self._local_atoms()
        found = find_violation(self.limits, atoms, self.n_atoms)
        mine = (found, atoms.n_own, self._twice_kinetic_energy(atoms))
        # waiting for a rank with more atoms is not counted: LAMMPS would wait for it next
        self.seconds_in_watch += time.monotonic() - begun
        everyone = self.comm.allgather(mine)
        begun = time.monotonic()
        temperature_K = sum(each[2] for each in everyone) / (
            3 * max(self.n_atoms - 1, 1) * BOLTZMANN_EV_PER_K
        )
        self.violation = next((each[0] for each in everyone if each[0]), None)
        n_own = sum(each[1] for each in everyone)
        self.violation = self.violation or self._global_violation(n_own, temperature_K)
        self.violation_step = step
        now = time.monotonic()
        if self.comm.rank == 0 and now - self._reported > STATUS_INTERVAL_S:
            self._reported = now
            self.report(step, temperature_K)
        self.seconds_in_watch += time.monotonic() - begun

    def _global_violation(self, n_own: int, temperature_K: float) -> Violation | None:
        if n_own != self.n_atoms:
            return Violation(
                "lost atoms", f"{self.n_atoms - n_own} of {self.n_atoms} atoms are lost"
            )
        if not temperature_K < RUNAWAY_FACTOR * self.hottest_kelvin:
            return Violation(
                "temperature",
                f"the temperature is {temperature_K:.0f} K, the protocol's highest "
                f"{self.hottest_kelvin:g} K",
            )
        return self._thermo_violation()

    def _thermo_violation(self) -> Violation | None:
        """Judge the last line of the log; every rank has the same one."""
        row = self.lmp.last_thermo() or {}
        for name, value in row.items():
            if not math.isfinite(value) and (self.gives_stress or name not in PRESSURES):
                return Violation("not a number", f"{name} is {value} in the log")
        if "PotEng" not in row:
            return None
        energy_eV = row["PotEng"] / self.n_atoms
        if self.start_energy_eV is None:
            self.start_energy_eV = energy_eV
        change_eV = energy_eV - self.start_energy_eV
        expected_eV = 1.5 * BOLTZMANN_EV_PER_K * RUNAWAY_FACTOR * self.hottest_kelvin
        if change_eV > expected_eV + ENERGY_MARGIN_EV or change_eV < -ENERGY_MARGIN_EV:
            return Violation(
                "energy",
                f"the potential energy is {change_eV:+.2f} eV/atom from where the run began",
            )
        return None

    def _local_atoms(self) -> LocalAtoms:
        lmp = self.lmp
        n_own = lmp.extract_setting("nlocal")
        n_all = lmp.extract_setting("nall")
        low, high, xy, yz, xz, _, _ = lmp.extract_box()
        lx, ly, lz = (high[k] - low[k] for k in range(3))
        return LocalAtoms(
            n_own=n_own,
            ids=lmp.numpy.extract_atom("id", nelem=n_all),
            types=lmp.numpy.extract_atom("type", nelem=n_all),
            positions=lmp.numpy.extract_atom("x", nelem=n_all, dim=3),
            cell=np.array([[lx, 0.0, 0.0], [xy, ly, 0.0], [xz, yz, lz]]),
        )

    def _twice_kinetic_energy(self, atoms: LocalAtoms) -> float:
        n = atoms.n_own
        if n == 0:
            return 0.0
        velocities = self.lmp.numpy.extract_atom("v", nelem=n, dim=3)
        masses = self.lmp.numpy.extract_atom("mass")[atoms.types[:n]]
        squares = np.einsum("ij,ij->i", velocities, velocities)
        return float((masses * squares).sum() / EV_PER_G_PER_MOL_TO_A2_PER_PS2)


def on_signal(watch: Watch) -> Callable[[int, Any], None]:
    """Make a signal handler that asks the watch to stop the run.

    Python runs it when LAMMPS next calls the watch.
    """

    def handler(_: int, __: Any) -> None:
        watch.signalled = True

    return handler
