"""ASE calculator for models in mofmd's edge-derivative TorchScript form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from matscipy.neighbours import neighbour_list


class EdgeCalculator(Calculator):
    """Energy, forces and stress of an exported model.

    Parameters
    ----------
    path : Path
        File written by ``mofmd deploy``.
    skin : float
        The neighbour list holds pairs up to the cutoff plus this distance (angstrom) and is
        rebuilt once an atom has moved by half of it or the cell has changed.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "forces", "stress"]

    def __init__(self, path: Path, skin: float = 0.5) -> None:
        super().__init__()
        extra = {"mofmd.json": ""}
        self.model = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
        torch.jit.set_fusion_strategy([("DYNAMIC", 0)])  # fusion only slows the first calls here
        self.manifest: dict[str, Any] = json.loads(extra["mofmd.json"])
        names = self.manifest["type_names"]
        cutoffs = self.manifest["per_edge_type_cutoff"] or [[self.manifest["r_max"]]]
        self.cutoffs = np.broadcast_to(np.array(cutoffs, dtype=float), (len(names), len(names)))
        self.skin = skin
        self.reference: Atoms | None = None

    def _update_list(self, atoms: Atoms) -> None:
        """Rebuild the list of candidate pairs if it may no longer be complete."""
        old = self.reference
        if (
            old is not None
            and len(old) == len(atoms)
            and (old.numbers == atoms.numbers).all()
            and (old.cell.array == atoms.cell.array).all()
            and np.square(atoms.positions - old.positions).sum(1).max() < (self.skin / 2) ** 2
        ):
            return
        symbols = atoms.get_chemical_symbols()
        self.types = np.array([self.manifest["type_names"].index(symbol) for symbol in symbols])
        centre, neighbour, shifts, lengths = neighbour_list(
            "ijSd", atoms, float(self.cutoffs.max()) + self.skin
        )
        limits = self.cutoffs[self.types[centre], self.types[neighbour]]
        keep = lengths < limits + self.skin
        self.pairs = np.stack([centre[keep], neighbour[keep]]).astype(np.int64)
        self.offsets = shifts[keep] @ atoms.cell.array
        self.limits_squared = np.square(limits[keep])
        self.reference = atoms.copy()

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Fill ``results`` (eV, eV/A, eV/A^3 with tension positive)."""
        super().calculate(atoms, properties, system_changes)
        assert self.atoms is not None
        self._update_list(self.atoms)
        positions = self.atoms.positions
        vectors = positions[self.pairs[1]] - positions[self.pairs[0]] + self.offsets
        keep = np.einsum("ij,ij->i", vectors, vectors) < self.limits_squared
        index, vectors = self.pairs[:, keep], vectors[keep]
        out = self.model(
            {
                "edge_vectors": torch.from_numpy(vectors),
                "edge_index": torch.from_numpy(np.ascontiguousarray(index)),
                "atom_types": torch.from_numpy(self.types),
                "local_types": torch.from_numpy(self.types),
            }
        )
        gradients = out["edge_gradients"].numpy()
        size = len(self.atoms)
        forces = np.empty((size, 3))
        for axis in range(3):
            forces[:, axis] = np.bincount(index[0], gradients[:, axis], size) - np.bincount(
                index[1], gradients[:, axis], size
            )
        stress = vectors.T @ gradients / self.atoms.get_volume()
        self.results = {
            "energy": float(out["atomic_energy"].sum()),
            "forces": forces,
            "stress": stress.flat[[0, 4, 8, 5, 2, 1]],
        }
