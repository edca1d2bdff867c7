import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.neighborlist import neighbor_list

from mofmd.structures.crystals.zif import zif4
from mofmd.topology.bonds import covalent_bonds, near_pairs


@pytest.mark.parametrize(("name", "count"), [("C6H6", 12), ("CH4", 4), ("H2O", 2), ("C2H2", 3)])
def test_molecules(name, count):
    assert len(covalent_bonds(molecule(name))) == count


def test_metals_have_no_covalent_bonds():
    atoms = zif4()
    bonds = covalent_bonds(atoms)
    zinc = np.flatnonzero(atoms.symbols == "Zn")
    assert len(bonds) == 32 * 8
    assert not np.isin(zinc, np.concatenate([bonds.first, bonds.second])).any()
    assert len(covalent_bonds(bulk("Cu"))) == 0


def test_bond_across_the_cell_boundary():
    atoms = Atoms("CH", scaled_positions=[[0.05, 0, 0], [0.95, 0, 0]], cell=[10, 10, 10], pbc=True)
    bonds = covalent_bonds(atoms)
    assert (bonds.first.tolist(), bonds.second.tolist()) == ([0], [1])
    assert bonds.radii_sum == pytest.approx([0.76 + 0.31])


def test_input_is_left_alone_and_arrays_are_read_only():
    atoms = molecule("CH4")
    before = atoms.copy()
    bonds = covalent_bonds(atoms)
    assert atoms == before
    with pytest.raises(ValueError, match="read-only"):
        bonds.first[0] = 7


@pytest.mark.parametrize("pbc", [True, False, (True, False, True)])
@pytest.mark.parametrize("hand", [1, -1])
def test_near_pairs_are_those_of_ase(pbc, hand):
    rng = np.random.default_rng(11)
    cell = np.array([[hand * 5.0, 0, 0], [2.5, 4.0, 0], [-1.5, 1.0, 6.0]])
    atoms = Atoms("CHNO" * 6, rng.random((24, 3)) @ cell, cell=cell, pbc=pbc)
    radii = rng.uniform(0.5, 1.6, len(atoms))
    i, j, shifts, vectors = neighbor_list("ijSD", atoms, radii)
    expected = sorted(zip(i, j, map(tuple, shifts), map(tuple, vectors.round(9)), strict=True))
    found = near_pairs(atoms, radii)
    rows = list(zip(found.first, found.second, map(tuple, found.images), strict=True))
    if pbc is True:
        assert sorted(rows) == sorted(row[:3] for row in expected)
    vectors = sorted(map(tuple, found.vectors.round(9)))
    assert vectors == sorted(row[3] for row in expected)
