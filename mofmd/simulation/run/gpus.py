"""GPUs that are asked for and that this torch cannot use."""

from __future__ import annotations

import warnings

from mofmd.engine.build import find_torch
from mofmd.errors import InputWarning


def tell_unused_gpus(gpus: str | None) -> None:
    """Warn where GPUs are asked for and torch is a build for CPUs; what runs may be no model."""
    if not gpus:
        return
    torch = find_torch()
    if not torch.is_for_gpus:
        warnings.warn(
            f"gpus: {gpus} asked for, but torch {torch.version} is a build for CPUs: models run on "
            "the CPU; install torch's build for CUDA, then `mofmd build`",
            InputWarning,
            stacklevel=3,
        )
