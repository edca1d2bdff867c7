"""Structures in strained cells."""

from __future__ import annotations

import numpy as np
from ase import Atoms


def deformed(atoms: Atoms, strain: np.ndarray) -> Atoms:
    """Return the structure with every r replaced by (1 + strain) r.

    Parameters
    ----------
    atoms
        Periodic.
    strain
        (3, 3), not necessarily symmetric.
    """
    changed = atoms.copy()
    changed.set_cell(atoms.cell.array @ (np.eye(3) + strain).T, scale_atoms=True)
    return changed
