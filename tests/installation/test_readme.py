"""The worked example of the README runs as it stands, on a shorter schedule."""

import re
from pathlib import Path

import pytest
from ase.io import write

from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.zif import zif4
from tests.reference import REPOSITORY


def test_worked_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (REPOSITORY / "README.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    write(tmp_path / "my-zif.cif", zif4())
    for old, new in (
        (
            '"nequip", Path("my-model.nequip.pth")',
            f'"allegro", Path("{embedded_model("zif4-allegro-s")}")',
        ),
        ("rate_K_per_ps=20, plateau_ps=50", "rate_K_per_ps=1e5, plateau_ps=0.02"),
        ("supercell=", "equilibration_ps=0.01, anneal_ps=0.02, frame_interval_fs=5, supercell="),
    ):
        assert old in example
        example = example.replace(old, new)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {})
    for name in ("in.lammps", "summary.json", "rdf.csv", "timeseries.csv", "figure.png"):
        assert (tmp_path / "glass" / name).stat().st_size > 0


def test_links_of_the_readme() -> None:
    text = (REPOSITORY / "README.md").read_text()
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, heading = target.partition("#")
        assert (REPOSITORY / file).exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", (REPOSITORY / file).read_text(), re.MULTILINE)
            assert heading in [found.lower().replace(" ", "-") for found in headings], target
