"""Compile LAMMPS from source with the plugin, for a cluster's own MPI."""

import shlex
import shutil
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from mofmd import __version__
from mofmd.engine.build import Progress, Report, find_compiler, find_torch, run_cmake
from mofmd.engine.plugin_path import SOURCE_DIRECTORY
from mofmd.errors import BuildError, MissingFileError


@dataclass(frozen=True)
class LammpsBuild:
    """What to build and where to put it.

    Attributes
    ----------
    source
        LAMMPS's source tree, or a tarball of it.
    prefix
        Folder that receives ``bin/lmp``, ``lib/liblammps.so`` and ``lib/mofmd/mofmdplugin.so``.
    mpi_compiler
        The MPI's C++ compiler wrapper, such as ``mpicxx``; by default what cmake finds.
    cmake_arguments
        More arguments for LAMMPS's own cmake, such as ``-DPKG_REAXFF=on``.
    jobs
        Compiler processes; by default one per core.
    """

    source: Path
    prefix: Path
    mpi_compiler: str | None = None
    cmake_arguments: list[str] = field(default_factory=list)
    jobs: int | None = None


def build_lammps(
    build: LammpsBuild, report: Report = print, progress: Progress | None = None
) -> Path:
    """Compile LAMMPS and the plugin; return the ``lmp`` that has the pair styles.

    Raises
    ------
    MissingFileError
        When the source or the MPI compiler does not exist.
    BuildError
        When the source is no LAMMPS source, or compiling fails.
    """
    if not build.source.exists():
        raise MissingFileError(f"LAMMPS's source {build.source} does not exist")
    if build.mpi_compiler and not shutil.which(build.mpi_compiler):
        raise MissingFileError(
            f"the MPI compiler {build.mpi_compiler} is not on PATH: load the cluster's MPI module"
        )
    torch = find_torch()
    with tempfile.TemporaryDirectory(prefix="mofmd-lammps-") as work:
        source = _source_tree(build.source.resolve(), Path(work))
        definitions: dict[str, object] = {
            "CMAKE_CXX_COMPILER": find_compiler(),
            "CMAKE_INSTALL_PREFIX": build.prefix.resolve(),
            "Python3_EXECUTABLE": sys.executable,
            "MOFMD_TORCH_DIR": torch.directory,
            "MOFMD_TORCH_VERSION": torch.release,
            "MOFMD_VERSION": __version__,
            "MOFMD_LAMMPS_SOURCE_DIR": source,
            "MOFMD_LAMMPS_CMAKE_ARGS": shlex.join(build.cmake_arguments),
        }
        if build.mpi_compiler:
            definitions["MPI_CXX_COMPILER"] = shutil.which(build.mpi_compiler)
        report(f"building LAMMPS from {source} and the plugin (up to an hour on few cores)")
        run_cmake(
            SOURCE_DIRECTORY,
            Path(work) / "build",
            definitions,
            target="install",
            jobs=build.jobs,
            progress=progress,
        )
    lmp = build.prefix.resolve() / "bin" / "lmp"
    report(f"built {lmp}")
    return lmp


def _source_tree(source: Path, work: Path) -> Path:
    """Return the source tree, unpacked below ``work`` when ``source`` is a tarball."""
    if source.is_file():
        if not tarfile.is_tarfile(source):
            raise BuildError(f"{source} is neither a folder nor a tarball")
        with tarfile.open(source) as archive:
            # no files outside the folder; Python 3.11 before 3.11.4 has no such filter
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(work / "source")
        trees = sorted((work / "source").iterdir())
        source = trees[0] if len(trees) == 1 else work / "source"
    if not (source / "cmake" / "CMakeLists.txt").exists():
        raise BuildError(f"{source} is no LAMMPS source tree (it has no cmake/CMakeLists.txt)")
    return source
