"""How long a deck of a universal model takes is said as it is made."""

import re
from pathlib import Path

import pytest
from ase.neighborlist import neighbor_list
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.models.files.deployed import read_manifest, write_with_manifest
from mofmd.models.files.embedded import embedded_model
from mofmd.models.universal import VARIANTS
from mofmd.structures.crystals.zif import zif4


def generated(model: str, folder: Path, *words: str) -> str:
    line = ["generate", "npt", "--structure", "zif-4", "--model", model, "-o", str(folder), *words]
    done = CliRunner().invoke(app, line)
    assert done.exit_code == 0, done.output
    return done.output


def test_hint_of_a_long_run(tmp_path: Path) -> None:
    source = embedded_model("zif4-nequip-s")
    manifest = read_manifest(source)
    named = tmp_path / "named.mofmd.pth"
    write_with_manifest(source, {**manifest, "name": "sevennet-l3i5"}, named)
    told = generated(str(named), tmp_path / "long")
    edges = 8 * len(neighbor_list("i", zif4(), manifest["r_max"]))
    step_s = 1e-6 * VARIANTS["sevennet-l3i5"].model.us_per_edge * edges
    found = re.search(r"takes about ([\d.]+) days \((\d+) steps of ([\d.]+) s", told)
    assert found is not None, told
    assert float(found[3]) == pytest.approx(step_s, rel=0.05)
    assert float(found[1]) == pytest.approx(step_s * int(found[2]) / 86400, rel=0.06)
    # an eighth of the atoms, a twentieth of the time
    words = re.search(r"for a first run: (.*), about ([\d.]+) min", told)
    assert words is not None, told
    assert float(words[2]) == pytest.approx(step_s * int(found[2]) / 160 / 60, rel=0.05)
    assert words[1] == "--supercell 1x1x1 --set time_ps=5"
    assert "takes about" not in generated(str(named), tmp_path / "short", *words[1].split())


def test_no_hint_of_other_models(tmp_path: Path) -> None:
    assert "takes about" not in generated("zif4-nequip-s", tmp_path / "deck")
