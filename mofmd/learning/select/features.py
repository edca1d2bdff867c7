"""Features of atoms: what a model makes of their surroundings, to tell known from unknown."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs, refuse_coincident
from mofmd.learning.select.descriptor import Descriptor
from mofmd.learning.select.picking import Features
from mofmd.models.files.deployed import read_deployed
from mofmd.structures.molecules import box_of

INVARIANCE = 1e-3  # of a feature's size: the largest change under rotation of what is kept
# any proper rotation without symmetry
_ROTATION = np.linalg.qr(np.array([[0.9, 0.3, -0.2], [-0.1, 0.8, 0.6], [0.4, -0.5, 0.7]]))[0]


class ModelFeatures:
    """Features from a file of ``mofmd deploy``, evaluated in this process.

    NequIP and MACE, of one layer or more: the node features after the last layer, those that do not
    change under rotation. Allegro: the atomic energy, beside a smooth descriptor of the
    surroundings within the model's cutoff.

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
        self.model = read_deployed(path)
        if self.model.manifest.get("format") == "aotinductor":
            raise InputError(
                f"{path}: features need a TorchScript file: deploy it with --format torchscript"
            )
        self._module = _load(path)
        if self._has_layers and not hasattr(self._module, "in_chunks"):
            raise InputError(
                f"{path}: was deployed by an older mofmd, its layers cannot be reached one by one: "
                "deploy it again"
            )
        names = self.model.type_names
        cutoffs = self.model.manifest.get("per_edge_type_cutoff") or self.model.r_max
        self._cutoffs = np.broadcast_to(np.array(cutoffs, dtype=float), (len(names), len(names)))
        self._invariant: np.ndarray | None = None

    def of_frames(self, frames: Sequence[Atoms]) -> list[Features]:
        """Features of each frame by element."""
        table_of = self._nodes if self._has_layers else self._local
        tables = [table_of(frame) for frame in frames]
        return [by_element(frame, table) for frame, table in zip(frames, tables, strict=True)]

    @property
    def _has_layers(self) -> bool:
        return self.model.family != "allegro"

    def _graph(self, atoms: Atoms) -> dict[str, np.ndarray]:
        names = self.model.type_names
        missing = sorted(set(atoms.symbols) - set(names))
        if missing:
            raise InputError(f"{self.model.path}: does not know {missing[0]}")
        types = np.array([names.index(symbol) for symbol in atoms.symbols])
        reach = float(self._cutoffs.max())
        pairs = find_pairs(atoms.positions, box_of(atoms, 2 * reach), reach)
        refuse_coincident(pairs)
        keep = pairs.distances < self._cutoffs[types[pairs.first], types[pairs.second]]
        return {
            "edge_vectors": pairs.vectors[keep],
            "edge_index": np.stack([pairs.first[keep], pairs.second[keep]]),
            "atom_types": types,
            "local_types": types,
        }

    def _local(self, atoms: Atoms) -> np.ndarray:
        import torch

        inputs = {name: torch.from_numpy(array) for name, array in self._graph(atoms).items()}
        energies = self._module(inputs)["atomic_energy"].numpy()[: len(atoms)]
        descriptor = Descriptor(self.model.type_names, self.model.r_max)
        return np.hstack([energies.reshape(-1, 1), descriptor.of_atoms(atoms)])

    def _nodes(self, atoms: Atoms) -> np.ndarray:
        graph = self._graph(atoms)
        table = self._last_layer(graph)
        if self._invariant is None:
            turned = {**graph, "edge_vectors": graph["edge_vectors"] @ _ROTATION}
            change = np.abs(self._last_layer(turned) - table).max(axis=0)
            self._invariant = change <= INVARIANCE * max(float(np.abs(table).max()), 1e-12)
            if not self._invariant.any():
                raise InputError(f"{self.model.path}: no node feature is invariant under rotation")
        return np.asarray(table[:, self._invariant])

    def _last_layer(self, graph: dict[str, np.ndarray]) -> np.ndarray:
        import torch

        tensors = {
            name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in graph.items()
        }
        for name in ("atom_types", "local_types"):
            tensors[name] = self._module.model_types[tensors[name]]
        with torch.no_grad():
            found = self._module.energy(
                tensors, torch.empty(0), 0, int(self.model.manifest["layers"]), False
            )[0]
        return np.asarray(found[: len(graph["local_types"])].double().numpy())


def by_element(atoms: Atoms, table: np.ndarray) -> Features:
    """Sort the rows of a table of atoms by element."""
    symbols = np.array(atoms.get_chemical_symbols())
    return {str(element): table[symbols == element] for element in np.unique(symbols)}


def descriptor_features(frames: Sequence[Atoms], r_max_A: float = 5.0) -> list[Features]:
    """Features without any model: the descriptor alone, over all elements of the frames."""
    elements = tuple(sorted({str(symbol) for frame in frames for symbol in set(frame.symbols)}))
    descriptor = Descriptor(elements, r_max_A)
    return [by_element(frame, descriptor.of_atoms(frame)) for frame in frames]


def _load(path: Path) -> Any:
    import torch

    importlib.import_module("mofmd.models.export.operators").define_operators()
    torch.jit.set_fusion_strategy([("DYNAMIC", 0)])  # fusion only slows the first calls
    return torch.jit.load(str(path), map_location="cpu").eval()
