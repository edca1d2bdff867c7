"""``mofmd defects`` and ``mofmd learn cut``: files, words, and what people get wrong."""

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read, write

from mofmd.builders.defects.characterise import characterise
from mofmd.cli import main as cli
from mofmd.structures.crystals.carboxylate import uio66
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.read import read_structure
from tests.reference import REPOSITORY, reference_path


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*command: str) -> int:
    before = sys.argv
    sys.argv = ["mofmd", *command]
    try:
        with pytest.raises(SystemExit) as exit_:
            cli.main()
    finally:
        sys.argv = before
    assert isinstance(exit_.value.code, int)
    return exit_.value.code


@pytest.mark.parametrize("suffix", ["extxyz", "cif", "data"])
@pytest.mark.parametrize(
    ("kind", "atoms", "code"),
    [
        ("ld", 448, "(0.00-0.00-0.04)"),
        ("hf", 456, "(0.04-0.00-0.00)"),
        ("reo", 294, "(0.00-0.25-0.50)"),
        ("bcu", 392, "(0.00-0.00-0.33)"),
        ("scu", 262, "(0.00-0.25-0.67)"),
    ],
)
def test_kinds_in_all_formats(kind, atoms, code, suffix, capsys):
    assert run("defects", kind, "uio-66", "-o", f"made.{suffix}") == 0
    assert f"made.{suffix}: {code} metals-nodes-linkers, {atoms} atoms" in capsys.readouterr().out
    made = read_structure(f"made.{suffix}")
    assert len(made) == atoms
    assert characterise(made).charge == 0
    # what one format says the others do
    assert run("defects", kind, "uio-66", "-o", "other.extxyz") == 0
    other = read_structure("other.extxyz")
    np.testing.assert_allclose(
        np.sort(made.get_all_distances(mic=True).ravel()),
        np.sort(other.get_all_distances(mic=True).ravel()),
        atol=1e-5,
    )


def test_seven_classes_in_a_folder(capsys):
    assert run("defects", "ld-2", "uio-66", "-o", "ld-2", "--format", "cif") == 0
    assert capsys.readouterr().out.count("440 atoms") == 7
    with Path("ld-2/classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [f"ld-2-{k}.cif" for k in range(1, 8)]
    assert sorted(int(row["multiplicity"]) for row in rows) == [12, 12, 12, 24, 24, 96, 96]
    for row in rows:
        found = characterise(read_structure(f"ld-2/{row['file']}"))
        assert found.n_atoms == 440
        told = " ".join(f"{n}x{k}" for k, n in found.coordination.items())
        assert told == row["coordination"]
    first = {path.name: path.read_bytes() for path in Path("ld-2").iterdir()}
    assert run("defects", "ld", "uio-66", "--count", "2", "-o", "ld-2") == 1
    assert "exists; choose another folder, or replace it (--overwrite)" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in Path("ld-2").iterdir()} == first
    again = ("defects", "ld", "uio-66", "--count", "2", "-o", "ld-2", "--overwrite")
    assert run(*again, "--format", "cif") == 0
    assert {path.name: path.read_bytes() for path in Path("ld-2").iterdir()} == first
    assert run("defects", "ld-2", "uio-66", "-o", "third.cif", "--class", "3") == 0
    assert Path("third.cif").read_bytes() == first["ld-2-3.cif"]


@pytest.mark.parametrize("suffix", ["extxyz", "cif", "data"])
def test_same_seed_same_bytes(suffix):
    def made(name: str, seed: int) -> bytes:
        path = f"{name}.{suffix}"
        size, fractions = ("--supercell", "2x2x1"), ("--linkers", ".2", "--nodes", ".1")
        command = ("defects", "random", "uio-66", *size, *fractions, "--metal", "Hf=.2")
        assert run(*command, "--seed", str(seed), "-o", path) == 0
        return Path(path).read_bytes()

    assert made("one", 5) == made("two", 5) != made("three", 6)


def test_final_numbers_of_the_paper(capsys):
    size, numbers = ("--supercell", "4x4x4"), ("--nodes", "34", "--linkers", "611")
    command = ("defects", "random", "uio-66", *size, *numbers, "--metal", "Hf=.21")
    command = (*command, "--seed", "1", "-o", "sup.extxyz")
    assert run(*command) == 0
    assert re.search(
        r"\(0\.21-0\.13-0\.40\) .* 22052 atoms .* mean coordination 8\.33", capsys.readouterr().out
    )
    assert run("defects", "characterise", "sup.extxyz", "--pristine", "uio-66") == 0
    assert "(0.21-0.13-0.40)" in capsys.readouterr().out
    fractions = [*command]
    fractions[fractions.index("34")] = ".133"
    fractions[fractions.index("611")] = ".398"
    assert run(*fractions, "--final") == 0
    assert len(read_structure("sup.extxyz")) == 22052


def test_loose_pieces_are_told_of(capsys):
    for seed in range(20):
        command = ("defects", "random", "uio-66", "--linkers", ".85", "--seed", str(seed))
        assert run(*command, "-o", "made.extxyz") == 0
        told = capsys.readouterr().out
        if "hung on nothing, and were dropped" in told:
            return
    pytest.fail("no draw left a loose piece")


