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

from collections.abc import Callable
from typing import Any

import torch
from edge_gradients import ExportError
from operators import FIELDS

Irreps = tuple[tuple[int, tuple[int, int]], ...]  # channels, (degree l, parity); as e3nn's own
Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def _offsets(irreps: Irreps) -> list[int]:
    """First column of each irrep, and the number of columns."""
    ends = [0]
    for channels, (degree, _) in irreps:
        ends.append(ends[-1] + channels * (2 * degree + 1))
    return ends


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
        irreps_x, irreps_y, irreps_out = irreps
        starts = [_offsets(each) for each in irreps]
        fields: list[int] = []
        weights = 0
        for i_x, i_y, i_out in paths:
            channels = irreps_x[i_x][0]
            l1, l2, l3 = irreps_x[i_x][1][0], irreps_y[i_y][1][0], irreps_out[i_out][1][0]
            fields += [starts[0][i_x], 2 * l1 + 1, starts[1][i_y], 2 * l2 + 1]
            fields += [starts[2][i_out], 2 * l3 + 1, weights, channels]
            weights += channels
        self.paths = fields
        self.widths = (starts[0][-1], starts[1][-1], weights)  # of x, y and w
        self.out_width = starts[2][-1]
        self.register_buffer("couplings", self._couplings(product, dtype))

    def _couplings(self, product: Product, dtype: torch.dtype) -> torch.Tensor:
        """Return C[m1, m2, m3] of all paths, of their first channels, one after the other.

        They are the product of unit vectors: not Wigner's symbols in their own precision, but those
        that the model was trained with.
        """
        couplings = [torch.empty(0, dtype=dtype)]
        for k in range(0, len(self.paths), FIELDS):
            x0, d1, y0, d2, out0, d3, w0, _ = self.paths[k : k + FIELDS]
            x, y, w = (torch.zeros((d1 * d2, width), dtype=dtype) for width in self.widths)
            rows = torch.arange(d1 * d2)
            x[rows, x0 + rows // d2] = 1.0
            y[rows, y0 + rows % d2] = 1.0
            w[:, w0] = 1.0
            couplings.append(product(x, y, w)[:, out0 : out0 + d3].detach().flatten())
        return torch.cat(couplings)

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
    paths = []
    for i_x, i_y, i_out, mode, has_weight, *_ in product.instructions:
        if mode != "uvu" or not has_weight or product.irreps_in2[i_y][0] != 1:
            raise ExportError(f"the convolution has a path of the kind {mode}, not uvu")
        paths.append((i_x, i_y, i_out))
    irreps = product.irreps_in1, product.irreps_in2, product.irreps_out
    convolution = Convolution(irreps, paths, product, dtype)

    # one edge per node, so that nothing is summed
    generator = torch.Generator().manual_seed(0)
    x, y, w = (
        torch.randn((7, width), generator=generator, dtype=torch.float64).to(dtype)
        for width in convolution.widths
    )
    centres = torch.arange(7)
    neighbours = centres.roll(1)
    expected = product(x[neighbours], y, w)
    difference = (convolution(x, y, w, centres, neighbours) - expected).abs().max()
    if difference > 100 * torch.finfo(dtype).eps * expected.abs().max():
        raise ExportError("the convolution is not the one that e3nn's description of it tells")
    return convolution
