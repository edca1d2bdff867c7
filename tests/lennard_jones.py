"""A crystal of exactly known elasticity: fcc argon, truncated Lennard-Jones potential."""

import itertools
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from scipy.optimize import brentq

from mofmd.simulation.deck.deck import Deck, PotentialScript, write_deck
from mofmd.simulation.protocols import Protocol
from mofmd.simulation.run.run import Run
from mofmd.units import BAR_TO_GPA, EV_PER_A3_TO_GPA

EPSILON_EV, SIGMA_A = 0.0104, 3.4
CUTOFF_A = 8.66  # between the fifth and the sixth shell, so that no shell crosses it under strain


def shells(edge_A: float) -> np.ndarray:
    """(neighbours, 3) vectors to all neighbours within the cutoff."""
    grid = np.array(list(itertools.product(range(-4, 5), repeat=3))) * edge_A / 2
    on_lattice = np.round(grid.sum(axis=1) * 2 / edge_A).astype(int) % 2 == 0
    lengths = np.linalg.norm(grid, axis=1)
    return grid[on_lattice & (lengths > 0) & (lengths < CUTOFF_A)]


def derivatives(lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """φ' and φ'' of φ = 4ε[(σ/r)¹² − (σ/r)⁶]."""
    s6 = (SIGMA_A / lengths) ** 6
    first = 4 * EPSILON_EV * (-12 * s6**2 + 6 * s6) / lengths
    second = 4 * EPSILON_EV * (156 * s6**2 - 42 * s6) / lengths**2
    return first, second


def equilibrium_edge() -> float:
    """Edge of the cubic cell [Å] at zero pressure and 0 K."""

    def virial(edge_A: float) -> float:
        lengths = np.linalg.norm(shells(edge_A), axis=1)
        return float((lengths * derivatives(lengths)[0]).sum())

    return float(brentq(virial, 5.15, 5.35, xtol=1e-12))


def exact_stiffness(edge_A: float) -> tuple[float, float, float]:
    """C11, C12, C44 [GPa] at zero pressure: Born's sums over pairs, exact for a Bravais lattice."""
    vectors = shells(edge_A)
    lengths = np.linalg.norm(vectors, axis=1)
    first, second = derivatives(lengths)
    weight = (second - first / lengths) / lengths**2 / (2 * edge_A**3 / 4) * EV_PER_A3_TO_GPA
    x, y = vectors[:, 0] ** 2, vectors[:, 1] ** 2
    return (
        float((weight * x * x).sum()),
        float((weight * x * y).sum()),
        float((weight * x * y).sum()),
    )


def argon(edge_A: float) -> Atoms:
    return bulk("Ar", cubic=True, a=edge_A)


def argon_deck(
    protocol: Protocol, directory: Path, edge_A: float, crystal: Atoms | None = None
) -> Deck:
    """Write a deck of the cubic crystal, or of another one."""
    directory.mkdir(parents=True, exist_ok=True)
    script = directory / "argon.in"
    script.write_text(
        f"pair_style lj/cut {CUTOFF_A}\npair_coeff * * {EPSILON_EV} {SIGMA_A}\n"
        "pair_modify shift yes\n"
    )
    potential = PotentialScript(script, ("Ar",))
    return write_deck(
        protocol, argon(edge_A) if crystal is None else crystal, potential, directory / "deck"
    )


def bulk_modulus(run: Run) -> float:
    """−V dP/dV [GPa] at the second of three volumes, from the stages sample_1 to sample_3."""
    samples = [t.columns for k in (1, 2, 3) for t in run.tables if t.stage == f"sample_{k}"]
    volumes = [float(sample["Volume"].mean()) for sample in samples]
    pressures = [float(sample["Press"].mean()) * BAR_TO_GPA for sample in samples]
    slope = np.polyder(np.polyfit(volumes, pressures, 2))
    return float(-volumes[1] * np.polyval(slope, volumes[1]))


EDGE_A = equilibrium_edge()
C11, C12, C44 = exact_stiffness(EDGE_A)
K_GPa = (C11 + 2 * C12) / 3
