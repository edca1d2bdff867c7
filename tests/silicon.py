"""Cheap decks: Stillinger and Weber's silicon, for tests that need dynamics and no model."""

from pathlib import Path

from ase import Atoms
from ase.build import bulk

from mofmd.simulation.deck.deck import Deck, PotentialScript, write_deck
from mofmd.simulation.protocols import Protocol

# Stillinger and Weber, Phys. Rev. B 31, 5262 (1985), as LAMMPS's sw style takes it
SILICON = "Si Si Si 2.1683 2.0951 1.80 21.0 1.20 -0.333333333333 7.049556277 0.6022245584 4 0 0\n"


def silicon_potential(directory: Path) -> PotentialScript:
    """Return the potential, its files written to a directory."""
    (directory / "Si.sw").write_text(SILICON)
    script = directory / "silicon.in"
    script.write_text("pair_style sw\npair_coeff * * Si.sw ${elements}\n")
    return PotentialScript(script, ("Si",), (directory / "Si.sw",))


def silicon_deck(protocol: Protocol, directory: Path, crystal: Atoms | None = None) -> Deck:
    """Write a deck for silicon below a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    structure = bulk("Si", cubic=True) if crystal is None else crystal
    return write_deck(protocol, structure, silicon_potential(directory), directory / "deck")
