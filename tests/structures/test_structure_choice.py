"""One structure of several in a file, and what is said of how files are taken, in the commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import write

from mofmd.cli import main as cli
from mofmd.cli.models.verify import read_structures
from mofmd.errors import InputError
from mofmd.structures.crystals.zif import zif4
from mofmd.study.settings import AnalysisSettings
from mofmd.study.study import run_analysis
from tests.structures.test_cif import cif


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr(sys, "argv", ["mofmd", *words])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    return int(exit_.value.code or 0)


@pytest.fixture
def two_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """ZIF-4, and ZIF-4 without the atoms of a corner of its cell."""
    monkeypatch.chdir(tmp_path)
    write("two.extxyz", [zif4()[:17], zif4()])
    return tmp_path


def test_a_deck_of_one_of_several(
    two_frames: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("generate", "nvt", "--model", "zif4-allegro-s", "--supercell", "1x1x1", "-o", "deck")
    command = (*command, "--structure")
    assert run(monkeypatch, *command, "two.extxyz") == 1
    error = capsys.readouterr().err
    assert "two.extxyz: holds 2 frames; choose one, as in FILE#0, or FILE#-1 for the last" in error
    assert not (two_frames / "deck").exists()
    assert run(monkeypatch, *command, "two.extxyz#1") == 0
    manifest = json.loads((two_frames / "deck" / "manifest.json").read_text())
    assert manifest["structure"]["n_atoms"] == 272


def test_a_note_is_told_and_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    site = "Zn1 Zn 0.1 0.2 0.3"
    Path("my.cif").write_text(cif(site, more="_chemical_formula_sum 'Zn O2'"))
    command = ("generate", "nvt", "--model", "zif4-allegro-s", "-o", "deck")
    assert run(monkeypatch, *command, "--structure", "my.cif") == 0
    error = capsys.readouterr().err
    assert error.count("mofmd: note: structure: my.cif: by _chemical_formula_sum times 1") == 1
    assert (tmp_path / "deck" / "manifest.json").is_file()


def test_analysis_of_one_of_several(two_frames: Path) -> None:
    found = run_analysis(AnalysisSettings(Path("two.extxyz#1"), ("coordination",)))
    assert found.results[0].scalars["coordination number"].value == 4
    (two_frames / "two.cif").write_text(cif(name="first") + cif(name="second"))
    with pytest.raises(InputError, match="holds 2 structures, blocks first, second"):
        run_analysis(AnalysisSettings(two_frames / "two.cif", ("density",)))
    path = Path(f"{two_frames / 'two.cif'}#second")
    (density,) = run_analysis(AnalysisSettings(path, ("density",))).results
    assert density.scalars["density"].value == pytest.approx(65.38 / 1320 * 1.66054, rel=1e-4)


def test_analysis_refuses_atoms_at_one_place(tmp_path: Path) -> None:
    crystal = zif4()
    crystal += Atoms("Zn", [crystal.positions[5]])
    write(tmp_path / "a.vasp", crystal)
    with pytest.raises(InputError, match=r"structure: .* and Zn \d+ are 0\.00 Å apart"):
        run_analysis(AnalysisSettings(tmp_path / "a.vasp", ("rdf",)))


def test_structures_of_the_physics_gate(two_frames: Path) -> None:
    assert [len(atoms) for atoms in read_structures(Path("two.extxyz")) or ()] == [17, 272]
    assert [len(atoms) for atoms in read_structures(Path("two.extxyz#1")) or ()] == [272]
    (two_frames / "in.cif").write_text(cif("ZN1 ZN 0.1 0.2 0.3"))
    (atoms,) = read_structures(Path("in.cif")) or ()
    assert atoms.get_chemical_symbols() == ["Zn"]
