"""Carrying out a static task in its folder: progress, requests to stop, results."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.analysis.mechanics.branches import convex_part
from mofmd.analysis.mechanics.equation_of_state import fit_energy_volume
from mofmd.calculator import DeployedModel
from mofmd.disk.atomic import write_atomic
from mofmd.disk.lock import lock_run
from mofmd.disk.stop_request import (
    ASKED_EARLY,
    ask_to_stop,
    asked_within,
    is_asked_to_stop,
    take_back_request,
)
from mofmd.errors import InputError, MofmdError, RunError, StoppedError, in_command
from mofmd.processes.alive import find_process, is_alive
from mofmd.processes.signals import SignalHandlers
from mofmd.relaxation.conduct import relax_in_folder
from mofmd.relaxation.lbfgs import NoStepError
from mofmd.relaxation.options import RelaxOptions
from mofmd.relaxation.relaxation import Relaxation
from mofmd.relaxation.result import Relaxed
from mofmd.simulation.run.restart import refuse_to_replace
from mofmd.simulation.run.run import LOCK_PATIENCE_S, WATCHED_PID
from mofmd.simulation.run.status import now_utc, read_status, write_status
from mofmd.simulation.statics.integrity import compare
from mofmd.simulation.statics.task import (
    EquationOfStateTask,
    HeatCapacityTask,
    StaticTask,
    read_static,
)

RESULTS = "results.json"
VOLUME = "volume_"  # begins the stages of an equation of state
STATUS_INTERVAL_S = 2.0
GO_ON = "goes on from the last step (`mofmd run --resume`, or `mofmd ensemble run` again)"
Tell = Callable[[str], None]


def run_static(  # noqa: PLR0913 - what is run, and five options
    directory: Path,
    *,
    threads: int = 1,
    resume: bool = False,
    tell: Tell = lambda _: None,
    begun_s_ago: float = 0.0,
    replaces: bool = True,
) -> dict[str, Any]:
    """Carry out a task; ``status.json`` says how far it is, ``results.json`` keeps what it gave.

    Parameters
    ----------
    directory
        Of the task.
    threads
        Of torch.
    resume
        Go on from the last step of an earlier run; otherwise begin anew.
    tell
        Is told each step.
    begun_s_ago, replaces
        As for ``run_deck``.

    Returns
    -------
    dict
        Quantities by name with their units, as in ``results.json``.

    Raises
    ------
    RunError
        If a relaxation does not reach its limits, or fails.
    StoppedError
        If it was asked to stop; ``resume`` goes on from there.
    """
    begun = time.monotonic()
    task = read_static(directory)
    if resume and read_status(directory).get("state") == "finished":
        return read_results(directory)
    with lock_run(directory, LOCK_PATIENCE_S):
        if not (resume or replaces):
            refuse_to_replace(directory, keeps_each_step=True)
        asked = asked_within(directory, begun_s_ago + time.monotonic() - begun)
        take_back_request(directory)
        if asked:
            raise StoppedError(ASKED_EARLY.format(directory=directory))
        write_status(directory, state="running", threads=threads, started_utc=now_utc())
        (directory / RESULTS).unlink(missing_ok=True)  # of an earlier run, which this one replaces
        try:
            conduct = _Conduct(task, threads, tell, anew=not resume)
            with SignalHandlers(lambda _: ask_to_stop(directory)):
                results = conduct.run()
        except BaseException as error:
            _record_end(directory, error)
            raise
        finally:
            take_back_request(directory)
        write_atomic(directory / RESULTS, json.dumps(results, indent=1) + "\n")
        write_status(directory, state="finished")
    return results


def read_results(directory: Path) -> dict[str, Any]:
    """Read what a finished task gave."""
    found: dict[str, Any] = json.loads((directory / RESULTS).read_text(encoding="utf-8"))
    return found


def _record_end(directory: Path, error: BaseException) -> None:
    if isinstance(error, StoppedError | KeyboardInterrupt | SystemExit):
        state, words = "stopped", f"stopped as asked; {GO_ON}"
    elif isinstance(error, MofmdError):
        state, words = "failed", str(error)
    else:
        state, words = "failed", f"{type(error).__name__}: {error}"
    with suppress(OSError):
        write_status(directory, state=state, error=words)


def fitted(volumes_A3: Sequence[float], energies_eV: Sequence[float]) -> dict[str, Any]:
    """K, V0 and K' of the stable part of E(V), by Birch and Murnaghan and by Vinet.

    Parameters
    ----------
    volumes_A3, energies_eV
        (points,) of the cell.
    """
    chosen = convex_part(volumes_A3, energies_eV)
    volumes, energies = ([values[k] for k in chosen] for values in (volumes_A3, energies_eV))
    results: dict[str, Any] = {}
    if len(chosen) < len(volumes_A3):
        results["points_of_the_fit"] = len(chosen)
    try:
        fit = fit_energy_volume(volumes, energies)
        vinet = fit_energy_volume(volumes, energies, form="vinet")
    except InputError as error:
        return {**results, "no_fit": str(error)}
    return {
        **results,
        "bulk_modulus_GPa": fit.bulk_modulus.value,
        "bulk_modulus_error_GPa": fit.bulk_modulus.standard_error,
        "equilibrium_volume_A3": fit.volume.value,
        "equilibrium_volume_error_A3": fit.volume.standard_error,
        "bulk_modulus_derivative": fit.derivative.value,
        "bulk_modulus_derivative_error": fit.derivative.standard_error,
        "vinet_bulk_modulus_GPa": vinet.bulk_modulus.value,
        "vinet_equilibrium_volume_A3": vinet.volume.value,
    }


def _pressure(relaxed: Relaxed) -> float | None:
    """Pressure that the model says, compression positive [GPa]; None without stress."""
    if relaxed.stress_GPa is None:
        return None
    return -float(np.trace(relaxed.stress_GPa)) / 3.0


class _Conduct:
    """A task that is going on."""

    def __init__(self, task: StaticTask, threads: int, tell: Tell, *, anew: bool) -> None:
        self._task, self._tell, self._anew = task, tell, anew
        self._directory = task.directory
        self._stage, self._told = "", 0.0
        watched = map(int, os.environ.get(WATCHED_PID, "").split())
        self._watched = [each for each in map(find_process, watched) if each is not None]
        self._calculator = DeployedModel(
            task.model,
            dispersion=task.dispersion or "none",
            threads=threads,
            dtype="float64" if task.settings.precision == "float64" else None,
            skin_A=0.0,
        )

    def run(self) -> dict[str, Any]:
        task = self._task
        relaxed = self._relax("relax", task.atoms, task.settings.cell)
        volume = float(relaxed.volume_A3 or 0.0)
        before = float(task.atoms.get_volume())
        results: dict[str, Any] = {
            "energy_eV": relaxed.energy_eV,
            "volume_A3": volume,
            "volume_change": volume / before - 1.0,
            "force_max_eV_per_A": relaxed.force_max_eV_per_A,
            "calls": relaxed.calls,
            **compare(task.atoms, relaxed.atoms),
        }
        if isinstance(task.settings, EquationOfStateTask):
            results |= self._equation_of_state(task.settings, relaxed)
        if isinstance(task.settings, HeatCapacityTask):
            self._begin("phonons")
            results |= import_module(f"{task.settings.ROOM}.heat_capacity").heat_capacity(
                relaxed.atoms,
                self._calculator,
                task.settings,
                self._directory,
                overwrite=self._anew,
                on_forces=lambda done: self._look(f"{self._stage}: {done}"),
            )
        return results

    def _equation_of_state(self, task: EquationOfStateTask, relaxed: Relaxed) -> dict[str, Any]:
        assert relaxed.volume_A3 is not None  # the cell is periodic
        ratios = task.ratios
        middle = ratios.index(1.0)
        energies, pressures = {middle: relaxed.energy_eV}, {middle: _pressure(relaxed)}
        calls, number = relaxed.calls, 1
        cell = "volume" if task.shape == "free" else "fixed"
        for way in (range(middle + 1, len(ratios)), range(middle - 1, -1, -1)):
            atoms = relaxed.atoms  # each begins where its neighbour ended
            for k in way:
                scaled = atoms.copy()
                scale = (ratios[k] * relaxed.volume_A3 / atoms.get_volume()) ** (1 / 3)
                scaled.set_cell(scale * atoms.cell.array, scale_atoms=True)
                number += 1
                told = f"volume {number} of {len(ratios)}, {ratios[k]:.4f} V0"
                found = self._relax(f"{VOLUME}{ratios[k]:.4f}", scaled, cell, told)
                atoms, energies[k], pressures[k] = found.atoms, found.energy_eV, _pressure(found)
                calls += found.calls
        places = range(len(ratios))
        volumes = [relaxed.volume_A3 * ratio for ratio in ratios]
        values = [energies[k] for k in places]
        return {
            **fitted(volumes, values),
            "calls": calls,
            "volumes_A3": volumes,
            "energies_eV": values,
            "pressures_GPa": [pressures[k] for k in places],
        }

    def _relax(self, stage: str, atoms: Atoms, cell: Any, told: str = "") -> Relaxed:
        """Relax in the folder of a stage, which is told of as its name or in other words."""
        self._begin(told or stage)
        settings = self._task.settings
        options = RelaxOptions(
            fmax_eV_per_A=settings.fmax_eV_per_A,
            cell=cell,
            keep_symmetry=settings.keep_symmetry == "yes",
            calls_max=settings.calls_max,
        )
        folder = self._directory / stage
        try:
            found = relax_in_folder(
                atoms,
                self._calculator,
                options,
                folder,
                overwrite=self._anew,
                on_step=self._look_at,
                tell_new=not stage.startswith(VOLUME),
            )
        except NoStepError as error:
            is_float64 = settings.precision == "float64"
            raise error.asking_with("" if is_float64 else "precision=float64") from error
        if not found.converged:
            raise RunError(
                f"{stage}: {found.calls} force calls do not reach the limits (largest force "
                f"{found.force_max_eV_per_A:.2e} eV/Å, stress {found.stress_max_GPa:.2e} GPa): "
                "raise calls_max, or look at its convergence.png"
            )
        return found

    def _begin(self, stage: str) -> None:
        """Begin a stage; its first step is told at once."""
        self._stage, self._told = stage, 0.0

    def _look_at(self, relaxation: Relaxation) -> None:
        row = relaxation.state.rows[-1]
        self._look(f"{self._stage}: {int(row[0])} force calls, largest force {row[4]:.1e} eV/Å")

    def _look(self, text: str) -> None:
        """After each step: tell, and stop where that is asked for."""
        self._tell(text)
        if is_asked_to_stop(self._directory) or not all(map(is_alive, self._watched)):
            raise StoppedError(
                f"{self._directory}: stopped as asked; go on with "
                f"`mofmd run {in_command(self._directory)} --resume`"
            )
        now = time.monotonic()
        if now - self._told > STATUS_INTERVAL_S:
            self._told = now
            write_status(self._directory, state="running", stage=self._stage, progress=text)
