"""NequIP and Allegro: checkpoints (.ckpt) and packages (.nequip.zip) of nequip >= 0.7."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.data import chemical_symbols
from convolution import fused
from e3nn.util.jit import script
from edge_gradients import ExportError
from nequip.integrations.ase import NequIPCalculator
from nequip.model.saved_models.load_utils import load_saved_model
from nequip.model.saved_models.package import data_dict_from_package
from nequip.model.utils import _EAGER_MODEL_KEY
from nequip.nn import ForceStressOutput
from nequip.nn.embedding.utils import cutoff_str_to_fulldict
from nequip.scripts._workflow_utils import set_workflow_state
from nequip.utils.global_state import set_global_state
from source import Source, evaluate_with
from structures import is_physical


def interaction_block(self: Any, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """``InteractionBlock.forward`` that computes owned atoms and fetches the ghosts' features.

    The features before the first layer depend on the types alone, which ghosts have. With
    ``rows_are_complete`` in ``data`` the features of all nodes are given.
    """
    local_types = data["local_types"]
    num_local = local_types.size(0)
    x = data["node_features"]
    sc = x
    if self.sc is not None:
        sc = self.sc(x[:num_local], data["node_attrs"][:num_local])
    data["node_features"] = self.linear_1(x)
    data = self.avg_num_neighbors_norm(data)
    x = data["node_features"]
    if not self.is_first_layer and "rows_are_complete" not in data:
        x = torch.ops.mofmd.exchange(x, local_types, data["atom_types"])
    x = self.tp_scatter(  # nequip's TensorProductScatter, or Convolution
        x,
        data["edge_attrs"],
        self.edge_mlp(data["edge_embedding"]),
        data["edge_index"][0],
        data["edge_index"][1],
    )[:num_local]
    x = self.linear_2(x)
    if self.sc is not None:
        x = x + sc
    data["node_features"] = x
    return data


def convolution_layer(self: Any, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """``ConvNetLayer.forward`` whose result has the rows of owned atoms."""
    old_x = data["node_features"][: data["local_types"].size(0)]
    data = self.conv(data)
    x = self.equivariant_nonlin(data["node_features"])
    if self.resnet:
        x = old_x + x
    data["node_features"] = x
    return data


class LocalPairPotential(torch.nn.Module):
    """A pair potential of nequip, added to the energies of owned atoms only."""

    def __init__(self, potential: torch.nn.Module) -> None:
        super().__init__()
        self.potential = potential

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Add the pair energies, which nequip sums over the edges of all nodes."""
        energy = data.pop("atomic_energy")
        data = self.potential(data)
        data["atomic_energy"] = energy + data["atomic_energy"][: energy.size(0)]
        return data


