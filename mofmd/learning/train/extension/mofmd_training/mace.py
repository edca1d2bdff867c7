"""MACE: ``python -m mofmd_training.mace`` in place of ``mace_run_train``, options as there."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch

from mofmd_training.convolution import PART, FusedConvolution, dtype_of, install, restore
from mofmd_training.symmetric import SymmetricProducts, contract


def _convolve(
    self: Any,
    node_feats: torch.Tensor,
    edge_attrs: torch.Tensor,
    tp_weights: torch.Tensor,
    edge_index: torch.Tensor,
) -> torch.Tensor:
    """``conv_tp`` as it is called with ``conv_fusion``: edges from row 0 to the centres, row 1."""
    return getattr(self, PART)(node_feats, edge_attrs, tp_weights, edge_index[1], edge_index[0])


def fuse_model(model: torch.nn.Module) -> torch.nn.Module:
    """Fuse all convolutions of a model of MACE, in place; return the model.

    With them the symmetric contractions are taken as products of matrices, as they would cost most
    of the time that is left.
    """
    for block in model.interactions:
        product = block.conv_tp
        install(product, partial(FusedConvolution, product, dtype_of(model)), _convolve)
        block.conv_fusion = "mofmd"  # has conv_tp called with edges, not with messages
    for contraction in _contractions(model):
        install(contraction, partial(SymmetricProducts, contraction), contract)
    return model


def restore_model(model: torch.nn.Module) -> torch.nn.Module:
    """Take back what `fuse_model` did, as before the model is saved; return the model."""
    for block in model.interactions:
        restore(block.conv_tp)
        block.__dict__.pop("conv_fusion", None)
    for contraction in _contractions(model):
        restore(contraction)
    return model


def _contractions(model: torch.nn.Module) -> list[torch.nn.Module]:
    return [m for m in model.modules() if type(m).__name__ == "SymmetricContraction"]


def main() -> None:
    """Run MACE's trainer with fused convolutions; the models that it saves have none."""
    from mace.cli import run_train

    configure = run_train.configure_model

    def configure_model(*args: Any, **options: Any) -> tuple[torch.nn.Module, Any]:
        model, output = configure(*args, **options)
        return fuse_model(model), output

    run_train.configure_model = configure_model
    run_train.deepcopy = _copy
    run_train.main()


def _copy(thing: Any) -> Any:
    """Copy deeply; a model is restored: the trainer copies one before it saves or converts it."""
    copied = copy.deepcopy(thing)
    return restore_model(copied) if isinstance(copied, torch.nn.Module) else copied


if __name__ == "__main__":
    main()
