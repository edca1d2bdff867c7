"""NequIP models deployed by nequip 0.5 and 0.6 (TorchScript .pth), opened up again.

The layers of such a file are reachable as children of the scripted model. They are called one by
one here, with the exchange of ghosts' features in between, and the gradient is taken outside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from convolution import Convolution, Scatter, fused
from edge_gradients import ExportError
from matscipy.neighbours import neighbour_list
from source import Source

LAYER_CHILDREN = ("conv", "equivariant_nonlin")
CONVOLUTION_CHILDREN = ("fc", "tp", "linear_1", "linear_2", "sc")


class LegacyLayer(torch.nn.Module):
    """``ConvNetLayer`` of nequip 0.5/0.6 that computes the rows of owned atoms."""

    def __init__(self, layer: torch.jit.ScriptModule, is_first: bool) -> None:
        super().__init__()
        self.fc = layer.conv.fc
        self.convolution: Scatter | Convolution = Scatter(layer.conv.tp)
        self.linear_1, self.linear_2 = layer.conv.linear_1, layer.conv.linear_2
        self.sc = getattr(layer.conv, "sc", None)
        self.nonlinearity = layer.equivariant_nonlin
        neighbours = layer.conv.avg_num_neighbors
        self.normalisation = 1.0 if neighbours is None else float(neighbours) ** 0.5
        self.resnet = bool(layer.resnet)
        self.is_first = is_first

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Update ``node_features`` (N_local, F)."""
        local_types = data["local_types"]
        num_local = local_types.size(0)
        old = data["node_features"]
        x = self.linear_1(old, None, None)
        if not self.is_first and "rows_are_complete" not in data:
            x = torch.ops.mofmd.exchange(x, local_types, data["atom_types"])
        weight = self.fc(data["edge_embedding"])
        centres, neighbours = data["edge_index"][0], data["edge_index"][1]
        total = self.convolution(x, data["edge_attrs"], weight, centres, neighbours)
        x = self.linear_2(total[:num_local] / self.normalisation, None, None)
        if self.sc is not None:
            x = x + self.sc(old[:num_local], data["node_attrs"][:num_local], None)
        x = self.nonlinearity(x)
        if self.resnet:
            x = old[:num_local] + x
        data["node_features"] = x
        return data


