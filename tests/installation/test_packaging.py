"""What the package says it needs is what it imports."""

import ast
import re
import sys
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

import mofmd
from tests.reference import REPOSITORY

PACKAGE = Path(mofmd.__file__).parent
# what runs in the environments of the frameworks
EXPORT = PACKAGE / "models" / "export"
TRAINING = PACKAGE / "learning" / "train" / "extension" / "mofmd_training"
# needed for what else is in them, named where it is found
NOT_IMPORTED = {
    "cmake": ("engine/build.py", '"cmake"'),
    "mpich": ("engine/build.py", '"mpich"'),
    "ninja": ("engine/build.py", '"ninja"'),
}
# nothing of these is needed unless phonons, a labeller or SLURM jobs are asked for, which say so;
# by the file that imports them, or the folder
OPTIONAL = {
    "parsl": "simulation/ensemble/ensemble_run.py",
    "phonopy": "phonons/",
    "seekpath": "phonons/",
    "tblite": "calculator/xtb.py",
}
# what the pinned nequip, mace-torch and sevenn bring along
BROUGHT = {
    "e3nn": {"nequip", "mace", "sevennet"},
    "lightning": {"nequip"},
    "matscipy": {"nequip"},
    "nequip": {"nequip"},
    "mace": {"mace"},
    "sevenn": {"sevennet"},
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(group: str | None = None) -> set[str]:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    lines = project["optional-dependencies"][group] if group else project["dependencies"]
    return {canonical(re.split(r"[\s\[<>=!~;]", line)[0]) for line in lines}


def imported(file: Path) -> set[str]:
    """Return the modules of other packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [str(node.module)]
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func).endswith(("import_module", "find_spec"))
            and isinstance(node.args[0], ast.Constant)
        ):
            names = [str(node.args[0].value)]
        else:
            continue
        found |= {name.partition(".")[0] for name in names}
    return found - set(sys.stdlib_module_names) - {"mofmd"}


def all_imported() -> dict[str, set[Path]]:
    """Return the files that import each module, without those of the frameworks' environments."""
    found: dict[str, set[Path]] = {}
    for file in PACKAGE.rglob("*.py"):
        if not {EXPORT, TRAINING} & set(file.parents):
            for module in imported(file):
                found.setdefault(module, set()).add(file.relative_to(PACKAGE))
    return found


@cache
def installed_modules() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def distributions(module: str) -> set[str]:
    """Return the packages that install a module; its own name where it is not installed."""
    return {canonical(name) for name in installed_modules().get(module, [module])}


def test_everything_that_is_imported_is_declared() -> None:
    found = all_imported()
    assert len(found) > 15
    undeclared = {
        module: sorted(map(str, files))
        for module, files in found.items()
        if not distributions(module) & declared() and module not in OPTIONAL
    }
    assert undeclared == {}
    for module, file in OPTIONAL.items():
        files = {str(each) for each in found[module]}
        assert all(each == file or (file[-1] == "/" and f"/{file}" in f"/{each}") for each in files)
        assert module in declared("dev") | declared("slurm") | declared("phonons")


def test_everything_that_is_declared_is_used() -> None:
    used = set().union(*map(distributions, all_imported()))
    assert declared() - used == set(NOT_IMPORTED)
    for file, words in NOT_IMPORTED.values():
        assert words in (PACKAGE / file).read_text()


@pytest.mark.parametrize("framework", ["nequip", "mace", "sevennet"])
def test_scripts_of_the_frameworks(framework: str) -> None:
    """They import what comes with the framework, and themselves."""
    files = {
        file: imported(file)
        for file in (*EXPORT.glob("*.py"), *TRAINING.glob("*.py"))
        if next((f for f in ("mace", "sevennet") if file.stem.startswith(f)), "nequip") == framework
    }
    assert files
    own = {file.stem for file in EXPORT.glob("*.py")} | {"mofmd_training"}
    for file, modules in files.items():
        others = modules - own - {"torch", "numpy", "ase"}
        assert {m for m in others if framework not in BROUGHT.get(m, set())} == set(), file
