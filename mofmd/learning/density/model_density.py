"""Densities of model files: fitted to frames, and kept in the file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.calculator.density.density import Density
from mofmd.calculator.density.mixture import Mixture
from mofmd.calculator.features import FileFeatures
from mofmd.errors import InputError
from mofmd.learning.data.split import trajectory_of
from mofmd.learning.density.fit import FitOptions, Table, check_counts, fit_mixtures
from mofmd.models.files.deployed import write_density_record


def write_density(model: Path, density: Density, output: Path) -> None:
    """Copy a model file with a density; the copy appears whole or not at all.

    Raises
    ------
    InputError
        If the density is of another model.
    """
    if density.model_sha256 != FileFeatures.hash_of(model):
        raise InputError(f"{model}: the density was made for another model")
    write_density_record(model, density.render(), output)


def fit_density(
    model: Path,
    frames: Sequence[Atoms],
    held_out: Sequence[Atoms],
    options: FitOptions | None = None,
    report: Callable[[str, Mixture], None] = lambda *_: None,
) -> Density:
    """Fit the density of a model's features to frames.

    Parameters
    ----------
    model
        File of ``mofmd deploy``, TorchScript.
    frames
        Frames that the model was trained on.
    held_out
        Frames of the same kind that say what is ordinary, apart from ``frames``.
    options
        How to fit.
    report
        Called with each element and its mixture.

    Raises
    ------
    InputError
        If there are too few atoms of an element, or the file gives no features.
    """
    options = options or FitOptions()
    for element, reason in too_rare(frames, held_out, options).items():
        if element not in options.leave_out:
            raise InputError(reason)
    source = FileFeatures(model)
    columns = source.invariant(frames[0])
    training, others = (_by_element(source, columns, each) for each in (frames, held_out))
    training = {name: table for name, table in training.items() if name not in options.leave_out}
    mixtures = fit_mixtures(training, others, options, report)
    return Density(
        model_sha256=FileFeatures.hash_of(model),
        quantile=options.quantile,
        width=source.width,
        columns=columns,
        mixtures=mixtures,
    )


def too_rare(
    frames: Sequence[Atoms], held_out: Sequence[Atoms], options: FitOptions
) -> dict[str, str]:
    """Elements of the frames of which there are too few atoms for a density, and why."""
    counts = [_counts(frames), _counts(held_out)]
    found = {}
    for element, count in sorted(counts[0].items()):
        try:
            check_counts(element, count, counts[1].get(element, 0), options)
        except InputError as error:
            found[element] = str(error)
    return found


def deal_out(frames: Sequence[Atoms], share: float) -> tuple[list[Atoms], list[Atoms]]:
    """Deal frames out to fit and to be held out: the last of each trajectory are held out.

    Neighbours in a trajectory are alike, so that frames from among those of the fit would say
    nothing.

    Parameters
    ----------
    frames
        In the order of each trajectory.
    share
        Held out of each trajectory, at least a frame.

    Raises
    ------
    InputError
        If a trajectory has one frame only, or the share is none.
    """
    if not 0.0 < share < 1.0:
        raise InputError(f"hold-out: {share}, expected more than 0 and less than 1")
    members: dict[str, list[Atoms]] = {}
    for frame in frames:
        members.setdefault(trajectory_of(frame), []).append(frame)
    first: list[Atoms] = []
    last: list[Atoms] = []
    for name, each in members.items():
        count = max(1, round(share * len(each)))
        if count == len(each):
            raise InputError(
                f"frames: trajectory {name!r} has {len(each)} of them, too few to hold some out: "
                "name frames to hold out (--held-out)"
            )
        first += each[:-count]
        last += each[-count:]
    return first, last


def _counts(frames: Sequence[Atoms]) -> dict[str, int]:
    symbols = np.concatenate([np.array(frame.get_chemical_symbols()) for frame in frames])
    elements, counts = np.unique(symbols, return_counts=True)
    return dict(zip(elements.tolist(), counts.tolist(), strict=True))


def _by_element(source: FileFeatures, columns: np.ndarray, frames: Sequence[Atoms]) -> Table:
    parts: dict[str, list[np.ndarray]] = {}
    for frame in frames:
        table = source.of_atoms(frame)[:, columns]
        symbols = np.array(frame.get_chemical_symbols())
        for element in np.unique(symbols):
            parts.setdefault(str(element), []).append(table[symbols == element])
    return {element: np.concatenate(tables) for element, tables in parts.items()}
