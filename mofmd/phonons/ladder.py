"""Space group and number of displacements at a ladder of tolerances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.phonons.cells import new_phonopy, to_phonopy

TOLERANCES_A = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1)


@dataclass(frozen=True)
class Rung:
    """What symmetry a structure has within a tolerance.

    Parameters
    ----------
    tolerance_A
        Within which atoms coincide.
    space_group
        Symbol and number.
    operations
        Of the space group, for the given cell.
    displacements
        That symmetry leaves; 0 where spglib finds no symmetry at this tolerance.
    """

    tolerance_A: float
    space_group: str
    operations: int
    displacements: int


def symmetry_ladder(
    atoms: Atoms, tolerances_A: tuple[float, ...] = TOLERANCES_A
) -> tuple[Rung, ...]:
    """Find the space group at each tolerance, and how many displacements it leaves.

    A relaxed structure has its symmetry within the limits of the relaxation: where the ladder
    changes its group says how far it is from the higher one.

    Parameters
    ----------
    atoms
        A crystal.
    tolerances_A
        Of the search.
    """
    from spglib.error import SpglibError

    cell = to_phonopy(atoms)
    rungs = []
    for tolerance in tolerances_A:
        try:
            phonopy = new_phonopy(cell, np.eye(3, dtype=int), tolerance)
            phonopy.generate_displacements(distance=0.01)
            found = phonopy.symmetry.dataset
            rungs.append(
                Rung(
                    tolerance,
                    f"{found.international} ({found.number})",
                    len(phonopy.symmetry.symmetry_operations["rotations"]),
                    len(phonopy.displacements),
                )
            )
        except (RuntimeError, TypeError, ValueError, AttributeError, SpglibError):
            rungs.append(Rung(tolerance, "none found", 0, 0))
    return tuple(rungs)
