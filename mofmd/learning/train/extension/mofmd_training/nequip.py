"""NequIP: a callback for ``trainer.callbacks`` of a configuration of nequip-train.

``- _target_: mofmd_training.nequip.FusedConvolutions``
"""

from __future__ import annotations

from functools import partial
from typing import Any

import lightning
import torch

from mofmd_training.convolution import PART, FusedConvolution, install


def _convolve(  # noqa: PLR0913, PLR0917 - those of the method that it replaces
    self: Any,
    x: torch.Tensor,
    edge_attr: torch.Tensor,
    edge_weight: torch.Tensor,
    edge_dst: torch.Tensor,
    edge_src: torch.Tensor,
) -> torch.Tensor:
    """``TensorProductScatter.forward``."""
    return getattr(self, PART)(x, edge_attr, edge_weight, edge_dst, edge_src)


def fuse_model(model: torch.nn.Module) -> int:
    """Fuse all convolutions of a model of nequip, in place; return how many there are.

    Layers are known by their name: a package brings its own copy of nequip.
    """
    layers = [m for m in model.modules() if type(m).__name__ == "TensorProductScatter"]
    for layer in layers:
        install(layer, partial(FusedConvolution, layer.tp, layer.model_dtype), _convolve)
    return len(layers)


class FusedConvolutions(lightning.Callback):
    """Trains with mofmd's convolutions; checkpoints are those of nequip without it.

    The model is changed before its first step, so that nequip compiles it with them
    (``compile_mode: compile``).
    """

    def setup(
        self,
        trainer: lightning.Trainer,  # noqa: ARG002
        pl_module: lightning.LightningModule,
        stage: str,  # noqa: ARG002
    ) -> None:
        """Fuse the model.

        Raises
        ------
        ValueError
            If it has no convolution.
        """
        if not fuse_model(pl_module):
            raise ValueError(
                "mofmd_training.nequip.FusedConvolutions: the model has no NequIP layer (an "
                "Allegro has none): leave this callback out"
            )
