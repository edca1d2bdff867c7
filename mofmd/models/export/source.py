"""What a loaded model of any family is to the exporter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import Calculator


@dataclass(frozen=True)
class Source:
    """A trained model.

    ``reference`` comes before ``distribute``, which may change the framework's classes.
    """

    reference: Callable[[list[Atoms]], dict[str, list[Any]]]  # the source's own calculator
    fuse: Callable[[], None] | None  # makes each convolution one operator; None: it has none
    distribute: Callable[[], torch.nn.Module]  # its energy, layers rewritten to fetch ghosts' rows
    family: str
    type_names: list[str]
    r_max: float  # angstrom
    cutoffs: list[list[float]] | None  # [centre][neighbour], angstrom
    num_layers: int
    dtype: str  # of the export
    source_dtype: str  # of the trained model
    script: Callable[[torch.nn.Module], Any]  # the family's way to TorchScript
    packages: tuple[str, ...]  # whose versions the manifest records
    traceable: bool = True  # False: cannot be compiled by AOTInductor
    example: Atoms | None = None  # a physical structure that comes with the model

    @property
    def has_layers(self) -> bool:
        """Whether its energy is one of layers (``layered.py``); with one it is strictly local."""
        return self.family != "allegro"


def evaluate_with(calculator: Calculator, structures: list[Atoms]) -> dict[str, list[Any]]:
    """Return energy (eV), forces (N, 3) (eV/A) and stress (3, 3) (eV/A^3, tension positive)."""
    results: dict[str, list[Any]] = {"energy": [], "forces": [], "stress": []}
    for structure in structures:
        atoms = structure.copy()
        atoms.calc = calculator
        results["energy"].append(float(atoms.get_potential_energy()))
        results["forces"].append(atoms.get_forces())
        results["stress"].append(atoms.get_stress(voigt=False))
    return results
