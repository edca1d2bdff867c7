"""The operator mofmd::convolve: its kernel for CPUs, and what other devices are given."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mofmd.errors import InputError
from mofmd.models.deploy.exporting import export
from mofmd.models.deploy.options import Options
from mofmd.models.files.deployed import read_deployed
from tests.engine.conftest import DeployedModels
from tests.engine.lammps import (
    engine_environment,
    evaluate,
    pair_lines,
    sanitizer_preload,
)
from tests.engine.systems import SYSTEMS
from tests.engine.test_ranks import same


def make_case(channels: int, nodes: int, edges: int, dtype: str) -> dict[str, Any]:
    """Return paths from irreps 0, 1, 2 times harmonics 0 to 2, and a graph in no order."""
    rng = np.random.default_rng(1)
    dims = (1, 3, 5)
    starts = [0, channels, 4 * channels]
    paths, couplings, out_width = [], [], 0
    for number, (a, b, c) in enumerate([(0, 0, 0), (0, 1, 1), (1, 1, 0), (1, 2, 1), (2, 2, 2)]):
        paths.append(
            [
                starts[a],
                dims[a],
                (0, 1, 4)[b],
                dims[b],
                out_width,
                dims[c],
                number * channels,
                channels,
            ]
        )
        out_width += channels * dims[c]
        values = rng.normal(size=dims[a] * dims[b] * dims[c])
        couplings += (values * (rng.random(values.size) < 0.4)).tolist()  # most are zero
    ends = rng.integers(0, max(1, nodes - 1), size=(edges, 2))  # the last node has no edges
    return {
        "dtype": dtype,
        "nodes": nodes,
        "edges": ends.tolist(),
        "paths": paths,
        "couplings": couplings,
        "out_width": out_width,
        "widths": [9 * channels, 9, 5 * channels],
    }


def run_cases(
    cases: list[dict[str, Any]], folder: Path, threads: int = 1, worker: str = "convolve_worker"
) -> list[dict[str, Any]]:
    """Return what the worker found for each case."""
    path = folder / "cases.json"
    path.write_text(json.dumps(cases))
    number = str(threads)
    done = subprocess.run(
        [*sanitizer_preload(), sys.executable, "-m", f"tests.engine.{worker}", str(path)],
        env={**engine_environment(), "OMP_NUM_THREADS": number, "MKL_NUM_THREADS": number},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    answers: list[dict[str, Any]] = json.loads(path.with_suffix(".answers").read_text())
    return answers


@pytest.mark.parametrize(("dtype", "allowed"), [("float64", 1e-13), ("float32", 2e-6)])
def test_values_and_derivatives_are_those_of_the_definition(
    dtype: str, allowed: float, tmp_path: Path
) -> None:
    cases = [make_case(channels, 9, 40, dtype) for channels in (1, 4, 8, 13, 21, 32, 70)]
    for found in run_cases(cases, tmp_path):
        assert found["kernel"] < allowed
        assert found["composed"] < allowed
        assert found["for_gpu"] < allowed


def test_threads_share_the_work(tmp_path: Path) -> None:
    (found,) = run_cases([make_case(8, 60, 300, "float64")], tmp_path, threads=2)
    assert found["threads"] == 2
    assert found["kernel"] < 1e-13


def test_a_graph_without_edges(tmp_path: Path) -> None:
    (found,) = run_cases([make_case(4, 3, 0, "float64")], tmp_path)
    assert {found[name] for name in ("kernel", "composed", "for_gpu")} == {0.0}


def test_paths_that_end_in_the_same_place_add_up(tmp_path: Path) -> None:
    case = make_case(4, 9, 40, "float64")
    case["paths"][3][4] = case["paths"][1][4]  # both give an irrep of l = 1
    (found,) = run_cases([case], tmp_path)
    assert found["kernel"] < 1e-13
    assert found["composed"] < 1e-13
    assert found["for_gpu"] < 1e-13


def test_paths_that_read_the_same_features_add_up(tmp_path: Path) -> None:
    case = make_case(4, 9, 40, "float64")
    case["paths"][2][0] = case["paths"][3][0]  # x of l = 1, in another path's place
    (found,) = run_cases([case], tmp_path)
    assert found["kernel"] < 1e-13
    assert found["composed"] < 1e-13
    assert found["for_gpu"] < 1e-13


HUGE = 1 << 62
DAMAGES = {
    "edge past the atoms": ({"edges": [[0, 9]]}, "an edge of an atom that does not exist"),
    "edge before the atoms": ({"edges": [[-1, 0]]}, "an edge of an atom that does not exist"),
    "channels": ({"path 0": {7: 99}}, "leads out of the tables"),
    "so many channels that their product is small": ({"path 1": {7: HUGE}}, "leads out of"),
    "offset": ({"path 0": {0: 36}}, "leads out of the tables"),
    "huge offset": ({"path 0": {0: HUGE}}, "leads out of the tables"),
    "negative offset": ({"path 0": {4: -4}}, "a path has no size"),
    "no dimension": ({"path 0": {1: 0}}, "a path has no size"),
    "negative channels": ({"path 0": {7: -4}}, "a path has no size"),
    "couplings": ({"couplings": [1.0]}, "wrong number of couplings"),
    "paths cut short": ({"paths": [[0, 1, 0]]}, "paths have 8 numbers each"),
    # path 1 is (x 0..4, out 4..16), path 3 is (x 4..16, out 20..32)
    "x: one offset, other dimension": ({"path 1": {0: 4}}, "use parts of x that overlap"),
    "x: one offset, other channels": ({"path 1": {7: 2}}, "use parts of x that overlap"),
    "x: parts that overlap": ({"path 3": {0: 3}}, "use parts of x that overlap"),
    "out: one offset, other dimension": ({"path 0": {4: 4}}, "use parts of out that overlap"),
    "out: parts that overlap": ({"path 1": {4: 5}}, "use parts of out that overlap"),
    "y: parts that overlap": ({"path 1": {2: 0}}, "use parts of y that overlap"),
    "w: the same": ({"path 1": {6: 0}}, "use parts of w that overlap"),
    "w: parts that overlap": ({"path 1": {6: 2}}, "use parts of w that overlap"),
}


def damaged(change: dict[str, Any]) -> dict[str, Any]:
    case = {**make_case(4, 9, 40, "float64"), "damaged": True}
    for key, value in change.items():
        if key.startswith("path "):
            path = case["paths"][int(key.removeprefix("path "))]
            for field, number in value.items():
                path[field] = number
        else:
            case[key] = value
    return case


def test_a_damaged_file_cannot_read_outside_of_its_tables(tmp_path: Path) -> None:
    """No implementation goes on with paths that lead out of a table, or into each other's place."""
    answers = run_cases([damaged(change) for change, _ in DAMAGES.values()], tmp_path)
    for name, answer in zip(DAMAGES, answers, strict=True):
        told = DAMAGES[name][1]
        if name.startswith("edge"):  # known when the tables are there: torch's indexing refuses
            assert told in answer["kernel"]
            assert told in answer["kernel, backward"]
            assert answer["composed"]
            continue
        for implementation, text in answer.items():
            assert told in text, (name, implementation, text)


