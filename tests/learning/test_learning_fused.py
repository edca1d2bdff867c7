"""Trainings with the fused convolution: the framework's own gradients, curves and checkpoints."""

import csv
import json
import os
import subprocess
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from ase.io import write
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.engine.operators_library import build_operators, operators_for, torch_of
from mofmd.engine.plugin_path import installed_versions
from mofmd.errors import BuildError, RunError
from mofmd.learning.train import mace as train_mace
from mofmd.learning.train import nequip as train_nequip
from mofmd.learning.train import training
from mofmd.learning.train.fused import EXTENSION, fused_environment
from mofmd.learning.train.training import deploy_training, read_record, run_training
from mofmd.models.environments import Framework, environment_python
from mofmd.models.files.model_file import Family
from tests.frameworks_made import cyanide, shaken
from tests.learning.test_learning_training import argon_set, needs, prepared

SCRIPT = Path(__file__).parents[1] / "frameworks" / "fused_gradients.py"
PARTS = {"nequip": 3, "mace": 4, "sevennet": 3}  # MACE's are convolutions and contractions


@pytest.mark.frameworks
@pytest.mark.parametrize(
    "framework",
    [
        "nequip",
        # ten seconds each, for imports and scripting; `test_training` trains MACE so, too
        pytest.param("mace", marks=pytest.mark.long),
        pytest.param("sevennet", marks=pytest.mark.long),
    ],
)
def test_gradients_of_a_loss(framework: Framework, tmp_path: Path) -> None:
    """By all weights: to 1e-10 in float64, to 1e-5 of the largest in float32."""
    python = environment_python(framework)
    if python is None:
        pytest.skip(f"the {framework} environment is absent: `mofmd env {framework}`")
    write(tmp_path / "frame.extxyz", shaken(cyanide(), 1, 0.1)[0])
    answer = tmp_path / "answer.json"
    subprocess.run(
        [str(python), str(SCRIPT), framework, str(tmp_path / "frame.extxyz"), str(answer)],
        env={**os.environ, "OMP_NUM_THREADS": "1", **fused_environment(framework, python)},
        check=True,
        timeout=300,
    )
    answers: dict[str, dict[str, Any]] = json.loads(answer.read_text())
    for dtype, tolerance in (("float64", 1e-10), ("float32", 1e-5)):
        found = answers[dtype]
        assert found["parts"] == PARTS[framework]
        assert found["same_keys"]
        assert found["same_weights"]
        assert found["weights"] > 10
        assert found["largest"] > 1e-3
        assert found["difference"] < tolerance


