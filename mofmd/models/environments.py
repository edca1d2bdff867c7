"""Isolated Python environments for the model frameworks, whose requirements exclude each other.

LAMMPS at run time needs none of them; they train, package and compile models.
"""

import os
import shutil
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from mofmd.disk.atomic import write_atomic
from mofmd.disk.lock import lock_folder
from mofmd.disk.package_files import packaged_file
from mofmd.engine.launch import Ended, run_to_end
from mofmd.errors import EnvironmentSetupError

Framework = Literal["nequip", "mace", "sevennet"]
FRAMEWORKS: tuple[Framework, ...] = get_args(Framework)
LIMIT_S = 3600.0
_MARK = "mofmd-requirements.txt"


def environments_location() -> Path:
    """Return the folder of all environments: ``MOFMD_ENVIRONMENTS``, or inside this environment."""
    override = os.environ.get("MOFMD_ENVIRONMENTS")
    return Path(override) if override else Path(sys.prefix) / "lib" / "mofmd" / "environments"


def requirements_file(framework: Framework) -> Path:
    """Return the pinned requirements of a framework."""
    return packaged_file("environments", "deploy/environments", f"{framework}.txt")


def package_pins(framework: Framework) -> dict[str, str]:
    """Return the version of each pinned package but torch, whose build may be another one's."""
    lines = requirements_file(framework).read_text().splitlines()
    pins = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {name: version for name, version in pins if name != "torch"}


def run_in_environment(
    python: Path, script: Path, *arguments: str | Path, directory: Path
) -> Ended:
    """Run a script with the Python of an environment, on one thread, and return how it ended.

    Raises
    ------
    EnvironmentSetupError
        If it does not end within an hour.
    """
    command = [str(python), str(script), *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
    try:
        return run_to_end(command, directory, env, time_limit_s=LIMIT_S)
    except TimeoutError as error:
        raise EnvironmentSetupError(
            f"{script.name} did not end within {LIMIT_S:g} s in {python.parents[1]}"
        ) from error


def last_words(ended: Ended, lines: int = 6) -> str:
    """Return the end of what a script said; of a Python program that is what went wrong."""
    said = [line for line in ended.output.splitlines() if line.strip()]
    return "\n".join(said[-lines:]) or ended.how


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
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentSetupError(
            f"{directory.parent}: cannot be made ({error.strerror}): set MOFMD_ENVIRONMENTS to a "
            "folder that can"
        ) from error
    with lock_folder(
        directory.parent,
        f"making of the {framework} environment",
        "",
        LIMIT_S,
        name=f"{framework}.lock",
    ):
        return environment_python(framework) or _create(framework, directory, report)


def _create(framework: Framework, directory: Path, report: Callable[[str], None]) -> Path:
    requirements = requirements_file(framework)
    report(f"creating the {framework} environment in {directory} (minutes)")
    shutil.rmtree(directory, ignore_errors=True)
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    torch_pin = next(line for line in requirements.read_text().splitlines() if line[:5] == "torch")
    for arguments in ([torch_pin], ["-r", str(requirements)]):
        command = [str(python), "-m", "pip", "install", "--quiet", *arguments]
        done = run_to_end(command, directory, os.environ)  # pip has time limits of its own
        if done.status != 0:
            shutil.rmtree(directory, ignore_errors=True)
            raise EnvironmentSetupError(
                f"installing the {framework} environment failed:\n{done.output[-2000:]}"
            )
    write_atomic(directory / _MARK, requirements.read_text())
    return python
