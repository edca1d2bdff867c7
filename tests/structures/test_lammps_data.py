import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

from mofmd.engine.lammps_data import render_data, write_data
from mofmd.errors import InputError
from mofmd.structures.crystals.zif import zif4


@pytest.fixture
def tilted() -> Atoms:
    atoms = Atoms("CHNZn", cell=[[5, 1, 0.3], [0.5, 6, 1], [1, -1, 7]], pbc=True)
    atoms.set_scaled_positions(np.random.default_rng(0).uniform(-0.5, 1.5, (4, 3)))
    return atoms


def test_exact_text():
    atoms = Atoms("HZn", [[0, 0, 0], [1.5, 2, -0.25]], cell=[4, 5, 6], pbc=True)
    assert render_data(atoms, ["H", "Zn"]) == (
        "HZn, units metal (A, g/mol), atom_style atomic\n\n"
        "2 atoms\n2 atom types\n\n"
        "0.0 4.0000000000 xlo xhi\n0.0 5.0000000000 ylo yhi\n0.0 6.0000000000 zlo zhi\n\n"
        "Masses\n\n1 1.008000  # H\n2 65.380000  # Zn\n\n"
        "Atoms  # atomic\n\n"
        "1 1 0.0000000000 0.0000000000 0.0000000000\n"
        "2 2 1.5000000000 2.0000000000 -0.2500000000\n"
    )


def test_read_back_by_ase_up_to_a_rotation(tilted, tmp_path):
    write_data(tmp_path / "a.data", tilted, ["Zn", "N", "H", "C"])
    back = read(tmp_path / "a.data", format="lammps-data", atom_style="atomic", units="metal")
    assert (back.numbers == tilted.numbers).all()
    assert back.cell.cellpar() == pytest.approx(tilted.cell.cellpar(), abs=1e-8)
    assert back.cell[0, 1] == back.cell[0, 2] == back.cell[1, 2] == 0
    expected = tilted.get_all_distances(mic=True)
    assert back.get_all_distances(mic=True) == pytest.approx(expected, abs=1e-8)


def test_same_bytes_each_time_and_no_tilt_for_an_orthogonal_cell():
    names = ["C", "H", "N", "Zn"]
    assert render_data(zif4(), names) == render_data(zif4(), names)
    assert "xy xz yz" not in render_data(zif4(), names)


def test_a_type_may_have_no_atoms():
    assert "2 atom types" in render_data(bulk("Cu", cubic=True), ["Cu", "Zn"])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["C", "H", "N"], r"holds Zn, which is not among \['C', 'H', 'N'\]"),
        (["C", "H", "N", "Zn", "Q"], "'Q' is not a chemical element"),
        (["C", "H", "N", "Zn", "C"], "an element occurs twice"),
    ],
)
def test_refuses_type_names(tilted, names, message):
    with pytest.raises(InputError, match=message):
        render_data(tilted, names)


def test_refuses_structures(tilted):
    with pytest.raises(InputError, match="the structure is empty"):
        render_data(Atoms(cell=[1, 1, 1], pbc=True), ["C"])
    open_box = tilted.copy()
    open_box.pbc = [True, True, False]
    with pytest.raises(InputError, match=r"periodic in \[True, True, False\]"):
        render_data(open_box, ["C", "H", "N", "Zn"])
    tilted.cell = tilted.cell[[1, 0, 2]]
    with pytest.raises(InputError, match="not right-handed"):
        render_data(tilted, ["C", "H", "N", "Zn"])
