"""LAMMPS data, POSCAR and frames of trajectories as structures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write

from mofmd.errors import InputError, InputWarning
from mofmd.structures.read import read_structure

BOX = "0 9 xlo xhi\n0 8 ylo yhi\n0 10 zlo zhi"
MASSES = "1 65.38\n2 14.007"
ATOMS = "1 1 1 1 1\n2 2 4 4 4"


def data(
    atoms: str = ATOMS,
    header: str = "Atoms # atomic",
    *,
    masses: str | None = MASSES,
    title: str = "two atoms",
    box: str = BOX,
    more: str = "",
    types: int = 2,
) -> str:
    """Text of a LAMMPS data file."""
    lines = [title, "", f"{len(atoms.splitlines())} atoms", f"{types} atom types", "", box, ""]
    if masses is not None:
        lines += ["Masses", "", masses, ""]
    return "\n".join([*lines, more, "", header, "", atoms, ""])


def read(tmp_path: Path, text: str, name: str = "in.data") -> Atoms:
    (tmp_path / name).write_text(text)
    return read_structure(tmp_path / name)


def refuse(tmp_path: Path, text: str, message: str, name: str = "in.data") -> None:
    with pytest.raises(InputError, match=rf"structure: .*{name}: .*{message}"):
        read(tmp_path, text, name)


def read_with_note(tmp_path: Path, text: str, note: str, name: str = "in.data") -> Atoms:
    with pytest.warns(InputWarning, match=rf"structure: .*{name}: .*{note}"):
        return read(tmp_path, text, name)


# LAMMPS data: atom styles


@pytest.mark.parametrize("header", ["named", "Atoms"])
@pytest.mark.parametrize(
    ("style", "before"),
    [
        ("atomic", ["1", "2"]),
        ("charge", ["1 0.5", "2 -0.5"]),
        ("charge", ["1 0", "2 0"]),
        ("molecular", ["7 1", "7 2"]),
        ("full", ["1 1 0.5", "1 2 -1"]),
    ],
)
@pytest.mark.parametrize("flags", ["", " 0 0 0", " -1 0 2"])
def test_atom_styles(
    tmp_path: Path, header: str, style: str, before: list[str], flags: str
) -> None:
    rows = f"2 {before[1]} 4 4.5 4{flags}\n1 {before[0]} 1 1 1{flags}"
    found = read(tmp_path, data(rows, f"Atoms  # {style}" if header == "named" else header))
    assert found.get_chemical_symbols() == ["Zn", "N"]
    moved = np.array([int(word) for word in flags.split()] or [0, 0, 0]) * [9, 8, 10]
    assert found.positions - moved == pytest.approx(np.array([[1, 1, 1], [4, 4.5, 4]]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (data("1 1 1 1 1 1\n2 2 1 4 4 4", "Atoms"), "does not name its style, and 6 columns do"),
        (data("1 1 1 1\n2 2 4 4", "Atoms"), "does not name its style, and 4 columns do not show"),
        (data(header="Atoms # sphere"), "style 'sphere' is not read here, but atomic, charge"),
        (data(header="Atoms # full"), "line 19: 5 columns, expected 7 or 10 of atom style full"),
        (data("1 1 1 1 1\n1 2 4 4 4"), "two atoms have the id 1"),
        (data("1 1 1 1 x\n2 2 4 4 4"), "line 19: 'x', expected a number"),
        (data("1 one 1 1 1\n2 2 4 4 4"), "line 19: 'one', expected a whole number"),
        (data().replace("2 atoms", "3 atoms"), "has 2 lines in its Atoms section, 3 atoms in its"),
        (data().replace("0 9 xlo xhi", ""), "no line '... xlo xhi' in its header"),
        (data().replace("0 9 xlo", "0 9 1 xlo"), "has 3 numbers before xlo xhi, expected 2"),
        (data(box=f"{BOX}\n1 2 xy xz yz"), "has 2 numbers before xy xz yz, expected 3"),
        (data().replace("0 9 xlo", "9 0 xlo"), "xlo xhi: 9 to 0; the box has no volume"),
        (data(title="x, units = lj"), "is in units lj; convert it to metal"),
    ],
)
def test_data_that_cannot_be_taken(tmp_path: Path, text: str, message: str) -> None:
    refuse(tmp_path, text, message)


# LAMMPS data: elements


@pytest.mark.parametrize(
    ("masses", "more", "element"),
    [
        ("1 65.38\n2 14.007", "", "N"),
        ("1 65.38\n2 14.0 # N", "", "N"),
        ("1 65.38\n2 1.0 # HC", "", "H"),
        ("1 65.38\n2 12.0 # CA", "", "C"),
        ("1 65.38\n2 40.078 # CA", "", "Ca"),
        ("1 65.38\n2 58.933 # Co", "", "Co"),
        ("1 65.38\n2 15.9994 # opls_145", "", "O"),
        ("1 65.38\n2 1.0", "Atom Type Labels\n\n1 Zn\n2 H", "H"),
        (None, "Atom Type Labels\n\n1 Zn\n2 C_R", "C"),
    ],
)
def test_elements_of_types(tmp_path: Path, masses: str | None, more: str, element: str) -> None:
    found = read(tmp_path, data(masses=masses, more=more))
    assert found.get_chemical_symbols() == ["Zn", element]


def test_types_by_their_labels(tmp_path: Path) -> None:
    labels = "Atom Type Labels\n\n1 Zn\n2 N"
    text = data("1 Zn 1 1 1\n2 N 4 4 4", masses="Zn 65.38\nN 14.007", more=labels)
    # LAMMPS wants the labels before they are used
    text = text.replace(labels, "").replace("Masses", f"{labels}\n\nMasses")
    assert read(tmp_path, text).get_chemical_symbols() == ["Zn", "N"]


@pytest.mark.parametrize(
    ("masses", "more", "message"),
    [
        (None, "", "has no Masses section, so that nothing says which elements"),
        (None, "Pair Coeffs # lj/cut\n\n1 0.1 3.4\n2 0.1 3", "has no Masses section"),
        ("1 65.38\n2 1.0", "", "type 2 has mass 1 g/mol; .* that of no element: remove its atoms"),
        ("1 65.38\n2 0.4 # M", "", r"type 2 \(M\) has mass 0.4 g/mol; .* dummy particles"),
        ("1 65.38\n2 12.011 # Zn", "", r"type 2 \(Zn\) has mass 12.011 g/mol, which is that of C"),
        ("1 65.38", "", "type 2 has no mass and its label names no element; add Masses"),
        (None, "Atom Type Labels\n\n1 Zn\n2 CA", r"type 2 \(CA\) has no mass"),
    ],
)
def test_types_of_no_element_are_named(
    tmp_path: Path, masses: str | None, more: str, message: str
) -> None:
    refuse(tmp_path, data(masses=masses, more=more), message)


def test_a_type_without_atoms_needs_no_element(tmp_path: Path) -> None:
    found = read(tmp_path, data(masses=f"{MASSES}\n3 1.0", types=3))
    assert found.get_chemical_symbols() == ["Zn", "N"]


def test_deuterium_and_units_real_are_said(tmp_path: Path) -> None:
    text = data(masses="1 65.38\n2 2.014 # H")
    assert read_with_note(tmp_path, text, "1 atoms are deuterium").symbols[1] == "H"
    title = "LAMMPS data file via write_data, version 22 Jul 2025, timestep = 0, units = real"
    assert (
        len(read_with_note(tmp_path, data(title=title), "is in units real; lengths and mass")) == 2
    )


TRICLINIC = """
units metal
atom_style {style}
region box prism 1 10 -2 6 0 10 2 -1.5 1 units box
create_box 2 box
labelmap atom 1 Zn 2 N
create_atoms 1 single 1.95 -1.1 1
create_atoms 2 single 8.45 5.3 9
mass 1 65.38
mass 2 14.007
{charges}
displace_atoms all move 9 0 0
write_data out.data {how}
"""


@pytest.mark.parametrize("how", ["nolabelmap", ""])
@pytest.mark.parametrize("style", ["atomic", "charge", "full"])
def test_files_that_lammps_writes(tmp_path: Path, how: str, style: str) -> None:
    """Triclinic, with origin and image flags: distances are those of the script."""
    charges = "" if style == "atomic" else "set type 1 charge 0.5"
    script = TRICLINIC.format(style=style, charges=charges, how=how)
    (tmp_path / "in.lmp").write_text(script)
    lmp = Path(sys.executable).with_name("lmp")
    done = subprocess.run([lmp, "-in", "in.lmp"], cwd=tmp_path, capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout
    found = read_structure(tmp_path / "out.data")
    assert found.get_chemical_symbols() == ["Zn", "N"]
    assert found.cell.array == pytest.approx(np.array([[9, 0, 0], [2, 8, 0], [-1.5, 1, 10]]))
    assert found.positions[1] - found.positions[0] == pytest.approx([6.5, 6.4, 8])


def test_general_triclinic_boxes(tmp_path: Path) -> None:
    box = "0 9 0 avec\n-8 0 0 bvec\n1 0.5 10 cvec\n0 0 0 abc origin"
    found = read(tmp_path, data(box=box))
    assert found.cell.array == pytest.approx(np.array([[0, 9, 0], [-8, 0, 0], [1, 0.5, 10]]))


def test_data_files_by_the_names_that_lammps_uses(tmp_path: Path) -> None:
    assert len(read(tmp_path, data(), "data.zif4")) == 2
    with pytest.raises(InputError, match="holds one structure; leave out #1"):
        read_structure(f"{tmp_path / 'data.zif4'}#1")


# POSCAR

POSCAR = """comment
1.0
9 0 0
0 9 0
0 0 9
Zn N
1 2
Direct
0.1 0.2 0.3
0.5 0.5 0.5
0.7 0.7 0.7
"""


@pytest.mark.parametrize(
    "text",
    [
        POSCAR,
        re.sub(r"(0\.\d)\n", r"\1 T F T\n", POSCAR.replace("Direct", "Selective\nDirect")),
        POSCAR.replace("Zn N", "Zn_pv/7a2b N_h"),
        POSCAR.replace("1 2", "1 2 ! atoms"),
        POSCAR.replace("1.0", "-729.0"),
        POSCAR.replace("9 0 0", "3 0 0").replace("1.0\n", "3.0 1.0 1.0\n"),
        POSCAR + "\n0.1 0.1 0.1\n0.2 0.2 0.2\n0.3 0.3 0.3\n",
    ],
)
def test_forms_of_poscar(tmp_path: Path, text: str) -> None:
    found = read(tmp_path, text, "POSCAR")
    assert found.get_chemical_symbols() == ["Zn", "N", "N"]
    assert found.cell.array == pytest.approx(9 * np.eye(3))
    assert found.positions[0] == pytest.approx([0.9, 1.8, 2.7])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (POSCAR.replace("Zn N\n", ""), "names no elements: line 6 has the numbers of atoms"),
        (POSCAR.replace("Zn N", "Zn Qq"), "line 6: 'Qq' is no chemical element"),
        (POSCAR.replace("1 2\n", "1 2 3\n"), "has 2 elements, but 3 numbers of atoms"),
        (POSCAR.replace("1 2\n", "1 two\n"), "'1 two', expected the numbers of atoms"),
        (POSCAR.replace("Direct\n", ""), "line 8: '0.1 0.2 0.3', expected Direct or Cartesian"),
        (POSCAR.replace("0.7 0.7 0.7\n", ""), "has the coordinates of 2 atoms, expected 3"),
        (POSCAR.replace("0.7 0.7 0.7", "0.7 0.7"), "line 11: '0.7 0.7', expected three coord"),
        (POSCAR.replace("9 0 0", "9 0"), "line 3: '9 0', expected three numbers"),
        ("1\n2\n", "has 2 lines; a POSCAR has at least eight"),
        (POSCAR + POSCAR.replace("Zn", "Cd"), "holds 2 structures; choose one, as in FILE#0"),
    ],
)
def test_poscars_that_leave_something_open(tmp_path: Path, text: str, message: str) -> None:
    # what another calculation left in the folder says nothing of this file
    (tmp_path / "POTCAR").write_text("  TITEL  = PAW_PBE Cd 06Sep2000\n  TITEL = PAW_PBE O 1\n")
    refuse(tmp_path, text, message, "POSCAR")


def test_elements_of_a_first_line_are_said(tmp_path: Path) -> None:
    text = POSCAR.replace("Zn N\n", "").replace("comment", "Zn N")
    found = read_with_note(tmp_path, text, "those of its first line are taken: Zn N", "POSCAR")
    assert found.get_chemical_symbols() == ["Zn", "N", "N"]


def test_one_of_several_poscars(tmp_path: Path) -> None:
    (tmp_path / "two.vasp").write_text(POSCAR + POSCAR.replace("Zn", "Cd"))
    assert read_structure(tmp_path / "two.vasp", 1).symbols[0] == "Cd"
    assert read_structure(f"{tmp_path / 'two.vasp'}#0").symbols[0] == "Zn"
    with pytest.raises(InputError, match="has no structure 2: they are numbered from 0 to 1"):
        read_structure(tmp_path / "two.vasp", 2)
    with pytest.raises(InputError, match="has no structure 'first': number it from 0 to 1"):
        read_structure(tmp_path / "two.vasp", "first")


# frames


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Copper, silver and a supercell of gold: structures, not a run."""
    path = tmp_path / "many.extxyz"
    gold = bulk("Au", cubic=True).repeat((2, 1, 1))
    write(path, [bulk("Cu", cubic=True), bulk("Ag", cubic=True), gold])
    return path


