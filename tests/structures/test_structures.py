"""Structures: built-in crystals, reading, checks, supercells, guests."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.data import covalent_radii
from ase.io import read, write
from ase.neighborlist import neighbor_list

from mofmd.engine.lammps_data import lammps_rotation, render_data, write_data
from mofmd.reading.read import BUILDERS, read_structure
from mofmd.structures.crystals.crystal_data import read_crystal_data
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.supercell import matrix_supercell, parse_supercell, supercell_for_atoms
from mofmd.topology.building_units import find_linkers
from mofmd.topology.check import check_structure
from mofmd.topology.guests import guest_atoms, remove_guests
from mofmd.units import G_PER_MOL_A3_TO_G_PER_CM3
from tests.reference import reference_path

# formula, linkers and their formula, metal and its neighbours, density of the published cell
FACTS = {
    "zif-4": ("C96H96N64Zn16", 32, "C3H3N2", ("Zn", "N", 4), 1.21),
    "zif-8": ("C96H120N48Zn12", 24, "C4H5N2", ("Zn", "N", 4), 0.92),
    "mof-5": ("C192H96O104Zn32", 24, "C8H4O4", ("Zn", "O", 4), 0.58),
    "uio-66": ("C192H112O128Zr24", 24, "C8H4O4", ("Zr", "O", 8), 1.20),
}


@pytest.mark.parametrize("name", FACTS)
def test_builders(name: str) -> None:
    formula, n_linkers, linker, (metal, ligand, coordination), density = FACTS[name]
    atoms = read_structure(name)
    assert atoms.get_chemical_formula() == formula
    assert check_structure(atoms) == []
    linkers = find_linkers(atoms)
    assert len(linkers) == n_linkers
    assert {atoms[list(members)].get_chemical_formula() for members in linkers.members} == {linker}
    i, j = neighbor_list("ij", atoms, {(metal, ligand): 2.5})
    assert set(np.bincount(i[atoms.symbols[i] == metal])) - {0} == {coordination}
    found = atoms.get_masses().sum() / atoms.get_volume() * G_PER_MOL_A3_TO_G_PER_CM3
    assert found == pytest.approx(density, abs=0.02)
    data = read_crystal_data(name)
    assert data["licence"] == "CC BY 4.0"
    assert "doi" in data["source"]
    del j


@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib 2.8
@pytest.mark.parametrize("name", FACTS)
def test_builders_have_their_space_group(name: str) -> None:
    spglib = pytest.importorskip("spglib")
    atoms = read_structure(name)
    cell = (atoms.cell[:], atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_symmetry_dataset(cell, symprec=1e-4)
    assert found.number == read_crystal_data(name)["spacegroup"]["number"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("uio-66", "mofs/uio66_conventional_456.extxyz"),
        ("mof-5", "mofs/mof5_conventional_424.extxyz"),
    ],
)
def test_builders_agree_with_the_published_relaxed_cells(name: str, file: str) -> None:
    published = read(reference_path(file))
    atoms = read_structure(name)
    assert atoms.cell.cellpar() == pytest.approx(published.cell.cellpar(), abs=1e-3)
    assert bonds(atoms) == pytest.approx(bonds(published), abs=2e-3)


def bonds(atoms: Atoms) -> np.ndarray:
    distances = neighbor_list("d", atoms, 1.2 * covalent_radii[atoms.numbers])
    return np.sort(distances)


@pytest.mark.parametrize("suffix", ["cif", "extxyz", "vasp", "data"])
def test_formats_give_the_same_structure(tmp_path: Path, suffix: str) -> None:
    atoms = zif4()
    file = tmp_path / f"zif.{suffix}"
    if suffix == "data":
        write_data(file, atoms, ("C", "H", "N", "Zn"))
    else:
        write(file, atoms)
    found = read_structure(file)
    assert found.get_chemical_formula() == atoms.get_chemical_formula()
    assert found.pbc.all()
    assert found.cell.cellpar() == pytest.approx(atoms.cell.cellpar(), abs=1e-6)
    assert bonds(found) == pytest.approx(bonds(atoms), abs=1e-4)


def test_published_files_are_read() -> None:
    for name in ("mofs/curated127/UiO-66.cif", "mofs/curated127/MOF-74.cif"):
        atoms = read_structure(reference_path(name))
        assert check_structure(atoms) == []
    glass = read_structure(reference_path("zif4/glass_ai/ZIF4_15glass01.lmp"))
    assert glass.get_chemical_formula() == "C96H96N64Zn16"


def test_lammps_axes_and_back() -> None:
    skew = Atoms("CuAu", [[0.1, 0.2, 0.3], [1.9, 1.5, 2.1]],
                 cell=[[3.0, 1.0, 0.2], [0.3, 4.0, 1.0], [-0.5, 0.8, 5.0]], pbc=True)  # fmt: skip
    rotation = lammps_rotation(skew)
    assert rotation @ rotation.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    rows = [line.split() for line in render_data(skew, ("Cu", "Au")).splitlines()[-2:]]
    turned = np.array([[float(word) for word in row[2:]] for row in rows])
    assert turned @ rotation.T == pytest.approx(skew.positions, abs=1e-8)


@pytest.mark.parametrize(
    ("atoms", "expected"),
    [(272, (1, 1, 1)), (2176, (2, 2, 2)), (34000, (5, 5, 5)), (1, (1, 1, 1))],
)
def test_supercell_by_number_of_atoms(atoms: int, expected: tuple[int, int, int]) -> None:
    assert supercell_for_atoms(zif4(), atoms) == expected


def test_supercell_of_a_flat_cell_becomes_compact() -> None:
    flat = Atoms("Cu", cell=[12.0, 12.0, 3.0], pbc=True)
    assert supercell_for_atoms(flat, 4) == (1, 1, 4)


def test_supercell_by_matrix() -> None:
    matrix = parse_supercell("1 1 0 -1 1 0 0 0 1")
    assert isinstance(matrix, np.ndarray)
    doubled = matrix_supercell(zif4(), matrix)
    assert len(doubled) == 544
    assert bonds(doubled) == pytest.approx(np.repeat(bonds(zif4()), 2), abs=1e-6)


def test_guests_are_told_from_the_framework() -> None:
    framework = read_structure("mof-5")
    water = molecule("H2O")
    water.positions += framework.cell.array.sum(axis=0) / 2
    loaded = framework + water
    guests = guest_atoms(loaded)
    assert np.flatnonzero(guests).tolist() == [424, 425, 426]
    assert remove_guests(loaded).get_chemical_formula() == framework.get_chemical_formula()


def test_missing_hydrogen_is_noticed() -> None:
    naked = zif4()
    del naked[[k for k, symbol in enumerate(naked.symbols) if symbol == "H"]]
    (hint,) = check_structure(naked)
    assert "and 93 more have too few neighbours" in hint
    assert "hydrogen atoms may be missing" in hint


def test_acetylene_and_nitrile_carbons_lack_nothing() -> None:
    for name in ("C2H2", "CH3CN", "CO2", "C6H6", "CH3CH2OH"):
        atoms = molecule(name, vacuum=4)
        atoms.pbc = True
        assert check_structure(atoms) == []


def test_builders_of_the_command_line() -> None:
    assert set(BUILDERS) == set(FACTS)
