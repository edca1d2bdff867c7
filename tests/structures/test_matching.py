"""Structures that can be laid onto each other, and those that cannot."""

import time

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.utils.structure_comparator import SymmetryEquivalenceCheck

from mofmd.builders.blocks.blocks import find_blocks
from mofmd.builders.defects.defects import Defects, make_defects
from mofmd.structures.crystals.carboxylate import uio66
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.matching import is_same


def set_otherwise(atoms: Atoms, repeats: tuple[int, int, int] = (1, 1, 1)) -> Atoms:
    """The same crystal: more cells, moved, turned, in another order."""
    other = atoms.repeat(repeats)
    other = other[np.random.default_rng(0).permutation(len(other))]
    other.translate([1.0, 2.0, 3.0])
    other.wrap()
    other.rotate(40, (1, 2, 3), rotate_cell=True)
    return other


def low_symmetry() -> Atoms:
    """A crystal without any symmetry, that differs from its mirror image."""
    random = np.random.default_rng(3)
    places = random.uniform(size=(8, 3)) * 0.25 + np.indices((2, 2, 2)).reshape(3, 8).T / 2
    cell = [[5.0, 0.0, 0.0], [1.1, 6.0, 0.0], [0.7, 1.3, 7.0]]
    return Atoms("Si3O5", scaled_positions=places, cell=cell, pbc=True)


def mirrored(atoms: Atoms) -> Atoms:
    other = atoms.copy()
    other.set_cell(atoms.cell.array[[1, 0, 2]] * [-1.0, 1.0, 1.0])
    other.positions[:] = atoms.positions * [-1.0, 1.0, 1.0]
    return other


@pytest.mark.parametrize("make", [zif4, low_symmetry, lambda: bulk("NaCl", "rocksalt", a=5.64)])
def test_the_same_crystal_in_other_settings(make) -> None:
    crystal = make()
    assert is_same(crystal, set_otherwise(crystal))
    assert is_same(set_otherwise(crystal, (1, 2, 1)), crystal)
    assert is_same(crystal, mirrored(crystal))  # as ASE counts it
    rounded = crystal.copy()
    rounded.positions[:] = np.round(rounded.positions, 3)
    assert is_same(rounded, set_otherwise(crystal, (2, 1, 1)))


def test_what_differs_by_little_is_another_crystal() -> None:
    """Answers are those of ASE's comparison, which is slow for large cells."""
    crystal = low_symmetry()
    swapped, moved, strained = crystal.copy(), crystal.copy(), crystal.copy()
    swapped.symbols[[0, -1]] = swapped.symbols[[-1, 0]]
    moved.positions[4] += [0.4, 0.0, 0.0]
    strained.set_cell(crystal.cell.array * [1.03, 1.0, 1.0 / 1.03], scale_atoms=True)
    for other in (swapped, moved, strained):
        assert not is_same(crystal, other)
        assert not SymmetryEquivalenceCheck().compare(crystal.copy(), other.copy())
    for other in (set_otherwise(crystal), mirrored(crystal)):
        assert SymmetryEquivalenceCheck().compare(crystal.copy(), other.copy())


def test_thousands_of_atoms_take_seconds() -> None:
    """Three linkers of 192 are missing: the same three, and one of them another."""
    crystal = uio66().repeat(2)
    blocks = find_blocks(crystal)
    first, second = (
        make_defects(crystal, blocks, Defects(linkers=chosen)).atoms
        for chosen in ((0, 50, 120), (0, 51, 120))
    )
    assert len(first) == 3624
    other = set_otherwise(first)
    begun = time.process_time()
    assert is_same(first, other)
    assert not is_same(first, second)
    assert time.process_time() - begun < 20.0  # four on the machine that this was written on
