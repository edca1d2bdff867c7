"""The operator ``mofmd::convolve`` in place of a tensor product and the sum of its messages."""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any

import torch

from mofmd_training.library import load_operators
from mofmd_training.uvu_paths import check_same, instructions_of, read_paths

PART = "mofmd_part"


class Constants(torch.nn.Module):
    """A module without weights, which leaves nothing in a state dict, not even its name."""

    def state_dict(self, *args: Any, destination: Any = None, **options: Any) -> Any:  # noqa: ARG002
        """Return what is there already."""
        return {} if destination is None else destination


class FusedConvolution(Constants):
    """The convolution with the paths of an e3nn tensor product.

    Parameters
    ----------
    product
        e3nn's ``TensorProduct``, scripted or not.
    dtype
        Of the product.

    Raises
    ------
    ValueError
        If the product has paths that the operator does not know, or the two differ.
    LibraryError
        If the operator is not at hand.
    """

    def __init__(self, product: Any, dtype: torch.dtype) -> None:
        super().__init__()
        load_operators()
        irreps = product.irreps_in1, product.irreps_in2, product.irreps_out
        found = read_paths(irreps, instructions_of(product), product, dtype)
        self.paths, self.out_width = found.fields, found.out_width
        self.register_buffer("couplings", found.couplings, persistent=False)
        with torch.no_grad():
            check_same(self, product, found.widths, dtype)

    def forward(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        w: torch.Tensor,
        centres: torch.Tensor,
        neighbours: torch.Tensor,
    ) -> torch.Tensor:
        """Return the sums (N, out) of messages from the neighbours to the centres of all edges."""
        return torch.ops.mofmd.convolve(
            x, y, w, centres, neighbours, self.couplings, self.paths, self.out_width
        )


def install(
    module: torch.nn.Module, make: Callable[[], torch.nn.Module], forward: Callable[..., Any]
) -> None:
    """Give ``module``, on the CPU, another ``forward``, which finds a new part in it.

    Weights, state dict and class stay as they are, as the part has none of its own. What has such a
    part already stays as it is.
    """
    if not is_changed(module):
        module.add_module(PART, make())
        module.forward = MethodType(forward, module)


def restore(module: torch.nn.Module) -> None:
    """Take back what `install` did to a module."""
    if is_changed(module):
        delattr(module, PART)
        del module.forward


def is_changed(module: torch.nn.Module) -> bool:
    """Whether `install` was called on the module."""
    return PART in module._modules


def dtype_of(model: torch.nn.Module) -> torch.dtype:
    """Return the precision of a model's weights."""
    return next(model.parameters()).dtype
