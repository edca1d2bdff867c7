"""Small labelled sets of a potential that anyone can compute: Lennard-Jones-like argon in ASE."""

import sys
import textwrap
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.calculators.lj import LennardJones

from mofmd.learning.data.dataset import Labels, labelled

CALCULATOR = """
import os
import signal
import time

import numpy as np

from ase.calculators.lj import LennardJones
from ase.calculators.calculator import PropertyNotImplementedError


def good():
    return LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)


class WrongSign(LennardJones):
    factor = -1.0

    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        if "stress" in self.results:  # not of a molecule
            self.results["stress"] = self.factor * self.results["stress"]


class GPa(WrongSign):
    factor = 160.21766208


class Half(WrongSign):
    factor = 0.5


class Virial(LennardJones):
    def calculate(self, atoms, *args, **kwargs):
        super().calculate(atoms, *args, **kwargs)
        self.results["stress"] = atoms.get_volume() * self.results["stress"]


class Gradients(LennardJones):
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["forces"] = -self.results["forces"]


class NoStress(LennardJones):
    def get_stress(self, atoms=None):
        raise PropertyNotImplementedError("stress")


class Fails(LennardJones):
    def calculate(self, *args, **kwargs):
        raise RuntimeError("the self-consistent field did not converge")


class FailsOnSome(LennardJones):
    # frames are marked by how far the first atom is along x

    def calculate(self, atoms, *args, **kwargs):
        mark = round(float(atoms.positions[0, 0]))
        if mark == 1:
            raise RuntimeError("the self-consistent field did not converge")
        if mark == 2:
            os._exit(1)
        if mark == 5:
            time.sleep(300)
        if mark == 6:
            print("step 17 of the self-consistent field", end="", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        print("some words, unfinished", end="")
        super().calculate(atoms, *args, **kwargs)
        if mark == 3:
            self.results["energy"] = float("nan")
        if mark == 4:
            self.results["forces"][5, 1] = float("nan")


class Rounded(LennardJones):
    # as a model in float32 with the energies of all electrons
    def calculate(self, *args, **kwargs):
        super().calculate(*args, **kwargs)
        self.results["energy"] = float(np.float32(self.results["energy"] - 5e5))


def make(kind):
    return lambda: kind(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)


wrong_sign, gpa, half, virial, gradients, no_stress, fails, fails_on_some, rounded = map(
    make, (WrongSign, GPa, Half, Virial, Gradients, NoStress, Fails, FailsOnSome, Rounded)
)
not_a_function = 3
"""


def write_calculators(folder: Path) -> None:
    """Write a module ``argon_calculators`` that a labeller can import from the folder."""
    sys.modules.pop("argon_calculators", None)
    (folder / "argon_calculators.py").write_text(textwrap.dedent(CALCULATOR))


def argon(seed: int = 0, amplitude: float = 0.1) -> Atoms:
    """32 atoms of argon off their sites."""
    atoms = bulk("Ar", cubic=True, a=5.3) * (2, 2, 2)
    atoms.rattle(amplitude, seed=seed)
    return atoms


def argon_labels(atoms: Atoms) -> Labels:
    atoms = atoms.copy()
    atoms.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)
    return Labels(
        float(atoms.get_potential_energy()), atoms.get_forces(), atoms.get_stress(voigt=False)
    )


def frame(
    energy: float = -10.0,
    forces: np.ndarray | None = None,
    stress: np.ndarray | None = None,
    **info: object,
) -> Atoms:
    """A frame of two hydrogen molecules' worth of atoms with labels of one's choice."""
    positions = [[1.0, 1.0, 1.0], [3.0, 1.2, 1.1], [1.1, 3.0, 5.0], [4.0, 4.2, 2.0]]
    atoms = Atoms("CHNZn", positions=positions, cell=[7.0, 7.5, 8.0], pbc=True)
    if forces is None:
        forces = np.array([[1.0, -0.5, 0.2], [-0.3, 0.8, 0.1], [-0.6, -0.4, 0.9], [-0.1, 0.1, -1]])
    if stress is None:
        stress = 0.01 * np.array([[1.0, 0.1, 0.2], [0.1, 1.1, 0.3], [0.2, 0.3, 0.9]])
    atoms.info.update({"trajectory": "one", **info})
    return labelled(atoms, Labels(energy, forces, stress))
