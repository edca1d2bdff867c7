"""The engine on a GPU beside the same files on the CPU; skipped where torch sees no GPU."""

import re
from pathlib import Path

import numpy as np
import pytest

from mofmd.models.dispersion.coefficients import Damping
from mofmd.models.files.embedded import embedded_model
from tests.engine.conftest import DeployedModels
from tests.engine.lammps import (
    checked,
    evaluate,
    evaluate_script,
    pair_lines,
    read_result,
    run_lammps,
    write_structure,
)
from tests.engine.systems import SPECIES, SYSTEMS, ZIF4_MODELS, crystal
from tests.engine.test_convolution import make_case, run_cases
from tests.engine.test_dispersion import pair_d3
from tests.engine.test_ranks import same
from tests.engine.test_resident_graph import POINT_SETS, RUN, find_pairs, trajectory
from tests.engine.toy_models import write_springs

GRAPHS = ("auto", "device", "fixed", "host", "list")
ALLOWED = 1e-4  # eV/Å: float32, summed in another order


@pytest.fixture(autouse=True, scope="module")
def _gpu() -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")


def on_device(model: str, options: str) -> str:
    path = embedded_model(model)
    family = model.split("-")[1]
    return f"pair_style {family} device {options}\npair_coeff * * {path} {' '.join(SPECIES)}"


@pytest.mark.parametrize(("dtype", "allowed"), [("float64", 1e-13), ("float32", 5e-6)])
def test_kernels_of_the_convolution(dtype: str, allowed: float, tmp_path: Path) -> None:
    cases = [make_case(channels, 9, 400, dtype) for channels in (1, 4, 8, 13, 21, 32, 70)]
    for found in run_cases(cases, tmp_path):
        assert found["gpu"] < allowed


@pytest.mark.parametrize("model", ZIF4_MODELS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_same_as_on_the_cpu(model: str, graph: str, tmp_path: Path) -> None:
    structures = [crystal(), SYSTEMS["slab"]()]
    expected = evaluate(structures, tmp_path / "cpu", on_device(model, "cpu"))
    found = evaluate(structures, tmp_path / "gpu", on_device(model, f"cuda graph {graph}"))
    same(found, expected, force_tolerance=ALLOWED)


@pytest.mark.frameworks
@pytest.mark.parametrize("name", ["nequip-f64", "allegro-f64", "mace-f64"])
@pytest.mark.parametrize("graph", GRAPHS)
def test_same_in_double_precision(
    name: str, graph: str, deployed: DeployedModels, tmp_path: Path
) -> None:
    structures = [SYSTEMS[system]() for system in ("tilted", "slab", "thin")]
    style, coeff = pair_lines(deployed(name)).split("\n")
    expected = evaluate(structures, tmp_path / "cpu", f"{style} device cpu\n{coeff}")
    pair = f"{style} device cuda graph {graph}\n{coeff}"
    found = evaluate(structures, tmp_path / "gpu", pair)
    same(found, expected, force_tolerance=1e-10)


@pytest.mark.parametrize("graph", GRAPHS)
def test_atoms_that_move(graph: str, tmp_path: Path) -> None:
    expected, forces, _ = trajectory(on_device("zif4-nequip-s", "cpu"), tmp_path / "cpu")
    found, others, builds = trajectory(
        on_device("zif4-nequip-s", f"cuda graph {graph}"), tmp_path / "gpu"
    )
    assert builds >= 3
    largest = np.abs(expected).max(0)
    np.testing.assert_allclose(found / largest, expected / largest, rtol=0, atol=1e-4)
    largest = np.abs(forces).max(0)
    np.testing.assert_allclose(others / largest, forces / largest, rtol=0, atol=2e-3)


@pytest.mark.parametrize("model", ZIF4_MODELS)
def test_two_ranks_on_a_gpu(model: str, tmp_path: Path) -> None:
    structure = [crystal().repeat((2, 1, 1))]
    expected = evaluate(structure, tmp_path / "one", on_device(model, "cuda"))
    found = evaluate(structure, tmp_path / "two", on_device(model, "cuda"), ranks=2)
    same(found, expected, force_tolerance=ALLOWED)


def test_two_partitions_on_a_gpu(tmp_path: Path) -> None:
    pair = on_device("zif4-nequip-s", "cuda")
    expected = evaluate([crystal()], tmp_path / "one", pair)
    script = evaluate_script([crystal()], tmp_path, pair)
    script = script.replace("0.txt", "${part}.txt").replace("0.dump", "${part}.dump")
    options = ["-partition", "2x1", "-plog", "none"]
    checked(run_lammps(f"variable part world 0 1\n{script}", tmp_path, ranks=2, options=options))
    for part in (0, 1):
        same([read_result(tmp_path, part)], expected, force_tolerance=1e-5)


def test_a_model_that_cannot_be_recorded(tmp_path: Path) -> None:
    path = write_springs(tmp_path / "springs.pth", fault="waits")
    pair = f"pair_style allegro device {{}}\npair_coeff * * {path} {' '.join(SPECIES)}"
    expected, forces, _ = trajectory(pair.format("cpu"), tmp_path / "cpu")
    found, others, _ = trajectory(pair.format("cuda"), tmp_path / "auto")
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(others[:, 1:4], forces[:, 1:4], rtol=0, atol=1e-9)
    assert "steps are not recorded" in (tmp_path / "auto" / "log.lammps").read_text()

    work = tmp_path / "fixed"
    work.mkdir()
    write_structure(crystal(), work / "structure.data")
    script = RUN.format(pair=pair.format("cuda graph fixed"), more="", steps=40)
    done = run_lammps(script, work)
    assert done.returncode != 0
    assert "cannot be recorded: start again with 'graph device'" in done.stdout


def test_pairs_are_all_pairs(tmp_path: Path) -> None:
    found = {device: find_pairs(tmp_path, device) for device in ("cpu", "cuda")}
    for name in POINT_SETS:
        pairs = [f[:, np.lexsort(f[::-1])] for f in (found["cpu"][name], found["cuda"][name])]
        np.testing.assert_array_equal(*pairs)


def test_a_run_does_not_grow(tmp_path: Path) -> None:
    """Peak memory of torch on the GPU after 50 and after 1000 steps."""
    peaks = {}
    for steps in (50, 1000):
        work = tmp_path / str(steps)
        work.mkdir()
        trajectory(on_device("zif4-nequip-s", "cuda"), work / "run", steps=steps)
        log = (work / "run" / "log.lammps").read_text()
        peak = re.search(r"peak memory of a rank: (\d+)", log)
        assert peak is not None, log[-2000:]
        peaks[steps] = int(peak[1])
    assert peaks[1000] <= 1.1 * peaks[50]


@pytest.mark.parametrize("damping", ["bj", "zero"])
def test_dispersion_is_the_same_as_on_the_cpu(damping: Damping, tmp_path: Path) -> None:
    structures = [crystal(), SYSTEMS["slab"]()]
    expected, found = (
        evaluate(
            structures,
            tmp_path / device,
            "\n".join(pair_d3(tmp_path, f"device {device}", list(SPECIES), damping)),
        )
        for device in ("cpu", "cuda")
    )
    same(found, expected, force_tolerance=1e-10)
