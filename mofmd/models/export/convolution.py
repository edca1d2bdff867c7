"""The convolution of a message-passing layer as one operator, ``mofmd::convolve``.

NequIP, MACE and SevenNet sum messages over the edges (i, j) of every centre i,

    out[i, u, m3] = sum over edges and paths of w[e, u] C[m1, m2, m3] x[j, u, m1] y[e, m2],

with a path for every pair of an irrep of the features and spherical harmonics that couple to a
third. e3nn writes the messages of all edges to memory, path by path. The operator does not: the
kernel of the LAMMPS plugin (``mofmd/plugin/kernels/convolution_kernel.h``) keeps them in registers,
and neither it nor its derivative needs more memory than its inputs and outputs. Here it is defined
with torch's own operators, for tracing and for the numbers that a deployed file is compared with.
"""

from __future__ import annotations

from typing import Any

import torch
from edge_gradients import ExportError
from uvu_paths import Irreps, Product, check_same, instructions_of, read_paths


class Convolution(torch.nn.Module):
    """``mofmd::convolve`` with the paths of an e3nn tensor product.

    Parameters
    ----------
    irreps
        Of the features, the spherical harmonics and the result.
    paths
        ``(i_x, i_y, i_out)`` for every path in the order of their weights: the positions of its
        irreps.
    product
        The tensor product (rows of features, of spherical harmonics, of weights), from which the
        couplings are read.
    dtype
        Of the product.
    """

    def __init__(
        self,
        irreps: tuple[Irreps, Irreps, Irreps],
        paths: list[tuple[int, int, int]],
        product: Product,
        dtype: torch.dtype,
    ) -> None:
        super().__init__()
        found = read_paths(irreps, paths, product, dtype)
        self.paths, self.widths, self.out_width = found.fields, found.widths, found.out_width
        self.register_buffer("couplings", found.couplings)

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


class Scatter(torch.nn.Module):
    """A convolution as the frameworks have it: all messages, and then their sums.

    Parameters
    ----------
    product
        e3nn's tensor product, scripted or not.
    """

    def __init__(self, product: Any) -> None:
        super().__init__()
        self.product = product

    def forward(
        self,
        x: torch.Tensor,
        y: torch.Tensor,
        w: torch.Tensor,
        centres: torch.Tensor,
        neighbours: torch.Tensor,
    ) -> torch.Tensor:
        """Return the sums (N, out) of messages from the neighbours to the centres of all edges."""
        messages = self.product(x.index_select(0, neighbours), y, w)
        total = torch.zeros((x.size(0), messages.size(1)), dtype=x.dtype, device=x.device)
        return total.index_add(0, centres, messages)


def fused(product: Any, dtype: torch.dtype) -> Convolution:
    """Return the convolution of an e3nn ``TensorProduct``, scripted or not.

    Raises
    ------
    ExportError
        If a path has other weights than one per edge and channel of the features (``uvu``), or the
        two differ on random numbers.
    """
    irreps = product.irreps_in1, product.irreps_in2, product.irreps_out
    try:
        convolution = Convolution(irreps, instructions_of(product), product, dtype)
        check_same(convolution, product, convolution.widths, dtype)
    except ValueError as error:
        raise ExportError(str(error)) from error
    return convolution
