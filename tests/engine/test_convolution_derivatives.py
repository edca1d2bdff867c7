"""Derivatives of the operator mofmd::convolve up to the third, in float64."""

from typing import Any

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from mofmd.calculator.operators import load_operators
from mofmd.models.export import operators
from tests.engine.test_convolution import make_case

DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU is here")
    ),
]


class Call:
    """The operator with the constants of a small random case, and tables for it."""

    def __init__(self, device: str, channels: int = 2) -> None:
        load_operators()
        case: dict[str, Any] = make_case(channels, nodes=4, edges=5, dtype="float64")
        centres, neighbours = torch.tensor(case["edges"], device=device).T.contiguous()
        couplings = torch.tensor(case["couplings"], dtype=torch.float64, device=device)
        numbers = [number for path in case["paths"] for number in path]
        self.constants = (centres, neighbours, couplings, numbers)
        self.out_width = case["out_width"]
        generator = torch.Generator().manual_seed(1)
        rows = (4, 5, 5, 4)
        widths = (*case["widths"], self.out_width)
        tables = [
            torch.randn(shape, generator=generator, dtype=torch.float64).to(device)
            for shape in zip(rows, widths, strict=True)
        ]
        self.tables = [table.requires_grad_(True) for table in tables[:3]]
        self.upstream = tables[3].requires_grad_(True)

    def __call__(self, *tables: torch.Tensor) -> torch.Tensor:
        return torch.ops.mofmd.convolve(*tables, *self.constants, self.out_width)

    def backward(self, *tables: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found: tuple[torch.Tensor, ...] = torch.ops.mofmd.convolve_backward(
            *tables, *self.constants
        )
        return found


@pytest.mark.parametrize("device", DEVICES)
def test_differences(device: str) -> None:
    call = Call(device)
    assert gradcheck(call, call.tables)
    assert gradgradcheck(call, call.tables)
    # derivatives of the derivative, which are made of both operators, have their own
    assert gradgradcheck(call.backward, [call.upstream, *call.tables], fast_mode=True)


@pytest.mark.parametrize("wanted", ["x", "y", "w", "xw", "yw", "xyw"])
def test_parts(wanted: str) -> None:
    """Only some derivatives are used: terms are left out, and the others are those by definition.

    The definition is made of torch's own operators, which have derivatives of any order.
    """
    call = Call("cpu", channels=5)
    inputs = [*call.tables, call.upstream]
    chosen = ["xyw".index(letter) for letter in wanted]
    results = []
    for convolve in (torch.ops.mofmd.convolve, operators._convolve):
        out = convolve(*call.tables, *call.constants, call.out_width)
        tables = [call.tables[k] for k in chosen]
        first = torch.autograd.grad([out], tables, [call.upstream], create_graph=True)
        loss = torch.stack([each.pow(3).sum() for each in first]).sum()
        results.append(torch.autograd.grad([loss], inputs, allow_unused=True))
    for found, expected, table in zip(*results, inputs, strict=True):
        zeros = torch.zeros_like(table)
        a, b = (zeros if each is None else each for each in (found, expected))
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)
    assert all(float(each.abs().max()) > 0.1 for each in results[0] if each is not None)


def test_without_derivatives_of_some_tables() -> None:
    call = Call("cpu")
    x, y, w = call.tables
    (of_y,) = torch.autograd.grad(
        [call(x.detach(), y, w.detach())], [y], [call.upstream], create_graph=True
    )
    (of_upstream,) = torch.autograd.grad([of_y.sum()], [call.upstream])
    torch.testing.assert_close(of_upstream, call(x, torch.ones_like(y), w), rtol=0, atol=1e-12)


def test_scripted() -> None:
    """TorchScript and autograd take the same second derivatives."""
    call = Call("cpu")
    centres, neighbours, couplings, numbers = call.constants

    class Energy(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.numbers = list(numbers)
            self.out_width = call.out_width
            self.register_buffer("couplings", couplings)

        def forward(
            self, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, ends: torch.Tensor
        ) -> torch.Tensor:
            out = torch.ops.mofmd.convolve(
                x, y, w, ends[0], ends[1], self.couplings, self.numbers, self.out_width
            )
            force = torch.autograd.grad([out.square().sum()], [y], create_graph=True)[0]
            assert force is not None
            return force

    ends = torch.stack([centres, neighbours])
    plain, scripted = Energy(), torch.jit.script(Energy())
    results = []
    for model in (plain, scripted):
        loss = model(*call.tables, ends).square().sum()
        results.append(torch.autograd.grad([loss], call.tables))
    for a, b in zip(*results, strict=True):
        assert torch.equal(a, b)
        assert float(a.abs().max()) > 0.1


def test_shapes_without_numbers() -> None:
    """Compilers of models ask for shapes alone."""
    call = Call("cpu")
    there = [table.detach().to("meta") for table in (call.upstream, *call.tables)]
    constants = [c.to("meta") if isinstance(c, torch.Tensor) else c for c in call.constants]
    out = torch.ops.mofmd.convolve(*there[1:], *constants, call.out_width)
    assert out.shape == call.upstream.shape
    found = torch.ops.mofmd.convolve_backward(*there, *constants)
    assert [each.shape for each in found] == [each.shape for each in call.tables]
