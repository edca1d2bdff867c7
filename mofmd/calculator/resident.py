"""A compiled evaluator that stays in memory, and the atoms that it holds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mofmd.calculator.images import Images, find_images

GRID_A = 0.25
"""Grid of the positions that neighbours are looked for around without a skin."""


class Sums(NamedTuple):
    """What an evaluator gives for N atoms.

    Parameters
    ----------
    energies
        (N,) [eV].
    forces
        (N, 3) [eV/Å].
    virial
        (3, 3) −dE/d(strain) [eV]; None where a model gives none.
    """

    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray | None


class Resident:
    """``torch.classes.mofmd.Model`` or ``Dispersion`` over periodic images of atoms.

    Parameters
    ----------
    engine
        The compiled object.
    reach_A
        How far it looks [Å].
    skin_A
        Neighbours are looked for anew when two atoms may have come closer by this [Å]. 0: they are
        those around positions that are rounded to a grid, so that a result depends, to the last
        bit, on nothing that came before, and structures that differ by the displacement of an atom
        mostly share them.
    """

    def __init__(self, engine: Any, reach_A: float, skin_A: float) -> None:
        self._engine = engine
        self._has_memory = skin_A > 0.0
        # either atom of a pair may be half a diagonal of the grid away from where it is rounded to
        self._skin_A = skin_A if self._has_memory else np.sqrt(3.0) * GRID_A
        self._reach_A = reach_A
        self._images: Images | None = None
        self._placed: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None

    def evaluate(
        self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, kinds: np.ndarray
    ) -> Sums:
        """Evaluate atoms.

        Parameters
        ----------
        positions, cell, pbc
            As of ``find_images``.
        kinds
            (atoms,) kind of each, as the evaluator counts them.
        """
        import torch

        around = positions if self._has_memory else np.round(positions / GRID_A) * GRID_A
        if self._images is None or self._have_changed(around, cell, pbc, kinds):
            self._images = find_images(around, cell, pbc, self._reach_A + self._skin_A)
            self._placed = None
            owners = self._images.owners
            self._engine.place(
                torch.from_numpy(self._images.points(around, cell)),
                torch.from_numpy(kinds[owners]),
                torch.from_numpy(owners),
                len(positions),
                self._skin_A,
            )
            self._placed = (around.copy(), cell.copy(), np.array(pbc), kinds.copy())
        points = torch.from_numpy(self._images.points(positions, cell))
        energies, forces, virial = self._engine.evaluate(points)
        return Sums(energies.numpy(), forces.numpy(), virial.numpy() if virial.numel() else None)

    def count_edges(self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray) -> int:
        """Pairs of an atom and a neighbour within reach, without the skin."""
        import torch

        images = find_images(positions, cell, pbc, self._reach_A)
        points = torch.from_numpy(images.points(positions, cell))
        centres, _ = torch.ops.mofmd.neighbor_pairs(points, len(positions), self._reach_A)
        return int(centres.numel())

    def _have_changed(
        self, positions: np.ndarray, cell: np.ndarray, pbc: np.ndarray, kinds: np.ndarray
    ) -> bool:
        if self._images is None or self._placed is None:
            return True
        before, cell_before, pbc_before, kinds_before = self._placed
        if not (np.array_equal(kinds, kinds_before) and np.array_equal(pbc, pbc_before)):
            return True
        if not self._has_memory:
            return not (np.array_equal(positions, before) and np.array_equal(cell, cell_before))
        moves = self._images.points(positions - before, cell - cell_before)
        furthest = float(np.linalg.norm(moves, axis=1).max(initial=0.0))
        # images one cell beyond those that were found might come in, too
        beyond = float(np.linalg.norm(cell - cell_before, axis=1).sum())
        return 2.0 * furthest + beyond > self._skin_A
