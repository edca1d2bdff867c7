"""Fits of force constants against symfc's, and what the displacements leave open."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from phonopy import Phonopy
from symfc import Symfc
from symfc.utils.utils import SymfcAtoms

from mofmd.errors import InputError
from mofmd.phonons.calculation.force_constants import transposed
from mofmd.phonons.calculation.least_squares import ForceConstantFit
from mofmd.phonons.cells import new_phonopy, to_phonopy


def quartz() -> Atoms:
    return crystal(
        ("Si", "O"),
        [(0.4697, 0, 0), (0.4135, 0.2669, 0.1191)],
        spacegroup=152,
        cellpar=[4.916, 4.916, 5.405, 90, 90, 120],
    )


def skewed() -> Atoms:
    """Without symmetry, in a triclinic cell of odd axes."""
    atoms = Atoms("CNO", positions=[[0, 0, 0], [1.3, 0.2, 0.1], [0.4, 1.7, 0.9]], pbc=True)
    atoms.set_cell([[0.3, 4.1, 0.2], [3.9, 0.5, -0.4], [0.7, 0.9, 4.4]])
    return atoms


CRYSTALS = {
    "fcc, 2x2x2": (bulk("Ar", "fcc", a=5.3), (2, 2, 2)),
    "diamond, cubic": (bulk("Si", cubic=True), (1, 1, 1)),
    "wurtzite, 2x2x1": (bulk("ZnO", "wurtzite", a=3.25, c=5.2), (2, 2, 1)),
    "quartz, 1x1x2": (quartz(), (1, 1, 2)),
    "triclinic, 2x1x1": (skewed(), (2, 1, 1)),
}


def of_symfc(phonopy: Phonopy, u: np.ndarray, forces: np.ndarray) -> tuple[np.ndarray, int]:
    """Full force constants, and the size of the basis."""
    cell = phonopy.supercell
    symfc = Symfc(
        SymfcAtoms(cell=cell.cell, scaled_positions=cell.scaled_positions, numbers=cell.numbers),
        spacegroup_operations=phonopy.symmetry.symmetry_operations,
    )
    symfc.displacements, symfc.forces = u, forces
    symfc.run(max_order=2, is_compact_fc=False)
    return symfc.force_constants[2], symfc.basis_set[2].basis_set.shape[1]


@pytest.mark.parametrize("name", CRYSTALS)
def test_the_least_squares_of_symfc(name: str) -> None:
    atoms, repetitions = CRYSTALS[name]
    compare_with_symfc(new_phonopy(to_phonopy(atoms), np.diag(repetitions)))


CENTRED = {
    "fcc, cubic": (bulk("Ar", cubic=True, a=5.3), (1, 1, 1)),
    "diamond, cubic": (bulk("Si", cubic=True), (1, 1, 1)),
    "halite, cubic, 2x1x1": (bulk("NaCl", "rocksalt", a=5.6, cubic=True), (2, 1, 1)),
    "a cube of two cells that are none": (bulk("Po", "sc", a=3.3).repeat((2, 1, 1)), (1, 2, 2)),
}


@pytest.mark.filterwarnings("ignore:.*Point group symmetries")  # of the supercell's shape
@pytest.mark.parametrize("name", CENTRED)
def test_primitive_cells_of_several_lattice_points(name: str) -> None:
    """As files of phonopy have them: a centred cell that is taken for the primitive one."""
    atoms, repetitions = CENTRED[name]
    compare_with_symfc(Phonopy(to_phonopy(atoms), np.diag(repetitions), np.eye(3)))


def compare_with_symfc(phonopy: Phonopy) -> None:
    """Of forces that no force constants describe: what is left over decides the fit."""
    fit = ForceConstantFit(phonopy)
    n = len(phonopy.supercell)
    generator = np.random.default_rng(3)
    count = max(4 * fit.least, 6)
    u = generator.normal(scale=0.1, size=(count, n, 3)) * generator.uniform(0.2, 1.0, (1, n, 1))
    forces = generator.normal(size=u.shape) - 3.0 * u + 20.0 * u**3
    found = fit(u, forces)
    expected, parameters = of_symfc(phonopy, u, forces)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(found, expected[phonopy.primitive.p2s_map], atol=1e-9 * scale)
    assert fit.parameters == parameters
    np.testing.assert_allclose(found.sum(axis=1), 0.0, atol=1e-12 * scale)
    np.testing.assert_allclose(transposed(phonopy, found), found, atol=1e-12 * scale)


def test_displacements_that_leave_something_open() -> None:
    phonopy = new_phonopy(to_phonopy(skewed()), np.diag((2, 1, 1)))
    u = np.random.default_rng(0).normal(size=(40, 6, 3))
    u[:, :, 2] = 0.0  # nothing moves along z
    with pytest.raises(InputError, match="40 supercells do not determine all 66 parameters"):
        ForceConstantFit(phonopy)(u, -u)


def test_displacements_of_zero() -> None:
    phonopy = new_phonopy(to_phonopy(skewed()), np.diag((2, 1, 1)))
    with pytest.raises(InputError, match="40 supercells do not determine all 66 parameters"):
        ForceConstantFit(phonopy)(np.zeros((40, 6, 3)), np.ones((40, 6, 3)))


def test_as_many_as_determine_them() -> None:
    """Counted by symmetry, and looked at one by one."""
    phonopy = new_phonopy(to_phonopy(quartz()), np.diag((1, 1, 2)))
    fit = ForceConstantFit(phonopy)
    u = np.random.default_rng(2).normal(size=(2 * fit.least, len(phonopy.supercell), 3))
    enough = [count for count in range(1, len(u) + 1) if fit.determines(u[:count])]
    assert abs(enough[0] - fit.least) <= 1
    assert enough == list(range(enough[0], len(u) + 1))
    assert not fit.determines(np.zeros_like(u))
