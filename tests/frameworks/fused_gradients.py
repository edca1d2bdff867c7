"""Gradients of a loss by all weights, with and without mofmd's convolution (in an environment).

Usage: python fused_gradients.py nequip|mace|sevennet FRAME.extxyz ANSWER.json

For float64 and float32: the largest difference of a gradient from the framework's own, in float64
over 1, in float32 over the largest gradient of the weight; whether the state dicts have the same
keys; and how many modules were changed.
"""

import os

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4.4 on torch >= 2.6

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from ase import Atoms
from ase.io import read
from mofmd_training.convolution import PART

NAMES = ["C", "N", "Zn"]
Results = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # energy, forces, stress or virial
Evaluate = Callable[[], Results]


def nequip(atoms: Atoms, dtype: torch.dtype) -> tuple[torch.nn.Module, Evaluate, Any]:
    """Return a model, its evaluation of the atoms, and what fuses it."""
    from mofmd_training.nequip import fuse_model
    from nequip.data import from_ase
    from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
    from nequip.model import NequIPGNNModel
    from nequip.utils.global_state import set_global_state

    set_global_state()
    model = NequIPGNNModel(
        seed=1,
        model_dtype=str(dtype).removeprefix("torch."),
        type_names=NAMES,
        r_max=4.5,
        num_layers=3,
        l_max=2,
        parity=True,
        num_features=[5, 4, 3],
        radial_mlp_depth=1,
        radial_mlp_width=8,
        avg_num_neighbors=20.0,
        per_type_energy_scales=1.0,
        per_type_energy_shifts=0.0,
    )
    data = ChemicalSpeciesToAtomTypeMapper(NAMES)(from_ase(atoms))
    data = NeighborListTransform(r_max=4.5)(data)

    def evaluate() -> Results:
        out = model(data.copy())
        return out["total_energy"], out["forces"], out["stress"]

    return model, evaluate, fuse_model


def mace(atoms: Atoms, dtype: torch.dtype) -> tuple[torch.nn.Module, Evaluate, Any]:
    """Return a model, its evaluation of the atoms, and what fuses it."""
    import numpy as np
    from e3nn import o3
    from mace import data, modules
    from mace.tools.torch_geometric.batch import Batch
    from mace.tools.utils import AtomicNumberTable
    from mofmd_training.mace import fuse_model

    torch.set_default_dtype(dtype)
    torch.manual_seed(1)
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    model = modules.ScaleShiftMACE(
        r_max=4.5,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=block,
        interaction_cls_first=modules.interaction_classes["RealAgnosticInteractionBlock"],
        num_interactions=2,
        num_elements=len(NAMES),
        hidden_irreps=o3.Irreps("5x0e+5x1o"),
        MLP_irreps=o3.Irreps("4x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=np.zeros(3),
        avg_num_neighbors=20.0,
        atomic_numbers=[6, 7, 30],
        correlation=3,
        radial_MLP=[8],
        atomic_inter_scale=1.0,
        atomic_inter_shift=0.0,
    )
    table = AtomicNumberTable([6, 7, 30])
    frame = data.AtomicData.from_config(data.config_from_atoms(atoms), z_table=table, cutoff=4.5)
    batch = Batch.from_data_list([frame]).to_dict()

    def evaluate() -> Results:
        out = model(dict(batch), training=True, compute_stress=True)
        return out["energy"], out["forces"], out["stress"]

    return model, evaluate, fuse_model


def sevennet(atoms: Atoms, dtype: torch.dtype) -> tuple[torch.nn.Module, Evaluate, Any]:
    """Return a model, its evaluation of the atoms, and what fuses it."""
    from make_sevennet import config
    from mofmd_training.sevennet import fuse_model
    from sevenn import _keys as keys
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.model_build import build_E3_equivariant_model
    from sevenn.train.dataload import unlabeled_atoms_to_graph

    torch.manual_seed(1)
    model = build_E3_equivariant_model(config({})).to(dtype)
    model.set_is_batch_data(False)
    for module in model.modules():
        if type(module).__name__ == "OnehotEmbedding":  # float32 whatever the model's dtype
            module.register_forward_hook(lambda layer, _, data: _cast(layer, data, dtype))
    graph = unlabeled_atoms_to_graph(atoms, 4.5, with_shift=True)
    tables = {k: torch.as_tensor(v) for k, v in graph.items() if not isinstance(v, dict)}

    def evaluate() -> Results:
        data = AtomGraphData.from_numpy_dict(graph)
        for key, table in tables.items():
            if table.is_floating_point():
                data[key] = table.to(dtype)
        out = model(data)
        return out[keys.PRED_TOTAL_ENERGY], out[keys.PRED_FORCE], out[keys.PRED_STRESS]

    return model, evaluate, fuse_model


def _cast(layer: Any, data: Any, dtype: torch.dtype) -> None:
    for key in (layer.key_output, layer.key_additional_output):
        if key is not None:
            data[key] = data[key].to(dtype)


def gradients(model: torch.nn.Module, evaluate: Evaluate) -> dict[str, torch.Tensor]:
    """Return those of a loss of energies, forces and stresses by all weights that have one."""
    model.zero_grad()
    generator = torch.Generator().manual_seed(3)
    loss = torch.zeros((), dtype=torch.float64)
    for found in evaluate():
        label = torch.randn(found.shape, generator=generator, dtype=torch.float64)
        loss = loss + (found.double() - label).square().mean()
    loss.backward()
    return {
        name: weight.grad.double().clone()
        for name, weight in model.named_parameters()
        if weight.grad is not None
    }


def keys_of(model: torch.nn.Module) -> list[str]:
    """Return the names in a saved state dict."""
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    return sorted(torch.load(buffer, weights_only=False))


def compare(framework: str, atoms: Atoms, dtype: torch.dtype) -> dict[str, Any]:
    """Return what the docstring of this module tells, for one precision."""
    make = {"nequip": nequip, "mace": mace, "sevennet": sevennet}[framework]
    model, evaluate, fuse = make(atoms, dtype)
    plain, plain_keys = gradients(model, evaluate), keys_of(model)
    fuse(model)
    fused = gradients(model, evaluate)
    worst = 0.0
    for name, expected in plain.items():
        scale = 1.0 if dtype == torch.float64 else float(expected.abs().max()) or 1.0
        worst = max(worst, float((fused[name] - expected).abs().max()) / scale)
    return {
        "weights": len(plain),
        "same_weights": plain.keys() == fused.keys(),
        "largest": max(float(each.abs().max()) for each in plain.values()),
        "difference": worst,
        "same_keys": keys_of(model) == plain_keys,
        "parts": sum(PART in module._modules for module in model.modules()),
    }


def main() -> None:
    """Compare in both precisions."""
    framework, frame, answer = sys.argv[1:]
    torch.set_num_threads(1)
    atoms = read(frame)
    dtypes = {"float64": torch.float64, "float32": torch.float32}
    answers = {name: compare(framework, atoms, dtype) for name, dtype in dtypes.items()}
    Path(answer).write_text(json.dumps(answers))


if __name__ == "__main__":
    main()
