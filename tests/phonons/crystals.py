"""Crystals whose phonons are known exactly, and evaluators that tests can look into."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from phonopy import Phonopy

from mofmd.engine.evaluate import Evaluation
from mofmd.phonons.calculation.displacements import DisplacementOptions
from mofmd.phonons.calculation.evaluators import InProcess
from mofmd.phonons.calculation.force_constants import ForceConstants, compact
from mofmd.phonons.effective.fit import harmonic_forces
from mofmd.phonons.run import ForceOptions, Model, forces_in_folder

EPSILON_EV, SIGMA_A = 0.0104, 3.4
NEAREST_A = 2 ** (1 / 6) * SIGMA_A
STIFFNESS = 72 * 2 ** (-1 / 3) * EPSILON_EV / SIGMA_A**2  # of a bond at its minimum [eV/Å²]
EDGE_A = NEAREST_A * 2**0.5
# cubic terms of the potential are taken out by the fit over two distances
EXACT = DisplacementOptions(distances_A=(0.002, 0.004))


class Fresh(LennardJones):  # type: ignore[misc]
    """Looks for neighbours anew each time: sums are in one order, whatever came before."""

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,  # noqa: ARG002 - as ASE calls it
    ) -> None:
        super().calculate(atoms, properties, all_changes)


def argon(epsilon_eV: float = EPSILON_EV) -> LennardJones:
    """Lennard-Jones between nearest neighbours alone."""
    return Fresh(epsilon=epsilon_eV, sigma=SIGMA_A, rc=1.2 * NEAREST_A, smooth=False)


def fcc() -> Atoms:
    return bulk("Ar", "fcc", a=EDGE_A)


def chain() -> Atoms:
    """Chains of two masses side by side, too far apart to feel each other."""
    atoms = Atoms("ArKr", positions=[[0, 0, 0], [NEAREST_A, 0, 0]], pbc=True)
    atoms.set_cell([2 * NEAREST_A, 20.0, 21.0])
    return atoms


def phonons(
    atoms: Atoms,
    calculator: Any,
    folder: Path,
    supercell: tuple[int, int, int] = (4, 4, 4),
    displacements: DisplacementOptions = EXACT,
    **options: Any,
) -> tuple[Phonopy, ForceConstants]:
    return forces_in_folder(
        atoms,
        InProcess(calculator),
        Model("test"),
        folder,
        ForceOptions(supercell=supercell, displacements=displacements, **options),
    )


class Counting:
    """Counts what it evaluates, and stops after some."""

    def __init__(self, calculator: Any, most: int = 10**6, noise_eV_per_A: float = 0.0) -> None:
        self.evaluates = InProcess(calculator)
        self.count = 0
        self.most = most
        self.noise = noise_eV_per_A
        self.random = np.random.default_rng(0)

    def map(self, structures: Iterable[Atoms]) -> Iterator[Evaluation]:
        for found in self.evaluates.map(structures):
            if self.count >= self.most:
                raise KeyboardInterrupt
            self.count += 1
            noise = self.noise * self.random.normal(size=found.forces_eV_per_A.shape)
            yield Evaluation(
                found.energy_eV,
                found.atomic_energies_eV,
                found.forces_eV_per_A + noise,
                found.stress_eV_per_A3,
            )


class Handed(Calculator):  # type: ignore[misc]
    """Bonds as of argon, and triple products of three of them, which change sign in a mirror."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]

    def __init__(self, strength_eV: float) -> None:
        super().__init__()
        self.strength_eV = strength_eV

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        import torch
        from ase.neighborlist import neighbor_list

        super().calculate(atoms, properties, system_changes)
        reach = 1.4 * NEAREST_A
        i, j, shifts = neighbor_list("ijS", self.atoms, reach)
        where = torch.tensor(self.atoms.positions, requires_grad=True)
        bonds = where[j] - where[i] + torch.tensor(shifts @ self.atoms.cell.array)
        r = bonds.norm(dim=1)
        x = r / NEAREST_A
        end = (1.0 - (r / reach) ** 2) ** 3
        total = 0.5 * (EPSILON_EV * (x**-12 - 2.0 * x**-6) * end).sum()
        vectors = [  # (atoms, 3), each with another weight of near and far neighbours
            torch.zeros_like(where).index_add(0, torch.tensor(i), bonds * (end * x**n)[:, None])
            for n in (0, -3, -8)
        ]
        a, b, c = vectors
        total = total + self.strength_eV / NEAREST_A**3 * (torch.linalg.cross(a, b) * c).sum()
        (gradient,) = torch.autograd.grad(total, where)
        self.results = {"energy": float(total.detach()), "forces": -gradient.numpy()}


