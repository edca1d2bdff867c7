"""`mofmd doctor`: exit status 0 only when a model runs; each fault with its mend."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.engine.lammps import BIN


def doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "mofmd"), "doctor", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_healthy_installation() -> None:
    done = doctor("--json")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert report["healthy"] is True
    checks = {check["name"]: check for check in report["checks"]}
    assert checks["model runs, 2 ranks"]["status"] == "ok"
    assert "torch" in checks["plugin"]["detail"]


def test_without_a_plugin(tmp_path: Path) -> None:
    done = doctor("--json", MOFMD_PLUGIN_DIR=str(tmp_path))
    assert done.returncode == 1
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["plugin"]["status"] == "error"
    assert checks["plugin"]["mend"] == "mofmd build"
    # one line for one cause
    assert [check["name"] for check in checks.values() if check["status"] == "error"] == ["plugin"]
    assert checks["model runs"]["mend"] == "mend plugin first, then run mofmd doctor again"


@pytest.mark.parametrize("command", ["build", "doctor", "env", "demo"])
def test_help_of_every_command(command: str) -> None:
    done = subprocess.run(
        [str(BIN / "mofmd"), command, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "Usage" in done.stdout
