"""The paths of an e3nn tensor product as the operator ``mofmd::convolve`` takes them.

Imports nothing but torch: the exporter and trainings with the operator share it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

Irreps = tuple[tuple[int, tuple[int, int]], ...]  # channels, (degree l, parity); as e3nn's own
Product = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class UvuPaths:
    """What the operator takes beside its tables.

    Attributes
    ----------
    fields
        Eight numbers per path: offsets and dimensions in x, y and out, offset in w, channels.
    widths
        Of x, y and w.
    out_width
        Of the result.
    couplings
        C[m1, m2, m3] of all paths, one after the other.
    """

    fields: list[int]
    widths: tuple[int, int, int]
    out_width: int
    couplings: torch.Tensor


def _offsets(irreps: Irreps) -> list[int]:
    """First column of each irrep, and the number of columns."""
    ends = [0]
    for channels, (degree, _) in irreps:
        ends.append(ends[-1] + channels * (2 * degree + 1))
    return ends


def read_paths(
    irreps: tuple[Irreps, Irreps, Irreps],
    paths: list[tuple[int, int, int]],
    product: Product,
    dtype: torch.dtype,
) -> UvuPaths:
    """Return the paths ``(i_x, i_y, i_out)`` of a product, given in the order of their weights.

    The couplings are the product of unit vectors in the paths' first channels: not Wigner's symbols
    in their own precision, but those that the model was trained with.

    Parameters
    ----------
    irreps
        Of the features, the spherical harmonics and the result.
    paths
        Positions of the irreps of each path.
    product
        The tensor product (rows of features, of spherical harmonics, of weights).
    dtype
        Of the product.
    """
    irreps_x, irreps_y, irreps_out = irreps
    starts = [_offsets(each) for each in irreps]
    found: list[tuple[int, ...]] = []
    weights = 0
    for i_x, i_y, i_out in paths:
        channels = irreps_x[i_x][0]
        degrees = irreps_x[i_x][1][0], irreps_y[i_y][1][0], irreps_out[i_out][1][0]
        d1, d2, d3 = (2 * degree + 1 for degree in degrees)
        found.append(
            (starts[0][i_x], d1, starts[1][i_y], d2, starts[2][i_out], d3, weights, channels)
        )
        weights += channels
    widths = (starts[0][-1], starts[1][-1], weights)
    couplings = [torch.empty(0, dtype=dtype)]
    for x0, d1, y0, d2, out0, d3, w0, _ in found:
        x, y, w = (torch.zeros((d1 * d2, width), dtype=dtype) for width in widths)
        rows = torch.arange(d1 * d2)
        x[rows, x0 + rows // d2] = 1.0
        y[rows, y0 + rows % d2] = 1.0
        w[:, w0] = 1.0
        couplings.append(product(x, y, w)[:, out0 : out0 + d3].detach().flatten())
    fields = [number for path in found for number in path]
    return UvuPaths(fields, widths, starts[2][-1], torch.cat(couplings))


def instructions_of(product: Any) -> list[tuple[int, int, int]]:
    """Return the paths of an e3nn ``TensorProduct``, scripted or not.

    Raises
    ------
    ValueError
        If a path has other weights than one per edge and channel of the features (``uvu``).
    """
    paths = []
    for i_x, i_y, i_out, mode, has_weight, *_ in product.instructions:
        if mode != "uvu" or not has_weight or product.irreps_in2[i_y][0] != 1:
            raise ValueError(f"the convolution has a path of the kind {mode}, not uvu")
        paths.append((i_x, i_y, i_out))
    return paths


def check_same(
    convolution: Callable[..., torch.Tensor],
    product: Product,
    widths: tuple[int, int, int],
    dtype: torch.dtype,
) -> None:
    """Compare a convolution with the messages of its product on random numbers.

    Raises
    ------
    ValueError
        If they differ by more than rounding.
    """
    # one edge per node, so that nothing is summed
    generator = torch.Generator().manual_seed(0)
    x, y, w = (
        torch.randn((7, width), generator=generator, dtype=torch.float64).to(dtype)
        for width in widths
    )
    centres = torch.arange(7)
    neighbours = centres.roll(1)
    expected = product(x[neighbours], y, w)
    difference = (convolution(x, y, w, centres, neighbours) - expected).abs().max()
    if difference > 100 * torch.finfo(dtype).eps * expected.abs().max():
        raise ValueError("the convolution is not the one that e3nn's description of it tells")
