"""Ways to leave a saddle point: along a mode, at random, by cold dynamics."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.phonons.calculation.evaluators import Evaluator
from mofmd.phonons.spectrum.soft import Soft
from mofmd.phonons.spectrum.thermal import TOLERANCE_THZ
from mofmd.relaxation.variables import CellFreedom
from mofmd.units import BOLTZMANN_EV_PER_K

if TYPE_CHECKING:
    from phonopy import Phonopy

Way = Literal["map", "rattle", "mode-rattle", "nve"]
MAPPED_A = (0.02, 0.05, 0.1, 0.2, 0.3, 0.45)
"""Displacements of the atom that moves most, both ways, at which the energy is looked at."""
TAKES_PART = 0.1  # of the largest share: an atom with more takes part in a mode
DENOMINATOR_MOST = 12


@dataclass(frozen=True, kw_only=True)
class RemovalOptions:
    """How imaginary modes are removed.

    Parameters
    ----------
    way
        ``map``: along the lowest mode to the lowest energy; ``rattle``: Gaussian displacements;
        ``mode-rattle``: all imaginary modes in a random mixture; ``nve``: a few steps of cold
        dynamics.
    tolerance_THz
        Frequencies below minus this are imaginary.
    rounds
        At most.
    amplitude_A
        Standard deviation of ``rattle``; largest displacement of ``mode-rattle``.
    atoms
        ``all``, or ``mode``: ``rattle`` moves those alone that take part in imaginary modes.
    temperature_K, steps, timestep_fs
        Of ``nve``: the paper of Elena et al. took 7.5 or 10 K and as few as 40 steps.
    fixed
        Atoms, counted from zero, that ``rattle`` and ``nve`` leave where they are.
    fmax_eV_per_A, cell
        Limit of the relaxation after each move, and what of the cell it may change.
    seed
        Of what is random; each round has its own after it.
    """

    way: Way = "map"
    tolerance_THz: float = TOLERANCE_THZ
    rounds: int = 6
    amplitude_A: float = 0.01
    atoms: Literal["all", "mode"] = "all"
    temperature_K: float = 10.0
    steps: int = 40
    timestep_fs: float = 1.0
    fixed: tuple[int, ...] = ()
    fmax_eV_per_A: float = 1e-5
    cell: CellFreedom = "tri"
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        if self.way not in get_args(Way):
            raise InputError(f"way: {self.way!r}, expected one of {', '.join(get_args(Way))}")
        positive = (
            "tolerance_THz",
            "rounds",
            "amplitude_A",
            "temperature_K",
            "steps",
            "timestep_fs",
            "fmax_eV_per_A",
        )
        for name in positive:
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InputError(f"{name}: {value}, expected more than zero")


def repetitions(q: np.ndarray) -> tuple[int, int, int]:
    """Fewest cells along each axis that hold whole waves.

    Raises
    ------
    InputError
        If the wave vector fits into no small supercell.

    Examples
    --------
    >>> repetitions(np.array([0.5, 0.0, 1 / 3]))
    (2, 1, 3)
    """
    parts = [Fraction(float(v)).limit_denominator(DENOMINATOR_MOST) for v in q]
    if any(abs(float(part) - v) > 1e-6 for part, v in zip(parts, q, strict=True)):
        raise InputError(f"wave vector: {q} fits into no small supercell")
    a, b, c = (part.denominator for part in parts)
    return a, b, c


@dataclass(frozen=True)
class Host:
    """The cell of the structure, in which waves are made.

    Parameters
    ----------
    atoms
        As given, primitive or not.
    owners
        (atoms,) atom of the primitive cell that each one is an image of.
    primitive_A
        (3, 3) primitive cell, in whose reciprocal vectors wave vectors are.
    masses
        Of the atoms of the primitive cell.
    """

    atoms: Atoms
    owners: np.ndarray
    primitive_A: np.ndarray
    masses: np.ndarray

    def repetitions(self, q: np.ndarray) -> tuple[int, int, int]:
        """Fewest cells along each axis that hold whole waves."""
        return repetitions(self.atoms.cell.array @ np.linalg.inv(self.primitive_A) @ q)

    def repeated(self, times: tuple[int, int, int]) -> Host:
        """Give a supercell of it."""
        atoms = self.atoms.repeat(times)
        return replace(self, atoms=atoms, owners=np.tile(self.owners, int(np.prod(times))))

    def movement(self, mode: Soft) -> np.ndarray:
        """(atoms, 3) movement along a mode whose waves fit into the cell; the largest is 1."""
        places = self.atoms.positions @ np.linalg.inv(self.primitive_A)
        wave = np.exp(2j * np.pi * (places @ mode.q))[:, None]
        moved = mode.vector[self.owners] / np.sqrt(self.masses[self.owners])[:, None] * wave
        # real and imaginary part are the same wave at two times: the larger one is taken
        real = np.real(moved * np.exp(-0.5j * np.angle((moved**2).sum())))
        return np.asarray(real / np.linalg.norm(real, axis=1).max())


def host_of(phonopy: Phonopy, atoms: Atoms) -> Host:
    """Take the cell that phonopy's object was made of."""
    primitive = phonopy.primitive
    images = primitive.s2p_map[phonopy.supercell.u2s_map]
    owners = np.array([primitive.p2p_map[atom] for atom in images])
    return Host(atoms, owners, np.array(primitive.cell), np.array(primitive.masses))


