import re
import subprocess
import tarfile
from importlib import metadata
from pathlib import Path

import pytest

from mofmd.engine import build
from mofmd.engine.build_lammps import LammpsBuild, build_lammps
from mofmd.engine.plugin_path import LIBRARY_NAME, OPERATORS_NAME, RECORD_NAME
from mofmd.errors import BuildError, MissingFileError


def dynamic_entries(library: Path, *kinds: str) -> list[str]:
    dynamic = subprocess.run(
        ["readelf", "-d", library], capture_output=True, text=True, check=True
    ).stdout
    return re.findall(rf"\((?:{'|'.join(kinds)})\).*\[(.*)\]", dynamic)


def test_plugin_that_fits_is_not_built_again() -> None:
    lines: list[str] = []
    library = build.build_plugin(report=lines.append)
    assert library.name == LIBRARY_NAME
    assert lines == [f"the plugin fits what is installed: {library}"]


def test_torch_brings_its_gpu_part_along() -> None:
    """libtorch.so holds the dependency on libtorch_cuda.so, nothing else: linkers like to drop it.

    Without it no GPU is seen, whatever Python's torch says.
    """
    library = build.build_plugin(report=lambda _: None)
    assert OPERATORS_NAME in dynamic_entries(library, "NEEDED")
    needed = dynamic_entries(library.with_name(OPERATORS_NAME), "NEEDED")
    assert {"libtorch.so", "libtorch_cpu.so", "libc10.so"} <= set(needed)


def test_operators_need_neither_lammps_nor_mpi() -> None:
    library = build.build_plugin(report=lambda _: None).with_name(OPERATORS_NAME)
    needed = dynamic_entries(library, "NEEDED")
    assert not [name for name in needed if "lammps" in name or "mpi" in name]
    symbols = subprocess.run(
        ["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True
    ).stdout
    assert not re.findall(r"LAMMPS_NS|MPI_", symbols)


def test_libraries_are_found_beside_each_other_and_in_torch_alone() -> None:
    """No folder of the build is left, where somebody else could put a library."""
    library = build.build_plugin(report=lambda _: None)
    for name in (LIBRARY_NAME, OPERATORS_NAME):
        (path,) = dynamic_entries(library.with_name(name), "RUNPATH", "RPATH")
        assert path.split(":") == ["$ORIGIN", str(build.find_torch().directory / "lib")]


def test_failing_compiler_leaves_the_old_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LIBRARY_NAME).write_text("old")
    monkeypatch.setattr(build, "find_compiler", lambda: "/bin/false")
    with pytest.raises(BuildError, match="failed: it ended with status 1"):
        build.build_plugin(tmp_path, report=lambda _: None)
    assert (tmp_path / LIBRARY_NAME).read_text() == "old"
    assert not (tmp_path / RECORD_NAME).exists()
    assert len(list(tmp_path.iterdir())) == 1


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BuildError, match=r"no C\+\+ compiler \(no-such-compiler\): install one"):
        build.find_compiler()


@pytest.mark.parametrize("tool", ["cmake", "ninja"])
def test_no_tool(tool: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildError, match=f"{tool} is missing: `pip install {tool}`"):
        build.find_tool(tool)


def test_a_machine_without_make_builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(made NONE)\n"
        "add_custom_target(made ALL COMMAND ${CMAKE_COMMAND} -E touch made)\n"
    )
    monkeypatch.setenv("PATH", str(tmp_path))
    work = tmp_path / "work"
    work.mkdir()
    build.run_cmake(tmp_path, work, {})
    assert (work / "made").exists()


def test_no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(build.metadata, "distribution", absent)
    with pytest.raises(BuildError, match="torch is not installed in this environment"):
        build.find_torch()


def test_found_headers_are_the_installed_ones() -> None:
    lammps, mpi, version = build.find_lammps_headers()
    assert (lammps / "pair.h").exists()
    assert (mpi / "mpi.h").exists()
    assert version == 20250722


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path: path, MissingFileError, "does not exist"),
        (lambda path: path.mkdir(), BuildError, "is no LAMMPS source tree"),
        (lambda path: path.write_text("text"), BuildError, "neither a folder nor a tarball"),
    ],
)
def test_lammps_source_that_is_none(
    make: object, error: type[Exception], message: str, tmp_path: Path
) -> None:
    make(tmp_path / "source")  # type: ignore[operator]
    with pytest.raises(error, match=message):
        build_lammps(LammpsBuild(tmp_path / "source", tmp_path / "prefix"), lambda _: None)
    assert not (tmp_path / "prefix").exists()


def test_tarball_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "readme").write_text("text")
    with tarfile.open(tmp_path / "other.tar", "w") as archive:
        archive.add(tmp_path / "readme", "other/readme")
    with pytest.raises(BuildError, match="is no LAMMPS source tree"):
        build_lammps(LammpsBuild(tmp_path / "other.tar", tmp_path / "prefix"), lambda _: None)


def test_missing_mpi_compiler(tmp_path: Path) -> None:
    settings = LammpsBuild(tmp_path, tmp_path / "prefix", mpi_compiler="no-such-mpicxx")
    with pytest.raises(MissingFileError, match="no-such-mpicxx is not on PATH"):
        build_lammps(settings, lambda _: None)
