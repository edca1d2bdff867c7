"""Frames from dynamics: runs under many conditions, kept up to the moment when linkers break."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.engine.launch import Resources
from mofmd.errors import InputError, RunError, StoppedError
from mofmd.learning.data.dataset import bare
from mofmd.learning.sample.conditions import Condition
from mofmd.models.dispersion.dispersion import choose_dispersion
from mofmd.models.files.validity import check_suits
from mofmd.simulation.deck.deck import MANIFEST, Deck, is_deck_of, read_deck, write_deck
from mofmd.simulation.deck.limits import Limits, LocalAtoms, find_violation, read_limits
from mofmd.simulation.deck.potential import model_potential
from mofmd.simulation.deck.timestep import check_timesteps
from mofmd.simulation.protocols.base.protocol import Dynamics
from mofmd.simulation.run.restart import LATEST, PREVIOUS, STOPPED
from mofmd.simulation.run.run import run_deck
from mofmd.simulation.run.status import read_status
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import TrajectoryFile
from mofmd.units import FS_TO_PS

# what LAMMPS says where forces were so wrong that atoms flew apart, maybe at once
UNSTABLE = ("Non-numeric", "Lost atoms", "Out of range atoms")
SKIN_A = 4.0  # periodic images this far outside the cell are looked at: any bond or contact


@dataclass(frozen=True)
class SampleOptions:
    """Which frames of a run are kept, and what a run may use.

    Parameters
    ----------
    every
        One frame of the trajectory in so many; of a run that held and has fewer, the last one.
    before_break
        Of a run that broke, so many of the last frames that are still whole.
    ranks
        MPI processes of a run.
    threads
        Threads of each process.
    """

    every: int = 50
    before_break: int = 6
    ranks: int = 1
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse counts that mean nothing."""
        if self.every < 1 or self.before_break < 0:
            raise InputError("every: expected 1 or more; before_break: 0 or more")


@dataclass(frozen=True)
class Sampled:
    """What one run gave.

    Parameters
    ----------
    condition
        Its condition.
    frames
        Regular frames, unlabelled; ``info`` says where they come from.
    last_frames
        Those before the break; the structure that it began with, where there was no time for more.
    broken
        Why the run ended early; empty for a run that held.
    time_ps
        Simulated time [ps].
    """

    condition: Condition
    frames: tuple[Atoms, ...]
    last_frames: tuple[Atoms, ...]
    broken: str
    time_ps: float


def run_condition(
    condition: Condition, model: Path, folder: Path, resources: Resources | None = None
) -> str:
    """Run a condition to its end, or to its break; one that is done already is left alone.

    Returns
    -------
    str
        Why it broke; empty where it did not.

    Raises
    ------
    InputError
        If the folder holds a run of another model or other conditions.
    RunError
        If the run could not begin, or was killed.
    StoppedError
        If it was asked to stop.
    """
    atoms = condition.start()
    check_suits(model, atoms)
    potential = model_potential(
        model, tuple(sorted(set(atoms.symbols))), choose_dispersion("auto", model)
    )
    status = read_status(folder)
    began = any((folder / name).exists() for name in (LATEST, PREVIOUS, STOPPED))
    if status.get("state") == "failed" and not _has_broken(status) and not began:
        # it ended before its first step, for a reason that may be gone by now: nothing is lost
        shutil.rmtree(folder)
    if not (folder / MANIFEST).exists():
        write_deck(condition.protocol, atoms, potential, folder)
    elif not is_deck_of(folder, condition.protocol, atoms, potential):
        raise InputError(
            f"{folder}: holds a run of another model or other conditions; take another folder for "
            "the new ones"
        )
    status = read_status(folder)
    if status.get("state") != "finished" and not _has_broken(status):
        try:
            run_deck(folder, resources, resume=bool(status))
        except StoppedError as stopped:
            raise StoppedError(
                f"{folder}: stopped as asked; the same command again goes on from there"
            ) from stopped
        except RunError:
            if read_status(folder).get("state") != "failed":
                raise
        status = read_status(folder)
    if status["state"] == "finished":
        return ""
    if not _has_broken(status):
        raise RunError(f"{folder}: broke before its first step: {status.get('error')}")
    return str(status.get("error", "broken"))


def _has_broken(status: Mapping[str, Any]) -> bool:
    """Whether a run ended early because of its model, and not before it could begin."""
    if status.get("state") != "failed":
        return False
    return bool(status.get("step")) or any(w in str(status.get("error")) for w in UNSTABLE)


