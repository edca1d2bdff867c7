"""How a model is deployed."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from ase import Atoms

from mofmd.errors import InputError, MissingFileError
from mofmd.models.dispersion.theory import LevelOfTheory
from mofmd.topology.check import check_structure

Format = Literal["torchscript", "aotinductor"]
Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "float64"]
Accelerate = Literal["none", "auto", "fused", "openequivariance", "cuequivariance", "triton"]
SUFFIXES: dict[Format, str] = {"torchscript": ".mofmd.pth", "aotinductor": ".mofmd.pt2"}


@dataclass(frozen=True)
class Options:
    """How to deploy.

    Parameters
    ----------
    format
        ``torchscript`` runs on any machine and device; ``aotinductor`` is compiled for this
        processor (or GPU) and this version of torch, and faster for most models.
    device
        ``cpu`` or ``cuda``: where an AOTInductor file shall run and where the gate runs.
    dtype
        ``float32``, ``float64`` or None for the precision of the source.
    head
        Head of a MACE model with several.
    modality
        Modality of a SevenNet model with several.
    species
        Elements that the file shall know, in this order; None for all of the source.
    accelerate
        Faster kernels. ``fused``: each convolution of NequIP, MACE and SevenNet is one operator,
        with kernels of the plugin's own for CPUs and NVIDIA's GPUs; ``auto``: that, where the model
        has convolutions of the kind. The others are kernels of other packages, for GPUs.
    structures
        Structures for the physics gate, the first near rest; None takes the model's own example,
        or a crystal of the package whose elements the model knows.
    name, licence, citations
        For the manifest: name of the model (by default that of the source file), licence of its
        weights, and publications to cite beside the framework's.
    level_of_theory
        Of the labels that the model was trained on, for the manifest; None says nothing.
    may_break
        The model is one of a loop or of a comparison of models, which go on where it breaks: if it
        does not hold one of ``structures`` together in dynamics, this is told, and is no failure.
    force
        Write a model that fails the gate all the same, marked as failed.
    """

    format: Format = "torchscript"
    device: Device = "cpu"
    dtype: Dtype | None = None
    head: str | None = None
    modality: str | None = None
    species: tuple[str, ...] | None = None
    accelerate: Accelerate = "auto"
    structures: tuple[Atoms, ...] | None = None
    name: str | None = None
    licence: str | None = None
    citations: tuple[str, ...] = ()
    level_of_theory: LevelOfTheory | None = None
    may_break: bool = False
    force: bool = False


def check_output(output: Path, options: Options) -> None:
    """Refuse a file whose ending is not of its format, and a folder that is not there."""
    suffix = SUFFIXES.get(options.format, "")
    if not output.name.endswith(suffix):
        raise InputError(f"{output}: a file of the format {options.format} must end in {suffix}")
    if not output.parent.is_dir():
        raise MissingFileError(f"{output.parent}: no such folder")


def check_options(options: Options) -> None:
    """Refuse values that are not known, and what this machine cannot do."""
    for name, value, known in (
        ("format", options.format, get_args(Format)),
        ("device", options.device, get_args(Device)),
        ("dtype", options.dtype or "float64", get_args(Dtype)),
        ("accelerate", options.accelerate, get_args(Accelerate)),
    ):
        if value not in known:
            raise InputError(f"{name}: {value!r} is not one of {', '.join(known)}")
    if options.format == "aotinductor" and not _compiler():
        raise InputError(
            "AOTInductor needs a C++ compiler (g++, or the one that $CXX names) and there is "
            "none: install one, or use --format torchscript"
        )
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError(
                "--device cuda: torch sees no GPU here, and a file is compiled and checked where "
                "it shall run (`mofmd doctor` tells what is missing)"
            )
    for atoms in options.structures or ():
        check_structure(atoms)


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++"))
