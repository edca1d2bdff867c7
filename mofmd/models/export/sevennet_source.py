"""SevenNet: checkpoints (.pth) of sevenn, and the universal models that its wheel carries."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.calculators.calculator import all_changes
from ase.data import chemical_symbols
from convolution import Scatter, fused
from e3nn.util.jit import script
from edge_gradients import ExportError
from plain_layers import PlainGate, PlainLinear, RadialNetwork
from sevenn import _keys as keys
from sevenn.atom_graph_data import AtomGraphData
from sevenn.calculator import SevenNetCalculator
from sevenn.nn.node_embedding import OnehotEmbedding
from sevenn.nn.self_connection import SelfConnectionIntro
from sevenn.train.dataload import unlabeled_atoms_to_graph
from sevenn.util import load_checkpoint
from source import Source, evaluate_with


class WithModality(torch.nn.Module):
    """A linear layer that takes the modality, one-hot, behind the features.

    Parameters
    ----------
    linear
        e3nn's layer.
    modality
        (number of modalities,).
    """

    def __init__(self, linear: torch.nn.Module, modality: torch.Tensor) -> None:
        super().__init__()
        self.linear = linear
        self.register_buffer("modality", modality)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the result (N, out) for features (N, in)."""
        modality = self.modality.to(x.dtype).unsqueeze(0).expand(x.size(0), -1)
        return self.linear(torch.cat([x, modality], 1))


