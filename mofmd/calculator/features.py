"""Features of atoms that the models of deployed files make, evaluated in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.calculator.images import find_images
from mofmd.calculator.operators import load_operators
from mofmd.errors import InputError, RunError
from mofmd.geometry.neighbours import find_pairs, refuse_coincident
from mofmd.models.files.deployed import read_deployed, read_manifest
from mofmd.models.files.validity import check_species
from mofmd.structures.molecules import box_of

INVARIANCE = 1e-3  # of a feature's size: the largest change under rotation of what is kept
# any proper rotation without symmetry
_ROTATION = np.linalg.qr(np.array([[0.9, 0.3, -0.2], [-0.1, 0.8, 0.6], [0.4, -0.5, 0.7]]))[0]


class FileFeatures:
    """What the model of a file says of atoms before it takes their energies.

    Of NequIP, MACE and SevenNet: the features of the nodes after the last layer. Of Allegro: the
    scalar features of edges after the last layer, summed over the edges of an atom.

    Parameters
    ----------
    path
        File of ``mofmd deploy``, TorchScript.
    dtype
        ``float64``: to run a network in float64 that was deployed in float32.
    device
        ``cpu``, ``cuda`` or ``cuda:N``.

    Raises
    ------
    InputError
        If the file was compiled with AOTInductor: its layers cannot be reached.
    """

    def __init__(self, path: Path, dtype: str | None = None, device: str = "cpu") -> None:
        self.model = read_deployed(path)
        if self.model.manifest.get("format") == "aotinductor":
            raise InputError(
                f"{path}: features need a TorchScript file: deploy it with --format torchscript"
            )
        self._engine = _open(path, self.model.family, device, dtype)
        self.width = 0  # features of an atom, known after the first evaluation
        self._invariant: np.ndarray | None = None

    @staticmethod
    def hash_of(path: Path) -> str:
        """Hash of the model inside of a file, by which its features are known."""
        return str(read_manifest(path)["payload_sha256"])

    def of_atoms(self, atoms: Atoms) -> np.ndarray:
        """(atoms, width) all features, float64."""
        return self._evaluate(atoms, atoms.positions, atoms.cell.array)

    def invariant(self, atoms: Atoms) -> np.ndarray:
        """Columns of the features that do not change when atoms are rotated.

        Raises
        ------
        InputError
            If there is none.
        """
        table = self.of_atoms(atoms)
        turned = self._evaluate(atoms, atoms.positions @ _ROTATION, atoms.cell.array @ _ROTATION)
        change = np.abs(turned - table).max(axis=0)
        found = np.flatnonzero(change <= INVARIANCE * max(float(np.abs(table).max()), 1e-12))
        if not len(found):
            raise InputError(f"{self.model.path}: no feature is invariant under rotation")
        return found

    def nodes(self, atoms: Atoms) -> np.ndarray:
        """(atoms, features) those that do not change under rotation."""
        if self._invariant is None:
            self._invariant = self.invariant(atoms)
        return self.of_atoms(atoms)[:, self._invariant]

    def _evaluate(self, atoms: Atoms, positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
        import torch

        names = self.model.type_names
        check_species(self.model.path, names, sorted(set(map(str, atoms.symbols))))
        kinds = np.array([names.index(symbol) for symbol in atoms.symbols], dtype=np.int64)
        reach = float(self._engine.r_max())
        refuse_coincident(find_pairs(atoms.positions, box_of(atoms, 2.0), 0.1))
        images = find_images(positions, cell, np.array(atoms.pbc), reach)
        points = torch.from_numpy(images.points(positions, cell))
        owners = images.owners
        try:
            self._engine.place(
                points, torch.from_numpy(kinds[owners]), torch.from_numpy(owners), len(atoms), 0.0
            )
            table = self._engine.features(points, 0).numpy()
        except RuntimeError as error:
            raise RunError(f"{self.model.path}: {str(error).splitlines()[0]}") from error
        self.width = table.shape[1]
        return np.asarray(table)


def _open(path: Path, family: str, device: str, dtype: str | None) -> Any:
    import torch

    load_operators()
    try:
        return torch.classes.mofmd.Model(str(path.resolve()), family, device, dtype or "")
    except RuntimeError as error:
        raise InputError(f"{path}: {str(error).splitlines()[0]}") from error
