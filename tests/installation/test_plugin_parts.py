"""The plugin's parts that know neither LAMMPS nor torch: the programs of tests/cpp, run."""

import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

import mofmd

HERE = Path(__file__).parents[1] / "cpp"
PLUGIN = Path(mofmd.__file__).parent / "plugin"
PROGRAMS = sorted(HERE.glob("test_*.cpp"))
# what takes the compiler half a minute; without the sanitizer the suite of the engine runs them
SLOW = {("test_convolution_kernel", "address,undefined"), ("test_dispersion", "address,undefined")}


def told(program: Path, what: str) -> list[str]:
    """Return what a program's comments say, such as the plugin's sources that it tests."""
    lines = re.findall(rf"^// {what}: (.*)$", program.read_text(), re.MULTILINE)
    return [word for line in lines for word in line.split() if word != "none"]


def cases() -> list[tuple[Path, str, str]]:
    """Return program, sanitizer and test of each test; threads where a program says so."""
    return [
        (program, sanitizer, name)
        for program in PROGRAMS
        for sanitizer in ("address,undefined", *told(program, "sanitizer"))
        for name in re.findall(r"^TEST\((\w+)\)", program.read_text(), re.MULTILINE)
    ]


@cache
def compiled(program: Path, sanitizer: str, folder: Path) -> Path:
    binary = folder / f"{program.stem}-{sanitizer}"
    command = [
        *("g++", "-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror"),
        # what a sanitizer adds makes the compiler see gaps in vectors that are filled in a loop
        *(f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", "-Wno-maybe-uninitialized"),
        "-pthread",
        *(f"-I{HERE}", f"-I{HERE / 'include'}", f"-I{PLUGIN}"),
        *(str(PLUGIN / source) for source in told(program, "sources")),
        *(str(program), "-o", str(binary)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]
    return binary


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cpp")


def make_locale_with_a_comma(folder: Path) -> None:
    """Have ``de_DE.UTF-8`` found by programs whose LOCPATH is the folder."""
    locale = folder / "de_DE.UTF-8"
    command = ["localedef", "-i", "de_DE", "-f", "UTF-8", str(locale)]
    if shutil.which(command[0]) is not None and not locale.exists():
        subprocess.run(command, capture_output=True, check=False)
    if not locale.exists():
        pytest.skip("localedef cannot make de_DE.UTF-8 here (Debian: the package locales)")


@pytest.mark.parametrize(
    ("program", "sanitizer", "name"),
    [
        pytest.param(
            *case,
            id=f"{case[0].stem}-{case[2]}-{case[1]}",
            marks=[pytest.mark.long] if (case[0].stem, case[1]) in SLOW else [],
        )
        for case in cases()
    ],
)
def test_part(program: Path, sanitizer: str, name: str, folder: Path) -> None:
    if name == "the_locale_has_no_part":
        make_locale_with_a_comma(folder)
    done = subprocess.run(
        [str(compiled(program, sanitizer, folder)), name],
        env={**os.environ, "LOCPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