def pairs() -> Atoms:
    """Six atoms of which an inversion is the only symmetry."""
    half = np.array([[0.25, 0.2, 0.3], [0.3, 0.72, 0.25], [0.2, 0.3, 0.75]])
    half += np.random.default_rng(3).uniform(-0.2, 0.2, (3, 3))
    cell = 1.9 * NEAREST_A * np.array([[1.0, 0.0, 0.0], [0.07, 1.02, 0.0], [0.04, -0.06, 0.97]])
    return Atoms("Ar6", cell=cell, scaled_positions=np.vstack([half, -half]), pbc=True)


class DoubleWell(Calculator):  # type: ignore[misc]
    """Pairs of atoms, −a x² + b x⁴ along x and harmonic across, in the cell they began in."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]
    a, b, k = 0.5, 4.0, 3.0  # eV/Å², eV/Å⁴, eV/Å²
    apart = np.array([1.5, 0.0, 0.0])

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        place = self.atoms.positions.reshape(-1, 2, 3)
        d = place[:, 1] - place[:, 0] - self.apart
        energy = -self.a * d[:, 0] ** 2 + self.b * d[:, 0] ** 4
        energy = energy + 0.5 * self.k * (d[:, 1:] ** 2).sum(axis=1)
        slope = np.concatenate(
            [(-2 * self.a * d[:, 0] + 4 * self.b * d[:, 0] ** 3)[:, None], self.k * d[:, 1:]],
            axis=1,
        )
        forces = np.stack([slope, -slope], axis=1).reshape(-1, 3)
        self.results = {"energy": float(energy.sum()), "forces": forces}


def pair() -> Atoms:
    """The pair on the hill between its two wells, and a cell of no symmetry along the bond."""
    cell = np.diag([5.0, 6.0, 7.0])
    return Atoms("CO", positions=[[1, 1, 1], [2.5, 1, 1]], cell=cell, pbc=True)


class Bond(Calculator):  # type: ignore[misc]
    """Pairs of atoms, k x²/2 + g x³ + q x⁴ along x and harmonic across, in the cell as it began."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]
    k, g, quartic, across = 4.0, -6.0, 9.0, 3.0  # eV/Å² and so on
    apart = np.array([1.5, 0.0, 0.0])

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        symbols = np.array(self.atoms.get_chemical_symbols())
        c, o = np.flatnonzero(symbols == "C"), np.flatnonzero(symbols == "O")
        d = self.atoms.positions[o] - self.atoms.positions[c] - self.apart
        x = d[:, 0]
        energy = self.k * x**2 / 2 + self.g * x**3 + self.quartic * x**4
        energy = energy + 0.5 * self.across * (d[:, 1:] ** 2).sum(axis=1)
        slope = self.across * d
        slope[:, 0] = self.k * x + 3 * self.g * x**2 + 4 * self.quartic * x**3
        forces = np.zeros((len(symbols), 3))
        forces[c], forces[o] = slope, -slope
        self.results = {"energy": float(energy.sum()), "forces": forces}


class Harmonic(Calculator):  # type: ignore[misc]
    """The potential of force constants, for displacements of their supercell."""

    implemented_properties: ClassVar[list[str]] = ["energy", "forces"]
    energy_eV = -7.5  # of the supercell

    def __init__(self, phonopy: Phonopy) -> None:
        super().__init__()
        self.phonopy = phonopy

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("energy",),
        system_changes: Any = all_changes,
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        u = self.atoms.positions - self.phonopy.supercell.positions
        forces = harmonic_forces(self.phonopy, compact(self.phonopy), u[None])[0]
        self.results = {
            "energy": self.energy_eV - 0.5 * float((u * forces).sum()),
            "forces": forces,
        }
