import json

import numpy as np
import pytest
from ase.io import read

from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.coordination import CoordinationNumber, neighbours_of_each
from mofmd.errors import InputError
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
from tests.analysis.test_rdf import FILES
from tests.reference import reference_path
from tests.trajectories import trajectory_of


def test_zif4_is_tetrahedral_wherever_the_cell_is_cut():
    atoms = zif4()
    moved = atoms.copy()
    moved.positions += [4.1, -7.7, 20.3]
    for each in (atoms, moved):
        numbers = neighbours_of_each(Frame.from_ase(each), ("Zn", "N"), 2.5)
        assert numbers.tolist() == [4] * 16
    (found,) = analyse(trajectory_of(atoms, moved), [CoordinationNumber()])
    series = found.tables["series"].columns
    assert series["number"].values.tolist() == [4.0, 4.0]
    assert series["step"].values.tolist() == [0, 10]


def test_a_pulled_nitrogen_is_lost_at_the_cutoff():
    atoms = zif4()
    zinc = np.flatnonzero(atoms.symbols == "Zn")[0]
    nitrogen = np.flatnonzero(atoms.symbols == "N")
    vectors = atoms.get_distances(zinc, nitrogen, mic=True, vector=True)
    nearest = np.linalg.norm(vectors, axis=1).argmin()
    unit = vectors[nearest] / np.linalg.norm(vectors[nearest])
    near, far = atoms.copy(), atoms.copy()
    for frame, length in ((near, 2.499), (far, 2.501)):
        frame.positions[nitrogen[nearest]] = frame.positions[zinc] + length * unit
    found = [neighbours_of_each(Frame.from_ase(f), ("Zn", "N"), 2.5)[0] for f in (near, far)]
    assert found == [4, 3]


@pytest.mark.parametrize("name", FILES)
def test_real_structures(name):
    file, style = FILES[name]
    atoms = read(reference_path(file), format="lammps-data", atom_style=style, units="metal")
    reference = np.load(reference_path(f"reference/{name}.npz"))
    assert json.loads(reference_path("reference/structures.json").read_text())[name]
    found = neighbours_of_each(Frame.from_ase(atoms), ("Zn", "N"), 2.5)
    assert (found == reference["zn_cn_2p5"]).all()


def test_refuses_an_absent_element():
    with pytest.raises(InputError, match="no Fe in the structure, whose elements"):
        analyse(trajectory_of(zif4()), [CoordinationNumber("Fe", "N")])
