"""What a distillation is asked to do, from a YAML file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from mofmd.disk.digest import file_sha256
from mofmd.disk.yaml_file import parse_mapping, read_mapping
from mofmd.errors import InputError
from mofmd.learning.data.distort import Distortion
from mofmd.learning.loops.density_find import ClusterOptions, DensityOptions
from mofmd.learning.loops.reading import (
    check_keys,
    existing,
    read_files,
    read_training,
    read_words,
)
from mofmd.learning.sample.sampling import SampleOptions
from mofmd.learning.train.options import TrainOptions

Find = Literal["features", "density", "committee", "flat", "random"]
# changing these does not change what comes out
FREE = ("rounds", "label_workers", "label_time_limit_s", "threads")
_REQUIRED = ("labeller", "train_files", "val_files", "test_files", "conditions", "training")


@dataclass(frozen=True)
class DistilConfig:
    """A distillation.

    Parameters
    ----------
    text
        Of the YAML file.
    labeller
        Reference method: a model file, ``package.module:factory`` or ``gfn1-xtb``.
    train_files
        Labelled frames that the first model is trained on.
    val_files
        Labelled frames on which the trainer chooses its weights.
    test_files
        Labelled frames on which each round's model is evaluated; they are never trained on.
    conditions
        YAML file with the sampling runs.
    training
        Family, size, epochs and so on.
    name
        Of the models.
    rounds
        Times that frames are added; the model is trained once more than that.
    committee
        Models trained in each round, with different seeds.
    find
        Where the model is least sure: ``features`` (far from the training frames), ``density``
        (atoms that are new by the density of its features), ``committee`` (disagreement), or
        ``flat`` or ``random`` for comparison.
    frames_per_round
        Labelled in each round; up to half of them are the last ones before breaks.
    distorted_per_round
        So many of them are labelled a second time, distorted.
    stress
        Learn stresses; without them frames need none, and the model's pressures are not trained.
    licence
        Licence of the models, for their files (as a rule that of the reference).
    cite
        Publications to cite, for the models' files and LAMMPS's citation log.
    continue_weights
        Whether later rounds start from the weights of the round before.
    later_epochs
        Epochs of later rounds; null takes those of ``training``.
    later_settings
        Settings of later rounds, ``key=value``, added to those of ``training``.
    target_force_mae
        The loop ends when no run breaks and the test error is this at most [meV/Å].
    largest_force
        Labels with a force component above it are left out [eV/Å].
    sampling
        Which frames of a run are kept, and the processes and threads of a run.
    distortion
        How frames are distorted.
    density
        The density, for ``find: density``.
    clusters
        With ``find: density``: clusters around new atoms are labelled, not whole frames; null
        labels frames.
    label_workers
        Labellers at a time.
    label_time_limit_s
        Wall time of a label after which the frame is left out [s]; null sets no limit.
    threads
        Threads of each labeller.
    """

    text: str
    labeller: str
    train_files: tuple[Path, ...]
    val_files: tuple[Path, ...]
    test_files: tuple[Path, ...]
    conditions: Path
    training: TrainOptions
    name: str = "model"
    rounds: int = 3
    committee: int = 1
    find: Find = "features"
    frames_per_round: int = 40
    distorted_per_round: int = 0
    continue_weights: bool = True
    later_epochs: int | None = None
    later_settings: tuple[str, ...] = ()
    target_force_mae: float | None = None
    largest_force: float = 60.0
    stress: bool = True
    licence: str | None = None
    cite: tuple[str, ...] = ()
    sampling: SampleOptions = field(default_factory=SampleOptions)
    distortion: Distortion = field(default_factory=Distortion)
    density: DensityOptions = field(default_factory=DensityOptions)
    clusters: ClusterOptions | None = None
    label_workers: int = 1
    label_time_limit_s: float | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.find not in get_args(Find):
            raise InputError(f"find: {self.find!r}, expected {', '.join(get_args(Find))}")
        for name, least in (("rounds", 0), ("committee", 1), ("frames_per_round", 1)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(f"{name}: {value!r}, expected a whole number of at least {least}")
        if self.clusters is not None and self.find != "density":
            raise InputError("clusters: are cut around new atoms, which takes find: density")
        if self.find == "committee" and self.committee < 2:
            raise InputError("find: committee needs committee: 2 or more models")

    @property
    def digest(self) -> str:
        """Hash of what decides the outcome; the contents of the files that are named, too."""
        values = {k: v for k, v in parse_mapping(self.text, "distil.yaml").items() if k not in FREE}
        named = (*self.train_files, *self.val_files, *self.test_files, self.conditions)
        hashes = [file_sha256(path) for path in named]
        text = json.dumps([values, hashes], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def read_distil_config(path: Path) -> DistilConfig:
    """Read a YAML file; file names in it are relative to its folder.

    Raises
    ------
    MissingFileError, InputError
        If a file does not exist, or a key or value means nothing.
    """
    values = read_mapping(path)
    text = path.read_text(encoding="utf-8")
    try:
        return make_distil_config(values, text, path.resolve().parent)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except TypeError as error:  # an unknown key of a group, by name
        raise InputError(f"{path}: {error}") from error


def make_distil_config(values: Mapping[str, Any], text: str, folder: Path) -> DistilConfig:
    """Make a configuration of the values of a YAML file."""
    known = [each.name for each in fields(DistilConfig) if each.name != "text"]
    check_keys(values, known, _REQUIRED)
    given = dict(values)
    for name in ("train_files", "val_files", "test_files"):
        given[name] = read_files(given[name], folder)
    given["conditions"] = existing(folder / str(given["conditions"]))
    if (folder / str(given["labeller"])).is_file():
        given["labeller"] = str(folder / str(given["labeller"]))
    given["training"] = read_training(given, folder)
    given["later_settings"] = read_words(given.get("later_settings"))
    if "sampling" in given:
        given["sampling"] = SampleOptions(**given["sampling"])
    if given.get("density") is not None:
        given["density"] = DensityOptions(**given["density"])
    if given.get("clusters") is not None:
        given["clusters"] = ClusterOptions(**given["clusters"])
    given["cite"] = read_words(given.get("cite"))
    if given.get("distortion") is None:
        given.pop("distortion", None)
    else:
        ranges: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in given["distortion"].items()
        }
        given["distortion"] = Distortion(**ranges)
    return DistilConfig(text=text, **given)
