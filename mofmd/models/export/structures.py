"""The structures on which a model is checked."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols, covalent_radii
from ase.geometry import get_distances
from ase.neighborlist import neighbor_list

# A random packing: its cell for one unit of length, its atoms and how many elements they are of.
CELL = np.array([[1.0, 0.0, 0.0], [0.17, 0.95, 0.0], [-0.12, 0.21, 1.04]])
ATOMS = 24
TYPES = 12
SEED = 20
# Two atoms are as far apart as if they were bonded, or this far (hydrogen, helium).
CLOSEST_A = 1.0
OVERLAP = 0.6  # of the sum of the covalent radii
# What takes a crystal out of its symmetry, in which forces and stresses vanish.
RATTLE_A = 0.05
DEFORMATION = np.array([[0.99, 0.008, 0.01], [0.0, 0.985, 0.007], [0.0, 0.0, 0.995]])


def choose_structures(
    type_names: list[str], given: list[Atoms], example: Atoms | None, crystals: list[Atoms]
) -> tuple[list[Atoms], str]:
    """Choose structures for a model of these elements, physical ones where there are any.

    Parameters
    ----------
    type_names : list of str
        Elements of the model.
    given : list of Atoms
        What the user gave; may be empty.
    example : Atoms or None
        A structure that comes with the model.
    crystals : list of Atoms
        Known crystals. The first that has all elements of the model is preferred, then the
        smallest of those whose elements it knows.

    Returns
    -------
    list of Atoms
        First a structure near rest and without symmetry, if there is a physical one; then what was
        given as it is, and packings of the elements that these lack.
    str
        What the first is: ``given``, ``example``, ``crystal`` or ``packing``.
    """
    known = set(type_names)
    covered = [each for each in crystals if set(each.get_chemical_symbols()) <= known]
    complete = [each for each in covered if set(each.get_chemical_symbols()) == known]
    if given:
        chosen, origin = [awry(given[0]), *given], "given"
    elif example is not None:
        chosen, origin = [awry(example)], "example"
    elif covered:
        chosen, origin = [awry((complete or sorted(covered, key=len))[0])], "crystal"
    else:
        chosen, origin = [], "packing"
    here = {symbol for each in chosen for symbol in each.get_chemical_symbols()}
    lacking = [name for name in type_names if name not in here and name in chemical_symbols]
    parts = [lacking[k : k + TYPES] for k in range(0, len(lacking), TYPES)]
    return [*chosen, *map(packing, parts)], origin


def is_physical(atoms: Atoms) -> bool:
    """Whether a structure is periodic and no two of its atoms overlap."""
    if not atoms.pbc.all() or abs(atoms.cell.volume) < 1e-6:
        return False
    closest = OVERLAP * covalent_radii[atoms.numbers]
    return len(neighbor_list("i", atoms, closest)) == 0


def awry(atoms: Atoms) -> Atoms:
    """Return a structure a little deformed and rattled: near rest, and without symmetry."""
    changed = Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=True)
    changed.set_cell(changed.cell.array @ DEFORMATION, scale_atoms=True)
    changed.rattle(RATTLE_A, seed=SEED)
    return changed


def packing(elements: list[str]) -> Atoms:
    """Return 24 atoms of up to twelve elements, at random but not too close, in a tilted cell.

    Distances are at least the sum of the covalent radii, the volume follows from them.
    """
    rng = np.random.default_rng(SEED)
    symbols = [elements[k % len(elements)] for k in range(ATOMS)]
    numbers = Atoms(symbols).numbers
    radii = np.maximum(covalent_radii[numbers], 0.5 * CLOSEST_A)
    length = (6.0 * np.sum(4.0 / 3.0 * np.pi * radii**3)) ** (1.0 / 3.0)
    while True:
        cell = length * CELL
        placed: list[np.ndarray] = []
        for k in range(ATOMS):
            for _ in range(500):
                point = rng.random(3) @ cell
                if not placed:
                    break
                _, distances = get_distances([point], np.array(placed), cell=cell, pbc=True)
                if np.all(distances[0] > radii[k] + radii[:k]):
                    break
            else:
                break
            placed.append(point)
        if len(placed) == ATOMS:
            return Atoms(symbols, positions=placed, cell=cell, pbc=True)
        length *= 1.05
