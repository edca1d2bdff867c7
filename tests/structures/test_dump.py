import re

import numpy as np
import pytest
from ase.cell import Cell

from mofmd.errors import InputError, MissingFileError
from mofmd.trajectory.in_memory import read_dump

HEADER = """ITEM: UNITS
metal
"""


def frame(step: int, atoms: str, box: str = "", n_atoms: int = 2) -> str:
    box = box or "BOX BOUNDS pp pp pp\n0 4\n-1 4\n0 6"
    return (
        f"ITEM: TIME\n{step * 0.0005}\nITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{n_atoms}\n"
        f"ITEM: {box}\nITEM: ATOMS id type element xu yu zu\n{atoms}"
    )


TWO = "2 1 C 1 2 3\n1 2 Zn 4.5 -5.25 6.000001\n"


def test_sorted_by_id_unwrapped_float64(tmp_path):
    path = tmp_path / "a.dump"
    path.write_text(HEADER + frame(0, TWO) + frame(20, TWO.replace("4.5", "-9")))
    found = read_dump(path)
    assert len(found) == 2
    assert found.species == ("Zn", "C")
    assert found.timesteps.tolist() == [0, 20]
    assert found.positions.dtype == np.float64
    assert found.positions[:, 0].tolist() == [[4.5, -5.25, 6.000001], [-9, -5.25, 6.000001]]
    assert found.cells[0].tolist() == [[4, 0, 0], [0, 5, 0], [0, 0, 6]]
    assert not found.incomplete_frame
    with pytest.raises(ValueError, match="read-only"):
        found.positions[0] = 0


def test_triclinic_bounding_box(tmp_path):
    # cell a = (10,0,0), b = (-3,8,0), c = (2,-1,7), origin (1,2,3); bounds as LAMMPS writes them
    cell = np.array([[10.0, 0, 0], [-3.0, 8, 0], [2.0, -1, 7]])
    corners = np.array([[i, j, k] for i in (0, 1) for j in (0, 1) for k in (0, 1)]) @ cell
    origin = np.array([1, 2, 3])
    low, high = corners.min(axis=0) + origin, corners.max(axis=0) + origin
    tilts = (cell[1, 0], cell[2, 0], cell[2, 1])
    rows = "\n".join(f"{low[k]} {high[k]} {tilts[k]}" for k in range(3))
    path = tmp_path / "a.dump"
    path.write_text(frame(0, TWO, f"BOX BOUNDS xy xz yz pp pp pp\n{rows}"))
    found = read_dump(path).cells[0]
    assert found == pytest.approx(cell)
    assert Cell(found).volume == pytest.approx(560)


def test_steps_with_a_point(tmp_path):
    path = tmp_path / "a.dump"
    text = frame(0, TWO) + frame(10, TWO)
    path.write_text(text.replace("TIMESTEP\n0", "TIMESTEP\n0.0").replace("\n10\n", "\n10.0\n"))
    assert read_dump(path).timesteps.tolist() == [0, 10]


@pytest.mark.parametrize("cut", [1, 5, 20, 60, 110, 160])
def test_a_frame_that_was_being_written_is_left_out(tmp_path, cut):
    path = tmp_path / "a.dump"
    path.write_text((HEADER + frame(0, TWO) + frame(20, TWO))[:-cut])
    found = read_dump(path)
    assert found.timesteps.tolist() == [0]
    assert found.incomplete_frame


def test_select_and_atoms_of(tmp_path):
    path = tmp_path / "a.dump"
    path.write_text(frame(0, TWO) + frame(20, TWO) + frame(40, TWO))
    found = read_dump(path)
    assert found.select(found.timesteps > 10).timesteps.tolist() == [20, 40]
    assert found.select(np.array([0])).positions.shape == (1, 2, 3)
    assert found.atoms_of("C").tolist() == [1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no complete frame"),
        (frame(0, TWO)[:-3], "holds no complete frame"),
        ("CIF file\nmore\n", "not a LAMMPS text dump, found 'CIF file'"),
        (HEADER.replace("metal", "lj") + frame(0, TWO), "in units lj, expected metal or real"),
        (
            frame(0, TWO).replace("TIMESTEP\n0", "TIMESTEP\n0.5"),
            "timestep is '0.5', expected a whole",
        ),
        (frame(0, TWO).replace("TIMESTEP\n0", "TIMESTEP\nx"), "timestep is 'x', expected a whole"),
        (frame(0, TWO).replace("ATOMS\n2", "ATOMS\ntwo"), "number of atoms is 'two', expected"),
        (frame(0, TWO).replace("NUMBER OF ATOMS\n2\nITEM: ", ""), "lacks ITEM: NUMBER OF ATOMS"),
        (re.sub(r"BOX BOUNDS(.*)\n\S+", r"BOX BOUNDS\1\nlow", frame(0, TWO)), "expected numbers"),
        (
            re.sub(r"BOX BOUNDS(.*)\n.*\n", r"BOX BOUNDS\1\n", frame(0, TWO)),
            "has 2 lines, expected 3",
        ),
        (frame(0, TWO).replace("xu yu zu", "x y z"), "positions are wrapped.*write it with"),
        (
            frame(0, TWO) + frame(1, TWO.replace("2 Zn", "2 Fe")),
            "step 1: atoms or elements are not",
        ),
        (
            frame(0, TWO) + frame(1, "1 2 Zn 0 0 0\n", n_atoms=1),
            "step 1: atoms or elements are not",
        ),
    ],
)
def test_refusals(tmp_path, text, message):
    path = tmp_path / "a.dump"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_dump(path)


def test_no_file(tmp_path):
    with pytest.raises(MissingFileError, match="no such trajectory"):
        read_dump(tmp_path / "a.dump")
