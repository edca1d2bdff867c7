"""SevenNet: ``python -m mofmd_training.sevennet`` in place of ``sevenn``, options as there."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from mofmd_training.convolution import PART, FusedConvolution, dtype_of, install


def _convolve(self: Any, data: Any) -> Any:
    """``IrrepsConvolution.forward`` in one process."""
    centres, neighbours = data[self.key_edge_idx]
    weight = self.weight_nn(data[self.key_weight_input])
    x = getattr(self, PART)(data[self.key_x], data[self.key_filter], weight, centres, neighbours)
    data[self.key_x] = x.div(self.denominator)
    return data


def fuse_model(model: torch.nn.Module) -> torch.nn.Module:
    """Fuse all convolutions of a SevenNet, in place; return the model."""
    dtype = dtype_of(model)
    for layer in [m for m in model.modules() if type(m).__name__ == "IrrepsConvolution"]:
        install(layer, partial(FusedConvolution, layer.convolution, dtype), _convolve)
    return model


def main() -> None:
    """Run SevenNet's commands; ``train`` has fused convolutions, its checkpoints have none."""
    from sevenn.main import sevenn
    from sevenn.scripts import train

    build = train.build_E3_equivariant_model
    train.build_E3_equivariant_model = lambda *args, **options: fuse_model(build(*args, **options))
    sevenn.main()


if __name__ == "__main__":
    main()
