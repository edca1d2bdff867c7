"""TorchScript models in mofmd's file format whose answers are known on paper, or that misbehave."""

from pathlib import Path

import torch

TYPE_NAMES = "C H N Zn"
ZN = 3


class Springs(torch.nn.Module):
    """E = sum over directed edges of k (r - r_max)^2 / 4, in mofmd's edge-gradient form.

    Misbehaves when all it is given is one Zn: ``fault`` is "" (never), "throws" or "nan".
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
        energy = torch.zeros([types.size(0)], dtype=torch.float64)
        energy.index_add_(0, data["edge_index"][0], 0.25 * stretch * stretch)
        gradients = 0.5 * stretch.unsqueeze(1) * torch.nn.functional.normalize(vectors, dim=1)
        if only_zn and self.fault == "nan":
            energy = energy * float("nan")
        return {"atomic_energy": energy.unsqueeze(1), "edge_gradients": gradients}


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
