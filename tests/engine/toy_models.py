"""TorchScript models in mofmd's file format whose answers are known on paper, or that misbehave."""

from pathlib import Path

import torch

from mofmd.models.export.operators import define_operators
from mofmd.models.files.deployed import SCHEMA, DeployedModel, read_deployed, write_with_manifest

TYPE_NAMES = "C H N Zn"
ZN = 3


class Springs(torch.nn.Module):
    """E = sum over directed edges of k (r - r_max)^2 / 4, in mofmd's edge-gradient form.

    Misbehaves when all it is given is one Zn: ``fault`` is "" (never), "throws" or "nan". With
    "waits" it asks a GPU for a number at each call, which cannot be recorded.
    """

    def __init__(self, r_max: float, fault: str = "") -> None:
        super().__init__()
        self.r_max = r_max
        self.fault = fault

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        vectors = data["edge_vectors"]
        types = data["atom_types"]
        only_zn = types.size(0) == 1 and bool((types == 3).all())
        if only_zn and self.fault == "throws":
            raise ValueError("a toy model met a lone Zn")
        stretch = vectors.square().sum(1).sqrt() - self.r_max
        if self.fault == "waits" and float(stretch.sum()) > 0.0:
            raise ValueError("a toy model met a long edge")
        energy = torch.zeros([types.size(0)], dtype=torch.float64, device=vectors.device)
        energy.index_add_(0, data["edge_index"][0], 0.25 * stretch * stretch)
        gradients = 0.5 * stretch.unsqueeze(1) * torch.nn.functional.normalize(vectors, dim=1)
        if only_zn and self.fault == "nan":
            energy = energy * float("nan")
        return {"atomic_energy": energy.unsqueeze(1), "edge_gradients": gradients}


class Throws(torch.nn.Module):
    """Throws in a function of its own, where it has more than the three atoms of a trial."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def fail(self, vectors: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        if self.fault == "raises":
            raise ValueError("too many atoms for a toy model\nbuy a larger one")
        if self.fault == "index":
            return torch.index_select(vectors, 0, types + 100000)
        if self.fault == "shape":
            return vectors @ vectors
        if self.fault == "operator":
            return torch.ops.mofmd.exchange(vectors.view(-1), types, types)
        return torch.zeros([1 << 45])  # memory

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        vectors, types = data["edge_vectors"], data["atom_types"]
        energy = torch.zeros([types.size(0), 1], dtype=torch.float64)
        if types.size(0) > 3:
            energy = energy + self.fail(vectors, types).sum()
        return {"atomic_energy": energy, "edge_gradients": torch.zeros_like(vectors)}


def write_throws(path: Path, fault: str) -> Path:
    """Write `Throws` in edge-gradient form."""
    define_operators()
    return write_model(Throws(fault), path, 4.0, mofmd_form="edge_gradients")


class NoVirial(torch.nn.Module):
    """Zero energy and forces in nequip's form, without a virial."""

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {
            "atomic_energy": torch.zeros_like(data["pos"][:, :1]),
            "forces": torch.zeros_like(data["pos"]),
        }


def write_model(module: torch.nn.Module, path: Path, r_max: float, **metadata: str) -> Path:
    """Write a module as a model file of the family allegro."""
    entries = {
        "type_names": TYPE_NAMES,
        "r_max": str(r_max),
        "model_dtype": "float64",
        "mofmd_family": "allegro",
        **metadata,
    }
    torch.jit.save(torch.jit.script(module.eval()), str(path), _extra_files=entries)
    return path


def write_springs(path: Path, r_max: float = 4.0, fault: str = "") -> Path:
    """Write `Springs` in edge-gradient form."""
    return write_model(Springs(r_max, fault), path, r_max, mofmd_form="edge_gradients")


class Chain(torch.nn.Module):
    """A message-passing model that fails on ranks without atoms, after others have sent."""

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        vectors = data["edge_vectors"].detach().requires_grad_(True)
        local_types = data["local_types"]
        features = torch.ones([local_types.size(0), 3], dtype=torch.float64)
        lengths = vectors.square().sum(1)
        features = features.index_add(
            0, data["edge_index"][0], torch.exp(-lengths).unsqueeze(1).expand(-1, 3)
        )
        if local_types.size(0) == 1 and vectors.size(0) == 0:
            raise ValueError("a toy model met an empty rank")
        every = torch.ops.mofmd.exchange(features, local_types, data["atom_types"])
        energy = torch.zeros([local_types.size(0)], dtype=torch.float64)
        energy = energy.index_add(0, data["edge_index"][0], every[data["edge_index"][1], 0])
        gradient = torch.autograd.grad([energy.sum()], [vectors])[0]
        assert gradient is not None
        return {"atomic_energy": energy.unsqueeze(1).detach(), "edge_gradients": gradient}


