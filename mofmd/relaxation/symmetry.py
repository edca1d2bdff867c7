"""The space group of a structure, kept while it is relaxed."""

from __future__ import annotations

from typing import Any

import numpy as np
import spglib
from ase import Atoms
from ase.spacegroup.symmetrize import (
    check_symmetry,
    prep_symmetry,
    refine_symmetry,
    symmetrize_rank1,
    symmetrize_rank2,
)

from mofmd.errors import InputError
from mofmd.structures.symmetry import symmetry_search

TOLERANCE_A = 1e-3


class Symmetry:
    """Operations of a space group, found by spglib.

    Parameters
    ----------
    atoms
        A structure that has the symmetry, see ``symmetrised``.
    tolerance_A
        Within which atoms coincide [Å].
    proper
        Without inversions, reflections and what holds one, of which a model may know nothing
        (those of SevenNet turn with the atoms, and are not those of the mirror image).
    """

    def __init__(
        self, atoms: Atoms, tolerance_A: float = TOLERANCE_A, *, proper: bool = False
    ) -> None:
        with symmetry_search(atoms, tolerance_A):
            rotations, translations, maps = prep_symmetry(atoms, tolerance_A)[:3]
            found: Any = check_symmetry(atoms, tolerance_A)
        is_proper = np.linalg.det(rotations) > 0.0
        self.has_mirrors = not (proper or is_proper.all())
        self.name = f"{found.international} ({found.number})"
        if proper and not is_proper.all():
            rotations, translations = rotations[is_proper], translations[is_proper]
            maps = [images for images, kept in zip(maps, is_proper, strict=True) if kept]
            group: Any = spglib.get_spacegroup_type_from_symmetry(
                rotations, translations, atoms.cell.array, tolerance_A
            )
            self.name = f"{group.international_short} ({group.number})"
        self._rotations, self._translations, self._maps = rotations, translations, maps

    @property
    def order(self) -> int:
        """Number of operations of the cell."""
        return len(self._rotations)

    def of_vectors(self, vectors: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """(atoms, 3) vectors of atoms, averaged over the operations."""
        return np.asarray(
            symmetrize_rank1(
                cell, np.linalg.inv(cell), vectors, self._rotations, self._translations, self._maps
            )
        )

    def of_tensor(self, tensor: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """(3, 3) tensor, averaged over the operations."""
        return np.asarray(symmetrize_rank2(cell, np.linalg.inv(cell), tensor, self._rotations))

    def left_out(self, vectors: np.ndarray, cell: np.ndarray) -> float:
        """Largest norm of what the average takes from vectors of atoms."""
        rest = vectors - self.of_vectors(vectors, cell)
        return float(np.linalg.norm(rest, axis=1).max(initial=0.0))

    def check_mask(self, mask: np.ndarray) -> None:
        """Refuse a choice of atoms that an operation takes to others.

        Raises
        ------
        InputError
            Naming such an atom.
        """
        for images in self._maps:
            wrong = np.flatnonzero(mask & ~mask[np.asarray(images)])
            if len(wrong):
                raise InputError(
                    f"fixed atoms: {wrong[0]} is one and its symmetry image "
                    f"{np.asarray(images)[wrong[0]]} is not (counted from zero): fix both, or do "
                    "not keep the symmetry"
                )


def symmetrised(atoms: Atoms, tolerance_A: float) -> Atoms:
    """Move atoms and cell to where the space group within the tolerance has them exactly.

    Raises
    ------
    InputError
        If atoms are at one place, or spglib finds nothing within the tolerance.
    """
    exact = atoms.copy()
    exact.calc = None
    with symmetry_search(atoms, tolerance_A):
        refine_symmetry(exact, tolerance_A)
    return exact
