"""The wheel and the source archive: what is in them, and that mofmd works from them."""

import json
import subprocess
import sys
import tarfile
from email import message_from_bytes
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.utils import parse_wheel_filename

from tests.fresh_install import FreshInstall
from tests.reference import REPOSITORY


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> FreshInstall:
    return FreshInstall(tmp_path_factory.mktemp("fresh"))


def sources(folder: str) -> dict[str, bytes]:
    """Return what the checkout has in a folder, by path inside it."""
    top = REPOSITORY / folder
    return {
        path.relative_to(top).as_posix(): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_wheel_is_for_linux_and_any_python(fresh: FreshInstall) -> None:
    _, _, _, tags = parse_wheel_filename(fresh.wheel.name)
    assert {(tag.interpreter, tag.abi) for tag in tags} == {("py3", "none")}
    platforms = {tag.platform for tag in tags}
    assert platforms == {"manylinux_2_28_x86_64", "manylinux_2_28_aarch64"}
    with ZipFile(fresh.wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("dist-info/WHEEL")]
        wheel = message_from_bytes(archive.read(name))
    assert set(wheel.get_all("Tag", [])) == {str(tag) for tag in tags}
    assert wheel["Root-Is-Purelib"] == "true"  # no machine code: `mofmd build` makes it


def test_wheel_has_the_package_and_nothing_else(fresh: FreshInstall) -> None:
    with ZipFile(fresh.wheel) as archive:
        found = {name: archive.read(name) for name in archive.namelist()}
    expected = {f"mofmd/{name}": content for name, content in sources("mofmd").items()}
    for checkout, installed in (
        ("lammps_inputs", "lammps_inputs"),
        ("deploy/environments", "environments"),
        ("deploy/slurm", "slurm"),
    ):
        for name, content in sources(checkout).items():
            expected[f"mofmd/{installed}/{name}"] = content
    assert {name: found[name] for name in found if ".dist-info/" not in name} == expected


def test_main_job_from_the_wheel(fresh: FreshInstall, tmp_path: Path) -> None:
    """A deck, a run on two ranks and its analysis, with nothing of the checkout on the path."""
    told = fresh.shell("python -c 'import mofmd; print(mofmd.__file__)'", tmp_path)
    assert Path(told.strip()).is_relative_to(fresh.prefix)
    fresh.shell(
        "mofmd generate nvt --structure zif-4 --model zif4-allegro-s --supercell 1x1x1 "
        "--set time_ps=0.02 --set frame_interval_fs=5 -o crystal",
        tmp_path,
    )
    fresh.shell("mofmd run crystal --ranks 2", tmp_path)
    fresh.shell("mofmd analyse crystal --observables coordination,density -o analysis", tmp_path)
    status = json.loads((tmp_path / "crystal/status.json").read_text())
    assert status["state"] == "finished"
    results = json.loads((tmp_path / "analysis/results.json").read_text())
    coordination, density = results["results"]
    assert coordination["settings"]["frames_measured"] == 5
    assert coordination["scalars"]["coordination number"]["value"] == 4.0  # N around each Zn
    assert density["scalars"]["density"]["value"] == pytest.approx(1.210, abs=1e-3)  # g/cm³


def test_source_archive_makes_the_same_wheel(fresh: FreshInstall, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as content:
        names = {name.partition("/")[2] for name in content.getnames()}
    assert {"LICENSE", "Makefile", "tests/installation/test_wheel.py"} <= names
    assert not [name for name in names if name.endswith(".npz") or "/sources/" in name]
    assert archive.stat().st_size < 5e6
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*pip, "--no-build-isolation", "--wheel-dir", str(tmp_path), str(archive)],
        check=True,
        capture_output=True,
    )
    again = tmp_path / fresh.wheel.name
    with ZipFile(again) as one, ZipFile(fresh.wheel) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())
        assert all(one.read(name) == other.read(name) for name in one.namelist())
