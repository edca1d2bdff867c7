"""A model of MACE that a training goes on from: what it says, and its copy for new labels.

python -m mofmd_training.mace_start facts START FRAMES.extxyz ANSWER.json [HEAD]
python -m mofmd_training.mace_start labels START FRAMES.extxyz ANSWER.npz [HEAD]
python -m mofmd_training.mace_start shift START OFFSETS.json COPY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import read
from mace import data
from mace.tools.torch_geometric.batch import Batch
from mace.tools.utils import AtomicNumberTable


def describe(model: torch.nn.Module, frames: Path, head: str | None) -> dict[str, Any]:
    """Return elements, heads, cutoff, and energies of atoms and frames by a head [eV]."""
    numbers = [int(z) for z in model.atomic_numbers]
    heads = _heads(model)
    facts = {
        "type_names": [chemical_symbols[z] for z in numbers],
        "heads": heads,
        "r_max": float(model.r_max),
        "num_interactions": int(model.num_interactions),
        "energies_eV": [],
    }
    chosen = head or heads[0]
    atoms = read(frames, ":")
    if chosen not in heads or not {int(z) for a in atoms for z in a.numbers} <= set(numbers):
        return facts
    of_atoms = torch.atleast_2d(model.atomic_energies_fn.atomic_energies)[heads.index(chosen)]
    facts["atom_energies_eV"] = dict(zip(facts["type_names"], of_atoms.tolist(), strict=True))
    model = model.double().eval()
    torch.set_default_dtype(torch.float64)
    for each in atoms:
        with torch.no_grad():
            out = model(_graph(model, each, chosen), training=False, compute_force=False)
        facts["energies_eV"].append(float(out["energy"]))
    return facts


def label(model: torch.nn.Module, frames: Path, head: str | None) -> dict[str, np.ndarray]:
    """Label frames: energies (n,) [eV], forces (all atoms, 3) [eV/Å], stresses (n, 3, 3) [eV/Å³].

    By a head; tension is positive.
    """
    model = model.double().eval()
    torch.set_default_dtype(torch.float64)
    chosen = head or _heads(model)[0]
    found: dict[str, list[np.ndarray]] = {"energy": [], "forces": [], "stress": []}
    for each in read(frames, ":"):
        out = model(_graph(model, each, chosen), training=False, compute_stress=True)
        for name, rows in found.items():
            rows.append(out[name].detach().numpy())
    return {name: np.concatenate(rows) for name, rows in found.items()}


def _heads(model: torch.nn.Module) -> list[str]:
    return list(getattr(model, "heads", None) or ["Default"])


def _graph(model: torch.nn.Module, atoms: Atoms, head: str) -> dict[str, torch.Tensor]:
    table = AtomicNumberTable([int(z) for z in model.atomic_numbers])
    found = data.config_from_atoms(atoms, head_name=head)
    graph = data.AtomicData.from_config(
        found, z_table=table, cutoff=float(model.r_max), heads=_heads(model)
    )
    batch: dict[str, torch.Tensor] = Batch.from_data_list([graph]).to_dict()
    return batch


def shift(model: torch.nn.Module, offsets: dict[str, float]) -> None:
    """Give atoms other energies, by element [eV], in place; of all heads."""
    energies = model.atomic_energies_fn.atomic_energies
    added = [offsets.get(chemical_symbols[int(z)], 0.0) for z in model.atomic_numbers]
    energies += torch.tensor(added, dtype=energies.dtype)


def main() -> None:
    """Answer."""
    task, start, second, answer, *head = sys.argv[1:]
    torch.set_num_threads(1)
    model = torch.load(start, map_location="cpu", weights_only=False)
    if task == "facts":
        facts = describe(model, Path(second), head[0] if head else None)
        Path(answer).write_text(json.dumps(facts))
    elif task == "labels":
        np.savez(answer, **label(model, Path(second), head[0] if head else None))
    else:
        shift(model, json.loads(Path(second).read_text()))
        torch.save(model, answer)


if __name__ == "__main__":
    main()
