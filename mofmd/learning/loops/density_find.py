"""What a round of a distillation finds by the density of its model's features."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from ase import Atoms

from mofmd.builders.blocks.blocks import Blocks, find_blocks
from mofmd.calculator.density.scorer import read_density
from mofmd.errors import InputError
from mofmd.learning.clusters.blueprints import Blueprints
from mofmd.learning.clusters.clusters import ClusterCutter, CutOptions
from mofmd.learning.clusters.environments import Surroundings, core_blocks, signature
from mofmd.learning.data.dataset import NOVELTY
from mofmd.learning.density.fit import FitOptions
from mofmd.learning.density.model_density import fit_density, too_rare, write_density
from mofmd.models.files.deployed import read_density_record
from mofmd.trajectory.frame import Frame


@dataclass(frozen=True)
class DensityOptions:
    """The density by which a distillation finds new atoms.

    Parameters
    ----------
    dims
        Principal axes of an element's features; null takes all.
    components
        Gaussians of an element, at most.
    quantile
        Of the atoms of the validation frames, whose novelty is 1.
    above
        Novelty above which an atom is new.
    at_most
        Novelty of an atom, at most: frames and clusters with a newer one are about to break, and
        are not labelled. An element never seen is infinitely new, and does not count here. Null
        sets no bound: how new sound atoms can be depends on the model and on what is looked for.
    hold_out
        Share of the runs of each round whose labels are not trained on: they join the validation
        frames, so that these hold new kinds of atoms, too.
    """

    dims: int | None = 8
    components: int = 16
    quantile: float = 0.999
    above: float = 1.0
    at_most: float | None = None
    hold_out: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted."""
        self.fit(0)
        if not 0.0 <= self.hold_out < 1.0:
            raise InputError(f"hold_out: {self.hold_out}, expected 0 to below 1")
        if self.at_most is not None and not self.at_most > self.above:
            raise InputError(f"at_most: {self.at_most}, expected more than above ({self.above})")

    def fit(self, seed: int) -> FitOptions:
        """How to fit."""
        return FitOptions(self.dims, self.components, self.quantile, seed=seed)

    def is_beyond(self, scores: np.ndarray) -> bool:
        """Whether one of some atoms is newer than ``at_most``.

        Parameters
        ----------
        scores
            (atoms,) novelty; infinite for elements never seen, NaN for atoms that have none.
        """
        return self.at_most is not None and bool((scores[np.isfinite(scores)] > self.at_most).any())


@dataclass(frozen=True)
class ClusterOptions:
    """Clusters that are labelled in place of whole frames.

    Parameters
    ----------
    per_round
        Clusters labelled in each round.
    shells
        Shells of blocks around a core.
    largest
        Atoms of a cluster, at most.
    allow_images
        Let a cluster hold an atom in several images, as clusters of small cells do.
    charges
        Charges of ions that have several, by element or formula.
    """

    per_round: int = 150
    shells: int = 1
    largest: int = 220
    allow_images: bool = False
    charges: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        """Refuse counts that mean nothing."""
        if self.per_round < 1 or self.shells < 0 or self.largest < 1:
            raise InputError("clusters: expected per_round and largest of 1 or more, shells of 0")


Score = Callable[[Atoms], np.ndarray]


class Found(NamedTuple):
    """What is to be labelled, and what is told of it."""

    picked: list[Atoms]
    scores: dict[str, Any]


def keep_density(
    model: Path,
    frames: Sequence[Atoms],
    held_out: Sequence[Atoms],
    options: FitOptions,
    report: Callable[[str], None] = print,
) -> None:
    """Put a density of the training frames into a model file, unless it holds its own already.

    Elements of which there are too few atoms yet are told, and count as never seen: their atoms
    are new, so that more of them are labelled.

    Raises
    ------
    InputError
        If there are too few atoms of every element.
    """
    if read_density_record(model) is not None:
        read_density(model)  # refused where it is of another model
        return
    rare = too_rare(frames, held_out, options)
    if len(rare) == len({str(symbol) for frame in frames for symbol in frame.symbols}):
        raise InputError("density: " + next(iter(rare.values())))
    for element, reason in rare.items():
        report(f"{element}: counts as never seen, for its atoms are too few: {reason}")
    options = replace(options, leave_out=tuple(rare))
    density = fit_density(model, frames, held_out, options)
    write_density(model, density, model)


def sound_frames(
    frames: Sequence[Atoms],
    score: Score,
    density: DensityOptions,
    report: Callable[[str], None] = print,
) -> list[Atoms]:
    """Leave out frames with an atom that is newer than ``at_most``, and tell how many.

    Parameters
    ----------
    frames
        To choose from.
    score
        Gives the novelty of each atom of a frame (``Scorer.of_atoms``).
    density
        What is too new.
    report
        Is told of what is left out.
    """
    if density.at_most is None:
        return list(frames)
    kept = [frame for frame in frames if not density.is_beyond(score(frame))]
    _tell_left_out(len(frames) - len(kept), "frames", density, report)
    return kept