class UntypedConnection(torch.nn.Module):
    """A self-connection that is a linear layer."""

    def __init__(self, linear: torch.nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: torch.Tensor, types: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Return what is added to the messages of atoms with features (N, in)."""
        return self.linear(x)


class TypedConnection(torch.nn.Module):
    """A self-connection whose weights depend on the type of the atom."""

    def __init__(self, product: torch.nn.Module, num_types: int) -> None:
        super().__init__()
        self.product = product
        self.num_types = num_types

    def forward(self, x: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        """Return what is added to the messages of atoms with features (N, in)."""
        attributes = torch.nn.functional.one_hot(types, self.num_types).to(x.dtype)
        return self.product(x, attributes)


class SevennetLayer(torch.nn.Module):
    """An interaction layer that computes the rows of owned atoms.

    Parameters
    ----------
    network
        SevenNet's sequence of modules.
    number
        Of the layer.
    num_types
        Elements of the model.
    modality
        One-hot, or None.
    """

    def __init__(
        self, network: Any, number: int, num_types: int, modality: torch.Tensor | None
    ) -> None:
        super().__init__()
        parts = {
            name.removeprefix(f"{number}_"): module
            for name, module in network.named_children()
            if name.startswith(f"{number}_")
        }
        intro, convolution = parts["self_connection_intro"], parts["convolution"]
        if isinstance(intro, SelfConnectionIntro):
            self.connection: torch.nn.Module = TypedConnection(intro.fc_tensor_product, num_types)
        else:
            self.connection = UntypedConnection(intro.linear)
        self.linear_1 = _linear(parts["self_interaction_1"], modality)
        self.radial = convolution.weight_nn
        self.convolution: torch.nn.Module = Scatter(convolution.convolution)
        self.denominator = float(convolution.denominator)
        self.linear_2 = _linear(parts["self_interaction_2"], modality)
        self.gate = parts["equivariant_gate"].gate
        self.is_first = number == 0
        self._irreps = {
            "linear_1": (parts["self_interaction_1"]._irreps_in_wo_modal,) * 2,
            "linear_2": (
                parts["self_interaction_2"]._irreps_in_wo_modal,
                parts["self_interaction_2"].irreps_out,
            ),
        }

    def fuse(self, dtype: torch.dtype) -> None:
        """Replace e3nn's layers, which are in float64, by faster ones."""
        self.convolution = fused(self.convolution.product.to(dtype), dtype)
        self.radial = RadialNetwork(self.radial, dtype)
        self.gate = PlainGate(self.gate, dtype)
        self.linear_1 = PlainLinear(self.linear_1, *self._irreps["linear_1"], dtype)
        self.linear_2 = PlainLinear(
            self.linear_2, *self._irreps["linear_2"], dtype, 1.0 / self.denominator
        )
        self.denominator = 1.0
        if isinstance(self.connection, UntypedConnection):
            linear = self.connection.linear
            self.connection.linear = PlainLinear(linear, linear.irreps_in, linear.irreps_out, dtype)

    def forward(
        self,
        old: torch.Tensor,
        edge_attrs: torch.Tensor,
        edge_embedding: torch.Tensor,
        data: dict[str, torch.Tensor],
        rows_are_complete: bool,
    ) -> torch.Tensor:
        """Return the features (N_local, F) after the layer."""
        types, local_types, edge_index = data["atom_types"], data["local_types"], data["edge_index"]
        num_local = local_types.size(0)
        x = self.linear_1(old)
        if not self.is_first and not rows_are_complete:
            x = torch.ops.mofmd.exchange(x, local_types, types)
        weights = self.radial(edge_embedding)
        x = self.convolution(x, edge_attrs, weights, edge_index[0], edge_index[1])[:num_local]
        if self.denominator != 1.0:
            x = x / self.denominator
        return self.gate(self.linear_2(x) + self.connection(old[:num_local], local_types))


class SevennetEnergy(torch.nn.Module):
    """Atomic energies of a SevenNet from edge vectors.

    Parameters
    ----------
    network
        SevenNet's sequence of modules, in float64.
    modality
        Number of the modality to evaluate; None where the model has one only.
    """

    def __init__(self, network: Any, modality: int | None) -> None:
        super().__init__()
        modules = dict(network.named_children())
        num_types = modules["onehot_idx_to_onehot"].num_classes
        one_hot = None
        if modality is not None:
            one_hot = torch.eye(len(network.modal_map), dtype=torch.float64)[modality]
        numbers = sorted(
            int(name.partition("_")[0]) for name in modules if name.endswith("_convolution")
        )
        embedding = modules["edge_embedding"]
        self.basis = embedding.basis_function
        self.cutoff = embedding.cutoff_function
        self.spherical = embedding.spherical.sph
        self.layers = torch.nn.ModuleList(
            [SevennetLayer(network, number, num_types, one_hot) for number in numbers]
        )
        with torch.no_grad():
            table = _linear(modules["onehot_to_feature_x"], one_hot)(
                torch.eye(num_types, dtype=torch.float64)
            )
        self.register_buffer("features_of_types", table)
        if "readout_FCN" in modules:
            readout = [modules["readout_FCN"].fcn]
        else:
            readout = [
                _linear(modules["reduce_input_to_hidden"], one_hot),
                _linear(modules["reduce_hidden_to_energy"], None),
            ]
        self.readout = torch.nn.ModuleList(readout)
        scale, shift = _scale_and_shift(modules["rescale_atomic_energy"], num_types, modality)
        # in float64 in any case: energies of atoms are several eV
        self.scale = torch.nn.Parameter(scale, requires_grad=False)
        self.shift = torch.nn.Parameter(shift, requires_grad=False)

    def fuse(self, dtype: torch.dtype) -> None:
        """Replace e3nn's layers, which are in float64, by faster ones."""
        for layer in self.layers:
            layer.fuse(dtype)

    def forward(
        self,
        data: dict[str, torch.Tensor],
        features: torch.Tensor,
        first: int,
        last: int,
        rows_are_complete: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Evaluate layers; see ``LayeredGradientModel``."""
        # r_j - r_i at the centre i, as SevenNet has it
        exact = data["edge_vectors"].to(torch.float64)
        vectors = exact.to(self.features_of_types.dtype)
        # always in float64: the polynomial cutoff is a difference of large numbers near its end
        lengths = torch.linalg.norm(exact, dim=-1)
        edge_embedding = self.basis(lengths) * self.cutoff(lengths).unsqueeze(-1)
        edge_embedding = edge_embedding.to(vectors.dtype)
        edge_attrs = self.spherical(vectors)
        local_types = data["local_types"]
        x = features
        if first == 0:
            x = self.features_of_types.index_select(0, data["atom_types"])
        for k, layer in enumerate(self.layers):
            if first <= k and k < last:  # noqa: PLR1716 - TorchScript knows no chains
                x = layer(x, edge_attrs, edge_embedding, data, rows_are_complete)
        energy = torch.zeros((local_types.size(0), 1), dtype=torch.float64, device=x.device)
        if last == len(self.layers):
            scaled = x
            for readout in self.readout:
                scaled = readout(scaled)
            scale = self.scale.index_select(0, local_types)
            shift = self.shift.index_select(0, local_types)
            energy = scaled.to(torch.float64) * scale + shift
        return x, energy


class ExactCalculator(SevenNetCalculator):
    """SevenNet's own calculator, in float64."""

    def __init__(self, checkpoint: Path, modality: str | None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kernels that would be faster on a GPU
            super().__init__(checkpoint, device="cpu", modal=modality)
        self.model.to(torch.float64)
        for module in self.model.modules():
            if isinstance(module, OnehotEmbedding):
                module.register_forward_hook(self._to_double)

    @staticmethod
    def _to_double(module: torch.nn.Module, arguments: Any, data: Any) -> None:  # noqa: ARG004
        # the embedding gives float32 whatever the model's dtype
        for key in (module.key_output, module.key_additional_output):
            if key is not None:
                data[key] = data[key].to(torch.float64)

    def calculate(
        self, atoms: Any = None, properties: Any = None, system_changes: Any = all_changes
    ) -> None:
        """As the calculator, whose edge vectors are float32."""
        super(SevenNetCalculator, self).calculate(atoms, properties, system_changes)
        graph = unlabeled_atoms_to_graph(atoms, self.cutoff, with_shift=False)
        exact = {key: torch.from_numpy(graph[key]) for key in (keys.EDGE_VEC, keys.POS)}
        volume = torch.tensor(float(graph[keys.CELL_VOLUME]), dtype=torch.float64)
        data = AtomGraphData.from_numpy_dict(graph)
        for key, tensor in exact.items():
            data[key] = tensor.to(torch.float64)
        data[keys.CELL_VOLUME] = volume
        if self.modal:
            data[keys.DATA_MODALITY] = self.modal
        self.results = self.output_to_results(self.model(data))


def _linear(module: Any, modality: torch.Tensor | None) -> torch.nn.Module:
    """Return e3nn's layer inside an ``IrrepsLinear``, for one modality."""
    if module.num_modalities <= 1:
        return module.linear
    assert modality is not None
    return WithModality(module.linear, modality)


def _scale_and_shift(
    rescale: Any, num_types: int, modality: int | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both for each type, (types, 1) float64."""
    found = []
    for name in ("scale", "shift"):
        values = getattr(rescale, name).detach().to(torch.float64)
        if getattr(rescale, f"use_modal_wise_{name}", False):
            values = values[modality]
        found.append(values.expand(num_types).clone().unsqueeze(1))
    return found[0], found[1]


def _choose_modality(known: list[str], asked: str | None) -> str | None:
    """Return the modality to export.

    Raises
    ------
    ExportError
        If it has to be chosen, or the model lacks it.
    """
    if not known:
        if asked is not None:
            raise ExportError(f"--modality {asked}: the model has no modalities: leave it out")
        return None
    if asked is None:
        raise ExportError(
            f"the model has the modalities {', '.join(known)}: choose one with --modality"
        )
    if asked not in known:
        raise ExportError(f"the model has no modality {asked!r}: it has {', '.join(known)}")
    return asked


def open_source(path: Path, dtype: str | None, head: str | None, modality: str | None) -> Source:
    """Load a checkpoint.

    Raises
    ------
    ExportError
        If the file holds no SevenNet, or the modality is not one of its own.
    """
    if head is not None:
        raise ExportError("--head is for MACE models: a SevenNet has modalities (--modality)")
    checkpoint = load_checkpoint(path)
    config = checkpoint.config
    if not config or not checkpoint.model_state_dict:
        raise ExportError("the file holds no checkpoint of SevenNet")
    modal_map = config.get(keys.MODAL_MAP) or {}
    chosen = _choose_modality(list(modal_map), modality)
    source_dtype = {"single": "float32", "double": "float64"}[config.get(keys.DTYPE, "single")]
    dtype = dtype or source_dtype
    types = config[keys.TYPE_MAP]  # atomic number -> type
    network = checkpoint.build_model().to(torch.float64).eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    energy = SevennetEnergy(network, None if chosen is None else modal_map[chosen])
    torch_dtype = getattr(torch, dtype)

    def distribute() -> torch.nn.Module:
        scale, shift = energy.scale.data, energy.shift.data
        energy.to(torch_dtype)
        energy.basis.to(torch.float64)
        energy.cutoff.to(torch.float64)
        energy.scale.data, energy.shift.data = scale, shift
        return energy

    def reference(structures: list[Atoms]) -> dict[str, list[Any]]:
        return evaluate_with(ExactCalculator(path, chosen), structures)

    return Source(
        reference=reference,
        fuse=lambda: energy.fuse(torch_dtype),
        distribute=distribute,
        family="sevennet",
        type_names=[chemical_symbols[z] for z in sorted(types, key=types.get)],
        r_max=float(config[keys.CUTOFF]),
        cutoffs=None,
        num_layers=len(energy.layers),
        dtype=dtype,
        source_dtype=source_dtype,
        script=script,
        packages=("sevenn", "e3nn"),
    )
