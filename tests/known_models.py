"""Model files with a density of their features, made from rattled crystals in a second."""

from pathlib import Path

from ase import Atoms

from mofmd.learning.density.fit import FitOptions
from mofmd.learning.density.model_density import fit_density, write_density
from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.zif import zif4

OPTIONS = FitOptions(dimensions=4, components=3, quantile=0.9)


def rattled(count: int, first_seed: int = 0) -> list[Atoms]:
    """Return ZIF-4 with its atoms displaced by 0.05 Å."""
    frames = [zif4() for _ in range(count)]
    for seed, frame in enumerate(frames, first_seed):
        frame.rattle(0.05, seed=seed)
    return frames


def write_known(name: str, path: Path, options: FitOptions = OPTIONS) -> Path:
    """Write an embedded model with a density of four rattled crystals."""
    model = embedded_model(name)
    write_density(model, fit_density(model, rattled(3), rattled(1, 3), options), path)
    return path