def test_characterise_says_how_to_know_what_is_missing(capsys):
    assert run("defects", "characterise", "uio-66") == 0
    told = capsys.readouterr()
    assert "(0.00-?-?)" in told.out
    assert "name it (--pristine uio-66)" in told.err
    assert run("defects", "characterise", "uio-66", "--pristine", "uio-66") == 0
    assert "--pristine" not in capsys.readouterr().err


def test_characterise_several_files(capsys):
    files = [str(reference_path(f"mofs/uio66_thornton2016/UiO66_{name}.cif"))
             for name in ("formate_reo", "OHH2O_z8")]  # fmt: skip
    assert run("defects", "characterise", *files, "--pristine", "uio-66", "-o", "c.json") == 0
    found = json.loads(Path("c.json").read_text())
    assert [found[file]["missing_linkers"] for file in files] == pytest.approx([0.5, 1 / 3])
    assert found[files[1]]["caps"] == {"H2O": 16, "HO": 16}
    assert "12 formate" in capsys.readouterr().out


def test_other_caps_and_frameworks(capsys):
    assert run("defects", "ld", "mof-5", "--cap", "acetate", "-o", "made.cif") == 0
    assert "422 atoms" in capsys.readouterr().out
    assert run("defects", "hf", "mof-5", "--metal", "Cd", "-o", "made.cif") == 0
    assert "Zn31" in capsys.readouterr().out
    assert run("defects", "hf", "uio-66", "--count", "2", "-o", "hf-2") == 0
    assert len(list(Path("hf-2").glob("hf-2-*.extxyz"))) == 8


def test_clusters_of_a_frame(capsys):
    assert run("defects", "ld", "uio-66", "-o", "ld.extxyz") == 0
    frame = read_structure("ld.extxyz")
    hot = []
    for seed in range(2):
        moved = frame.copy()
        moved.rattle(0.12, seed=seed)
        moved.set_array("novelty", np.where(np.arange(448) == 447, 1.5, 0.1))
        hot.append(moved)
    write("hot.extxyz", hot)
    capsys.readouterr()
    cut = ("learn", "cut", "hot.extxyz", "--reference", "ld.extxyz", "-o", "clusters.extxyz")
    flags = ("--column", "novelty", "--above", "1", "--blueprints", "blueprints.json")
    assert run(*cut, *flags) == 0
    assert "clusters.extxyz: 2 clusters of 2 frames" in capsys.readouterr().out
    clusters = read("clusters.extxyz", index=":")
    assert [len(cluster) for cluster in clusters] == [176, 176]
    for k, cluster in enumerate(clusters):
        assert not cluster.pbc.any()
        assert cluster.info["trajectory"] == "hot"
        assert cluster.info["frame"] == k
        assert set(cluster.arrays["role"]) == {"core", "mantle", "cap"}
        assert cluster.arrays["frame_atom"][cluster.arrays["flagged"]].tolist() == [447]
    (blueprint,) = json.loads(Path("blueprints.json").read_text())
    assert blueprint["clusters"] == 2
    assert run(*cut, "--element", "Zr") == 0
    assert run(*cut, "--atoms", "1,3-5", "--shells", "0") == 0
    assert run(*cut, "--every-block") == 0
    assert len(read("clusters.extxyz", index=":")) == 2 * 27


def test_cores_that_cannot_be_cut_are_left_out_on_request(capsys):
    write("bad.extxyz", uio66() + Atoms("He", [[5.2, 5.2, 5.2]]))
    cut = ("learn", "cut", "bad.extxyz", "--every-block", "-o", "clusters.extxyz")
    assert run(*cut) == 1
    assert "1 clusters cannot be cut: frame 0 (trajectory bad), core He: He is a guest" in (
        capsys.readouterr().err
    )
    assert not Path("clusters.extxyz").exists()
    assert run(*cut, "--leave-out-refused") == 0
    assert "left out, frame 0" in capsys.readouterr().out
    assert len(read("clusters.extxyz", index=":")) == 28


def hot_frame() -> None:
    atoms = uio66()
    atoms.rattle(0.35, seed=1)
    write("hot.extxyz", atoms)


def pristine() -> None:
    write("pr.extxyz", uio66())


def zif() -> None:
    write("zif.cif", zif4())


