"""Evaluation in chunks, and what is said before and when memory is out."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from mofmd.models.files.deployed import read_manifest, write_with_manifest
from mofmd.models.files.embedded import embedded_model
from tests.engine.conftest import DeployedModels
from tests.engine.lammps import checked, evaluate, pair_lines, run_lammps, write_structure
from tests.engine.systems import SPECIES, SYSTEMS, crystal
from tests.engine.test_ranks import same, with_vacuum

frees_memory = pytest.mark.skipif(
    "MOFMD_TEST_SANITIZED_PLUGIN" in os.environ, reason="the sanitizer keeps memory that was freed"
)
RUN = """\
units metal
atom_style atomic
read_data structure.data
{pair}
run 1
"""
PER_ATOM = "compute virials all stress/atom NULL virial\nthermo_style custom step c_virials[1]"


def embedded(options: str = "", file: Path | None = None) -> str:
    path = file or embedded_model("zif4-allegro-s")
    return f"pair_style allegro {options}\npair_coeff * * {path} {' '.join(SPECIES)}"


@pytest.mark.parametrize(("size", "ranks"), [(1, 1), (50, 2), (271, 1), (1000, 1)])
def test_chunks_change_nothing(size: int, ranks: int, tmp_path: Path) -> None:
    structures = [crystal()] if size > 1 else [SYSTEMS["tilted"](), SYSTEMS["slab"]()]
    expected = evaluate(structures, tmp_path / "whole", embedded(), ranks=ranks)
    found = evaluate(structures, tmp_path / "chunks", embedded(f"chunk {size}"), ranks=ranks)
    same(found, expected, force_tolerance=2e-5)  # float32


@pytest.mark.frameworks
@pytest.mark.parametrize("file", ["allegro-cut.nequip.pth", "allegro-f64.nequip.pt2"])
def test_chunks_of_upstream_files(file: str, nequip_models: Path, tmp_path: Path) -> None:
    style, coeff = pair_lines(nequip_models / file).splitlines()
    structures = [crystal(), SYSTEMS["thin"]()]
    expected = evaluate(structures, tmp_path / "whole", f"{style}\n{coeff}")
    found = evaluate(structures, tmp_path / "chunks", f"{style} chunk 17\n{coeff}")
    same(found, expected, force_tolerance=1e-8)


def peak_mib(tmp_path: Path, script: str) -> float:
    output = checked(run_lammps(script, tmp_path))
    found = re.search(r"peak memory of a rank: (\d+) MiB", output)
    assert found is not None
    return float(found[1])


@frees_memory
def test_chunks_bound_the_memory(tmp_path: Path) -> None:
    write_structure(crystal().repeat(2), tmp_path / "structure.data")
    whole, chunks = (
        peak_mib(tmp_path, RUN.format(pair=embedded(options)))
        for options in ("chunk none", "chunk 100")
    )
    nothing = 300.0  # LAMMPS and libtorch themselves
    assert chunks - nothing < 0.5 * (whole - nothing)


def with_memory(bytes_per_edge: float, path: Path) -> Path:
    manifest = {**read_manifest(embedded_model("zif4-allegro-s")), "bytes_per_edge": bytes_per_edge}
    write_with_manifest(embedded_model("zif4-allegro-s"), manifest, path)
    return path


def test_estimate_before_the_first_step(tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    model = with_memory(30000.0, tmp_path / "model.mofmd.pth")
    output = checked(run_lammps(RUN.format(pair=embedded(file=model)), tmp_path))
    found = re.search(r"takes about (\d+) MiB on the fullest rank \(30000 bytes per edge\)", output)
    edges = re.search(r"(\d+) edges", output)
    assert found is not None
    assert edges is not None
    assert float(found[1]) == pytest.approx(30000 * int(edges[1]) / 2**20, abs=1.0)


@pytest.mark.parametrize("ranks", [1, 2])
def test_too_large_is_refused_with_what_fits(ranks: int, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    model = with_memory(1e9, tmp_path / "model.mofmd.pth")
    done = run_lammps(RUN.format(pair=embedded(file=model)), tmp_path, ranks)
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert "out of memory: an evaluation would take about" in output
    found = re.search(r"about (\d+) atoms of this kind fit", output)
    assert found is not None
    assert 0 <= int(found[1]) < 272


def test_chunk_auto_makes_it_fit(tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    # so that a third of the edges fit
    free = int(re.search(r"MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
    model = with_memory(free / 2000, tmp_path / "model.mofmd.pth")
    pair = embedded("chunk auto", model)
    (expected,) = evaluate([crystal()], tmp_path / "whole", embedded())
    (found,) = evaluate([crystal()], tmp_path / "chunks", pair)
    np.testing.assert_allclose(found.forces, expected.forces, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("chunk 0", "chunk must be a number of atoms, auto or none, not '0'"),
        ("chunk some", "some"),
        ("chunk auto", "needs a file that knows its memory per edge"),
    ],
)
def test_bad_chunk(options: str, message: str, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    model = tmp_path / "model.mofmd.pth"
    manifest = {**read_manifest(embedded_model("zif4-allegro-s"))}
    manifest.pop("bytes_per_edge", None)
    write_with_manifest(embedded_model("zif4-allegro-s"), manifest, model)
    done = run_lammps(RUN.format(pair=embedded(options, model)), tmp_path)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("name", "size", "ranks"),
    [
        ("mace-f64", 100, 2),
        pytest.param("nequip-f64", 100, 1, marks=pytest.mark.long),
        pytest.param("nequip-f64", 31, 4, marks=pytest.mark.long),
        pytest.param("nequip-l2-f64", 3, 1, marks=pytest.mark.long),
        pytest.param("mace-r8", 60, 4, marks=pytest.mark.long),
        pytest.param("mace-heads", 60, 2, marks=pytest.mark.long),
    ],
)
def test_layers_in_chunks(
    name: str, size: int, ranks: int, deployed: DeployedModels, tmp_path: Path
) -> None:
    """Message passing, layer by layer; on four ranks the box with vacuum leaves some empty."""
    options = {"head": "pbe"} if name == "mace-heads" else {}
    style, coeff = pair_lines(deployed(name, **options)).splitlines()
    structures = [with_vacuum(), SYSTEMS["tilted"](), SYSTEMS["one_atom"]()]
    expected = evaluate(structures, tmp_path / "whole", f"{style}\n{coeff}")
    found = evaluate(structures, tmp_path / "chunks", f"{style} chunk {size}\n{coeff}", ranks=ranks)
    same(found, expected, force_tolerance=1e-8)


@frees_memory
@pytest.mark.frameworks
@pytest.mark.parametrize("name", [pytest.param("nequip-f64", marks=pytest.mark.long), "mace-f64"])
def test_chunks_bound_the_memory_of_layers(
    name: str, deployed: DeployedModels, tmp_path: Path
) -> None:
    # what fused convolutions need for so few atoms is lost in the memory of torch itself
    style, coeff = pair_lines(deployed(name, accelerate="none")).splitlines()
    peaks = []
    for repeats, options in ((1, "chunk 20"), (2, ""), (2, "chunk 100")):
        write_structure(crystal().repeat(repeats), tmp_path / "structure.data")
        script = RUN.format(pair=f"{style} {options}\n{coeff}")
        peaks.append(peak_mib(tmp_path, script))
    nothing, whole, chunks = peaks
    assert chunks - nothing < 0.3 * (whole - nothing)


@pytest.mark.frameworks
def test_no_chunks_of_other_message_passing(nequip_models: Path, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    style, coeff = pair_lines(nequip_models / "nequip-f64.nequip.pth").splitlines()
    done = run_lammps(RUN.format(pair=f"{style} chunk 10\n{coeff}"), tmp_path)
    assert done.returncode != 0
    assert "only TorchScript files of `mofmd deploy` can" in done.stdout + done.stderr
