import json
from importlib import resources

import numpy as np
import pytest
from ase.data import covalent_radii
from ase.geometry import get_distances
from ase.io import read
from ase.neighborlist import neighbor_list

from mofmd.structures.crystals.zif import zif4
from mofmd.topology.building_units import find_linkers
from mofmd.units import G_PER_MOL_A3_TO_G_PER_CM3
from tests.reference import reference_path


def test_composition_and_density():
    atoms = zif4()
    assert atoms.get_chemical_formula() == "C96H96N64Zn16"
    assert atoms.pbc.all()
    density = atoms.get_masses().sum() / atoms.get_volume() * G_PER_MOL_A3_TO_G_PER_CM3
    # 16 Zn(C3H3N2)2 of 199.51 g/mol in 4380.5 Å³
    assert density == pytest.approx(16 * 199.514 / 4380.54 / 0.602214, rel=1e-4)


def test_every_zinc_has_four_nitrogens_and_every_nitrogen_one_zinc():
    atoms = zif4()
    i, j, d = neighbor_list("ijd", atoms, {("Zn", "N"): 2.5})
    zinc = atoms.symbols[i] == "Zn"
    assert d.min() > 1.9
    assert d.max() < 2.1
    assert set(np.bincount(i[zinc], minlength=272)[atoms.symbols == "Zn"]) == {4}
    assert set(np.bincount(j[zinc], minlength=272)[atoms.symbols == "N"]) == {1}


def test_32_imidazolates_with_their_eight_bonds():
    linkers = find_linkers(zif4())
    atoms = zif4()
    assert len(linkers) == 32
    assert {atoms[list(m)].get_chemical_formula() for m in linkers.members} == {"C3H3N2"}
    assert set(np.bincount(linkers.linker_of_bond)) == {8}


def test_no_short_contacts():
    atoms = zif4()
    i, j, d = neighbor_list("ijd", atoms, 2.0)
    radii = covalent_radii[atoms.numbers]
    assert (d / (radii[i] + radii[j])).min() > 0.9


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib 2.8
def test_is_pbca_with_two_zinc_sites():
    spglib = pytest.importorskip("spglib")
    atoms = zif4()
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-5)
    assert found.number == 61
    sites = np.unique(found.equivalent_atoms)
    assert len(sites) == 34
    assert (atoms.symbols[sites] == "Zn").sum() == 2


def test_data_file_states_source_and_licence():
    file = resources.files("mofmd") / "data" / "structures" / "zif-4.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    assert "Lewis" in data["source"]
    assert data["licence"] == "CC BY 4.0"
    assert len(data["sites"]) == 34


@pytest.mark.filterwarnings("ignore:crystal system:UserWarning")  # ase on the CIF's P1 cell
def test_agrees_with_the_published_file():
    published = read(reference_path("mofs/zif_lewis2009/ZIF-4.cif"))
    atoms = zif4()
    assert atoms.cell.cellpar() == pytest.approx(published.cell.cellpar(), abs=0.002)
    # compared as fractions in our cell: the file's angles are off 90° by up to 0.0018°
    fractions = published.get_scaled_positions() @ atoms.cell[:]
    _, distances = get_distances(atoms.positions, fractions, cell=atoms.cell, pbc=True)
    nearest = distances.argmin(axis=1)
    assert sorted(nearest) == list(range(272))
    assert (published.numbers[nearest] == atoms.numbers).all()
    assert distances.min(axis=1).max() < 0.001  # Å
