"""How results change with the mesh of wave vectors, from the same force constants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mofmd.phonons.spectrum.mesh import Mesh, make_mesh
from mofmd.phonons.spectrum.thermal import TOLERANCE_THZ, thermal_functions

if TYPE_CHECKING:
    from phonopy import Phonopy

TEMPERATURE_K = 300.0
SHARES = (0.25, 0.5)


@dataclass(frozen=True)
class MeshStep:
    """Thermal functions on a mesh, per mole of primitive cells.

    Parameters
    ----------
    mesh
        Points along each axis.
    free_energy_kJ_per_mol, entropy_J_per_K_mol, heat_capacity_J_per_K_mol
        At 300 K.
    lowest_THz
        Lowest frequency of the mesh, without the translations at Γ.
    """

    mesh: str
    free_energy_kJ_per_mol: float
    entropy_J_per_K_mol: float
    heat_capacity_J_per_K_mol: float
    lowest_THz: float


def mesh_convergence(
    phonopy: Phonopy, mesh: Mesh, tolerance_THz: float = TOLERANCE_THZ
) -> tuple[MeshStep, ...]:
    """Thermal functions at 300 K on a quarter and half of a mesh, and on the mesh itself.

    Parameters
    ----------
    phonopy
        With force constants.
    mesh
        The finest one, which is not solved again.
    tolerance_THz
        See ``thermal_functions``.
    """
    coarser = [tuple(max(1, round(share * number)) for number in mesh.numbers) for share in SHARES]
    alone = (1, 1, 1)  # of one atom Γ has nothing but translations
    useless = {mesh.numbers} | ({alone} if len(phonopy.primitive) == 1 else set())
    chosen = [each for each in dict.fromkeys(coarser) if each not in useless]
    meshes = [*(make_mesh(phonopy, (a, b, c)) for a, b, c in chosen), mesh]
    return tuple(_step(phonopy, each, tolerance_THz) for each in meshes)


def _step(phonopy: Phonopy, mesh: Mesh, tolerance_THz: float) -> MeshStep:
    mass = float(phonopy.primitive.masses.sum())
    found = thermal_functions(mesh, np.array([TEMPERATURE_K]), mass, tolerance_THz)
    return MeshStep(
        "x".join(map(str, mesh.numbers)),
        float(found.free_energy_kJ_per_mol[0]),
        float(found.entropy_J_per_K_mol[0]),
        float(found.heat_capacity_J_per_K_mol[0]),
        float(mesh.sample.frequencies_THz[~mesh.acoustic].min(initial=np.inf)),
    )
