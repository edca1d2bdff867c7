"""Structures that the engine is tried on: small, and each awkward in its own way."""

from collections.abc import Sequence

import numpy as np
from ase import Atoms

from mofmd.models.files.embedded import embedded_models
from mofmd.structures.crystals.zif import zif4

SPECIES = ("C", "H", "N", "Zn")
ZIF4_MODELS = tuple(name for name in embedded_models() if name.startswith("zif4-"))


def _random(formula: str, cell: list[list[float]], seed: int, closest: float = 1.1) -> Atoms:
    """Return atoms at random places, none closer to another (or its image) than ``closest`` Å."""
    rng = np.random.default_rng(seed)
    atoms = Atoms(cell=cell, pbc=True)
    for symbol in Atoms(formula).symbols:
        for _ in range(10000):
            trial = atoms + Atoms(symbol, positions=[rng.uniform(0, 1, 3) @ np.array(cell)])
            others = range(len(trial) - 1)
            if not others or trial.get_distances(-1, others, mic=True).min() > closest:
                atoms = trial
                break
        else:
            raise ValueError("no room left")
    return atoms


def tilted() -> Atoms:
    """Return a triclinic cell, tilted by half of each edge."""
    cell = [[7.0, 0, 0], [3.4, 6.5, 0], [-3.3, 3.1, 7.5]]
    return _random("C6H6N4Zn2", cell, seed=1)


def very_tilted() -> Atoms:
    """Return a cell tilted by more than its edges."""
    cell = [[6.0, 0, 0], [7.5, 6.2, 0], [-8.0, 9.0, 6.6]]
    return _random("C4H4N3Zn", cell, seed=2)


def thin() -> Atoms:
    """Return a cell of 4 Å, thinner than any cutoff."""
    return _random("CHNZn", [[4.0, 0, 0], [0.7, 4.1, 0], [0.3, -0.5, 4.2]], seed=3)


def crystal() -> Atoms:
    """Return ZIF-4, 272 atoms, thermally disordered."""
    atoms = zif4()
    atoms.rattle(0.05, seed=4)
    return atoms


def slab() -> Atoms:
    """Return atoms that are periodic in x and y only."""
    atoms = _random("C5H4N3Zn2", [[6.5, 0, 0], [0, 7.0, 0], [0, 0, 9.0]], seed=5)
    atoms.pbc = (True, True, False)
    return atoms


def cluster() -> Atoms:
    """Return atoms without periodicity."""
    atoms = _random("C4H5N3Zn", [[8.0, 0, 0], [0, 8.0, 0], [0, 0, 8.0]], seed=6)
    atoms.pbc = False
    return atoms


def with_elements(symbols: Sequence[str]) -> Atoms:
    """Return one atom of each element, about as dense as a framework."""
    edge = (12.0 * len(symbols)) ** (1 / 3)
    return _random("".join(symbols), [[edge, 0, 0], [0, edge, 0], [0, 0, edge]], seed=7)


def one_atom() -> Atoms:
    """Return a single atom without a neighbour."""
    return Atoms("Zn", positions=[[1.0, 2.0, 3.0]], cell=[20.0, 20.0, 20.0], pbc=True)


def far_apart() -> Atoms:
    """Return atoms that do not see each other."""
    positions = [[1.0, 1.0, 1.0], [13.0, 1.0, 1.0], [1.0, 13.0, 13.0]]
    return Atoms("CNZn", positions=positions, cell=[24.0, 24.0, 24.0], pbc=True)


SYSTEMS = {
    function.__name__: function
    for function in (
        crystal,
        tilted,
        very_tilted,
        thin,
        slab,
        cluster,
        one_atom,
        far_apart,
    )
}
