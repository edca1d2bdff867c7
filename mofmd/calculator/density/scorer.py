"""What the density in a model file says of the atoms of a structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.calculator.density.density import Density
from mofmd.calculator.features import FileFeatures
from mofmd.errors import InputError
from mofmd.models.files.deployed import read_density_record


class Scorer:
    """Scores atoms by the density in a model file.

    Parameters
    ----------
    model
        File that ``mofmd learn density fit`` has written.
    dtype
        ``float64``: to run a network in float64 that was deployed in float32.
    features
        Those of the file, where they are loaded already; ``dtype`` says nothing then.

    Raises
    ------
    InputError
        If the file holds no density, or that of another model.
    """

    def __init__(
        self, model: Path, dtype: str | None = None, *, features: FileFeatures | None = None
    ) -> None:
        self._features = features or FileFeatures(model, dtype=dtype)
        self.density = read_density(model)

    def of_atoms(self, atoms: Atoms) -> np.ndarray:
        """(atoms,) scores: 1 is as rare as the quantile says, infinite an element never seen."""
        table = self._features.of_atoms(atoms)
        return self.density.scores(np.array(atoms.get_chemical_symbols()), table)


def read_density(model: Path) -> Density:
    """Read the density of a model file.

    Raises
    ------
    InputError
        If there is none, it is damaged, or it was made for another model.
    """
    text = read_density_record(model)
    if text is None:
        raise InputError(
            f"{model}: holds no density of features; add one (mofmd learn density fit FRAMES "
            f"--model {model.name} -o FILE)"
        )
    try:
        density = Density.parse(text)
    except InputError as error:
        raise InputError(f"{model}: {error}") from error
    if density.model_sha256 != FileFeatures.hash_of(model):
        raise InputError(
            f"{model}: its density was made for another model, whose features mean something else; "
            "fit it again (mofmd learn density fit)"
        )
    return density