class LayeredNequip(torch.nn.Module):
    """A NequIP network, from any of its layers to any later one.

    Parameters
    ----------
    network : torch.nn.Module
        nequip's sequence of modules, layers rewritten by ``_distribute``.
    """

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        modules = list(network.children())
        places = [k for k, module in enumerate(modules) if type(module).__name__ == "ConvNetLayer"]
        first, last = places[0], places[-1] + 1
        if places != list(range(first, last)):
            raise ExportError("the model's interaction layers do not follow each other")
        self.embedding = torch.nn.ModuleList(modules[:first])
        self.layers = torch.nn.ModuleList(modules[first:last])
        self.readout = torch.nn.ModuleList(modules[last:])

    def forward(
        self,
        data: dict[str, torch.Tensor],
        features: torch.Tensor,
        first: int,
        last: int,
        rows_are_complete: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Evaluate layers; see ``LayeredGradientModel``."""
        for embedding in self.embedding:
            data = embedding(data)
        if rows_are_complete:
            data["rows_are_complete"] = data["local_types"]
        if first > 0:
            data["node_features"] = features
        for k, layer in enumerate(self.layers):
            if first <= k and k < last:  # noqa: PLR1716 - TorchScript knows no chains
                data = layer(data)
        num_local = data["local_types"].size(0)
        x = data["node_features"]
        energy = torch.zeros((num_local, 1), dtype=torch.float64, device=x.device)
        if last == len(self.layers):
            for readout in self.readout:
                data = readout(data)
            energy = data["atomic_energy"][:num_local].to(torch.float64)
        return x, energy


LAYERS = {"InteractionBlock": interaction_block, "ConvNetLayer": convolution_layer}
PAIR_POTENTIALS = ("ZBL", "LennardJones", "SimpleLennardJones")


def _distribute(energy: torch.nn.Module) -> None:
    """Rewrite the layers in place.

    Classes are taken from the model itself: a package brings its own copy of nequip.
    """
    needed = ("linear_1", "avg_num_neighbors_norm", "tp_scatter", "edge_mlp", "is_first_layer")
    for module in energy.modules():
        name = type(module).__name__
        if name == "InteractionBlock" and not all(hasattr(module, part) for part in needed):
            raise ExportError(
                "the model's interaction layers are not those of the nequip of `mofmd env nequip`: "
                "package the model again with that version"
            )
        if name in LAYERS:
            type(module).forward = LAYERS[name]


def _localise_pair_potentials(module: torch.nn.Module) -> None:
    for name, child in module.named_children():
        if type(child).__name__ in PAIR_POTENTIALS:
            setattr(module, name, LocalPairPotential(child))
        else:
            _localise_pair_potentials(child)


def _change_dtype(model: torch.nn.Module, dtype: torch.dtype) -> None:
    """Compute in another precision: weights, and the dtypes that modules cast to."""
    old = {torch.float32, torch.float64} - {dtype}
    scale_shift = [m for m in model.modules() if type(m).__name__ == "PerTypeScaleShift"]
    model.to(dtype)
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, torch.dtype) and value in old:
                setattr(module, name, dtype)
    for module in scale_shift:  # energies are scaled and shifted in float64, always
        module.to(torch.float64)
        module.out_dtype = torch.float64


def _example(path: Path, names: list[str]) -> Atoms | None:
    """Return the structure of the training set that a package carries, if it is a physical one."""
    data = data_dict_from_package(str(path))
    if "cell" not in data or not all(name in chemical_symbols for name in names):
        return None
    atoms = Atoms(
        [names[k] for k in data["atom_types"].flatten().tolist()],
        positions=data["pos"].numpy(),
        cell=data["cell"].reshape(3, 3).numpy(),
        pbc=data["pbc"].flatten().tolist() if "pbc" in data else False,
    )
    return atoms if is_physical(atoms) else None


def open_source(path: Path, dtype: str | None, head: str | None) -> Source:
    """Load a checkpoint or package.

    Raises
    ------
    ExportError
        If the model is none that can be distributed over ranks.
    """
    if head is not None:
        raise ExportError("--head is for MACE models: NequIP and Allegro models have none")
    set_workflow_state("compile")
    set_global_state(allow_tf32=False)
    model = load_saved_model(path, _EAGER_MODEL_KEY, "sole_model")
    metadata = model.metadata
    names = str(metadata["type_names"]).split()
    cutoffs = None
    if metadata.get("per_edge_type_cutoff"):
        full = cutoff_str_to_fulldict(metadata["per_edge_type_cutoff"], names)
        cutoffs = [[float(full[a][b]) for b in names] for a in names]
    wrappers = [m for m in model.modules() if type(m).__name__ == ForceStressOutput.__name__]
    if len(wrappers) != 1:
        raise ExportError("expected one force and stress output in the source model")
    original_dtype = str(metadata["model_dtype"])
    example = _example(path, names) if path.suffix == ".zip" else None
    if dtype is not None and dtype != original_dtype:
        _change_dtype(model, getattr(torch, dtype))
    energy = wrappers[0].func
    num_layers = sum(type(m).__name__ == "InteractionBlock" for m in energy.modules())
    is_allegro = any("allegro." in type(m).__module__ for m in energy.modules())
    if num_layers == 0 and not is_allegro:
        raise ExportError("the source is neither a NequIP nor an Allegro model")
    if num_layers and is_allegro:
        raise ExportError("models that mix NequIP and Allegro layers are not supported")

    def fuse() -> None:
        blocks = [m for m in energy.modules() if type(m).__name__ == "InteractionBlock"]
        convolutions = [
            fused(m.tp_scatter.tp, getattr(torch, dtype or original_dtype)) for m in blocks
        ]
        for block, convolution in zip(blocks, convolutions, strict=True):
            block.tp_scatter = convolution

    def distribute() -> torch.nn.Module:
        _distribute(energy)
        _localise_pair_potentials(energy)
        return energy if is_allegro else LayeredNequip(energy)

    def reference(structures: list[Atoms]) -> dict[str, list[Any]]:
        mapping = {name: name for name in names}
        calculator = NequIPCalculator._from_saved_model(
            path, chemical_species_to_atom_type_map=mapping
        )
        return evaluate_with(calculator, structures)

    return Source(
        reference=reference,
        fuse=None if is_allegro else fuse,
        distribute=distribute,
        family="allegro" if is_allegro else "nequip",
        type_names=names,
        r_max=float(metadata["r_max"]),
        cutoffs=cutoffs,
        num_layers=max(1, num_layers),
        dtype=dtype or original_dtype,
        source_dtype=original_dtype,
        script=script,
        packages=("nequip", "nequip-allegro", "e3nn") if is_allegro else ("nequip", "e3nn"),
        example=example,
    )
