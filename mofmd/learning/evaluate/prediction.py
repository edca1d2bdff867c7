"""What a model file says of frames, in LAMMPS."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from mofmd.engine.evaluate import Patience, evaluate
from mofmd.engine.launch import Resources
from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels
from mofmd.models.dispersion.dispersion import FILE, Dispersion
from mofmd.models.files.model_file import pair_commands, read_model_file
from mofmd.structures.molecules import is_molecule


def predict(
    path: Path,
    frames: Sequence[Atoms],
    threads: int = 1,
    patience: Patience | None = None,
    dispersion: Dispersion | None = None,
) -> list[Labels]:
    """Evaluate frames with a model file of any kind that a pair style of mofmd runs.

    Parameters
    ----------
    path
        The file.
    frames
        Periodic structures, or molecules, which have no stress.
    threads
        Of LAMMPS.
    patience
        See ``evaluate``.
    dispersion
        Added to the model.

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
    resources = Resources(threads=threads)
    if dispersion is None:
        found = evaluate(frames, commands, names, resources, patience)
    else:
        with tempfile.TemporaryDirectory(prefix="mofmd-d3-") as folder:
            file = Path(folder) / FILE
            file.write_text(dispersion.coefficients(elements), encoding="utf-8")
            known = [name if name in elements else "NULL" for name in names]
            both = dispersion.pair_commands(file, known, commands)
            found = evaluate(frames, both, names, resources, patience)
    return [
        Labels(e.energy_eV, e.forces_eV_per_A, None if is_molecule(frame) else e.stress_eV_per_A3)
        for frame, e in zip(frames, found, strict=True)
    ]
