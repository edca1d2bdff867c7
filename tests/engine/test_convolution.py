"""The operator mofmd::convolve: its kernel for CPUs, and what other devices are given."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mofmd.errors import InputError
from mofmd.models.deploy import Options, export
from mofmd.models.deployed import read_deployed
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


def run_cases(cases: list[dict[str, Any]], folder: Path, threads: int = 1) -> list[dict[str, Any]]:
    """Return what the worker found for each case."""
    path = folder / "cases.json"
    path.write_text(json.dumps(cases))
    number = str(threads)
    done = subprocess.run(
        [*sanitizer_preload(), sys.executable, "-m", "tests.engine.convolve_worker", str(path)],
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


def test_a_damaged_file_cannot_read_outside_of_its_tables(tmp_path: Path) -> None:
    case = make_case(4, 9, 40, "float64")
    changes: list[tuple[dict[str, Any], str]] = [
        ({"edges": [[0, 9]]}, "an edge of an atom that does not exist"),
        ({"edges": [[-1, 0]]}, "an edge of an atom that does not exist"),
        ({"paths": [[0, 1, 0, 1, 0, 1, 0, 99]], "couplings": [1.0]}, "leads out of the tables"),
        ({"paths": [[0, 0, 0, 1, 0, 1, 0, 4]], "couplings": []}, "a path has no size"),
        ({"couplings": [1.0]}, "wrong number of couplings"),
    ]
    answers = run_cases([{**case, **change} for change, _ in changes], tmp_path)
    for answer, (_, told) in zip(answers, changes, strict=True):
        assert told in answer["error"]


@pytest.mark.frameworks
@pytest.mark.parametrize(
    "name", ["nequip-f64", "mace-f64", pytest.param("nequip-l2-f64", marks=pytest.mark.long)]
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
