"""Elastic constants of a relaxed crystal by small strains, and the speeds of sound they mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.analysis.mechanics.elastic_tensor import VOIGT
from mofmd.arrays import freeze
from mofmd.errors import InputError, RunError
from mofmd.geometry.deform import deformed
from mofmd.phonons.calculation.folder import held_folder
from mofmd.phonons.cells import check_crystal
from mofmd.relaxation import RelaxOptions, relax_in_folder
from mofmd.relaxation.relaxation import Relaxation

STRAIN = 0.002
RECORD, SOUND = "elastic.json", "sound.csv"
MADE = ("relax", "strain-[1-6][+-]", RECORD, SOUND)
GPA_PER_G_MOL_A3_TO_KM2_PER_S2 = 0.602214076
"""1 GPa over 1 g/mol/Å³ (1.66054 g/cm³) in (km/s)²."""


@dataclass(frozen=True)
class Elastic:
    """Elastic constants; arrays are read-only.

    Parameters
    ----------
    stiffness_GPa
        (6, 6) in Voigt's order xx yy zz yz xz xy, symmetrised.
    asymmetry_GPa
        Largest difference across its diagonal before that: of noise and of strains too large.
    """

    stiffness_GPa: np.ndarray
    asymmetry_GPa: float

    def __post_init__(self) -> None:
        """Make the array read-only."""
        freeze(self, "stiffness_GPa")


def check_strain(strain: float) -> None:
    """Refuse a strain that is none, or too large for elastic constants.

    Raises
    ------
    InputError
        If it is.
    """
    if not 0.0 < strain < 0.1:
        raise InputError(f"strain: {strain}, expected between 0 and 0.1")


def check_stress(calculator: Any) -> None:
    """Refuse a method without stress, before anything is made.

    Raises
    ------
    InputError
        If it says that it has none.
    """
    if "stress" not in calculator.implemented_properties:
        raise InputError(
            "elastic: the model gives no stress, of which elastic constants are made: take a model "
            "or a method with stress"
        )


def elastic_in_folder(  # noqa: PLR0913 - one argument per part
    atoms: Atoms,
    calculator: Any,
    folder: Path,
    *,
    strain: float = STRAIN,
    fmax_eV_per_A: float = 1e-5,
    overwrite: bool = False,
    on_strain: Callable[[int, int], None] = lambda _done, _total: None,
) -> tuple[Atoms, Elastic]:
    """Relax a crystal and find its elastic constants; run again, it goes on with what lacks.

    Parameters
    ----------
    atoms
        Is relaxed first, cell and atoms.
    folder
        Gets ``relax`` and a folder for each strain.
    calculator, strain, fmax_eV_per_A, on_strain
        As of ``elastic_constants``.
    overwrite
        Begin anew, whatever is in the folder.

    Returns
    -------
    tuple
        The relaxed structure, and its elastic constants.

    Raises
    ------
    InputError
        If the structure is no crystal, the model gives no stress, the strain is none, or the folder
        holds another calculation.
    RunError
        If a relaxation does not keep its limits, or another calculation goes on in the folder.
    """
    check_crystal(atoms)
    check_stress(calculator)
    check_strain(strain)
    options = RelaxOptions(fmax_eV_per_A=fmax_eV_per_A, calls_max=2000)

    def begin() -> Relaxation:
        return Relaxation(atoms, calculator, options)

    with held_folder(folder, MADE, overwrite=overwrite, begin=begin):
        place = folder / "relax"
        done = relax_in_folder(atoms, calculator, options, place)
        if not done.converged:
            raise RunError(f"{place}: the limits were not kept; run again to go on")
        found = elastic_constants(
            done.atoms,
            calculator,
            folder,
            strain=strain,
            fmax_eV_per_A=fmax_eV_per_A,
            on_strain=on_strain,
        )
    return done.atoms, found


def elastic_constants(  # noqa: PLR0913 - one argument per part
    atoms: Atoms,
    calculator: Any,
    folder: Path,
    *,
    strain: float = STRAIN,
    fmax_eV_per_A: float = 1e-5,
    on_strain: Callable[[int, int], None] = lambda _done, _total: None,
) -> Elastic:
    """Strain a relaxed crystal both ways in six directions, relax its atoms, and take the stress.

    Parameters
    ----------
    atoms
        Relaxed for the model.
    calculator
        ASE calculator with stress.
    folder
        Keeps a relaxation for each strain; run again, it goes on.
    strain
        Of each; shears are tensor components.
    fmax_eV_per_A
        Limit of the relaxations.
    on_strain
        Called with the number done and of all.

    Raises
    ------
    InputError
        If the model gives no stress, or the strain is none.
    RunError
        If a relaxation does not keep its limits.
    """
    check_stress(calculator)
    check_strain(strain)
    columns = []
    for k, (i, j) in enumerate(VOIGT):
        both = []
        for sign in (1.0, -1.0):
            tensor = np.zeros((3, 3))
            tensor[i, j] = tensor[j, i] = sign * strain
            place = folder / f"strain-{k + 1}{'+' if sign > 0 else '-'}"
            done = relax_in_folder(
                deformed(atoms, tensor),
                calculator,
                RelaxOptions(fmax_eV_per_A=fmax_eV_per_A, cell="fixed", calls_max=2000),
                place,
                tell_new=False,
            )
            if not done.converged or done.stress_GPa is None:
                raise RunError(f"{place}: the limits were not kept: {done}; run again to go on")
            both.append(np.array([done.stress_GPa[a, b] for a, b in VOIGT]))
        engineering = 2.0 * strain * (1.0 if i == j else 2.0)
        columns.append((both[0] - both[1]) / engineering)
        on_strain(k + 1, len(VOIGT))
    raw = np.array(columns).T
    return Elastic(0.5 * (raw + raw.T), float(np.abs(raw - raw.T).max()))


def christoffel_speeds(
    stiffness_GPa: np.ndarray, density_g_per_mol_A3: float, directions: np.ndarray
) -> np.ndarray:
    """(directions, 3) speeds of sound [km/s] of elastic constants, ascending.

    ρ v² are the eigenvalues of Γ_ik = C_ijkl n_j n_l (Christoffel): Musgrave, Crystal Acoustics
    (1970).

    Parameters
    ----------
    stiffness_GPa
        (6, 6).
    density_g_per_mol_A3
        Mass of the cell over its volume.
    directions
        (directions, 3) unit vectors.
    """
    full = np.empty((3, 3, 3, 3))
    for a, (i, j) in enumerate(VOIGT):
        for b, (k, m) in enumerate(VOIGT):
            for p, q in {(i, j), (j, i)}:
                for r, s in {(k, m), (m, k)}:
                    full[p, q, r, s] = stiffness_GPa[a, b]
    found = []
    for n in directions:
        values = np.linalg.eigvalsh(np.einsum("ijkl,j,l->ik", full, n, n))
        squares = values / density_g_per_mol_A3 * GPA_PER_G_MOL_A3_TO_KM2_PER_S2
        found.append(np.sign(squares) * np.sqrt(np.abs(squares)))
    return np.array(found)


def density_of(atoms: Atoms, masses: np.ndarray) -> float:
    """Mass of a cell over its volume [g/mol/Å³]."""
    return float(masses.sum() / atoms.get_volume())