@pytest.mark.frameworks
@pytest.mark.parametrize(
    "name",
    [
        "mace-f64",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("nequip-f64", "nequip-l2-f64")),
    ],
)
def test_a_fused_model_is_the_same_model(
    name: str, deployed: DeployedModels, tmp_path: Path
) -> None:
    fused, plain = deployed(name), deployed(name, accelerate="none")
    assert read_deployed(fused).manifest["accelerate"] == "fused"
    assert read_deployed(plain).manifest["accelerate"] == "none"
    structures = [SYSTEMS[system]() for system in ("tilted", "slab", "thin", "one_atom")]
    expected = evaluate(structures, tmp_path / "plain", pair_lines(plain))
    for options, ranks in (("", 1), ("", 2), (" chunk 7", 1)):
        folder = tmp_path / f"{ranks}{options.replace(' ', '')}"
        found = evaluate(
            structures, folder, pair_lines(fused).replace("\n", f"{options}\n", 1), ranks=ranks
        )
        same(found, expected, force_tolerance=1e-9)


@pytest.mark.frameworks
def test_a_model_without_convolutions_is_left_as_it_is(
    deployed: DeployedModels, trained_models: Path, tmp_path: Path
) -> None:
    assert read_deployed(deployed("allegro-f64")).manifest["accelerate"] == "none"
    with pytest.raises(InputError, match="an allegro model, which has no convolutions"):
        export(
            trained_models / "allegro-f64.ckpt",
            tmp_path / "x.mofmd.pth",
            Options(accelerate="fused"),
        )
