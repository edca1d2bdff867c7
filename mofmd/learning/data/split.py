"""Training, validation and test sets: whole trajectories, from every phase, whole origins apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.data.distort import DISTORTED
from mofmd.learning.select.structures import pick_structures

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class SplitOptions:
    """How frames are dealt out.

    Parameters
    ----------
    val_share, test_share
        Of the frames of each phase, reached with whole trajectories.
    held_out_origins
        Origins whose every trajectory goes to the test set.
    val_trajectories, test_trajectories
        Trajectories by name that go to these sets.
    seed
        Of the choice of trajectories.
    """

    val_share: float = 0.1
    test_share: float = 0.1
    held_out_origins: tuple[str, ...] = ()
    val_trajectories: tuple[str, ...] = ()
    test_trajectories: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing to train on."""
        for name in ("val_share", "test_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}: {getattr(self, name)}, expected 0 to below 1")
        if self.val_share + self.test_share >= 1:
            raise InputError("val_share and test_share leave no frames for training")


def split_frames(
    frames: Sequence[Atoms], options: SplitOptions, features: np.ndarray | None = None
) -> dict[str, list[Atoms]]:
    """Deal out frames by whole trajectories: ``train``, ``val`` and ``test``.

    In each phase with three trajectories or more each share that is not zero gets at least one;
    phases with fewer stay in the training set, unless trajectories are named.

    Parameters
    ----------
    frames
        With names of trajectories.
    options
        Shares, and what goes where by its name.
    features
        (frames, features) of each frame: the training set then takes the trajectories that lie
        farthest from each other, by their means, and the others are dealt at random to validation
        and test.

    Raises
    ------
    InputError
        If a named origin or trajectory does not exist, or nothing is left for training.
    """
    part_of = _named(frames, options)
    rng = np.random.default_rng(options.seed)
    # a trajectory of several phases belongs to that of most of its frames
    found: dict[str, Counter[str]] = {}
    for frame in frames:
        trajectory = trajectory_of(frame)
        if trajectory not in part_of:
            found.setdefault(trajectory, Counter())[str(frame.info.get("phase", ""))] += 1
    phases: dict[str, dict[str, int]] = {}
    for trajectory, kinds in found.items():
        phase = kinds.most_common(1)[0][0]
        phases.setdefault(phase, {})[trajectory] = kinds.total()
    for phase in sorted(phases):
        counts = phases[phase]
        order = None if features is None else _farthest_first(frames, features, list(counts))
        part_of.update(_deal(counts, options, rng, order))
    parts: dict[str, list[Atoms]] = {name: [] for name in PARTS}
    for frame in frames:
        parts[part_of[trajectory_of(frame)]].append(frame)
    if not parts["train"]:
        raise InputError("split: nothing is left for training; hold out less")
    return parts


def trajectory_of(frame: Atoms) -> str:
    """Name of the trajectory that a frame belongs to; a distorted copy belongs to its original's.

    Most atoms of such a copy are where they are in the original.
    """
    return _original(str(frame.info.get("trajectory", "")))


def _original(trajectory: str) -> str:
    return trajectory.partition(DISTORTED)[0]


def _named(frames: Sequence[Atoms], options: SplitOptions) -> dict[str, str]:
    """Part of each trajectory that the options name."""
    trajectories = {trajectory_of(frame) for frame in frames}
    origins = {str(frame.info.get("origin", "")) for frame in frames}
    _refuse_unknown("origin", options.held_out_origins, origins)
    part_of: dict[str, str] = {}
    val, test = (
        {_original(name) for name in names}
        for names in (options.val_trajectories, options.test_trajectories)
    )
    for part, names in (("val", val), ("test", test)):
        _refuse_unknown("trajectory", names, trajectories)
        part_of.update(dict.fromkeys(names, part))
    both = val & test
    if both:
        raise InputError(f"trajectory {sorted(both)[0]!r} is named for both val and test")
    for frame in frames:
        if str(frame.info.get("origin", "")) in options.held_out_origins:
            part_of[trajectory_of(frame)] = "test"
    return part_of


def _refuse_unknown(kind: str, names: Iterable[str], known: set[str]) -> None:
    unknown = sorted(set(names) - known)
    if unknown:
        there = ", ".join(sorted(known)[:12])
        raise InputError(f"{kind} {unknown[0]!r}: no frame is of it; there are {there}")


def _farthest_first(
    frames: Sequence[Atoms], features: np.ndarray, names: Sequence[str]
) -> list[str]:
    """Trajectories, each farther from those before it than any that follows."""
    of_frames = np.array([trajectory_of(frame) for frame in frames])
    means = np.array([features[of_frames == name].mean(axis=0) for name in names])
    order = pick_structures(means, len(names))
    # what has the features of others is never picked
    return [names[k] for k in (*order, *sorted(set(range(len(names))) - set(order)))]


def _mix_end(
    order: list[str], counts: dict[str, int], options: SplitOptions, rng: np.random.Generator
) -> list[str]:
    """Shuffle the last trajectories, so many as validation and test will take."""
    wanted = (options.val_share + options.test_share) * sum(counts.values())
    least = sum(share > 0 for share in (options.val_share, options.test_share))
    last: list[str] = []
    while len(last) < least or sum(counts[name] for name in last) < wanted:
        last.append(order[len(order) - 1 - len(last)])
    return [*order[: len(order) - len(last)], *(last[k] for k in rng.permutation(len(last)))]


def _deal(
    counts: dict[str, int],
    options: SplitOptions,
    rng: np.random.Generator,
    order: list[str] | None = None,
) -> dict[str, str]:
    """Part of each trajectory of one phase; validation and test take from the end of the order."""
    names = sorted(counts)
    if order is None:
        order = [names[k] for k in rng.permutation(len(names))]
    elif len(names) >= len(PARTS):
        order = _mix_end(order, counts, options, rng)
    part_of = dict.fromkeys(names, "train")
    if len(names) < len(PARTS):
        return part_of
    total = sum(counts.values())
    for part, share in (("val", options.val_share), ("test", options.test_share)):
        taken = 0
        while taken < share * total and len(order) > 1:
            name = order.pop()
            # the first is always taken, further ones only if that comes closer to the share
            if taken and taken + counts[name] / 2 > share * total:
                order.append(name)
                break
            part_of[name] = part
            taken += counts[name]
    return part_of
