"""What a training is told, and what it tells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from mofmd.errors import InputError, MissingFileError, absent, choices
from mofmd.models.dispersion.theory import parse_theory
from mofmd.models.universal import MODELS, find_universal

Family = Literal["allegro", "nequip", "mace", "sevennet"]  # that can be trained


@dataclass(frozen=True)
class TrainOptions:
    """How to train.

    Parameters
    ----------
    family
        ``allegro``, ``nequip``, ``mace`` or ``sevennet``.
    size
        One of the sizes in the configuration.
    epochs
        Passes through the training set; None for the configuration's.
    seed
        Of the weights and of the order of the frames.
    start
        Weights to go on from: a checkpoint (``.ckpt``), a package of nequip (``.nequip.zip``), a
        MACE ``.model``, a checkpoint of SevenNet (``.pth``), or the name of a universal model.
    replay
        Labelled frames of what the weights to go on from know already, learned beside the new ones
        by a head of their own, so that it is not forgotten; for ``mace``.
    pseudo
        Whether the frames to replay are labelled by the weights to go on from.
    config
        Configuration in place of the package's own.
    settings
        Changed keys of the configuration, ``key=value``.
    stress
        Learn stresses; without them frames need none, and the model's pressures are not trained.
    device
        ``cpu`` or ``cuda``.
    threads
        OMP_NUM_THREADS of the trainer.
    level_of_theory
        Of the labels, as ``pbe`` (without dispersion) or ``pbe+d3bj:pbe``; None takes what the
        frames say.
    fused
        Train with mofmd's fused convolution, which Allegro has not: the same numbers in less time.
    """

    family: Family
    size: str = "s"
    epochs: int | None = None
    seed: int = 1
    start: Path | None = None
    replay: Path | None = None
    pseudo: bool = False
    config: Path | None = None
    settings: tuple[str, ...] = ()
    stress: bool = True
    device: Literal["cpu", "cuda"] = "cpu"
    threads: int = 1
    level_of_theory: str | None = None
    fused: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        if self.family not in get_args(Family):
            raise InputError(f"family: {self.family!r}, expected {', '.join(get_args(Family))}")
        for name in ("epochs", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name}: {value}, expected 1 or more")
        named = self.start is not None and find_universal(self.start) is not None
        if self.start is not None and not self.start.is_file() and not named:
            raise MissingFileError(
                f"start: {self.start}: {absent(self.start, 'checkpoint or model')}, and no "
                f"universal model of this name{choices(str(self.start), MODELS)}"
            )
        if named and self.family != "sevennet":
            raise InputError(
                f"start: {self.start} is a SevenNet, which --family sevennet goes on from"
            )
        if self.replay is not None and (self.family != "mace" or self.start is None):
            raise InputError(
                "replay: is for the family mace, and goes on from weights: give --start; other "
                "frameworks have no heads, so put old frames among the new ones"
            )
        if self.level_of_theory is not None:
            parse_theory(self.level_of_theory)
        if self.pseudo and self.replay is None:
            raise InputError("pseudo: labels frames to replay: give them with --replay")

    @property
    def has_fused_convolution(self) -> bool:
        """Whether the convolution is mofmd's; an Allegro has none."""
        return self.fused and self.family != "allegro"


@dataclass(frozen=True)
class Epoch:
    """Errors on the validation set after an epoch, as the trainer tells them.

    Parameters
    ----------
    epoch
        Its number, from zero.
    force_mae, force_rmse
        [meV/Å].
    energy_mae, energy_rmse
        [meV/atom].
    """

    epoch: int
    force_mae: float
    force_rmse: float
    energy_mae: float
    energy_rmse: float
