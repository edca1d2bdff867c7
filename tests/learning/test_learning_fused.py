"""Trainings with the fused convolution: the framework's own gradients, curves and checkpoints."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ase.io import write

from mofmd.learning.train.fused import fused_environment
from mofmd.models.environments import FRAMEWORKS, Framework, environment_python
from tests.frameworks_made import cyanide, shaken

SCRIPT = Path(__file__).parents[1] / "frameworks" / "fused_gradients.py"
CONVOLUTIONS = {"nequip": 3, "mace": 2, "sevennet": 3}


@pytest.mark.frameworks
@pytest.mark.parametrize("framework", FRAMEWORKS)
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
        assert found["convolutions"] == CONVOLUTIONS[framework]
        assert found["same_keys"]
        assert found["same_weights"]
        assert found["weights"] > 10
        assert found["largest"] > 1e-3
        assert found["difference"] < tolerance
