"""Everything that follows from force constants, in one frozen result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.phonons.calculation.force_constants import ForceConstants
from mofmd.phonons.cells import to_atoms
from mofmd.phonons.spectrum.convergence import MeshStep, mesh_convergence
from mofmd.phonons.spectrum.groups import Groups, find_groups
from mofmd.phonons.spectrum.mesh import Dos, Mesh, make_dos, make_mesh
from mofmd.phonons.spectrum.modes import GammaModes, Sample, gamma_modes, sample
from mofmd.phonons.spectrum.path import BandPath, read_path, standard_path
from mofmd.phonons.spectrum.soft import Soft, exact_points, soft_modes
from mofmd.phonons.spectrum.thermal import (
    FLOOR_THZ,
    TOLERANCE_THZ,
    Thermal,
    thermal_functions,
)
from mofmd.phonons.spectrum.velocities import SoundSpeeds, group_velocities, sound_speeds

if TYPE_CHECKING:
    from phonopy import Phonopy


@dataclass(frozen=True, kw_only=True)
class SpectrumOptions:
    """What is made of force constants.

    Parameters
    ----------
    mesh
        Points along each axis; None: by ``MESH_LENGTH_A``.
    points
        Of a segment of the bands; None: by ``SPACING_PER_A``.
    path
        File with another path than the lattice's own.
    width_THz
        Bin of the densities of states.
    temperatures_K
        Of the thermal functions.
    tolerance_THz, floor_THz
        See ``thermal_functions``.
    velocities
        Whether group velocities along the path are wanted.
    """

    mesh: tuple[int, int, int] | None = None
    points: int | None = None
    path: Path | None = None
    width_THz: float = 0.05
    temperatures_K: tuple[float, ...] = tuple(float(t) for t in range(0, 1001, 10))
    tolerance_THz: float = TOLERANCE_THZ
    floor_THz: float = FLOOR_THZ
    velocities: bool = False

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        for name in ("width_THz", "tolerance_THz", "floor_THz"):
            if not getattr(self, name) > 0.0:
                raise InputError(f"{name}: {getattr(self, name)}, expected more than zero")


@dataclass(frozen=True)
class ImaginaryMode:
    """A mode on the mesh or at Γ whose frequency is imaginary.

    Parameters
    ----------
    q
        Wave vector.
    mode
        Counted from zero, by frequency.
    frequency_THz
        Negative.
    weight
        Share of the mesh that it stands for.
    """

    q: tuple[float, float, float]
    mode: int
    frequency_THz: float
    weight: float


@dataclass(frozen=True)
class Spectrum:
    """Phonons of a crystal; arrays are read-only.

    Parameters
    ----------
    atoms
        Primitive cell.
    force_constants
        With what says how good they are.
    groups
        Elements and building units.
    path, bands
        Wave vectors of the bands and their frequencies.
    mesh, dos, thermal, gamma, speeds
        See there.
    imaginary
        Modes of the mesh beyond the tolerance, the lowest first; translations are none.
    soft
        Those at wave vectors that fit into the supercell, where nothing is interpolated.
    exact_points
        How many such wave vectors there are; 1 is Γ alone.
    convergence
        Thermal functions on coarser meshes, and on this one.
    velocities_km_per_s
        (points of the path, modes, 3); None where not asked for.
    """

    atoms: Atoms
    force_constants: ForceConstants
    groups: Groups
    path: BandPath
    bands: Sample
    mesh: Mesh
    dos: Dos
    thermal: Thermal
    gamma: GammaModes
    speeds: SoundSpeeds
    imaginary: tuple[ImaginaryMode, ...]
    soft: tuple[Soft, ...] = ()
    exact_points: int = 1
    convergence: tuple[MeshStep, ...] = ()
    velocities_km_per_s: np.ndarray | None = field(default=None)

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "velocities_km_per_s")

    @property
    def lowest_optical_THz(self) -> float | None:
        """Lowest optical frequency at Γ; None for one atom, which has none."""
        optical = self.gamma.frequencies_THz[~self.gamma.acoustic]
        return float(optical.min()) if len(optical) else None


def find_imaginary(mesh: Mesh, tolerance_THz: float) -> tuple[ImaginaryMode, ...]:
    """List the modes of a mesh that are imaginary beyond a tolerance, the lowest first."""
    nu = mesh.sample.frequencies_THz
    where = np.argwhere((nu < -tolerance_THz) & ~mesh.acoustic)
    share = mesh.weights / mesh.weights.sum()
    found = [
        ImaginaryMode(
            (float(q[0]), float(q[1]), float(q[2])), int(m), float(nu[k, m]), float(share[k])
        )
        for k, m in where
        for q in [mesh.sample.q[k]]
    ]
    return tuple(sorted(found, key=lambda mode: mode.frequency_THz))


def make_spectrum(
    phonopy: Phonopy,
    force_constants: ForceConstants,
    options: SpectrumOptions | None = None,
    on_progress: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
) -> Spectrum:
    """Make bands, densities of states, thermal functions and modes of force constants.

    Parameters
    ----------
    phonopy
        That has them.
    force_constants
        As measured.
    options
        What to make.
    on_progress
        Called with what is made, how much is done, and of how much.
    """
    chosen = options or SpectrumOptions()
    atoms = to_atoms(phonopy.primitive)
    groups = find_groups(atoms)
    cell = phonopy.primitive.cell
    if chosen.path is None:
        path = standard_path(phonopy, chosen.points)
    else:
        path = read_path(chosen.path, cell)
    bands = sample(phonopy, path.q, None, lambda k, n: on_progress("bands", k, n))
    mesh = make_mesh(phonopy, chosen.mesh, groups, lambda k, n: on_progress("mesh", k, n))
    mass = float(phonopy.primitive.masses.sum())
    temperatures = np.array(chosen.temperatures_K)
    return Spectrum(
        atoms,
        force_constants,
        groups,
        path,
        bands,
        mesh,
        make_dos(mesh, groups, chosen.width_THz),
        thermal_functions(mesh, temperatures, mass, chosen.tolerance_THz, chosen.floor_THz),
        gamma_modes(phonopy, groups),
        sound_speeds(phonopy),
        find_imaginary(mesh, chosen.tolerance_THz),
        tuple(soft_modes(phonopy, chosen.tolerance_THz)),
        exact_points(phonopy),
        mesh_convergence(phonopy, mesh, chosen.tolerance_THz),
        group_velocities(phonopy, path.q) if chosen.velocities else None,
    )
