"""CIF: settings, elements, sites, blocks, and what is checked of the structure that was read."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import gemmi
import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from mofmd.errors import InputError, InputWarning
from mofmd.reading.read import read_structure

COLUMNS = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
CUBE = (10.0, 11.0, 12.0, 90.0, 90.0, 90.0)


def cif(
    sites: str = "Zn1 Zn 0.1 0.2 0.3",
    symmetry: str = "_space_group_name_H-M_alt 'P 1'",
    *,
    cell: tuple[float | str, ...] = CUBE,
    columns: tuple[str, ...] = COLUMNS,
    more: str = "",
    name: str = "x",
) -> str:
    """Text of a block."""
    tags = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{name}", *(f"_cell_{t} {v}" for t, v in zip(tags, cell, strict=True))]
    lines += [symmetry, more, "loop_", *(f"_atom_site_{column}" for column in columns), sites]
    return "\n".join(lines) + "\n"


def operations(*triplets: str) -> str:
    return "\n".join(
        ["loop_", "_space_group_symop_operation_xyz", *(f"'{word}'" for word in triplets)]
    )


def read(tmp_path: Path, text: str | bytes, which: str | int | None = None) -> Atoms:
    """Read a CIF that needs no note."""
    path = tmp_path / "in.cif"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_structure(path, which)


def read_with_note(tmp_path: Path, text: str | bytes, note: str) -> Atoms:
    with pytest.warns(InputWarning, match=rf"structure: .*in\.cif: .*{note}"):
        return read(tmp_path, text)


def refuse(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=rf"structure: .*in\.cif: .*{message}"):
        read(tmp_path, text)


# settings


def fitting_cell(group: gemmi.SpaceGroup) -> tuple[float, ...]:
    """Cell of the group's lattice: a metric made the mean of its images."""
    rotations = [np.array(op.rot) // gemmi.Op.DEN for op in group.operations()]
    start = np.array([[23.0, 0, 0], [-2.0, 27.0, 0], [4.0, -3.0, 31.0]])
    metric = np.mean([r.T @ start @ start.T @ r for r in rotations], axis=0)
    lengths = np.sqrt(np.diag(metric))
    cosines = (metric / np.outer(lengths, lengths))[[1, 0, 0], [2, 2, 1]]
    return (*lengths.round(6), *np.degrees(np.arccos(cosines)).round(6))


@pytest.mark.parametrize("number", range(1, 231))
def test_every_setting_is_the_one_its_symbol_says(tmp_path: Path, number: int) -> None:
    """Without operations, against gemmi's operations, in all settings of its table."""
    position = np.array([0.1237, 0.2171, 0.3413])
    for group in gemmi.spacegroup_table():
        if group.number != number:
            continue
        symbol = f"_symmetry_space_group_name_H-M '{group.xhm()}'\n_space_group_IT_number {number}"
        row = "O1 O " + " ".join(map(str, position))
        found = read(tmp_path, cif(row, symbol, cell=fitting_cell(group)))
        expected = np.array([op.apply_to_xyz(position.tolist()) for op in group.operations()])
        assert len(found) == len(expected)
        apart = found.get_scaled_positions()[:, None] - expected[None]
        assert np.abs(apart - np.round(apart)).max(axis=2).min(axis=1).max() < 1e-9, group.xhm()


@pytest.mark.parametrize(
    ("symbol", "meant"),
    [
        ("P 21/n", "P 1 21/n 1"),
        ("P2(1)/n", "P 1 21/n 1"),
        ("P 2_1/n", "P 1 21/n 1"),
        ("Pbc21", "P b c 21"),
        ("F d -3 m Z", "F d -3 m:2"),
        ("F d -3 m S", "F d -3 m:1"),
        ("Fd-3m:2", "F d -3 m:2"),
        ("F d -3 m (origin choice 2)", "F d -3 m:2"),
        ("R -3 m H", "R -3 m:H"),
        ("R-3mR", "R -3 m:R"),
        ("C m c e", "C m c a"),
        ("I M M 2", "I m m 2"),
        ("P 1 (no. 1)", "P 1"),
    ],
)
def test_ways_to_write_a_symbol(tmp_path: Path, symbol: str, meant: str) -> None:
    group = gemmi.find_spacegroup_by_name(meant)
    cell, row = fitting_cell(group), "O1 O 0.1237 0.2171 0.3413"
    found, expected = (
        read(tmp_path, cif(row, f"_space_group_name_H-M_alt '{word}'", cell=cell))
        for word in (symbol, meant)
    )
    assert found.positions == pytest.approx(expected.positions)


def test_axes_of_a_rhombohedral_group_follow_the_cell(tmp_path: Path) -> None:
    symbol, sites = "_symmetry_space_group_name_H-M 'R -3 m'", "Zn1 Zn 0 0 0\nO1 O 0.1 0.2 0.3"
    rhombohedral = cif(sites, symbol, cell=(10, 10, 10, 60, 60, 60))
    hexagonal = cif(
        sites.replace("0.1 0.2 0.3", "0.34 0.01 0.93"), symbol, cell=(10, 10, 25, 90, 90, 120)
    )
    assert len(read(tmp_path, rhombohedral)) == 13
    assert len(read(tmp_path, hexagonal)) == 39
    wrong = cif(sites, "_space_group_name_H-M_alt 'R -3 m :H'", cell=(10, 10, 10, 60, 60, 60))
    refuse(tmp_path, wrong, "lengths and angles are not those of R -3 m:H.*do not map it on itself")


def test_an_origin_left_open_is_found_by_what_else_the_file_says(tmp_path: Path) -> None:
    """Diamond: 8 carbons at 1/8 with origin 2; with origin 1 the site makes 16."""
    symbol, cell = "_space_group_name_H-M_alt 'F d -3 m'", (3.567, 3.567, 3.567, 90, 90, 90)
    site = "C1 C 0.125 0.125 0.125"
    formula = "_chemical_formula_sum C\n_cell_formula_units_Z 8"
    note = "F d -3 m:2 is taken: in F d -3 m:1 by .* times 8 the cell holds 16 C instead of 8"
    assert len(read_with_note(tmp_path, cif(site, symbol, cell=cell, more=formula), note)) == 8
    wide = (12.0, 12.0, 12.0, 90, 90, 90)
    open_ = cif("O1 O 0.52 0.6 0.81", symbol, cell=wide)
    refuse(tmp_path, open_, "may mean F d -3 m:1 or F d -3 m:2, which give different structures")
    coded = symbol + "\n_space_group_IT_coordinate_system_code 2"
    assert len(read(tmp_path, cif(site, coded, cell=wide))) == 8
    multiplicities = cif(
        "O1 O 0.125 0.125 0.125 8", symbol, cell=wide, columns=(*COLUMNS, "symmetry_multiplicity")
    )
    note = "F d -3 m:2 is taken: in F d -3 m:1 site O1 makes 16 atoms .* multiplicity is 8"
    assert len(read_with_note(tmp_path, multiplicities, note)) == 8


def test_operations_need_no_symbol(tmp_path: Path) -> None:
    found = read(tmp_path, cif(symmetry=operations("x,y,z", "-x+1/2, y+1/2, -z+1/2", "X,Y,Z")))
    image = np.array([0.4, 0.7, 0.2])
    assert found.get_scaled_positions() == pytest.approx(np.array([[0.1, 0.2, 0.3], image]))
    # a list in quotes or without, with decimal shifts, in a tag of an older dictionary
    older = (
        "loop_\n_symmetry_equiv_pos_site_id\n_symmetry_equiv_pos_as_xyz\n1 x,y,z\n"
        "2 0.5-x,y+.5,0.5-z"
    )
    assert read(tmp_path, cif(symmetry=older)).positions == pytest.approx(found.positions)
    hall = "_space_group_name_Hall '-P 2yn'"
    assert len(read(tmp_path, cif(symmetry=hall, cell=(10, 11, 12, 90, 98, 90)))) == 4


@pytest.mark.parametrize(
    ("symmetry", "message"),
    [
        (operations("-x,-y,-z"), "operations lack x,y,z"),
        (operations("x,y,z", "-y,x,z"), "the 2 operations make no group"),
        (operations("x,y,z", "-x,-y"), "'-x,-y' is no symmetry operation, such as"),
        (operations("x,y,z", "2x,y,z"), "'2x,y,z' is no symmetry operation"),
        (
            operations("x,y,z", "-x,-y,-z") + "\n_space_group_name_H-M_alt 'P 1'",
            r"operations are of P -1 \(no. 2\), but the space group is given as P 1 \(no. 1\)",
        ),
        (
            operations("x,y,z") + "\n_space_group_name_H-M_alt 'F m -3 m'",
            r"operations are of P 1 .* F m -3 m .*\(P 1, no. 1, if all atoms of the cell are",
        ),
        (operations("x,y,z") + "\n_symmetry_Int_Tables_number 62", "given as P n m a"),
        (
            "_space_group_name_H-M_alt 'P 1 21/n 1'\n_space_group_IT_number 15",
            "'P 1 21/n 1' is no. 14, but the number is given as 15",
        ),
        (
            "_space_group_name_H-M_alt 'P -1'\n_space_group_name_Hall 'P 1'",
            "Hall symbol 'P 1' is of no. 1, but symbol 'P -1' of no. 2",
        ),
        ("_space_group_name_Hall 'garbage'", "Hall symbol 'garbage' is unknown; write the"),
        ("_space_group_name_H-M_alt 'my own'", "space group 'my own' is unknown; write the oper"),
        ("_space_group_IT_number 231", "'231', expected a number from 1 to 230"),
        ("_space_group_IT_number 2\n_symmetry_Int_Tables_number 1", "numbers .* differ"),
        (
            "_space_group_name_H-M_alt 'F d -3 m'\n_space_group_IT_coordinate_system_code 3",
            "coordinate_system_code '3' is no setting of no. 227",
        ),
    ],
)
def test_contradictions_of_the_symmetry_are_named(
    tmp_path: Path, symmetry: str, message: str
) -> None:
    refuse(tmp_path, cif(symmetry=symmetry), message)


def test_operations_need_no_name_that_a_table_knows(tmp_path: Path) -> None:
    names = "\n_space_group_name_Hall 'my Hall'\n_space_group_name_H-M_alt 'my own'"
    assert len(read(tmp_path, cif(symmetry=operations("x,y,z", "-x,-y,-z") + names))) == 2


def test_operations_of_another_setting_than_the_symbol_count(tmp_path: Path) -> None:
    group = gemmi.find_spacegroup_by_name("P 1 21/n 1")
    listed = operations(*(op.triplet() for op in group.operations()))
    text = cif(
        symmetry=listed + "\n_space_group_name_H-M_alt 'P 21/c'", cell=(10, 11, 12, 90, 98, 90)
    )
    note = "operations are those of P 1 21/n 1, the symbol says P 1 21/c 1; the operations are"
    found = read_with_note(tmp_path, text, note)
    assert np.abs(found.get_scaled_positions() - [0.4, 0.7, 0.2]).max(axis=1).min() < 1e-9


def test_no_symmetry_and_a_number_alone_are_said(tmp_path: Path) -> None:
    assert len(read_with_note(tmp_path, cif(symmetry=""), "says nothing of symmetry")) == 1
    assert (
        len(read_with_note(tmp_path, cif(symmetry="_space_group_name_H-M_alt ?"), "says no")) == 1
    )
    number = cif(symmetry="_space_group_IT_number 2")
    assert (
        len(read_with_note(tmp_path, number, "by number 2 alone; the standard setting P -1")) == 2
    )


# special positions and numbers


def test_rounded_special_positions_are_one_atom_in_its_place(tmp_path: Path) -> None:
    symbol, cell = "_space_group_name_H-M_alt 'P 63/m m c'", (30, 30, 14, 90, 90, 120)
    for third, two_thirds in (("0.3333", "0.6667"), ("0.333", "0.667"), ("0.33333(2)", ".66667")):
        found = read(tmp_path, cif(f"Zn1 Zn {third} {two_thirds} 0.25", symbol, cell=cell))
        expected = np.array([[1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]])
        assert found.get_scaled_positions() == pytest.approx(expected, abs=1e-12)


def test_an_atom_beside_a_symmetry_element_is_refused(tmp_path: Path) -> None:
    text = cif("H1A H 0.01 0.2 0.3", "_space_group_name_H-M_alt 'P m m m'")
    refuse(tmp_path, text, "site H1A and its own image are 0.20 Å apart: it is disordered about")


def test_numbers_with_uncertainties_and_beyond_the_cell(tmp_path: Path) -> None:
    cell = ("10.00(2)", "11.000(3)", "12", "90", "90.0(1)", "90.")
    found = read(tmp_path, cif("Zn1 Zn -0.1(1) 1.250(12) 3E-1\nO1 O -1e-17 0 0", cell=cell))
    assert found.get_scaled_positions() == pytest.approx(np.array([[0.9, 0.25, 0.3], [0, 0, 0]]))
    assert found.cell.cellpar() == pytest.approx(CUBE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (cif("O1 O 0 0 0\nH5 H ? 0.1 0.2"), "site H5 has no position .fract_x is .|site H5 has no"),
        (cif("O1 O 0 0 0\nH5 H 0.1 . 0.2"), r"site H5 has no position \(_atom_site_fract_y is \."),
        (cif("O1 O 0 0 1/3"), "site O1: _atom_site_fract_z is '1/3', expected a number"),
        (cif(cell=("?", *CUBE[1:])), "_cell_length_a is missing, so that there is no cell"),
        (cif(cell=("ten", *CUBE[1:])), "_cell_length_a is 'ten', expected a number"),
        (cif(cell=(0, *CUBE[1:])), "no cell has the lengths 0, 11, 12"),
        (cif(cell=(*CUBE[:3], 30, 30, 90)), "no cell has .* angles 30, 30, 90°"),
        (cif(columns=COLUMNS[:4], sites="Zn1 Zn 0.1 0.2"), "lacks _atom_site_fract_z"),
        (
            cif("Zn1 Zn 1 2 3", columns=("label", "type_symbol", "Cartn_x", "Cartn_y", "Cartn_z")),
            "Cartesian coordinates alone.*write fractional ones",
        ),
        (cif(more="_cell_length_a 20"), "_cell_length_a is given as 10.0 and as 20; remove one"),
        (cif() + "loop_\n_atom_site_fract_x\n0.5\n", "_atom_site_fract_x stands there twice"),
        ("hello\n", "cannot be read as CIF, line 1: expected block header"),
        (cif() + "loop_\n_a\n_b\n1 2 3\n", "cannot be read as CIF, line .*Wrong number of values"),
        ("", "holds no atoms"),
        (
            "data_publ\n_journal_name x\ndata_pd\n_pd_proc_ls_prof_R_factor 3\n",
            r"holds no atoms: no block \(publ, pd\)",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, text: str, message: str) -> None:
    refuse(tmp_path, text, message)


def test_cartesian_coordinates_with_a_matrix(tmp_path: Path) -> None:
    matrix = "\n".join(
        f"_atom_sites_fract_tran_matrix_{i}{j} {value}"
        for (i, j), value in np.ndenumerate(np.diag([0.1, 1 / 11, 1 / 12]))
    )
    shifted = re.sub(r"matrix_(\d)(\d)", lambda m: f"matrix_{int(m[1]) + 1}{int(m[2]) + 1}", matrix)
    columns = ("label", "type_symbol", "Cartn_x", "Cartn_y", "Cartn_z")
    found = read(tmp_path, cif("Zn1 Zn 1 2 3", columns=columns, more=shifted))
    assert found.positions == pytest.approx(np.array([[1.0, 2.0, 3.0]]))


# elements


@pytest.mark.parametrize(
    ("label", "symbol", "element"),
    [
        ("ZN1", "ZN", "Zn"),
        ("Cl3", "CL", "Cl"),
        ("ZR", "ZR", "Zr"),
        ("Cu1", "Cu2+", "Cu"),
        ("O1", "O1-", "O"),
        ("x", "C_R", "C"),
        ("Zn1", "?", "Zn"),
        ("C12A", ".", "C"),
        ("OW1", "?", "O"),
        ("H1W", "?", "H"),
        ("ZN1", "?", "Zn"),
        ("C", "C", "C"),
    ],
)
def test_elements_of_type_symbols_and_labels(
    tmp_path: Path, label: str, symbol: str, element: str
) -> None:
    found = read(tmp_path, cif(f"{label} {symbol} 0.1 0.2 0.3"))
    assert found.get_chemical_symbols() == [element]


@pytest.mark.parametrize("label", ["Wat", "WAT", "X1", "Q2", "Du", "T1", "Oh1", "1", "M1", "VAC"])
def test_sites_that_name_no_element_are_refused(tmp_path: Path, label: str) -> None:
    sites = f"O1 0 0 0\n{label} 0.1 0.2 0.3"
    text = cif(sites, columns=("label", "fract_x", "fract_y", "fract_z"))
    refuse(tmp_path, text, f"site {label} names no chemical element; give one in _atom_site_type")
    refuse(tmp_path, cif(f"O1 O 0 0 0\n{label} X 0.1 0.2 0.3"), f"site {label} names no chemical")


def test_a_label_in_capitals_is_decided_by_the_formula(tmp_path: Path) -> None:
    columns = ("label", "fract_x", "fract_y", "fract_z")
    text = cif("CA1 0.1 0.2 0.3", columns=columns)
    refuse(tmp_path, text, "site CA1 may be Ca or C; say which in _atom_site_type_symbol")
    carbon = text.replace("loop_", "_chemical_formula_sum 'C H4'\nloop_", 1)
    note = "holds 0 H instead of 4: solvent or hydrogen left out"
    assert read_with_note(tmp_path, carbon, note).get_chemical_symbols() == ["C"]


def test_deuterium_is_hydrogen_and_said(tmp_path: Path) -> None:
    sites = "O1 O 0 0 0\nD1 D 0.096 0 0\nD2 D -0.024 0.085 0"
    found = read_with_note(
        tmp_path, cif(sites), "2 atoms are deuterium; they are taken as hydrogen"
    )
    assert found.get_chemical_formula() == "H2O"
    assert found.get_masses()[1] == atomic_masses[atomic_numbers["H"]]


def test_dummy_sites_are_left_out_and_said(tmp_path: Path) -> None:
    text = cif("O1 O 0 0 0 d\nCg1 ? ? ? ? dum", columns=(*COLUMNS, "calc_flag"))
    assert len(read_with_note(tmp_path, text, "dummy sites are left out: Cg1")) == 1


# occupancies and disorder


@pytest.mark.parametrize(
    ("columns", "sites", "message"),
    [
        (
            ("occupancy",),
            "Zn1 Zn 0 0 0 1\nO1A O 0.2 0 0 0.55(2)\nO1B O 0.3 0 0 0.45(2)",
            r"site O1A is occupied partly \(O 0.55\(2\)\), and 1 more; choose one",
        ),
        (("occupancy",), "Zn1 Zn 0 0 0 2.0", r"site Zn1 is occupied partly \(Zn 2.0\)"),
        (("occupancy",), "Zn1 Zn 0 0 0 half", r"site Zn1 is occupied partly \(Zn half\)"),
        (
            ("disorder_assembly", "disorder_group"),
            "Zn1 Zn 0 0 0 . .\nC1 C 0.2 0 0 A 1\nC2 C 0.3 0 0 A 2",
            "is disordered .C1 in group 1, C2 in group 2.; choose one of the disordered positions",
        ),
        (("disorder_group",), "C1 C 0.2 0 0 -1", "is disordered .C1 in group -1"),
    ],
)
def test_disorder_is_refused(
    tmp_path: Path, columns: tuple[str, ...], sites: str, message: str
) -> None:
    refuse(tmp_path, cif(sites, columns=(*COLUMNS, *columns)), message)


def test_full_occupancy_is_read(tmp_path: Path) -> None:
    sites = "Zn1 Zn 0 0 0 1.000(4) 1\nO1 O 0.5 0 0 ? .\nN1 N 0 0.5 0 1 1"
    text = cif(sites, columns=(*COLUMNS, "occupancy", "disorder_group"))
    assert len(read(tmp_path, text)) == 3


# blocks


def two_blocks(first: str = "first", second: str = "second") -> str:
    publication = "data_global\n_journal_name 'x'\n"
    return publication + cif(name=first) + cif("Xe1 Xe 0.5 0.5 0.5", name=second)


def test_one_of_several_blocks_is_chosen(tmp_path: Path) -> None:
    refuse(
        tmp_path,
        two_blocks(),
        "holds 2 structures, blocks first, second; choose one, as in FILE#first",
    )
    for which, symbol in ((None, "Zn"), ("second", "Xe"), ("FIRST", "Zn"), (1, "Xe")):
        path = tmp_path / "in.cif"
        source = path if which is not None else f"{path}#first"
        assert read_structure(source, which).get_chemical_symbols() == [symbol]
    with pytest.raises(InputError, match="has no block 'third'; blocks with atoms are first, sec"):
        read_structure(f"{path}#third")
    with pytest.raises(InputError, match="says which structure, as `which` does"):
        read_structure(f"{path}#first", "second")
    refuse(tmp_path, two_blocks().replace("Zn1 Zn 0.1", "Zn1 Zn ?"), "holds 2 structures")
    path.write_text(two_blocks().replace("Zn1 Zn 0.1", "Zn1 Zn ?"))
    with pytest.raises(InputError, match=r"in\.cif: block first: site Zn1 has no position"):
        read_structure(f"{path}#first")


def test_blocks_of_one_name_are_chosen_by_number(tmp_path: Path) -> None:
    refuse(tmp_path, two_blocks("same", "same"), "blocks same, same; choose one, as in FILE#0")
    with pytest.raises(InputError, match="has several blocks 'same'"):
        read_structure(tmp_path / "in.cif", "same")
    assert read_structure(tmp_path / "in.cif", 1).get_chemical_symbols() == ["Xe"]


def test_a_file_with_the_sign_in_its_name_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a#b.cif").write_text(cif())
    assert len(read_structure(tmp_path / "a#b.cif")) == 1


# text


def test_lines_that_break_the_rules(tmp_path: Path) -> None:
    text = cif(name="SFE").replace("data_SFE", "data SFE")
    assert len(read_with_note(tmp_path, text, "line 1 lacks the underscore of data_SFE")) == 1
    blanks = cif(name="my own")
    assert (
        len(read_with_note(tmp_path, blanks, "name of the block has blanks; it is called my_")) == 1
    )
    quotes = cif(more="_citation_author_name 'A. B', and C\n_journal_name J. Am. Chem. Soc.")
    with pytest.warns(InputWarning) as caught:
        assert len(read(tmp_path, quotes)) == 1
    texts = " ".join(str(each.message) for each in caught)
    assert "line 9: _citation_author_name is left out" in texts
    assert "line 10: _journal_name is left out" in texts
    refuse(tmp_path, cif(more="_chemical_formula_sum C H4"), "cannot be read as CIF, line 9")


def test_encodings_and_line_ends(tmp_path: Path) -> None:
    text = cif(more="_audit_author_name 'T. Düren'")
    windows = text.replace("\n", "\r\n").encode("cp1252")
    for data in (text.encode(), windows, b"\xef\xbb\xbf" + text.encode(), text.encode("latin-1")):
        assert len(read(tmp_path, data)) == 1
    assert len(read(tmp_path, text.replace("\n", "\r"))) == 1


def test_tags_of_newer_dictionaries(tmp_path: Path) -> None:
    text = cif()
    for old, new in (("_atom_site_", "_atom_site."), ("_cell_", "_cell.")):
        text = text.replace(old, new)
    assert len(read(tmp_path, text)) == 1


# checks


@pytest.mark.parametrize(
    ("sites", "more", "message"),
    [
        ("Zn1 Zn 0 0 0", "_cell_volume 1000", "make a cell of 1320.0 Å³, but _cell_volume is 1000"),
        ("Zn1 Zn 0 0 0\nO1 O 0.5 0 0", "_chemical_formula_sum Zn", "holds O, which _chemical_form"),
        (
            "Zn1 Zn 0 0 0",
            "_chemical_formula_sum Zn\n_cell_formula_units_Z 2",
            r"by _chemical_formula_sum times 2 the cell holds 1 Zn instead of 2; correct symmetry",
        ),
        (
            "Zn1 Zn 0 0 0\nO1 O 0.5 0 0\nO2 O 0 0.5 0",
            "_chemical_formula_sum 'O Zn'\n_cell_formula_units_Z 1",
            "the cell holds 2 O instead of 1; correct",
        ),
        ("Zn1 Zn 0 0 0\nO1 O 0.05 0 0", "", "sites Zn1 and O1 are 0.50 Å apart; remove dupl"),
        ("H1 H 0 0 0\nH2 H 0.05 0 0", "", "sites H1 and H2 are 0.50 Å apart; remove"),
        ("Zn1 Zn 0 0 0\nZn2 Zn 1 0 0", "", "sites Zn1 and Zn2 are 0.00 Å apart; remove one of"),
        ("C C 0 0 0\nC C 0.05 0 0", "", r"sites C \(site 1\) and C \(site 2\) are 0.50 Å apart"),
    ],
)
def test_a_structure_that_contradicts_itself_is_refused(
    tmp_path: Path, sites: str, more: str, message: str
) -> None:
    refuse(tmp_path, cif(sites, more=more), message)


def test_all_atoms_listed_beside_operations(tmp_path: Path) -> None:
    text = cif("Zn1 Zn 0.1 0.2 0.3\nZn2 Zn 0.9 0.8 0.7", "_space_group_name_H-M_alt 'P -1'")
    refuse(tmp_path, text, r"Zn1 and Zn2 are 0.00 Å apart; remove one, or the symmetry \(P 1\) if")


@pytest.mark.parametrize(
    ("formula", "units"),
    [("C2 O4 Zn2", 2), ("C O2 Zn", 2), ("'C1.0 O2 Zn1'", 2), ("C2O4Zn2", 7), ("(C O2 Zn)n", 3)],
)
def test_formulas_of_the_unit_and_of_the_cell(tmp_path: Path, formula: str, units: int) -> None:
    """What programs write; one that cannot be read says nothing."""
    sites = "Zn1 Zn 0.1 0.2 0.3\nC1 C 0.5 0.2 0.3\nO1 O 0.5 0.3 0.3\nO2 O 0.5 0.1 0.3"
    more = f"_chemical_formula_sum '{formula.strip(chr(39))}'\n_cell_formula_units_Z {units}"
    assert len(read(tmp_path, cif(sites, "_space_group_name_H-M_alt 'P -1'", more=more))) == 8


def test_missing_solvent_is_a_note(tmp_path: Path) -> None:
    more = "_chemical_formula_sum 'C2 H4 N O Zn'\n_cell_formula_units_Z 1"
    note = (
        "the cell holds 1 C instead of 2, 0 H instead of 4, 0 N instead of 1: solvent or hydrogen"
    )
    text = cif("Zn1 Zn 0 0 0\nC1 C 0.5 0 0\nO1 O 0.5 0.1 0", more=more)
    assert len(read_with_note(tmp_path, text, note)) == 3


def test_a_stale_multiplicity_is_a_note(tmp_path: Path) -> None:
    text = cif("Zn1 Zn 0 0 0 4", columns=(*COLUMNS, "symmetry_multiplicity"))
    assert len(read_with_note(tmp_path, text, "site Zn1 makes 1 atoms .* multiplicity is 4")) == 1


def test_no_note_without_a_reason(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(tmp_path, cif())
