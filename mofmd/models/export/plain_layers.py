"""Layers of e3nn as plain matrix products.

What e3nn compiles for a linear layer or a gate are dozens of small operations, which cost more than
their arithmetic as soon as the convolutions are fused. Here a linear layer is one matrix product
for each irrep, a gate a few element-wise operations. Each is compared with e3nn's own layer when it
is made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from edge_gradients import ExportError
from uvu_paths import Irreps


class IrrepProduct(torch.nn.Module):
    """One irrep's part of a linear layer: columns (channels, 2l + 1) times a matrix.

    Parameters
    ----------
    dimension
        2l + 1.
    matrix
        (channels, channels of the result).
    """

    def __init__(self, dimension: int, matrix: torch.Tensor) -> None:
        super().__init__()
        self.dimension = dimension
        self.channels, self.out_channels = matrix.shape
        self.register_buffer("matrix", matrix.contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the columns (N, channels of the result times 2l + 1)."""
        if self.dimension == 1:
            return torch.mm(x, self.matrix)
        x = x.reshape(-1, self.channels, self.dimension).transpose(1, 2)
        x = torch.mm(x.reshape(-1, self.channels), self.matrix)
        x = x.view(-1, self.dimension, self.out_channels).transpose(1, 2)
        return x.reshape(-1, self.out_channels * self.dimension)


class Zeros(torch.nn.Module):
    """Columns of a linear layer's result that no irrep of the input leads to."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return zeros (N, width)."""
        return torch.zeros((x.size(0), self.width), dtype=x.dtype, device=x.device)