def curve(family: Family, folder: Path, fused: bool) -> np.ndarray:
    """Train three epochs and return the validation errors of each."""
    prepared(folder, family, epochs=3, fused=fused)
    epochs = run_training(folder, lambda _: None)
    return np.array([astuple(each) for each in epochs])


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize("family", ["nequip", "mace"])
def test_curves_and_files_of_a_training(
    family: Family, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same seed gives the same curve; files are read where there is no mofmd."""
    needs(family)
    fused, plain = (curve(family, tmp_path / str(each), each) for each in (True, False))
    assert fused.shape == (3, 5)
    np.testing.assert_allclose(fused, plain, rtol=1e-4)
    trainer = {"nequip": train_nequip, "mace": train_mace}[family]
    assert b"mofmd_part" not in trainer.weights(tmp_path / "True").read_bytes()
    deploy_training(tmp_path / "True", report=lambda _: None)
    # it was the operator: without it there is no training
    absent = {"PYTHONPATH": str(EXTENSION), "MOFMD_OPERATORS": str(tmp_path / "absent.so")}
    monkeypatch.setattr(training, "fused_environment", lambda *_: absent)
    with pytest.raises(RunError, match=r"absent\.so is missing"):
        curve(family, tmp_path / "absent", True)


@pytest.mark.long
@pytest.mark.frameworks
def test_curves_of_sevennet(tmp_path: Path) -> None:
    """`python -m mofmd_training.sevennet` beside `sevenn`, each for three epochs."""
    python = environment_python("sevennet")
    if python is None:
        pytest.skip("the sevennet environment is absent: `mofmd env sevennet`")
    write(tmp_path / "frames.extxyz", argon_set(range(4)))
    preset = next(python.parents[1].glob("lib/python*/site-packages/sevenn/presets/fine_tune.yaml"))
    config = yaml.safe_load(preset.read_text())
    irreps = ["4x0e", "4x0e+3x1e+2x2e", "4x0e"]
    config["model"] |= {"irreps_manual": irreps, "num_convolution_layer": 2, "channel": 4}
    config["train"] |= {"epoch": 3}
    del config["train"]["continue"]
    config["data"] = {
        "batch_size": 2,
        "load_trainset_path": [str(tmp_path / "frames.extxyz")],
        "load_validset_path": [str(tmp_path / "frames.extxyz")],
    }
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **fused_environment("sevennet", python)}
    sevenn, ours = [str(python.parent / "sevenn")], [str(python), "-m", "mofmd_training.sevennet"]
    curves = []
    for number, program in enumerate((sevenn, ours)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "input.yaml").write_text(yaml.safe_dump(config))
        command = [*program, "train", "input.yaml"]
        subprocess.run(command, cwd=folder, env=variables, check=True, timeout=600)
        with (folder / "lc.csv").open(newline="") as file:
            rows = [[float(value) for value in row.values()] for row in csv.DictReader(file)]
        curves.append(np.array(rows))
        assert b"mofmd" not in (folder / "checkpoint_best.pth").read_bytes()
    assert len(curves[0]) == 3
    np.testing.assert_allclose(*curves, rtol=1e-4)
    # it was the operator: without it there is no training
    del variables["MOFMD_OPERATORS"]
    command = [*ours, "train", "input.yaml", "-w", str(tmp_path / "absent")]
    done = subprocess.run(
        command, cwd=tmp_path / "1", env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "MOFMD_OPERATORS does not name the library" in done.stderr


def test_a_library_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with another torch: what to do is said, and what it has of its own is used."""
    python = tmp_path / "bin" / "python"
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    with pytest.raises(BuildError, match="has no torch: make this environment again"):
        operators_for(python, "nequip")
    (site / "torch-2.6.0.dist-info").mkdir(parents=True)
    (site / "torch-2.6.0.dist-info" / "METADATA").write_text("Name: torch\nVersion: 2.6.0+cpu\n")
    assert torch_of(python).directory == site / "torch"
    with pytest.raises(BuildError, match=r"environment has 2\.6\.0\+cpu: run `mofmd build --for n"):
        operators_for(python, "nequip")
    own = tmp_path / "lib" / "mofmd"
    own.mkdir()
    (own / "mofmdoperators.so").touch()
    built_for = {"torch": "2.6.0+cpu", "sources_sha256": installed_versions()["sources_sha256"]}
    (own / "mofmdoperators.json").write_text(json.dumps({"built_for": built_for}))
    assert operators_for(python, "nequip") == own / "mofmdoperators.so"
    (own / "mofmdoperators.json").write_text(json.dumps({"built_for": {"torch": "2.5.0"}}))
    with pytest.raises(BuildError, match="`mofmd build --for nequip`"):
        operators_for(python, "nequip")
    monkeypatch.setenv("MOFMD_PLUGIN_DIR", str(tmp_path / "nothing"))
    with pytest.raises(BuildError, match="are not built, or stale: run `mofmd build`"):
        operators_for(python, "nequip")


@pytest.mark.long
@pytest.mark.frameworks
def test_a_library_of_its_own(tmp_path: Path) -> None:
    """Compiled for an environment, and loaded there."""
    needs("nequip")
    python = environment_python("nequip")
    assert python is not None
    (tmp_path / "lib").mkdir()
    for folder in (python.parents[1] / "lib").glob("python*"):
        (tmp_path / "lib" / folder.name).symlink_to(folder)
    elsewhere = tmp_path / "bin" / "python"  # the environment of others stays as it is
    library = build_operators(elsewhere, jobs=2, report=lambda _: None)
    assert library == tmp_path / "lib" / "mofmd" / "mofmdoperators.so"
    assert operators_for(elsewhere, "nequip") == library
    written = library.stat().st_mtime_ns
    assert build_operators(elsewhere, report=lambda _: None).stat().st_mtime_ns == written
    words = (
        "import mofmd_training.library as a, torch; a.load_operators(); torch.ops.mofmd.convolve"
    )
    env = {**os.environ, "PYTHONPATH": str(EXTENSION), "MOFMD_OPERATORS": str(library)}
    subprocess.run([str(python), "-c", words], env=env, check=True, timeout=300)
    (library.parent / "mofmdoperators.json").write_text('{"built_for": {"torch": "1.0"}}')
    done = subprocess.run(
        [str(python), "-c", words], env=env, capture_output=True, text=True, check=False
    )
    assert "was built for torch 1.0, this environment has" in done.stderr


@pytest.mark.parametrize("family", ["allegro", "nequip", "mace"])
@pytest.mark.parametrize("fused", [True, False])
def test_which_trainings_are_fused(family: Family, fused: bool, tmp_path: Path) -> None:
    folder = prepared(tmp_path / "a", family, fused=fused)
    has = fused and family != "allegro"
    assert read_record(folder)["fused"] is has
    config = yaml.safe_load((folder / "config.yaml").read_text())
    if family == "mace":
        command = train_mace.command(folder, Path("/env/bin/python"), has)
        trainer = ["/env/bin/python", "-m", "mofmd_training.mace"] if has else []
        assert command[:-2] == (trainer or ["/env/bin/mace_run_train"])
    else:
        targets = [each["_target_"] for each in config["trainer"]["callbacks"]]
        assert ("mofmd_training.nequip.FusedConvolutions" in targets) is has


def test_lines_for_a_shell(tmp_path: Path) -> None:
    if environment_python("mace") is None:
        pytest.skip("the mace environment is absent: `mofmd env mace`")
    done = CliRunner().invoke(app, ["env", "mace", "--exports"])
    assert done.exit_code == 0, done.output
    script = f"{done.stdout}\npython -c 'import mofmd_training.library as a; a.load_operators()'"
    env = {**os.environ, "PATH": "/usr/bin:/bin"}
    subprocess.run(["bash", "-ec", script], env=env, cwd=tmp_path, check=True, timeout=120)