def test_one_of_several_frames(frames: Path) -> None:
    with pytest.raises(InputError, match="holds 3 frames; choose one, as in FILE#0, or FILE#-1"):
        read_structure(frames)
    formulas = [read_structure(frames, k).get_chemical_formula() for k in (0, 1, 2)]
    assert formulas == ["Cu4", "Ag4", "Au8"]
    assert read_structure(f"{frames}#-1").get_chemical_formula() == "Au8"
    with pytest.raises(InputError, match="has no frame 3: they are numbered from 0 to 2"):
        read_structure(f"{frames}#3")


def test_a_frame_of_a_dump(tmp_path: Path) -> None:
    rows = "ITEM: ATOMS id element xu yu zu\n1 Zn 1 2 3\n2 N 4 4 4\n"
    text = "".join(
        f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n2\nITEM: BOX BOUNDS pp pp pp\n0 9\n0 9\n"
        f"0 {9 + step}\n{rows}"
        for step in (0, 1)
    )
    (tmp_path / "a.lammpstrj").write_text(text)
    assert read_structure(tmp_path / "a.lammpstrj", -1).cell.lengths().tolist() == [9, 9, 10]
    (tmp_path / "a.lammpstrj").write_text(text[:-3])
    with pytest.warns(InputWarning, match="ends within a frame, which is left out"):
        assert len(read_structure(tmp_path / "a.lammpstrj")) == 2


@pytest.mark.parametrize(
    ("symbol", "element", "note"),
    [("ZN", "Zn", ""), ("zn", "Zn", ""), ("D", "H", "1 atoms are deuterium"), ("Q", "", "")],
)
def test_symbols_of_frames(tmp_path: Path, symbol: str, element: str, note: str) -> None:
    text = f'1\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3\n{symbol} 1 1 1\n'
    if note:
        found = read_with_note(tmp_path, text, note, "a.xyz")
    elif element:
        found = read(tmp_path, text, "a.xyz")
    else:
        refuse(tmp_path, text, r"atom 1 is of no known element \(Q\)", "a.xyz")
        return
    assert found.get_chemical_symbols() == [element]
