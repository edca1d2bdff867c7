"""What a model file says of frames, in LAMMPS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from mofmd.engine.evaluate import Patience, evaluate
from mofmd.engine.launch import Resources
from mofmd.errors import InputError
from mofmd.learning.dataset import Labels
from mofmd.models.model_file import pair_commands, read_model_file


def predict(
    path: Path, frames: Sequence[Atoms], threads: int = 1, patience: Patience | None = None
) -> list[Labels]:
    """Evaluate frames with a model file of any kind that a pair style of mofmd runs.

    Parameters
    ----------
    path
        The file.
    frames
        Periodic structures.
    threads
        Of LAMMPS.
    patience
        See ``evaluate``.

    Raises
    ------
    InputError
        If the model lacks an element.
    RunError
        If LAMMPS fails.
    """
    model = read_model_file(path)
    elements = sorted({str(s) for frame in frames for s in frame.symbols})
    names = model.type_names or tuple(elements)
    missing = [element for element in elements if element not in names]
    if missing:
        raise InputError(f"{path}: does not know {missing[0]}; it knows {' '.join(names)}")
    commands = pair_commands(model.family, path, names)
    found = evaluate(frames, commands, names, Resources(threads=threads), patience)
    return [Labels(e.energy_eV, e.forces_eV_per_A, e.stress_eV_per_A3) for e in found]
