"""A phonon calculation in a folder: relaxed structure, forces, force constants, results."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from mofmd.errors import InputError, InputWarning
from mofmd.phonons.calculation.collect import FORCE_LIMIT_EV_PER_A, Progress, collect_forces
from mofmd.phonons.calculation.displacements import (
    DisplacementOptions,
    Precision,
    choose_displacements,
)
from mofmd.phonons.calculation.evaluators import Evaluator
from mofmd.phonons.calculation.folder import held_folder
from mofmd.phonons.calculation.force_constants import ForceConstants, make_force_constants
from mofmd.phonons.calculation.mirror import mirror_share
from mofmd.phonons.calculation.store import ForceStore, Identity, structure_digest
from mofmd.phonons.cells import (
    SYMMETRY_TOLERANCE_A,
    check_modes,
    new_phonopy,
    sufficient_supercell,
    to_phonopy,
)
from mofmd.phonons.extra import need_packages
from mofmd.phonons.output import write_force_constants, write_phonopy
from mofmd.structures.symmetry import check_tolerance

if TYPE_CHECKING:
    from phonopy import Phonopy

FORCES = "forces"
AUTO_ATOMS = 4000
"""A supercell that is not given is made no larger than this."""


@dataclass(frozen=True)
class Model:
    """What a phonon calculation must know of the model or reference method.

    Parameters
    ----------
    identity
        Tells it from others: hash of its file, precision, dispersion.
    precision
        Of its forces.
    reach_A
        Distance to which a displaced atom changes forces; 0 where nobody knows.
    facts
        For the record.
    """

    identity: str
    precision: Precision = "float64"
    reach_A: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ForceOptions:
    """How forces are made.

    Parameters
    ----------
    supercell
        Repetitions, or a (3, 3) matrix; None: as many as twice the reach of the model needs.
    displacements
        See there.
    symmetry_tolerance_A
        Within which symmetry is found; None: ``SYMMETRY_TOLERANCE_A``.
    force_limit_eV_per_A
        A structure with a larger force is not relaxed.
    sum_rule
        See ``make_force_constants``.
    """

    supercell: tuple[int, int, int] | np.ndarray | None = None
    displacements: DisplacementOptions = field(default_factory=DisplacementOptions)
    symmetry_tolerance_A: float | None = None
    force_limit_eV_per_A: float = FORCE_LIMIT_EV_PER_A
    sum_rule: bool = True

    def __post_init__(self) -> None:
        """Refuse a tolerance that makes no sense."""
        check_tolerance(self.tolerance_A)

    @property
    def tolerance_A(self) -> float:
        """Within which the symmetry of a relaxed structure is found [Å]."""
        given = self.symmetry_tolerance_A
        return SYMMETRY_TOLERANCE_A if given is None else given


def check_supercell(model: Model, options: ForceOptions | None) -> None:
    """Refuse to choose a supercell where nobody knows what suffices.

    Raises
    ------
    InputError
        If none is given, and the reach of the model is not known.
    """
    if model.reach_A == 0.0 and (options is None or options.supercell is None):
        raise InputError(
            f"supercell: how far the forces of {model.facts.get('model', 'the model')} reach is "
            "not known, so that none can be chosen: set --supercell, such as 1x1x1 for the modes "
            "at Γ of the cell itself"
        )


def choose_supercell(atoms: Atoms, model: Model, options: ForceOptions) -> np.ndarray:
    """(3, 3) matrix of the supercell.

    Raises
    ------
    InputError
        If none is given, and what suffices is not known, or larger than ``AUTO_ATOMS``.

    Warns
    -----
    InputWarning
        If what is given is smaller than twice the reach of the model.
    """
    check_supercell(model, options)
    enough = sufficient_supercell(atoms.cell.array, model.reach_A)
    text = "x".join(map(str, enough))
    if options.supercell is None:
        size = int(np.prod(enough)) * len(atoms)
        if size > AUTO_ATOMS:
            raise InputError(
                f"supercell: {text} is what twice the reach of the model ({model.reach_A:g} Å) "
                f"needs, {size} atoms; set --supercell to it, or to a smaller one"
            )
        return np.diag(enough)
    given = np.array(options.supercell)
    matrix = np.diag(given) if given.ndim == 1 else given
    large = sufficient_supercell(matrix @ atoms.cell.array, model.reach_A)
    if max(large) > 1:
        warnings.warn(
            f"supercell: smaller than twice the reach of the model ({model.reach_A:g} Å): atoms "
            "feel a displaced atom and its image at once, and frequencies away from the wave "
            f"vectors that fit into the supercell are not those of the model; {text} suffices",
            InputWarning,
            stacklevel=2,
        )
    return matrix


def forces_in_folder(  # noqa: PLR0913 - two options
    atoms: Atoms,
    evaluator: Evaluator,
    model: Model,
    folder: Path,
    options: ForceOptions | None = None,
    *,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> tuple[Phonopy, ForceConstants]:
    """Evaluate the displacements of a relaxed structure and make force constants.

    Each result is kept in ``folder/forces`` as it comes; run again after any interruption, what is
    there is not evaluated again, and the force constants are the same to the last bit.

    Parameters
    ----------
    atoms
        Relaxed for the model.
    evaluator
        Of the model.
    model
        Tells its forces from others'.
    folder
        Is made if it lacks; gets ``phonopy.yaml``, ``force_constants.hdf5``, ``FORCE_CONSTANTS``.
    options
        How.
    overwrite
        Remove forces that are there.
    on_progress
        Called after each evaluation.

    Raises
    ------
    InputError
        If the structure is not relaxed, a displacement is too small, the supercell is one atom, or
        the folder holds forces of something else.
    """
    need_packages()
    chosen = options or ForceOptions()
    matrix = choose_supercell(atoms, model, chosen)
    phonopy = new_phonopy(to_phonopy(atoms), matrix, chosen.tolerance_A)
    check_modes(phonopy)
    displacements = choose_displacements(phonopy, chosen.displacements, model.precision)
    facts = {
        "supercell": matrix.tolist(),
        "displacements_A": list(displacements.distances_A),
        "method": displacements.method,
        "evaluations": len(displacements) + 1,
        "model_facts": model.facts,
    }
    with held_folder(folder):
        store = ForceStore(
            folder / FORCES,
            Identity(structure_digest(atoms), model.identity, displacements.digest),
            len(phonopy.supercell),
            facts,
            overwrite=overwrite,
        )
        forces = collect_forces(
            displacements,
            evaluator,
            store,
            force_limit_eV_per_A=chosen.force_limit_eV_per_A,
            on_progress=on_progress,
        )
        share = mirror_share(phonopy, displacements, evaluator, store, model.precision)
        found = make_force_constants(phonopy, displacements, forces, sum_rule=chosen.sum_rule)
        found = replace(found, mirror_share=share)
        write_phonopy(phonopy, folder)
        write_force_constants(phonopy, folder)
    return phonopy, found


def phonons_in_folder(  # noqa: PLR0913, PLR0917 - one argument per part
    atoms: Atoms,
    evaluator: Evaluator,
    model: Model,
    folder: Path,
    supercell: np.ndarray,
    options: ForceOptions,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Phonopy:
    """Make the phonons of one of several structures, in a supercell that was chosen for all.

    What is to be said of the supercell was said when it was chosen, and is not said once more.

    Parameters
    ----------
    atoms, evaluator, model, folder, options, on_progress
        As of ``forces_in_folder``.
    supercell
        (3, 3) matrix of ``choose_supercell``; that of the options does not count.
    """
    phonopy, _ = forces_in_folder(
        atoms,
        evaluator,
        replace(model, reach_A=0.0),
        folder,
        replace(options, supercell=supercell),
        on_progress=on_progress,
    )
    return phonopy