class PlainLinear(torch.nn.Module):
    """A linear layer of e3nn.

    Parameters
    ----------
    linear
        e3nn's layer, or any function of the same kind; in float64.
    irreps_in, irreps_out
        Its irreps, each of which has its columns side by side.
    dtype
        Of the layer that is made.
    scale
        Multiplies the features first.
    """

    def __init__(
        self,
        linear: Callable[[torch.Tensor], torch.Tensor],
        irreps_in: Irreps,
        irreps_out: Irreps,
        dtype: torch.dtype,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        merged_in, merged_out = merged(irreps_in), merged(irreps_out)
        width = sum(channels * (2 * ir[0] + 1) for channels, ir in merged_in)
        with torch.no_grad():
            offset = linear(torch.zeros((1, width), dtype=torch.float64))
            whole = linear(torch.eye(width, dtype=torch.float64)) - offset
        numbers = {ir: k for k, (_, ir) in enumerate(merged_in)}
        self.widths = [channels * (2 * ir[0] + 1) for channels, ir in merged_in]
        parts: list[torch.nn.Module] = []
        sources: list[int] = []
        column = 0
        for out_channels, ir in merged_out:
            dimension = 2 * ir[0] + 1
            out_width = out_channels * dimension
            if ir in numbers:
                start = sum(self.widths[: numbers[ir]])
                block = whole[
                    start : start + self.widths[numbers[ir]] : dimension,
                    column : column + out_width : dimension,
                ]
                parts.append(IrrepProduct(dimension, (scale * block).to(dtype)))
            else:
                parts.append(Zeros(out_width))
            sources.append(numbers.get(ir, 0))
            column += out_width
        self.sources = sources
        self.parts = torch.nn.ModuleList(parts)
        self.has_bias = bool((offset != 0.0).any())
        self.register_buffer("bias", offset.to(dtype))
        check_same(self, lambda x: linear(scale * x), width, dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result (N, out) for features (N, in)."""
        # torch.split, as the gradient of a slice is filled up with zeros, that of a split is not
        irreps = torch.split(x, self.widths, 1)
        columns: list[torch.Tensor] = []
        for k, part in enumerate(self.parts):
            columns.append(part(irreps[self.sources[k]]))
        out = columns[0] if len(columns) == 1 else torch.cat(columns, 1)
        if self.has_bias:
            out = out + self.bias
        return out


class GatedIrrep(torch.nn.Module):
    """One irrep's part of a gate: its columns times a gate for each channel."""

    def __init__(self, channels: int, dimension: int) -> None:
        super().__init__()
        self.channels, self.dimension = channels, dimension

    def forward(self, x: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        """Return the gated columns (N, channels times 2l + 1)."""
        gated = x.reshape(-1, self.channels, self.dimension) * gates.unsqueeze(2)
        return gated.reshape(-1, self.channels * self.dimension)


class PlainGate(torch.nn.Module):
    """A gate of e3nn.

    Parameters
    ----------
    gate
        ``e3nn.nn.Gate``, in float64.
    dtype
        Of the layer that is made.
    """

    def __init__(self, gate: Any, dtype: torch.dtype) -> None:
        super().__init__()
        width = gate.irreps_in.dim
        gated = list(gate.irreps_gated)
        scalars = [channels for channels, _ in gate.act_scalars.irreps_in]
        gates = [channels for channels, _ in gate.act_gates.irreps_in]
        if gates != [channels for channels, _ in gated]:
            raise ExportError("a gate whose irreps share gates is not supported")
        wide = [channels * (2 * degree + 1) for channels, (degree, _) in gated]
        columns = torch.cat(gate.sc(torch.arange(width, dtype=torch.float64).unsqueeze(0)), 1)
        # the blocks of the features: scalars, gates and what is gated, in whatever order
        blocks = [int(part[0]) for part in columns[0].split([*scalars, *gates, *wide])]
        order = sorted(blocks)
        self.widths = [later - first for first, later in zip(order, [*order[1:], width])]  # noqa: B905
        places = [order.index(first) for first in blocks]
        self.scalars = places[: len(scalars)]
        self.gates = places[len(scalars) : len(scalars) + len(gates)]
        self.gated = places[len(scalars) + len(gates) :]
        self.act_scalars = torch.nn.ModuleList(gate.act_scalars.acts)
        self.act_gates = torch.nn.ModuleList(gate.act_gates.acts)
        self.parts = torch.nn.ModuleList(
            [GatedIrrep(channels, 2 * degree + 1) for channels, (degree, _) in gated]
        )
        check_same(self, gate, width, dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the gated features (N, out)."""
        blocks = torch.split(x, self.widths, 1)
        columns: list[torch.Tensor] = []
        for k, act in enumerate(self.act_scalars):
            columns.append(act(blocks[self.scalars[k]]))
        for k, (act, part) in enumerate(zip(self.act_gates, self.parts)):  # noqa: B905 - TorchScript
            columns.append(part(blocks[self.gated[k]], act(blocks[self.gates[k]])))
        return columns[0] if len(columns) == 1 else torch.cat(columns, 1)


class RadialNetwork(torch.nn.Module):
    """A fully connected network of e3nn on the radial basis of all edges, as matrix products.

    Parameters
    ----------
    network
        ``e3nn.nn.FullyConnectedNet`` without an activation of its result, in float64.
    dtype
        Of the layer that is made.
    """

    def __init__(self, network: Any, dtype: torch.dtype) -> None:
        super().__init__()
        layers = list(network.children())
        self.act = layers[0].act
        with torch.no_grad():
            matrices = [layer.weight / (layer.h_in * layer.var_in) ** 0.5 for layer in layers]
        self.products = torch.nn.ModuleList(
            [IrrepProduct(1, matrix.to(dtype)) for matrix in matrices]
        )
        check_same(self, network, network.hs[0], dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the weights (E, paths times channels) for the basis functions (E, basis)."""
        for k, product in enumerate(self.products):
            x = product(x)
            if k < len(self.products) - 1:
                x = self.act(x)
        return x


def merged(irreps: Irreps) -> list[tuple[int, tuple[int, int]]]:
    """Return irreps with equal neighbours as one.

    Raises
    ------
    ExportError
        If the columns of an irrep do not lie side by side.
    """
    found: list[tuple[int, tuple[int, int]]] = []
    for channels, (degree, parity) in irreps:
        if found and found[-1][1] == (degree, parity):
            found[-1] = (found[-1][0] + channels, (degree, parity))
        else:
            found.append((channels, (degree, parity)))
    if len({ir for _, ir in found}) != len(found):
        raise ExportError(f"the irreps {irreps} are not sorted")
    return found


def check_same(
    made: torch.nn.Module,
    original: Callable[[torch.Tensor], torch.Tensor],
    width: int,
    dtype: torch.dtype,
) -> None:
    """Compare a layer with the original one, which is in float64, on random numbers.

    Raises
    ------
    ExportError
        If they differ by more than rounding.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((7, width), generator=generator, dtype=torch.float64).to(dtype)
    with torch.no_grad():
        expected = original(x.double())
        found = made(x).double()
    if (found - expected).abs().max() > 100 * torch.finfo(dtype).eps * expected.abs().max():
        raise ExportError(f"{type(made).__name__} is not the layer of e3nn that it replaces")