CUT = ("learn", "cut", "pr.extxyz", "-o", "c.extxyz")
RANDOM = ("defects", "random", "uio-66", "-o", "made.extxyz")
CASES = {
    "zif": (zif, ("defects", "ld", "zif.cif", "-o", "x.cif"), "linker C3H3N2 .* charge"),
    "zif cut": (zif, ("learn", "cut", "zif.cif", "--every-block", "-o", "c.extxyz"), "C3H3N2"),
    "fraction": (None, (*RANDOM, "--linkers", "1.2"), "linkers: '1.2', expected a fraction from 0"),
    "negative": (None, (*RANDOM, "--nodes", "-1"), "nodes: '-1', expected a number of at least 0"),
    "word": (None, (*RANDOM, "--nodes", "some"), "nodes: 'some', expected"),
    "count": (None, (*RANDOM, "--linkers", "25"), "linkers: 25, but there are only 24"),
    "few linkers": (None, (*RANDOM, "--nodes", "1", "--linkers", "3"), "took at least 12 linkers"),
    "nothing left": (None, (*RANDOM, "--linkers", "24"), "more became loose"),
    "nothing": (None, RANDOM, "defects: none are asked for"),
    "metal": (None, (*RANDOM, "--metal", "Hf"), "metal: 'Hf', expected Hf=.2"),
    "metal twice": (None, (*RANDOM, "--metal", "Hf=1", "--metal", "Hf=2"), "Hf is given twice"),
    "metal charge": (None, (*RANDOM, "--metal", "Zn=.5"), r"Zn \(charge \+2\) cannot take"),
    "charge": (None, (*RANDOM, "--metal", "Fe=1", "--charge", "Fe=x"), "charge: Fe=x, expected"),
    "ion": (None, (*RANDOM, "--metal", "Fe=1"), "Fe has several ions.*--charge Fe=3"),
    "supercell": (None, (*RANDOM, "--linkers", "1", "--supercell", "2x2"), "supercell: '2x2'"),
    "format": (None, ("defects", "ld", "uio-66", "-o", "x.pdb"), "format .pdb is not written"),
    "one file": (None, ("defects", "ld-2", "uio-66", "-o", "x.cif"), "7 structures that differ"),
    "class": (None, ("defects", "ld-2", "uio-66", "-o", "x.cif", "--class", "8"),
              "class: 8, but they are numbered from 1 to 7"),
    "many": (None, ("defects", "ld", "uio-66", "-o", "x", "--count", "9"), "more than can be gone"),
    "too many": (None, ("defects", "ld", "uio-66", "-o", "x", "--count", "25"), "expected 1 to 24"),
    "zero": (None, ("defects", "ld", "uio-66", "-o", "x", "--count", "0"), "count: 0, expected 1"),
    "net": (None, ("defects", "reo", "mof-5", "-o", "x.cif"), "made of the fcu net"),
    "file": (pristine, ("defects", "ld-2", "uio-66", "-o", "pr.extxyz/x"), "pr.extxyz"),
    "pristine": (pristine, ("defects", "characterise", "pr.extxyz", "--supercell", "2x2x2"),
                 "supercell: is of the pristine framework"),
    "other pristine": (pristine, ("defects", "characterise", "uio-66", "--pristine", "mof-5"),
                       "pristine: "),
    "hot": (hot_frame, ("learn", "cut", "hot.extxyz", "--every-block", "-o", "c.extxyz"),
            r"frame 0 \(trajectory hot\): .*--reference"),
    "other reference": (pristine, (*CUT, "--every-block", "--reference", "mof-5"),
                        "its atoms are not those of the reference"),
    "no flags": (pristine, CUT, "flags: name atoms in one way"),
    "two ways": (pristine, (*CUT, "--every-block", "--element", "Zr"), "flags: name atoms in one"),
    "column": (pristine, (*CUT, "--column", "novelty"), "has no column 'novelty'"),
    "above": (pristine, (*CUT, "--every-block", "--above", "1"), "above: is a value of a column"),
    "element": (pristine, (*CUT, "--element", "Hf"), "the frame holds no Hf"),
    "atoms": (pristine, (*CUT, "--atoms", "0"), "atoms: 0, expected numbers from 1 to 456"),
    "range": (pristine, (*CUT, "--atoms", "9-3"), "atoms: 9-3, expected numbers"),
    "letters": (pristine, (*CUT, "--atoms", "a"), "atoms: 'a', expected numbers from 1"),
    "largest": (pristine, (*CUT, "--element", "Zr", "--largest", "100"), "186 atoms, more than"),
    "shells": (pristine, (*CUT, "--element", "Zr", "--shells", "2", "--largest", "9999"), "twice"),
    "data": (pristine, (*CUT[:-1], "c.cif", "--element", "Zr"), "written as extended XYZ"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_one_message_that_names_it(name, tmp_path, capsys):
    prepare, command, message = CASES[name]
    if prepare is not None:
        prepare()
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    assert run(*command) == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert re.search(f"mofmd: error: .*{message}", error, flags=re.DOTALL), error
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_the_examples_of_the_manual_run(capsys):
    """Each command line and the Python of docs/defects.md, in turn, in one folder."""
    text = (REPOSITORY / "docs" / "defects.md").read_text()
    lines = [line.split("#")[0].split() for block in re.findall(r"```\n(.*?)```", text, re.DOTALL)
             for line in block.splitlines() if line.startswith("mofmd ")]  # fmt: skip
    assert len(lines) > 8
    for line in lines:
        assert run(*line[1:]) == 0, (line, capsys.readouterr().err)
    for example in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(example, "docs/defects.md", "exec"), {})
