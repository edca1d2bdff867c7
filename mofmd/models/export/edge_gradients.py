"""mofmd's form of a model: edge vectors in, atomic energies and dE/dr_ij out, on any rank count.

Inputs of an exported model: ``edge_vectors`` (E, 3) float64, ``r_j - r_i`` in angstrom;
``edge_index`` (2, E) int64, row 0 the centre i, row 1 the neighbour j; ``atom_types`` (N_all,)
int64, owned atoms first, then ghosts; ``local_types`` (N_local,) int64, its first part; where the
model has layers, on request ``chunk`` () int64, the centres to evaluate at a time.
Outputs: ``atomic_energy`` (N_local, 1) float64, eV; ``edge_gradients`` (E, 3) float64, the
derivative of the sum of the atomic energies with respect to ``edge_vectors``, eV/angstrom.

A message-passing model computes the features of owned atoms only. Before each layer but the first
it calls the operator ``mofmd::exchange``, which appends the rows of the ghosts; its backward pass
adds the gradients of the ghosts' rows to those of their owners. LAMMPS's communication stands
behind the operator in the plugin (``mofmd/plugin/exchange/exchange.cpp``); here, in one process,
there are no ghosts.

These modules run in the isolated environments of the model frameworks and import nothing of mofmd.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import torch
from operators import exchanged_widths
from torch._decomp import core_aten_decompositions
from torch.fx.experimental import _config as fx_config
from torch.fx.experimental.proxy_tensor import make_fx

INPUTS = ("edge_vectors", "edge_index", "atom_types", "local_types")
OUTPUTS = ("atomic_energy", "edge_gradients")


class ExportError(Exception):
    """The model cannot be exported; the text says why and how to mend it."""


class EdgeGradientModel(torch.nn.Module):
    """Atomic energies and their derivatives, of a strictly local model.

    For message passing see ``layered.py``.

    Parameters
    ----------
    energy : torch.nn.Module
        Takes the inputs of this module's docstring, returns ``atomic_energy`` (N_local or more, 1).
    model_types : list of int
        Type of ``energy`` behind each type of the exported model (a subset of its species, or all).
    """

    def __init__(self, energy: torch.nn.Module, model_types: list[int]) -> None:
        super().__init__()
        self.energy = energy
        self.register_buffer("model_types", torch.tensor(model_types, dtype=torch.long))

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Evaluate the model; see the module's docstring for the keys."""
        edge_vectors = data["edge_vectors"].detach().requires_grad_(True)
        local_types = self.model_types.index_select(0, data["local_types"])
        out = self.energy(
            {
                "edge_vectors": edge_vectors,
                "edge_index": data["edge_index"],
                "atom_types": self.model_types.index_select(0, data["atom_types"]),
                "local_types": local_types,
            }
        )
        atomic_energy = out["atomic_energy"][: local_types.size(0)].to(torch.float64)
        gradient = torch.autograd.grad([atomic_energy.sum()], [edge_vectors])[0]
        assert gradient is not None
        return {"atomic_energy": atomic_energy.detach(), "edge_gradients": gradient.detach()}


class Positional(torch.nn.Module):
    """The same model with the inputs and outputs in order, as AOTInductor takes them."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Take ``INPUTS``, return ``OUTPUTS``."""
        out = self.model(dict(zip(INPUTS, tensors, strict=True)))
        return tuple(out[name] for name in OUTPUTS)


def example(num_types: int, r_max: float, num_local: int, num_ghosts: int) -> list[torch.Tensor]:
    """Return inputs of an arbitrary graph for tracing; the numbers matter to nobody."""
    generator = torch.Generator().manual_seed(num_local)
    num_all = num_local + num_ghosts
    centre = torch.arange(num_local).repeat_interleave(num_all - 1)
    neighbour = torch.cat(
        [torch.cat([torch.arange(i), torch.arange(i + 1, num_all)]) for i in range(num_local)]
    )
    vectors = torch.randn((len(centre), 3), generator=generator, dtype=torch.float64)
    lengths = r_max * (0.4 + 0.5 * torch.rand(len(centre), 1, generator=generator))
    vectors = vectors / vectors.norm(dim=1, keepdim=True) * lengths.double()
    types = torch.randint(num_types, (num_all,), generator=generator)
    return [vectors, torch.stack([centre, neighbour]), types, types[:num_local].clone()]


def exchange_width(model: torch.nn.Module, num_types: int, r_max: float) -> int:
    """Return the most features per atom that a layer fetches; 0: the model is strictly local."""
    exchanged_widths.clear()
    inputs = example(num_types, r_max, num_local=5, num_ghosts=0)
    model(dict(zip(INPUTS, inputs, strict=True)))
    return max(exchanged_widths, default=0)


def _trace(model: torch.nn.Module, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
    """Unfold the model with its own backward pass into one graph with symbolic sizes."""
    duck_shape = fx_config.use_duck_shape
    fx_config.use_duck_shape = False  # equal sizes of the example are a coincidence
    try:
        return make_fx(
            Positional(model),
            decomposition_table=core_aten_decompositions(),
            tracing_mode="symbolic",
            _allow_non_fake_inputs=True,
            _error_on_data_dependent_ops=True,
        )(*inputs)
    finally:
        fx_config.use_duck_shape = duck_shape


def write_aotinductor(
    model: torch.nn.Module,
    num_types: int,
    metadata: dict[str, str],
    path: Path,
    device: str,
) -> None:
    """Compile the model ahead of time and write it to ``path`` (.pt2).

    Raises
    ------
    ExportError
        If the traced graph depends on the sizes of the example.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model = model.eval().to(device)
    small, large = (
        [tensor.to(device) for tensor in example(num_types, float(metadata["r_max"]), *sizes)]
        for sizes in ((11, 6), (17, 4))
    )
    graph = _trace(model, large)
    if _code(graph) != _code(_trace(model, small)):
        raise ExportError(
            "the traced model depends on the numbers of atoms and edges of the example: "
            "use --format torchscript"
        )
    dim = torch.export.Dim
    edges, every, local = (dim(name, min=2) for name in ("edges", "all_atoms", "local_atoms"))
    exported = torch.export.export(
        graph, tuple(large), dynamic_shapes=({0: edges}, {1: edges}, {0: every}, {0: local})
    )
    metadata = {
        **metadata,
        "mofmd_aoti_inputs": " ".join(INPUTS),
        "mofmd_aoti_outputs": " ".join(OUTPUTS),
    }
    torch._inductor.aoti_compile_and_package(
        exported,
        package_path=str(path),
        inductor_configs={"aot_inductor.metadata": metadata},
    )


def _code(graph: torch.fx.GraphModule) -> str:
    """Return the code of a graph without the numbers of its constants."""
    return re.sub(r"_tensor_constant\d+", "_tensor_constant", graph.code)


def write_torchscript(scripted: Any, metadata: dict[str, str], path: Path) -> None:
    """Write a scripted model to ``path`` (.pth) with its metadata as extra files."""
    torch.jit.save(
        scripted, str(path), _extra_files={key: value.encode() for key, value in metadata.items()}
    )


def check_signature(function: Any, names: tuple[str, ...], where: str) -> None:
    """Refuse a framework whose layer differs from the one that is replaced here.

    Raises
    ------
    ExportError
        If ``function`` lacks one of the parameters ``names``.
    """
    missing = [name for name in names if name not in inspect.signature(function).parameters]
    if missing:
        raise ExportError(f"{where} of this version of the framework lacks {', '.join(missing)}")