def write_chain(path: Path) -> Path:
    """Write the failing message-passing model as a deployed NequIP."""
    define_operators()
    form = {"mofmd_family": "nequip", "mofmd_form": "edge_gradients", "mofmd_exchange_width": "3"}
    return write_model(Chain(), path, r_max=4.0, **form)


class Bumps(torch.nn.Module):
    """E = constant per atom + sum over directed edges of depth (1 - r^2 / r_max^2)^4 / 2, smooth.

    ``fault``: "scaled" (forces 0.1 % too large), "crowded" (too large where atoms are many, so that
    they derive from no energy at all), "hydrogen" (1 % too large around H) or
    "turned" (an energy that depends on how the crystal lies, with its own forces).
    """

    def __init__(
        self, depth: float = 2.0, constant: float = 0.0, fault: str = "", r_max: float = 4.0
    ) -> None:
        super().__init__()
        self.depth, self.constant, self.fault, self.r_max = depth, constant, fault, r_max
        self.register_buffer("unit", torch.ones(1, dtype=torch.float64))

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        vectors = data["edge_vectors"].detach().requires_grad_(True)
        centres, types = data["edge_index"][0], data["local_types"]
        inside = vectors.to(self.unit.dtype)
        squared = inside.square().sum(1)
        energy = 0.5 * self.depth * (1.0 - squared / self.r_max**2).clamp(min=0.0) ** 4
        if self.fault == "turned":
            energy = energy * (1.0 + 0.01 * inside[:, 2].square() / squared)
        atomic = torch.zeros(types.size(0), dtype=energy.dtype, device=energy.device)
        atomic = atomic.index_add(0, centres, energy)
        gradient = torch.autograd.grad([atomic.sum()], [vectors])[0]
        assert gradient is not None
        if self.fault == "scaled":
            gradient = 1.001 * gradient
        if self.fault == "crowded":
            density = torch.zeros_like(atomic).index_add(0, centres, torch.exp(-squared.detach()))
            gradient = (1.0 + 0.1 * density[centres].unsqueeze(1)) * gradient
        if self.fault == "hydrogen":
            around = (types[centres] == 1).to(gradient.dtype).unsqueeze(1)
            gradient = (1.0 + 0.01 * around) * gradient
        total = atomic.detach().double() + self.constant
        return {"atomic_energy": total.unsqueeze(1), "edge_gradients": gradient.detach()}


def write_deployed(
    module: torch.nn.Module, path: Path, dtype: str = "float64", r_max: float = 4.0
) -> DeployedModel:
    """Write a strictly local module as a deployed model, without a word of its physics."""
    module.to(getattr(torch, dtype))
    raw = path.with_name("raw.pth")
    write_model(module, raw, r_max, mofmd_form="edge_gradients", model_dtype=dtype)
    manifest = {
        "schema": SCHEMA,
        "name": "toy",
        "family": "allegro",
        "type_names": TYPE_NAMES.split(),
        "r_max": r_max,
        "dtype": dtype,
        "citations": [],
    }
    write_with_manifest(raw, manifest, path)
    return read_deployed(path)


class Messages(torch.nn.Module):
    """Two layers: E = sum over i of (sum over j of w_ij n_j)^2 with n_j = sum over k of w_jk.

    w = (1 - r^2 / r_max^2)^3: what an atom feels fades from layer to layer only slowly. A faulty
    one has features of ghosts as well to exchange.
    """

    def __init__(self, r_max: float, is_faulty: bool) -> None:
        super().__init__()
        self.r_max = r_max
        self.is_faulty = is_faulty

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        vectors = data["edge_vectors"].detach().requires_grad_(True)
        local_types = data["local_types"]
        centres, neighbours = data["edge_index"][0], data["edge_index"][1]
        weights = (1.0 - vectors.square().sum(1) / self.r_max**2).clamp_min(0.0) ** 3
        none = torch.zeros([local_types.size(0)], dtype=torch.float64)
        numbers = none.index_add(0, centres, weights)
        table = numbers.unsqueeze(1)
        if self.is_faulty:
            table = torch.ones([data["atom_types"].size(0), 1], dtype=torch.float64)
        every = torch.ops.mofmd.exchange(table, local_types, data["atom_types"])[:, 0]
        energy = none.index_add(0, centres, weights * every[neighbours]).square()
        gradient = torch.autograd.grad([energy.sum()], [vectors])[0]
        assert gradient is not None
        return {"atomic_energy": energy.unsqueeze(1).detach(), "edge_gradients": gradient}


def write_messages(path: Path, r_max: float = 4.0, is_faulty: bool = False) -> Path:
    """Write `Messages` as a deployed NequIP."""
    define_operators()
    form = {"mofmd_family": "nequip", "mofmd_form": "edge_gradients", "mofmd_exchange_width": "1"}
    return write_model(Messages(r_max, is_faulty), path, r_max, **form, mofmd_layers="2")