@dataclass(frozen=True)
class Mapped:
    """Energy along a mode.

    Parameters
    ----------
    amplitudes_A
        Displacement of the atom that moves most.
    energies_eV
        Above that of the undisplaced structure.
    """

    amplitudes_A: tuple[float, ...]
    energies_eV: tuple[float, ...]


def map_mode(mode: Soft, host: Host, evaluator: Evaluator) -> tuple[Atoms, Mapped]:
    """Look at the energy along a mode, and go to where it is lowest."""
    large = host.repeated(host.repetitions(mode.q))
    direction = large.movement(mode)
    amplitudes = sorted([0.0, *MAPPED_A, *(-a for a in MAPPED_A)])

    def moved(amplitude: float) -> Atoms:
        atoms = large.atoms.copy()
        atoms.positions += amplitude * direction
        return atoms

    energies = np.array([e.energy_eV for e in evaluator.map(map(moved, amplitudes))])
    energies -= energies[amplitudes.index(0.0)]
    best = amplitudes[int(np.argmin(energies))] or min(MAPPED_A)
    return moved(best), Mapped(tuple(amplitudes), tuple(float(e) for e in energies))


def rattle(atoms: Atoms, amplitude_A: float, seed: int, movable: np.ndarray | None = None) -> Atoms:
    """Displace atoms at random, normally distributed in each direction.

    Parameters
    ----------
    atoms
        Not changed.
    amplitude_A
        Standard deviation.
    seed
        Of the random numbers.
    movable
        (atoms,) which ones move; None: all.
    """
    found = atoms.copy()
    steps = np.random.default_rng(seed).normal(0.0, amplitude_A, (len(atoms), 3))
    if movable is not None:
        steps[~movable] = 0.0
    found.positions += steps
    return found


def mode_rattle(modes: list[Soft], host: Host, amplitude_A: float, seed: int) -> Atoms:
    """Displace along a random mixture of the modes that fit into the cell of the lowest one."""
    random = np.random.default_rng(seed)
    size = host.repetitions(modes[0].q)
    large = host.repeated(size)
    total = np.zeros((len(large.atoms), 3))
    for mode in modes:
        own = host.repetitions(mode.q)
        if all(a % b == 0 for a, b in zip(size, own, strict=True)):
            total += random.normal() * large.movement(mode)
    atoms = large.atoms.copy()
    atoms.positions += amplitude_A * total / np.linalg.norm(total, axis=1).max()
    return atoms


def taking_part(modes: list[Soft]) -> np.ndarray:
    """(atoms of the primitive cell,) whether an atom takes part in one of the modes."""
    found = np.zeros(len(modes[0].vector), dtype=bool)
    for mode in modes:
        weight = (np.abs(mode.vector) ** 2).sum(axis=1)
        found |= weight > TAKES_PART * weight.max()
    return found


def cold_dynamics(atoms: Atoms, calculator: Any, options: RemovalOptions, seed: int) -> Atoms:
    """Take the last structure of a few steps at constant energy, at a low temperature."""
    from ase.constraints import FixAtoms
    from ase.md.verlet import VelocityVerlet
    from ase.units import fs

    moving = atoms.copy()
    moving.calc = calculator
    masses = moving.get_masses()[:, None]
    spread = np.sqrt(masses * BOLTZMANN_EV_PER_K * options.temperature_K)
    momenta = spread * np.random.default_rng(seed).normal(size=(len(moving), 3))
    if options.fixed:
        moving.set_constraint(FixAtoms(list(options.fixed)))
    else:
        momenta -= masses * momenta.sum(axis=0) / masses.sum()
    moving.set_momenta(momenta)
    VelocityVerlet(moving, options.timestep_fs * fs).run(options.steps)
    found = moving.copy()
    found.set_constraint()
    found.arrays.pop("momenta", None)
    return found