class LegacyEnergy(torch.nn.Module):
    """The network inside the force output of a deployed file, layer by layer."""

    def __init__(self, network: torch.jit.ScriptModule, scale: float, dtype: torch.dtype) -> None:
        super().__init__()
        children = dict(network.named_children())
        layers = [name for name in children if name.startswith("layer")]
        if not layers or "per_species_rescale" not in children:
            raise ExportError("the file holds no NequIP network of nequip 0.5 or 0.6")
        for name in layers:
            _require(children[name], LAYER_CHILDREN, name)
            _require(children[name].conv, CONVOLUTION_CHILDREN[:-1], f"{name}.conv")
        # float32 would round to 1e-5 eV an atom of the energies of -200 eV that such files add
        children["per_species_rescale"].to(torch.float64)
        names = list(children)
        first, last = names.index(layers[0]), names.index(layers[-1])
        self.embedding = torch.nn.ModuleList([children[name] for name in names[:first]])
        self.layers = torch.nn.ModuleList(
            [LegacyLayer(children[name], name == layers[0]) for name in layers]
        )
        end = names.index("total_energy_sum") if "total_energy_sum" in names else len(names)
        self.readout = torch.nn.ModuleList([children[name] for name in names[last + 1 : end]])
        self.scale = scale
        self.register_buffer("unit", torch.ones(1, dtype=dtype))

    def forward(
        self,
        data: dict[str, torch.Tensor],
        features: torch.Tensor,
        first: int,
        last: int,
        rows_are_complete: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Evaluate layers; see ``LayeredGradientModel``."""
        vectors = data["edge_vectors"].to(self.unit.dtype)
        types = data["atom_types"]
        state: dict[str, torch.Tensor] = {
            "edge_vectors": vectors,
            "edge_lengths": torch.linalg.norm(vectors, dim=-1),
            "edge_index": data["edge_index"],
            "atom_types": types,
            "local_types": data["local_types"],
            "pos": torch.zeros((types.size(0), 3), dtype=vectors.dtype, device=types.device),
        }
        for embedding in self.embedding:
            state = embedding(state)
        if rows_are_complete:
            state["rows_are_complete"] = data["local_types"]
        if first > 0:
            state["node_features"] = features
        for k, layer in enumerate(self.layers):
            if first <= k and k < last:  # noqa: PLR1716 - TorchScript knows no chains
                state = layer(state)
        x = state["node_features"]
        num_local = data["local_types"].size(0)
        energy = torch.zeros((num_local, 1), dtype=torch.float64, device=x.device)
        if last == len(self.layers):
            state["atom_types"] = data["local_types"]
            for readout in self.readout:
                state = readout(state)
            energy = self.scale * state["atomic_energy"].to(torch.float64)
        return x, energy


def _require(module: Any, names: tuple[str, ...], where: str) -> None:
    missing = [name for name in names if not hasattr(module, name)]
    if missing:
        raise ExportError(f"{where} of the deployed file lacks {', '.join(missing)}")


def _reference(model: Any, names: list[str], r_max: float) -> Any:
    """Return the evaluation of structures by the file itself, its weights taken to float64.

    In float32 such a file rounds positions before it takes their differences: the reference would
    be less exact than what is compared with it, which never does.
    """
    dtype = torch.float64

    def evaluate(structures: list[Atoms]) -> dict[str, list[Any]]:
        results: dict[str, list[Any]] = {"energy": [], "forces": [], "stress": []}
        for atoms in structures:
            i, j, shifts = neighbour_list("ijS", atoms, r_max)
            types = [names.index(symbol) for symbol in atoms.get_chemical_symbols()]
            out = model(
                {
                    "pos": torch.tensor(atoms.positions, dtype=dtype),
                    "edge_index": torch.tensor(np.array([i, j]), dtype=torch.long),
                    "edge_cell_shift": torch.tensor(shifts, dtype=dtype),
                    "cell": torch.tensor(atoms.cell.array, dtype=dtype),
                    "atom_types": torch.tensor(types, dtype=torch.long),
                    "batch": torch.zeros(len(atoms), dtype=torch.long),
                }
            )
            results["energy"].append(float(out["atomic_energy"].detach().sum()))
            results["forces"].append(out["forces"].detach().numpy())
            virial = out["virial"].detach().numpy().reshape(3, 3)
            results["stress"].append(-virial / atoms.get_volume())
        return results

    return evaluate


def open_source(path: Path, dtype: str | None, head: str | None) -> Source:
    """Load a file that ``nequip-deploy`` of nequip 0.5 or 0.6 wrote.

    Raises
    ------
    ExportError
        If the file's network is not that of NequIP.
    """
    if head is not None:
        raise ExportError("--head is for MACE models: NequIP models have none")
    extra = {"type_names": "", "r_max": "", "config": "", "nequip_version": ""}
    model = torch.jit.load(str(path), map_location="cpu", _extra_files=extra).eval()
    metadata = {key: value.decode() for key, value in extra.items()}
    original = "float64" if "default_dtype: float64" in metadata["config"] else "float32"
    names, r_max = metadata["type_names"].split(), float(metadata["r_max"])
    if not hasattr(model, "model") or not hasattr(model.model, "func"):
        raise ExportError("the deployed file has no force or stress output around its network")
    if "allegro" in str(model.model.func.original_name).lower() or any(
        "allegro" in name.lower() for name, _ in model.model.func.named_children()
    ):
        raise ExportError(
            "a legacy Allegro file runs on any number of ranks as it is: use it with "
            "pair_style allegro"
        )
    torch_dtype = getattr(torch, dtype or original)
    network = torch.jit.load(str(path), map_location="cpu").eval().to(torch_dtype)
    scale = 1.0
    if getattr(network, "has_scale", False) and "atomic_energy" in network.scale_keys:
        scale = float(network.scale_by)
    if getattr(network, "has_shift", False) and len(network.shift_keys):
        raise ExportError("the deployed file shifts the total energy, which is not supported")
    energy = LegacyEnergy(network.model.func, scale, torch_dtype)

    def fuse() -> None:
        convolutions = [fused(layer.convolution.product, torch_dtype) for layer in energy.layers]
        for layer, convolution in zip(energy.layers, convolutions, strict=True):
            layer.convolution = convolution

    return Source(
        reference=_reference(model.double(), names, r_max),
        fuse=fuse,
        distribute=lambda: energy,
        family="nequip",
        type_names=names,
        r_max=r_max,
        cutoffs=None,
        num_layers=len(energy.layers),
        dtype=dtype or original,
        source_dtype=original,
        script=torch.jit.script,
        packages=(),
        traceable=False,
    )
