"""Weights that a training goes on from: whose they are, what they know, and their energies.

Labels of another reference method have other energies of the elements, by electronvolts. No trainer
changes those of a start: MACE's logs new ones and keeps the old, NequIP's and SevenNet's keep the
old without a word, and the layers would have to learn the difference. So the start's are moved by
what its predictions of the training frames leave over.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.disk.atomic import write_atomic
from mofmd.engine.launch import run_to_end
from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels, bare, labelled, labels_of, write_frames
from mofmd.learning.data.element_energies import energy_shifts
from mofmd.learning.train.fused import EXTENSION
from mofmd.learning.train.options import Family
from mofmd.models.environments import Framework, create_environment, last_words
from mofmd.structures.molecules import is_molecule

FRAMEWORK: dict[Family, Framework] = {
    "allegro": "nequip",
    "nequip": "nequip",
    "mace": "mace",
    "sevennet": "sevennet",
}
_MAKERS: dict[str, Framework] = {
    ".ckpt": "nequip",
    ".zip": "nequip",
    ".model": "mace",
    ".pth": "sevennet",
}
_FORMS: dict[Framework, str] = {
    "nequip": "a checkpoint (.ckpt) or package (.nequip.zip) of nequip",
    "mace": "a model (.model) of MACE",
    "sevennet": "a checkpoint (.pth) of SevenNet, or the name of a universal model",
}


@dataclass(frozen=True)
class Start:
    """Weights to go on from.

    Parameters
    ----------
    path
        File of the framework's own.
    facts
        What the framework says of them: ``type_names`` and more.
    offsets_eV
        By element: what is added to the energies of its atoms.
    """

    path: Path
    facts: dict[str, Any]
    offsets_eV: dict[str, float] = field(default_factory=dict)


def check_family(path: Path, family: Family) -> None:
    """Refuse weights of another framework, which their names tell.

    Raises
    ------
    InputError
        If the file is another framework's, or a deployed one.
    """
    wanted = FRAMEWORK[family]
    if path.name.endswith((".mofmd.pth", ".mofmd.pt2", ".nequip.pth", ".nequip.pt2")):
        raise InputError(
            f"start: {path}: is deployed, and cannot be trained on: give what it was made from, "
            f"{_FORMS[wanted]}"
        )
    maker = _MAKERS.get(path.suffix)
    if maker != wanted:
        whose = f"is {_FORMS[maker]}" if maker else "is of no known kind"
        raise InputError(f"start: {path}: {whose}; a training of {family} needs {_FORMS[wanted]}")


def ask_start(
    path: Path, framework: Framework, frames: Sequence[Atoms], *more: str
) -> dict[str, Any]:
    """Ask the framework what weights say of themselves, and the energies of frames by them.

    Raises
    ------
    InputError
        If it cannot load them.
    """
    with tempfile.TemporaryDirectory(prefix="mofmd-start-") as folder:
        work = Path(folder)
        write_frames(work / "frames.extxyz", [bare(frame) for frame in frames])
        words: tuple[str | Path, ...] = (
            "facts",
            path,
            work / "frames.extxyz",
            work / "facts.json",
            *more,
        )
        _run(framework, words, work)
        facts: dict[str, Any] = json.loads((work / "facts.json").read_text())
    return facts


def start_labels(
    path: Path, framework: Framework, frames: Sequence[Atoms], *more: str
) -> list[Atoms]:
    """Label frames by weights, in float64; labels that they have are left out.

    Raises
    ------
    InputError
        If the framework cannot load the weights.
    """
    with tempfile.TemporaryDirectory(prefix="mofmd-start-") as folder:
        work = Path(folder)
        write_frames(work / "frames.extxyz", [bare(frame) for frame in frames])
        answer = work / "labels.npz"
        _run(framework, ("labels", path, work / "frames.extxyz", answer, *more), work)
        with np.load(answer) as found:
            energies, forces, stresses = (found[name] for name in ("energy", "forces", "stress"))
    ends = np.cumsum([len(frame) for frame in frames])
    return [
        labelled(bare(frame), Labels(float(energy), part, None if is_molecule(frame) else stress))
        for frame, energy, part, stress in zip(
            frames, energies, np.split(forces, ends[:-1]), stresses, strict=True
        )
    ]


def check_elements(path: Path, known: Sequence[str], frames: Sequence[Atoms]) -> None:
    """Refuse frames of elements that the weights do not know.

    Raises
    ------
    InputError
        With the elements.
    """
    missing = sorted({str(s) for frame in frames for s in frame.symbols} - set(known))
    if missing:
        names = " ".join(known) if len(known) <= 12 else f"{len(known)} elements"
        raise InputError(f"start: {path} knows {names}, the frames hold {' '.join(missing)}")


def energy_offsets(frames: Sequence[Atoms], predicted_eV: Sequence[float]) -> dict[str, float]:
    """By element: what labels have more than predictions, by least squares [eV].

    Of elements that the compositions do not tell apart all have the same.
    """
    left = []
    for frame, energy in zip(frames, predicted_eV, strict=True):
        labels = labels_of(frame)
        rest = Labels(labels.energy_eV - energy, np.zeros((len(frame), 3)), None)
        left.append(labelled(frame, rest))
    found = energy_shifts(left)
    if isinstance(found, dict):
        return found
    return dict.fromkeys(sorted({str(s) for frame in frames for s in frame.symbols}), found)


def write_shifted(start: Start, framework: Framework, copy: Path) -> None:
    """Write a copy of the weights with the offsets in it.

    Raises
    ------
    InputError
        If the framework cannot.
    """
    with tempfile.TemporaryDirectory(prefix="mofmd-start-") as folder:
        work = Path(folder)
        write_atomic(work / "offsets.json", json.dumps(start.offsets_eV))
        words = ("shift", start.path, work / "offsets.json", copy.resolve())
        _run(framework, words, work)


def _run(framework: Framework, words: Sequence[str | Path], directory: Path) -> None:
    python = create_environment(framework, lambda _: None)
    env = {
        **os.environ,
        "PYTHONPATH": str(EXTENSION),
        "OMP_NUM_THREADS": "1",
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",  # e3nn 0.4.4 reads its own constants
    }
    command = [str(python), "-m", f"mofmd_training.{framework}_start", *map(str, words)]
    ended = run_to_end(command, directory, env)
    if ended.status != 0:
        raise InputError(f"start: {words[1]}: {framework} cannot load it:\n{last_words(ended)}")
