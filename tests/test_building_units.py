import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import read

from mofmd.analysis.building_units import find_linkers, linkers_intact
from mofmd.errors import InputError
from mofmd.structures.zif import zif4
from tests.reference import reference_path
from tests.trajectories import trajectory_of


def test_only_parts_with_carbon_are_linkers():
    box = molecule("C6H6") + molecule("H2O", positions=molecule("H2O").positions + 6)
    box += Atoms("Zn", [[0, 6, 0]])
    box.set_cell([15, 15, 15])
    box.pbc = True
    linkers = find_linkers(box)
    assert linkers.members == (tuple(range(12)),)
    assert linkers.linker_of_bond.tolist() == [0] * 12


@pytest.mark.parametrize(
    ("name", "count", "formula"),
    [("UiO-66", 6, "C8H4O4"), ("MOF-5", 6, "C8H4O4"), ("MOF-74", 3, "C8H2O6")],
)
def test_linkers_of_other_frameworks(name, count, formula):
    atoms = read(reference_path(f"mofs/curated127/{name}.cif"))
    linkers = find_linkers(atoms)
    assert [atoms[list(m)].get_chemical_formula() for m in linkers.members] == [formula] * count


def test_stretched_bond_breaks_at_the_stated_length():
    atoms = zif4()
    linkers = find_linkers(atoms)
    k = next(
        k for k, b in enumerate(linkers.bonds.second) if atoms.symbols[b] == "H"
    )  # bonds are listed with the lower index, carbon, first
    carbon, hydrogen = linkers.bonds.first[k], linkers.bonds.second[k]
    vector = atoms.get_distance(carbon, hydrogen, mic=True, vector=True)
    frames = []
    for length in (1.497, 1.499):  # limit: 1.4 × (0.76 + 0.31) = 1.498 Å
        frame = atoms.copy()
        frame.positions[hydrogen] = frame.positions[carbon] + length * vector / np.linalg.norm(
            vector
        )
        frames.append(frame)
    found = linkers_intact(trajectory_of(*frames), linkers)
    assert found.intact.tolist() == [32, 31]
    assert found.n_linkers == 32


def test_does_not_depend_on_wrapping_or_translation():
    atoms = zif4()
    linkers = find_linkers(atoms)
    moved = atoms.copy()
    moved.positions += [3.3, 5.5, -40.0]
    wrapped = moved.copy()
    wrapped.wrap()
    assert linkers_intact(trajectory_of(atoms, moved, wrapped), linkers).intact.tolist() == [32] * 3


def test_refuses_a_cell_thinner_than_two_bonds():
    atoms = Atoms("CH", [[0, 0, 0], [1.1, 0, 0]], cell=[2.9, 9, 9], pbc=True)
    with pytest.raises(InputError, match=r"the cell is thinner than 3\.00 Å; use a supercell"):
        linkers_intact(trajectory_of(atoms), find_linkers(atoms))
