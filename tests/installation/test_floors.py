"""The order of the house: which part of mofmd may import which, and how full a folder may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mofmd

PACKAGE = Path(mofmd.__file__).parent
# From the ground up; a part imports from its own floor's own folder and from floors below.
FLOORS = [
    ["errors", "units", "arrays", "compiled"],
    ["processes"],
    ["disk"],
    ["geometry", "figure_style"],
    ["trajectory"],
    ["topology"],
    ["structures"],
    ["engine"],
    ["builders", "analysis"],
    ["models"],
    ["calculator"],
    ["relaxation"],
    ["simulation"],
    ["study"],
    ["report"],
    ["learning", "phonons", "demo", "doctor"],
    ["cli"],
    ["__main__"],
]
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# The plugin's folders, likewise, by their includes.
PLUGIN_FLOORS = [
    ["base"],
    ["gpu"],
    ["graph"],
    ["density", "dispersion", "exchange", "kernels"],
    ["model"],
    ["lammps"],
]
MOST_FILES = 14


def modules() -> list[Path]:
    # export/ runs in the frameworks' environments, where there is no mofmd: its modules import
    # each other by bare name
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "export" not in path.parts]


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted names under mofmd that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            if node.module == "mofmd":
                yield from (alias.name for alias in node.names)
            elif (node.module or "").startswith("mofmd."):
                yield str(node.module).removeprefix("mofmd.")
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("mofmd."):
                    yield alias.name.removeprefix("mofmd.")


def test_every_part_has_its_floor() -> None:
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in modules()}
    assert parts - {"__init__"} == set(FLOOR)


def test_no_module_imports_from_a_floor_above() -> None:
    wrong = []
    for path in modules():
        inside = path.relative_to(PACKAGE)
        here = inside.parts[0].removesuffix(".py")
        if here == "__init__":  # the front door opens on every floor
            continue
        for name in imported(path):
            there = name.split(".")[0]
            if there in FLOOR and here != there and FLOOR.get(here, -1) <= FLOOR[there]:
                wrong.append(f"{inside} imports mofmd.{name}")
    assert not wrong, "\n".join(wrong)


def test_no_source_of_the_plugin_includes_from_a_floor_above() -> None:
    floor = {name: number for number, names in enumerate(PLUGIN_FLOORS) for name in names}
    folders = {path.name for path in (PACKAGE / "plugin").iterdir() if path.is_dir()}
    assert folders == set(floor)
    wrong = []
    for path in sorted((PACKAGE / "plugin").rglob("*.*")):
        here = path.relative_to(PACKAGE / "plugin").parts[0]
        for line in path.read_text(encoding="utf-8").splitlines():
            there = line.removeprefix('#include "').split("/")[0]
            other = line.startswith('#include "') and there in floor and there != here
            if other and floor[here] <= floor[there]:
                wrong.append(f"{here}/{path.name}: {line}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("suffixes", [(".py",), (".cpp", ".h")])
def test_folders_are_not_crowded(suffixes: tuple[str, ...]) -> None:
    folders: dict[Path, int] = {}
    for path in PACKAGE.rglob("*"):
        if path.suffix in suffixes and path.name != "__init__.py":
            folders[path.parent] = folders.get(path.parent, 0) + 1
    crowded = {str(k.relative_to(PACKAGE)): n for k, n in folders.items() if n > MOST_FILES}
    assert not crowded
