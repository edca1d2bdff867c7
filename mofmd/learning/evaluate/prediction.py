"""What a model file says of frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from mofmd.calculator.lanes import Lanes
from mofmd.learning.data.dataset import Labels
from mofmd.models.dispersion.dispersion import Dispersion
from mofmd.structures.molecules import is_molecule


def predict(
    path: Path,
    frames: Sequence[Atoms],
    threads: int = 1,
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
        Of torch.
    dispersion
        Added to the model.

    Raises
    ------
    InputError
        If the model lacks an element.
    RunError
        If an evaluation fails.
    """
    with Lanes(path, threads=threads, dispersion=dispersion or "none") as lanes:
        return [
            Labels(
                found.energy_eV,
                found.forces_eV_per_A,
                None if is_molecule(frame) else found.stress_eV_per_A3,
            )
            for frame, found in zip(frames, lanes.map(frames), strict=True)
        ]
