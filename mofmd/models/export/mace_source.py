"""MACE: models that mace_run_train saves (.model)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.data import chemical_symbols
from contraction import contracted
from convolution import Convolution, fused
from e3nn.util import jit
from e3nn.util.jit import compile_mode
from edge_gradients import ExportError
from mace.calculators import MACECalculator
from mace.modules.blocks import InteractionBlock
from source import Source, evaluate_with


def handle_lammps(
    self: Any,  # noqa: ARG001
    node_feats: torch.Tensor,
    lammps_class: Any | None,
    lammps_natoms: tuple[int, int],
    first_layer: bool,
) -> torch.Tensor:
    """``InteractionBlock.handle_lammps`` on ``mofmd::exchange``; the types come as the class.

    TorchScript insists on the name of the method that it replaces.
    """
    if isinstance(lammps_class, torch.Tensor) and not first_layer:
        types = lammps_class
        return torch.ops.mofmd.exchange(node_feats, types[: lammps_natoms[0]], types)
    return node_feats


# TorchScript reads annotations as they were written for it.
handle_lammps.__annotations__ = dict(InteractionBlock.handle_lammps.__annotations__)


class MaceConvolution(torch.nn.Module):
    """``Convolution`` as MACE calls it: edges (2, E) from the neighbours (row 0) to centres."""

    def __init__(self, convolution: Convolution) -> None:
        super().__init__()
        self.convolution = convolution

    def forward(
        self, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, edge_index: torch.Tensor
    ) -> torch.Tensor:
        """Return the sums (N, out) of messages."""
        return self.convolution(x, y, w, edge_index[1], edge_index[0])


@compile_mode("script")
class MaceEnergy(torch.nn.Module):
    """Atomic energies of a MACE model from edge vectors, for one of its heads.

    The layers are the model's own; they compute the rows of owned atoms and read those of ghosts.
    """

    def __init__(self, model: torch.nn.Module, head: int) -> None:
        super().__init__()
        self.num_types = len(model.atomic_numbers)
        self.head = head
        self.register_buffer("atomic_numbers", model.atomic_numbers)
        self.atomic_energies_fn = model.atomic_energies_fn
        self.node_embedding = model.node_embedding
        self.spherical_harmonics = model.spherical_harmonics
        self.radial_embedding = model.radial_embedding
        self.interactions = model.interactions
        self.products = model.products
        self.readouts = model.readouts
        # Always in float64: the envelope of this steep term is a difference of large numbers, and
        # in float32 it alone is noise of 1e-4 eV/Å at the bonds of a linker
        repulsion = getattr(model, "pair_repulsion_fn", None)
        self.pair_repulsion = None if repulsion is None else repulsion.to(torch.float64)
        self.scale_shift = getattr(model, "scale_shift", None)
        self.register_buffer("unit", model.r_max.new_ones(1))  # of the model's dtype

    def forward(
        self,
        data: dict[str, torch.Tensor],
        features: torch.Tensor,
        first: int,
        last: int,
        rows_are_complete: bool,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Evaluate layers; see ``LayeredGradientModel``."""
        types = data["atom_types"]
        num_local = data["local_types"].size(0)
        num_ghosts = types.size(0) - num_local
        dtype = self.unit.dtype
        attrs = torch.nn.functional.one_hot(types, self.num_types).to(dtype)
        local_attrs = attrs[:num_local]
        # MACE's edges run from the neighbour to the centre, with r_i - r_j.
        edge_index = data["edge_index"].flip(0)
        exact = data["edge_vectors"].to(torch.float64)
        vectors = -exact.to(dtype)
        lengths = torch.linalg.norm(vectors, dim=-1, keepdim=True)
        rows = torch.arange(num_local, device=types.device)
        heads = torch.full_like(rows, self.head)

        edge_attrs = self.spherical_harmonics(vectors)
        edge_feats, cutoff = self.radial_embedding(lengths, attrs, edge_index, self.atomic_numbers)
        energy = torch.zeros_like(local_attrs[:, 0])
        if self.pair_repulsion is not None and first == 0:
            distances = torch.linalg.norm(exact, dim=-1, keepdim=True)
            pair_energy = self.pair_repulsion(distances, attrs, edge_index, self.atomic_numbers)
            energy = energy + pair_energy[:num_local].to(dtype)

        node_feats = self.node_embedding(attrs) if first == 0 else features
        found: list[torch.Tensor] = []  # features after each of these layers
        for k, (interaction, product) in enumerate(zip(self.interactions, self.products)):  # noqa: B905 - TorchScript
            if first <= k and k < last:  # noqa: PLR1716 - TorchScript knows no chains
                has_all_rows = k == 0 or rows_are_complete
                node_feats, sc = interaction(
                    node_attrs=attrs if has_all_rows else local_attrs,
                    node_feats=node_feats,
                    edge_attrs=edge_attrs,
                    edge_feats=edge_feats,
                    edge_index=edge_index,
                    cutoff=cutoff,
                    lammps_class=types,
                    lammps_natoms=(num_local, num_ghosts),
                    first_layer=has_all_rows,  # nothing to exchange
                )
                node_feats = product(node_feats=node_feats, sc=sc, node_attrs=local_attrs)
                found.append(node_feats)
        for k, readout in enumerate(self.readouts):
            layer = len(self.interactions) - 1 if len(self.readouts) == 1 else k
            if first <= layer and layer < last:  # noqa: PLR1716 - TorchScript knows no chains
                energy = energy + readout(found[layer - first], heads)[rows, heads]
        if self.scale_shift is not None:
            # linear in the layers' energies; the shift counts once
            shifted = self.scale_shift(energy, heads)
            energy = shifted if first == 0 else shifted - self.scale_shift(energy * 0.0, heads)
        total = energy.double()
        if first == 0:
            total = total + self.atomic_energies_fn(local_attrs)[rows, heads].double()
        return node_feats, total.unsqueeze(-1)


