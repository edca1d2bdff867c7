"""Features of atoms: what a model makes of their surroundings, to tell known from unknown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.calculator.features import FileFeatures
from mofmd.learning.select.descriptor import Descriptor
from mofmd.learning.select.picking import Features


class ModelFeatures:
    """Features from a file of ``mofmd deploy``, evaluated in this process.

    Those of ``FileFeatures`` that do not change under rotation.

    Parameters
    ----------
    path
        Model file, TorchScript.

    Raises
    ------
    InputError
        If the file was compiled with AOTInductor: its layers cannot be reached.
    """

    def __init__(self, path: Path) -> None:
        self._file = FileFeatures(path)
        self.model = self._file.model

    def of_frames(self, frames: Sequence[Atoms]) -> list[Features]:
        """Features of each frame by element."""
        return [by_element(frame, self._file.nodes(frame)) for frame in frames]


def by_element(atoms: Atoms, table: np.ndarray) -> Features:
    """Sort the rows of a table of atoms by element."""
    symbols = np.array(atoms.get_chemical_symbols())
    return {str(element): table[symbols == element] for element in np.unique(symbols)}


def descriptor_features(frames: Sequence[Atoms], r_max_A: float = 5.0) -> list[Features]:
    """Features without any model: the descriptor alone, over all elements of the frames."""
    elements = tuple(sorted({str(symbol) for frame in frames for symbol in set(frame.symbols)}))
    descriptor = Descriptor(elements, r_max_A)
    return [by_element(frame, descriptor.of_atoms(frame)) for frame in frames]