def collect_frames(condition: Condition, folder: Path, options: SampleOptions) -> Sampled:
    """Read the frames of a run that has ended, in the axes of the structure it began with."""
    deck = read_deck(folder)
    status = read_status(folder)
    broken = str(status.get("error") or "") if status.get("state") == "failed" else ""
    limits = read_limits(folder / "integrity.json")
    # of a run that flew apart at once nothing may be on the disk
    none = broken and not status.get("step")
    frames = [] if none else list(TrajectoryFile(folder / "trajectory.dump"))
    if broken:
        frames = list(itertools.takewhile(lambda frame: is_whole(frame, limits), frames))
    # the first frame is the structure that it starts from, at rest
    regular = frames[options.every - 1 :: options.every]
    if not (regular or broken):
        regular = frames[-1:]
    regular = [frame for frame in regular if frame.step]
    last = frames[max(0, len(frames) - options.before_break) :] if broken else []
    taken = {frame.step for frame in last}
    last_frames = tuple(_atoms(f, deck, condition) for f in last)
    if broken and options.before_break and not last_frames:  # it broke before its first frame
        last_frames = (_described(condition.start(), condition),)
    return Sampled(
        condition=condition,
        frames=tuple(_atoms(f, deck, condition) for f in regular if f.step not in taken),
        last_frames=last_frames,
        broken=broken,
        time_ps=float(status.get("step", 0)) * condition.protocol.timestep_fs * FS_TO_PS,
    )


def sample(
    conditions: Sequence[Condition],
    model: Path,
    folder: Path,
    options: SampleOptions | None = None,
    report: Callable[[str], None] = print,
) -> list[Sampled]:
    """Run all conditions one after the other; call it again after whatever happened.

    Parameters
    ----------
    conditions
        What to run.
    model
        Model file that moves the atoms.
    folder
        Gets a deck for each condition.
    options
        Which frames to keep, and what a run may use.
    report
        Is told of each run.
    """
    options = options or SampleOptions()
    resources = Resources(options.ranks, options.threads)
    names = [condition.name for condition in conditions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"conditions: two are called {twice[0]!r}; give them other origins")
    for condition in conditions:  # what cannot run is told before anything runs
        check_timesteps(condition.protocol, condition.start())
    results = []
    for condition in conditions:
        run_condition(condition, model, folder / condition.name, resources)
        found = collect_frames(condition, folder / condition.name, options)
        how = f"broke: {found.broken}" if found.broken else f"whole for {found.time_ps:g} ps"
        report(f"{condition.name}: {how}; {len(found.frames) + len(found.last_frames)} frames")
        results.append(found)
    return results


def is_whole(frame: Frame, limits: Limits) -> bool:
    """Whether a frame's linkers are whole and no atoms too close, as the watch of runs judges."""
    fractions = frame.positions @ np.linalg.inv(frame.cell)
    wrapped = fractions - np.floor(fractions)
    margins = SKIN_A * np.linalg.norm(np.linalg.inv(frame.cell), axis=0)
    counts = np.ceil(margins).astype(int)
    ranges = [range(-n, n + 1) for n in counts]
    shifts = sorted(itertools.product(*ranges), key=any)
    images = (wrapped[None, :, :] + np.array(shifts)[:, None, :]).reshape(-1, 3)
    near = ((images > -margins) & (images < 1.0 + margins)).all(axis=1)
    near[: len(frame)] = True  # the cell's own atoms come first
    rows = np.tile(np.arange(len(frame)), len(shifts))[near]
    types = np.array([limits.type_names.index(name) + 1 for name in frame.species])
    atoms = LocalAtoms(
        n_own=len(frame),
        ids=rows + 1,
        types=types[rows],
        positions=images[near] @ frame.cell,
        cell=frame.cell,
    )
    return find_violation(limits, atoms, len(frame)) is None


def _atoms(frame: Frame, deck: Deck, condition: Condition) -> Atoms:
    rotation = np.array(deck.manifest["structure"]["rotation"])
    atoms = Atoms(
        list(frame.species),
        positions=frame.positions @ rotation.T,
        cell=frame.cell @ rotation.T,
        pbc=True,
    )
    atoms.wrap()
    return _described(atoms, condition, moving=frame.step > 0)


def _described(atoms: Atoms, condition: Condition, *, moving: bool = False) -> Atoms:
    """Say where a frame comes from; the one that a run begins with is at rest."""
    found = bare(atoms)
    found.info = {"trajectory": condition.name}
    for name in ("origin", "phase"):
        if getattr(condition, name):
            found.info[name] = getattr(condition, name)
    if moving and isinstance(condition.protocol, Dynamics):  # ramps have no one temperature
        found.info["temperature_K"] = condition.protocol.temperature_K
    return found
