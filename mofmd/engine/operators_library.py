"""The library of mofmd's operators for the torch of another environment.

Trainings with the fused convolution load it in the environment of a framework, where there is no
LAMMPS. Where the torch there is the one of this environment, that is the library that LAMMPS's
plugin uses; otherwise one that `build_operators` puts into the other environment.
"""

import json
import tempfile
from importlib import metadata
from pathlib import Path

from mofmd.disk.atomic import write_atomic
from mofmd.engine.build import Progress, Report, Torch, definitions, run_cmake
from mofmd.engine.plugin_path import (
    OPERATORS_NAME,
    SOURCE_DIRECTORY,
    installed_versions,
    mismatches,
    plugin_location,
    read_record,
)
from mofmd.errors import BuildError

RECORD_NAME = "mofmdoperators.json"


def torch_of(python: Path) -> Torch:
    """Return the torch of the environment that a Python belongs to.

    Raises
    ------
    BuildError
        If it has none.
    """
    folders = [str(path) for path in (python.parents[1] / "lib").glob("python*/site-packages")]
    for found in metadata.distributions(name="torch", path=folders):
        return Torch(Path(str(found.locate_file("torch"))), found.version)
    raise BuildError(f"{python.parents[1]} has no torch: make this environment again (`mofmd env`)")


def operators_for(python: Path, name: str) -> Path:
    """Return the library for the environment of a Python, which is called ``name``.

    Raises
    ------
    BuildError
        If none fits the torch there.
    """
    torch = torch_of(python)
    own = _own_folder(python)
    if _fits(own, torch):
        return own / OPERATORS_NAME
    record = read_record()
    if record is not None and not mismatches(record):
        if record["built_for"]["torch"] == torch.version:
            return plugin_location() / OPERATORS_NAME
        raise BuildError(
            f"mofmd's operators are built for torch {record['built_for']['torch']}, the {name} "
            f"environment has {torch.version}: run `mofmd build --for {name}`"
        )
    raise BuildError(
        f"mofmd's operators are not built, or stale: run `mofmd build` (or, for the {name} "
        f"environment alone, `mofmd build --for {name}`)"
    )


def build_operators(
    python: Path,
    *,
    force: bool = False,
    jobs: int | None = None,
    report: Report = print,
    progress: Progress | None = None,
) -> Path:
    """Compile the library for the environment of a Python, and put it there; return it.

    Raises
    ------
    BuildError
        When something is missing or the compiler fails; a library that was there stays.
    """
    torch, folder = torch_of(python), _own_folder(python)
    if not force and _fits(folder, torch):
        report(f"the operators fit what is installed: {folder / OPERATORS_NAME}")
        return folder / OPERATORS_NAME
    report(f"building the operators for torch {torch.version} of {python.parents[1]}")
    with tempfile.TemporaryDirectory(prefix="mofmd-build-") as work:
        run_cmake(
            SOURCE_DIRECTORY,
            Path(work),
            definitions(torch),
            target=Path(OPERATORS_NAME).stem,
            jobs=jobs,
            progress=progress,
        )
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RECORD_NAME).unlink(missing_ok=True)
        write_atomic(folder / OPERATORS_NAME, (Path(work) / OPERATORS_NAME).read_bytes())
    record = {"built_for": _built_for(torch)}
    write_atomic(folder / RECORD_NAME, json.dumps(record, indent=2) + "\n")
    report(f"built {folder / OPERATORS_NAME}")
    return folder / OPERATORS_NAME


def _own_folder(python: Path) -> Path:
    return python.parents[1] / "lib" / "mofmd"


def _built_for(torch: Torch) -> dict[str, str]:
    return {"torch": torch.version, "sources_sha256": installed_versions()["sources_sha256"]}


def _fits(folder: Path, torch: Torch) -> bool:
    record = folder / RECORD_NAME
    if not record.is_file() or not (folder / OPERATORS_NAME).is_file():
        return False
    try:
        return bool(json.loads(record.read_text())["built_for"] == _built_for(torch))
    except (ValueError, KeyError, TypeError):
        return False
