"""The plugin's operator mofmd::contract beside its definition, in a process that LAMMPS is in.

Usage: python -m tests.engine.contract_worker CASES.json; writes the largest differences of each
case, or what each implementation says against it, to CASES.answers.
"""

from collections.abc import Callable
from typing import Any

import torch

from tests.engine.convolve_worker import COMPOSED, answer, told_by


def definition(x: torch.Tensor, weights: torch.Tensor, case: dict[str, Any]) -> torch.Tensor:
    """Return the polynomials, atom by atom and term by term as they are written down."""
    factors = [(k,) for k in range(x.size(2))]
    for first, last in case["products"]:
        factors.append((*factors[first], last))
    rows = []
    for atom, element in enumerate(case["types"]):
        row = [torch.zeros_like(x[0, :, 0])] * case["width"]
        for number, (product, m) in enumerate(case["terms"]):
            value = weights[element, number]
            for component in factors[product]:
                value = value * x[atom, :, component]
            row[m] = row[m] + value
        rows.append(torch.stack(row, 1))
    return torch.stack(rows) if rows else x[:, :, :1].expand(-1, -1, case["width"])


def inputs_of(case: dict[str, Any], dtype: torch.dtype) -> list[Any]:
    """Return what the operator takes, with random features and weights."""
    generator = torch.Generator().manual_seed(1)
    shapes = (
        (len(case["types"]), case["channels"], case["components"]),
        (case["elements"], len(case["terms"]), case["channels"]),
    )
    x, weights = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    types, products, terms = (
        torch.tensor(case[name], dtype=torch.long) for name in ("types", "products", "terms")
    )
    pairs = products.reshape(-1, 2), terms.reshape(-1, 2)
    return [x.to(dtype), types, weights.to(dtype), *pairs, case["orders"]]


def calls_of(case: dict[str, Any], inputs: list[Any]) -> dict[str, Callable[[], torch.Tensor]]:
    """Return calls of both implementations, forward and backward, for the same upstream."""
    x, width = inputs[0], case["width"]
    generator = torch.Generator().manual_seed(2)
    upstream = torch.randn(*x.shape[:2], width, generator=generator, dtype=torch.float64)
    upstream = upstream.to(x.dtype)
    forward, backward = torch.ops.mofmd.contract, torch.ops.mofmd.contract_backward

    def of_autograd() -> torch.Tensor:
        features = x.clone().requires_grad_(True)
        out = forward(features, *inputs[1:], width)
        return torch.autograd.grad([out], [features], [upstream])[0]

    return {
        "kernel": lambda: forward(*inputs, width),
        "kernel, backward": of_autograd,
        "composed": lambda: forward.default.redispatch(COMPOSED, *inputs, width),
        "composed, backward": lambda: backward.default.redispatch(COMPOSED, upstream, *inputs),
    }


def compare(case: dict[str, Any]) -> dict[str, float]:
    """Return largest differences over the largest number, of values and of derivatives."""
    inputs = inputs_of(case, getattr(torch, case["dtype"]))
    exact = inputs[0].double().requires_grad_(True)
    out = definition(exact, inputs[2].double(), case)
    generator = torch.Generator().manual_seed(2)
    upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    wanted = out, torch.autograd.grad([out], [exact], [upstream])[0]
    found_of = {}
    for name, call in calls_of(case, inputs).items():
        expected = wanted["backward" in name].detach()
        found = call().detach()
        assert found.shape == expected.shape
        if found.numel():
            found_of[name] = float((found.double() - expected).abs().max() / expected.abs().max())
    return {**found_of, "threads": torch.get_num_threads()}


def refusals(case: dict[str, Any]) -> dict[str, str]:
    """Return what each implementation says of a damaged case; "" where it goes on."""
    inputs = inputs_of(case, getattr(torch, case["dtype"]))
    return told_by(calls_of(case, inputs))


if __name__ == "__main__":
    answer(compare, refusals)
