"""Isolated Python environments for the model frameworks, whose requirements exclude each other.

LAMMPS at run time needs none of them; they train, package and compile models.
"""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from mofmd.engine.files import write_atomic
from mofmd.errors import EnvironmentSetupError

Framework = Literal["nequip", "mace"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)
_MARK = "mofmd-requirements.txt"


def environments_location() -> Path:
    """Return the folder of all environments: ``MOFMD_ENVIRONMENTS``, or inside this environment."""
    override = os.environ.get("MOFMD_ENVIRONMENTS")
    return Path(override) if override else Path(sys.prefix) / "lib" / "mofmd" / "environments"


def requirements_file(framework: Framework) -> Path:
    """Return the pinned requirements of a framework."""
    package = Path(__file__).parents[1]
    for folder in (package / "environments", package.parent / "deploy" / "environments"):
        if (folder / f"{framework}.txt").exists():
            return folder / f"{framework}.txt"
    raise EnvironmentSetupError(f"the requirements of {framework} are missing: reinstall mofmd")


def run_in_environment(
    python: Path, script: Path, *arguments: str | Path, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script with the Python of an environment, on one thread, and return how it ended."""
    return subprocess.run(
        [str(python), str(script), *map(str, arguments)],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def environment_python(framework: Framework) -> Path | None:
    """Return the Python of a framework's environment, or None where it is absent or outdated."""
    directory = environments_location() / framework
    mark = directory / _MARK
    if not mark.exists() or mark.read_text() != requirements_file(framework).read_text():
        return None
    return directory / "bin" / "python"


def create_environment(framework: Framework, report: Callable[[str], None] = print) -> Path:
    """Create the environment of a framework unless it is there; return its Python.

    Raises
    ------
    EnvironmentSetupError
        When installing fails; nothing half-made stays behind.
    """
    if python := environment_python(framework):
        report(f"the {framework} environment is up to date: {python.parents[1]}")
        return python
    directory = environments_location() / framework
    requirements = requirements_file(framework)
    report(f"creating the {framework} environment in {directory} (minutes)")
    shutil.rmtree(directory, ignore_errors=True)
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    torch_pin = next(line for line in requirements.read_text().splitlines() if line[:5] == "torch")
    for arguments in ([torch_pin], ["-r", str(requirements)]):
        command = [str(python), "-m", "pip", "install", "--quiet", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(directory, ignore_errors=True)
            raise EnvironmentSetupError(
                f"installing the {framework} environment failed:\n{done.stderr[-2000:]}"
            )
    write_atomic(directory / _MARK, requirements.read_text())
    return python