def _choose_head(heads: list[str], head: str | None) -> int:
    if head is None and len(heads) > 1:
        raise ExportError(f"the model has the heads {', '.join(heads)}: choose one with --head")
    if head is not None and head not in heads:
        raise ExportError(f"the model has no head {head!r}: it has {', '.join(heads)}")
    return heads.index(head) if head is not None else 0


def _check_supported(model: torch.nn.Module) -> None:
    kind = type(model).__name__
    if kind not in ("MACE", "ScaleShiftMACE"):
        raise ExportError(f"models of the class {kind} give no energy that LAMMPS could use")
    if hasattr(model, "joint_embedding"):
        raise ExportError("models with embedded charges or spins are not supported")
    for interaction in model.interactions:
        if type(interaction).handle_lammps is not InteractionBlock.handle_lammps:
            raise ExportError(
                f"the interaction {type(interaction).__name__} is not supported: its messages "
                "cannot be exchanged between ranks"
            )


def _without_compiled_code(model: torch.nn.Module) -> torch.nn.Module:
    """Return the same model whose tensor products can be traced: built anew, weights copied."""
    from e3nn import set_optimization_defaults
    from mace.tools.scripts_utils import extract_config_mace_model

    config = extract_config_mace_model(model)
    if "error" in config:
        raise ExportError(f"this model cannot be compiled by AOTInductor ({config['error']})")
    set_optimization_defaults(jit_script_fx=False)
    default_dtype = torch.get_default_dtype()
    torch.set_default_dtype(next(model.parameters()).dtype)
    try:
        fresh = type(model)(**config)
    finally:
        torch.set_default_dtype(default_dtype)
    fresh.load_state_dict(model.state_dict())
    return fresh


def open_source(path: Path, dtype: str | None, head: str | None, traceable: bool) -> Source:
    """Load a MACE model.

    Raises
    ------
    ExportError
        If the model is of a kind whose layers cannot be distributed, or the head is unknown.
    """
    model = torch.load(path, map_location="cpu", weights_only=False)
    if not isinstance(model, torch.nn.Module):
        raise ExportError("the file holds no MACE model (the training's checkpoint, perhaps?)")
    _check_supported(model)
    source_dtype = str(model.r_max.dtype).removeprefix("torch.")
    heads = [str(name) for name in getattr(model, "heads", None) or ["Default"]]
    chosen = _choose_head(heads, head)
    if traceable:
        model = _without_compiled_code(model)
    dtype = dtype or source_dtype
    model = model.to(getattr(torch, dtype)).eval()
    for parameter in model.parameters():
        parameter.requires_grad_(False)

    def fuse() -> None:
        convolutions = [fused(block.conv_tp, getattr(torch, dtype)) for block in model.interactions]
        for block, convolution in zip(model.interactions, convolutions, strict=True):
            block.conv_tp = MaceConvolution(convolution)
            block.conv_fusion = "mofmd"  # has the convolution called with edges, not with messages
        for product in model.products:
            product.symmetric_contractions = contracted(product.symmetric_contractions)

    def distribute() -> torch.nn.Module:
        InteractionBlock.handle_lammps = handle_lammps
        return MaceEnergy(model, chosen)

    def reference(structures: list[Atoms]) -> dict[str, list[Any]]:
        # MACE rounds positions to its dtype before it takes their differences: in float32 the
        # reference would be less exact than what is compared with it, which never does
        calculator = MACECalculator(
            model_paths=str(path), device="cpu", default_dtype="float64", head=heads[chosen]
        )
        return evaluate_with(calculator, structures)

    return Source(
        reference=reference,
        fuse=fuse,
        distribute=distribute,
        family="mace",
        type_names=[chemical_symbols[int(z)] for z in model.atomic_numbers],
        r_max=float(model.r_max),
        cutoffs=None,
        num_layers=len(model.interactions),
        dtype=dtype,
        source_dtype=source_dtype,
        script=jit.script,
        packages=("mace-torch", "e3nn"),
    )
