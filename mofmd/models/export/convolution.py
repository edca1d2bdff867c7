"""The convolution of a message-passing layer as one operator, ``mofmd::convolve``.

NequIP and MACE sum messages over the edges (i, j) of every centre i,

    out[i, u, m3] = sum over edges and paths of w[e, u] C[m1, m2, m3] x[j, u, m1] y[e, m2],

with a path for every pair of an irrep of the features and spherical harmonics that couple to a
third. e3nn writes the messages of all edges to memory, path by path. The operator does not: the
kernel of the LAMMPS plugin (``mofmd/plugin/convolution_kernel.h``) keeps them in registers, and
neither it nor its derivative needs more memory than its inputs and outputs. Here it is defined with
torch's own operators, for tracing and for the numbers that a deployed file is compared with.
"""

from __future__ import annotations

from typing import Any

import torch
from e3nn.o3 import wigner_3j
from edge_gradients import ExportError

FIELDS = 8  # per path: offsets and dimensions in x, y and out, offset in w, channels


def _split(paths: list[int]) -> list[tuple[int, ...]]:
    return [tuple(paths[k : k + FIELDS]) for k in range(0, len(paths), FIELDS)]


def _convolve(  # noqa: PLR0913, PLR0917 - those of the operator
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    centres: torch.Tensor,
    neighbours: torch.Tensor,
    couplings: torch.Tensor,
    paths: list[int],
    out_width: int,
) -> torch.Tensor:
    out = x.new_zeros((x.size(0), out_width))
    offset = 0
    for x0, d1, y0, d2, out0, d3, w0, n in _split(paths):
        coupling = couplings[offset : offset + d1 * d2 * d3].view(d1, d2, d3)
        offset += d1 * d2 * d3
        messages = torch.einsum(
            "eu,eua,eb,abc->euc",
            w[:, w0 : w0 + n],
            x[neighbours, x0 : x0 + n * d1].view(-1, n, d1),
            y[:, y0 : y0 + d2],
            coupling,
        )
        out[:, out0 : out0 + n * d3].index_add_(0, centres, messages.flatten(1))
    return out


def _convolve_backward(
    gradient: torch.Tensor, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, *constant: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    with torch.enable_grad():
        inputs = [t.detach().requires_grad_(True) for t in (x, y, w)]
        out = _convolve(*inputs, *constant, gradient.size(1))
        found = torch.autograd.grad([out], inputs, [gradient])
    return found[0], found[1], found[2]


def define_operator() -> None:
    """Register ``mofmd::convolve`` for tracing, scripting and evaluation in this process."""
    library = torch.library
    tables = (
        "Tensor x, Tensor y, Tensor w, Tensor centres, Tensor neighbours, Tensor couplings, "
        "int[] paths"
    )
    library.define("mofmd::convolve", f"({tables}, int out_width) -> Tensor")
    library.define(
        "mofmd::convolve_backward", f"(Tensor gradient, {tables}) -> (Tensor, Tensor, Tensor)"
    )

    def shape_of_result(x: torch.Tensor, *others: Any) -> torch.Tensor:
        return x.new_empty((x.size(0), others[-1]))

    def shapes_of_gradients(
        _gradient: torch.Tensor, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, *_others: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return (x.new_empty(x.shape), y.new_empty(y.shape), w.new_empty(w.shape))

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        del output
        ctx.save_for_backward(*inputs[:6])
        ctx.paths = inputs[6]

    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        saved = ctx.saved_tensors
        return (
            *torch.ops.mofmd.convolve_backward(gradient, *saved, ctx.paths),
            *(None,) * 5,
        )

    library.impl("mofmd::convolve", "CompositeExplicitAutograd")(_convolve)
    library.impl("mofmd::convolve_backward", "CompositeExplicitAutograd")(_convolve_backward)
    library.register_fake("mofmd::convolve")(shape_of_result)
    library.register_fake("mofmd::convolve_backward")(shapes_of_gradients)
    library.register_autograd("mofmd::convolve", backward, setup_context=setup_context)


Irreps = tuple[tuple[int, tuple[int, int]], ...]  # channels, (degree l, parity); as e3nn's own


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
    irreps_x, irreps_y, irreps_out
        Of the features, the spherical harmonics and the result.
    paths
        ``(i_x, i_y, i_out, weight)`` for every path in the order of their weights: the positions of
        its irreps and e3nn's normalisation.
    """

    def __init__(
        self,
        irreps_x: Irreps,
        irreps_y: Irreps,
        irreps_out: Irreps,
        paths: list[tuple[int, int, int, float]],
    ) -> None:
        super().__init__()
        starts = [_offsets(irreps) for irreps in (irreps_x, irreps_y, irreps_out)]
        fields: list[int] = []
        couplings = [torch.empty(0, dtype=torch.float64)]
        weights = 0
        for i_x, i_y, i_out, weight in paths:
            channels = irreps_x[i_x][0]
            l1, l2, l3 = irreps_x[i_x][1][0], irreps_y[i_y][1][0], irreps_out[i_out][1][0]
            fields += [starts[0][i_x], 2 * l1 + 1, starts[1][i_y], 2 * l2 + 1]
            fields += [starts[2][i_out], 2 * l3 + 1, weights, channels]
            weights += channels
            couplings.append(weight * wigner_3j(l1, l2, l3, dtype=torch.float64).flatten())
        self.paths = fields
        self.widths = (starts[0][-1], starts[1][-1], weights)  # of x, y and w
        self.out_width = starts[2][-1]
        self.register_buffer("couplings", torch.cat(couplings))

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


def fused(product: Any, dtype: torch.dtype) -> Convolution:
    """Return the convolution of an e3nn ``TensorProduct``, scripted or not.

    Raises
    ------
    ExportError
        If a path has other weights than one per edge and channel of the features (``uvu``), or the
        two differ on random numbers.
    """
    paths = []
    for i_x, i_y, i_out, mode, has_weight, weight, _ in product.instructions:
        if mode != "uvu" or not has_weight or product.irreps_in2[i_y][0] != 1:
            raise ExportError(f"the convolution has a path of the kind {mode}, not uvu")
        paths.append((i_x, i_y, i_out, float(weight)))
    convolution = Convolution(product.irreps_in1, product.irreps_in2, product.irreps_out, paths).to(
        dtype
    )

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
