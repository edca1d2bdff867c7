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
from convolution import Irreps
from edge_gradients import ExportError


class IrrepProduct(torch.nn.Module):
    """One irrep's part of a linear layer: columns (channels, 2l + 1) times a matrix.

    Parameters
    ----------
    start
        First column of the irrep in the input.
    dimension
        2l + 1.
    matrix
        (channels, channels of the result).
    """

    def __init__(self, start: int, dimension: int, matrix: torch.Tensor) -> None:
        super().__init__()
        self.start, self.dimension = start, dimension
        self.channels, self.out_channels = matrix.shape
        self.register_buffer("matrix", matrix.contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the columns (N, channels of the result times 2l + 1)."""
        x = x[:, self.start : self.start + self.channels * self.dimension]
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
        starts: dict[tuple[int, int], tuple[int, int]] = {}
        column = 0
        for channels, ir in merged_in:
            starts[ir] = (column, channels)
            column += channels * (2 * ir[0] + 1)
        parts: list[torch.nn.Module] = []
        column = 0
        for out_channels, ir in merged_out:
            dimension = 2 * ir[0] + 1
            out_width = out_channels * dimension
            if ir in starts:
                start, channels = starts[ir]
                block = whole[
                    start : start + channels * dimension : dimension,
                    column : column + out_width : dimension,
                ]
                parts.append(IrrepProduct(start, dimension, (scale * block).to(dtype)))
            else:
                parts.append(Zeros(out_width))
            column += out_width
        self.parts = torch.nn.ModuleList(parts)
        self.has_bias = bool((offset != 0.0).any())
        self.register_buffer("bias", offset.to(dtype))
        check_same(self, lambda x: linear(scale * x), width, dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result (N, out) for features (N, in)."""
        columns: list[torch.Tensor] = []
        for part in self.parts:
            columns.append(part(x))
        out = columns[0] if len(columns) == 1 else torch.cat(columns, 1)
        if self.has_bias:
            out = out + self.bias
        return out


class GatedIrrep(torch.nn.Module):
    """One irrep's part of a gate: its columns times a gate for each channel.

    Parameters
    ----------
    start
        First column of the irrep in the features.
    channels, dimension
        Of the irrep, 2l + 1 numbers for each channel.
    gate
        First column of its gates among all gates.
    """

    def __init__(self, start: int, channels: int, dimension: int, gate: int) -> None:
        super().__init__()
        self.start, self.channels, self.dimension, self.gate = start, channels, dimension, gate

    def forward(self, x: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        """Return the gated columns (N, channels times 2l + 1)."""
        width = self.channels * self.dimension
        x = x[:, self.start : self.start + width].reshape(-1, self.channels, self.dimension)
        gates = gates[:, self.gate : self.gate + self.channels].unsqueeze(2)
        return (x * gates).reshape(-1, width)


class PlainGate(torch.nn.Module):
    """A gate of e3nn whose scalars have one activation, and its gates one.

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
        columns = torch.arange(width, dtype=torch.float64).unsqueeze(0)
        scalars, gates, gated = (
            [round(column) for column in part[0].tolist()] for part in gate.sc(columns)
        )
        self.scalars, self.gates = _range(scalars), _range(gates)
        self.act_scalars = _only(gate.act_scalars)
        self.act_gates = _only(gate.act_gates) if gates else self.act_scalars
        parts = []
        start, first = _range(gated)[0], 0
        for channels, (degree, _) in gate.irreps_gated:
            parts.append(GatedIrrep(start, channels, 2 * degree + 1, first))
            start += channels * (2 * degree + 1)
            first += channels
        self.parts = torch.nn.ModuleList(parts)
        check_same(self, gate, width, dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the gated features (N, out)."""
        columns = [self.act_scalars(x[:, self.scalars[0] : self.scalars[1]])]
        gates = self.act_gates(x[:, self.gates[0] : self.gates[1]])
        for part in self.parts:
            columns.append(part(x, gates))
        return torch.cat(columns, 1)


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
            [IrrepProduct(0, 1, matrix.to(dtype)) for matrix in matrices]
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


def _range(columns: list[int]) -> list[int]:
    """Return the first of some columns and one past the last."""
    first = columns[0] if columns else 0
    if columns != list(range(first, first + len(columns))):
        raise ExportError("the columns of a gate do not follow each other")
    return [first, first + len(columns)]


def _only(activation: Any) -> torch.nn.Module:
    """Return the function of an ``e3nn.nn.Activation`` that has the same for all its scalars."""
    acts = list(activation.acts)
    if any(act is None or act.f is not acts[0].f for act in acts):
        raise ExportError("the scalars of a gate have several activations")
    return acts[0]