def newest_frames(
    frames: Sequence[Atoms],
    score: Score,
    count: int,
    density: DensityOptions,
    report: Callable[[str], None] = print,
) -> Found:
    """Pick the frames with the most new atoms.

    Parameters
    ----------
    frames
        To pick from.
    score
        Gives the novelty of each atom of a frame (``Scorer.of_atoms``).
    count
        How many, at most; frames without a new atom are not picked, nor are those with an atom
        that is newer than ``at_most``.
    density
        What is new, and what is too new.
    report
        Is told of what is left out.
    """
    scores = [score(frame) for frame in frames]
    new = np.array([int((each > density.above).sum()) for each in scores], dtype=np.int64)
    beyond = np.array([density.is_beyond(each) for each in scores], dtype=np.bool_)
    _tell_left_out(int(beyond.sum()), "frames", density, report)
    order = [int(k) for k in np.argsort(-new, kind="stable") if new[k] > 0 and not beyond[k]]
    picked = [_with_novelty(frames[k], scores[k]) for k in order[:count]]
    told = {"new_atoms": int(new.sum()), "frames_with_new_atoms": int((new > 0).sum())}
    return Found(picked, told)


def _tell_left_out(
    count: int, what: str, density: DensityOptions, report: Callable[[str], None]
) -> None:
    if count:
        report(f"{what} left out, with an atom newer than {density.at_most:g}: {count}")


class Candidate(NamedTuple):
    """A block with new atoms in a frame."""

    frame: int
    core: int
    kind: str
    novelty: float


def newest_clusters(
    runs: Sequence[tuple[Atoms, Sequence[Atoms]]],
    score: Score,
    options: ClusterOptions,
    density: DensityOptions,
    report: Callable[[str], None] = print,
) -> Found:
    """Cut clusters out around new atoms, of as many kinds of cores as there are.

    Cores are taken in turn from each kind (what block, bonded to what), the newest first of those
    whose clusters hold no atom that is newer than ``at_most``.

    Parameters
    ----------
    runs
        The structure that each run began with, which says what is bonded, and its frames.
    score
        Gives the novelty of each atom of a frame (``Scorer.of_atoms``).
    options
        What clusters shall be, and how many.
    density
        What is new, and what is too new.
    report
        Is told of cores that cannot be cut out, and of frames whose atoms have left their places.
    """
    frames, blocks_of, candidates = _candidates(runs, score, density.above)
    new_atoms = sum(int((frame.arrays[NOVELTY] > density.above).sum()) for frame in frames)
    cut = CutOptions(options.largest, options.allow_images, options.charges)
    picked: list[Atoms] = []
    torn: set[int] = set()
    beyond = 0
    for candidate in _in_turn(candidates):
        if len(picked) == options.per_round:
            break
        if candidate.frame in torn:
            continue
        frame, reference = frames[candidate.frame], blocks_of[candidate.frame]
        block = reference.members(candidate.core)
        novelty = frame.arrays[NOVELTY]
        if density.is_beyond(novelty[block]):
            beyond += 1
            continue
        flagged = block[novelty[block] > density.above]
        cutter = ClusterCutter(reference, cut, Blueprints(options.shells))
        try:
            clusters, refusals = cutter.cut(Frame.from_ase(frame), flagged)
        except InputError as error:  # atoms have left their places
            report(f"left out, a frame of {frame.info.get('trajectory')}: {error}")
            torn.add(candidate.frame)
            continue
        for refusal in refusals:
            report(f"left out, core {refusal.signature}: {refusal.reason}")
        for cluster in clusters:
            molecule = cluster.to_ase()
            inside = cluster.origins >= 0  # caps are no atoms of the frame
            scores = np.where(inside, novelty[cluster.origins], np.nan)
            if density.is_beyond(scores):
                beyond += 1
                continue
            molecule.set_array(NOVELTY, scores)
            for name in ("trajectory", "origin", "phase", "temperature_K"):
                if name in frame.info:
                    molecule.info[name] = frame.info[name]
            picked.append(molecule)
    _tell_left_out(beyond, "clusters", density, report)
    kinds = len({candidate.kind for candidate in candidates})
    return Found(
        picked, {"new_atoms": new_atoms, "cores": len(candidates), "kinds_of_cores": kinds}
    )


def _candidates(
    runs: Sequence[tuple[Atoms, Sequence[Atoms]]], score: Score, above: float
) -> tuple[list[Atoms], list[Blocks], list[Candidate]]:
    """Score all frames; return them, the blocks of each, and the blocks with new atoms."""
    frames: list[Atoms] = []
    blocks_of: list[Blocks] = []
    candidates: list[Candidate] = []
    for start, members in runs:
        reference = find_blocks(start)
        surroundings = Surroundings.of(reference)
        for frame in members:
            scores = score(frame)
            for core in core_blocks(reference, np.flatnonzero(scores > above)):
                kind = signature(reference, surroundings, core)
                largest = float(scores[reference.members(core)].max())
                candidates.append(Candidate(len(frames), core, kind, largest))
            frames.append(_with_novelty(frame, scores))
            blocks_of.append(reference)
    return frames, blocks_of, candidates


def _in_turn(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Order candidates: the newest of each kind, then the second of each, and so on."""
    places: dict[str, int] = {}
    keyed = []
    for each in sorted(candidates, key=lambda one: -one.novelty):
        places[each.kind] = places.get(each.kind, -1) + 1
        keyed.append((places[each.kind], -each.novelty, each))
    return [each for _, _, each in sorted(keyed, key=lambda one: one[:2])]


def _with_novelty(frame: Atoms, scores: np.ndarray) -> Atoms:
    copy: Atoms = frame.copy()
    copy.set_array(NOVELTY, scores)
    return copy
