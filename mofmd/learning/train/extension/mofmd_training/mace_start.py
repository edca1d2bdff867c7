"""A model of MACE that a training goes on from: what it says, and its copy for new labels.

python -m mofmd_training.mace_start facts START FRAMES.extxyz ANSWER.json [HEAD]
python -m mofmd_training.mace_start shift START OFFSETS.json COPY
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from ase.data import chemical_symbols
from ase.io import read
from mace import data
from mace.tools.torch_geometric.batch import Batch
from mace.tools.utils import AtomicNumberTable


def describe(model: torch.nn.Module, frames: Path, head: str | None) -> dict[str, Any]:
    """Return elements, heads, cutoff, and energies of the frames by a head [eV]."""
    numbers = [int(z) for z in model.atomic_numbers]
    heads = list(getattr(model, "heads", None) or ["Default"])
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
    table = AtomicNumberTable(numbers)
    model = model.double().eval()
    torch.set_default_dtype(torch.float64)
    for each in atoms:
        found = data.config_from_atoms(each, head_name=chosen)
        graph = data.AtomicData.from_config(
            found, z_table=table, cutoff=float(model.r_max), heads=heads
        )
        batch = Batch.from_data_list([graph]).to_dict()
        with torch.no_grad():
            out = model(batch, training=False, compute_force=False)
        facts["energies_eV"].append(float(out["energy"]))
    return facts


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
    else:
        shift(model, json.loads(Path(second).read_text()))
        torch.save(model, answer)


if __name__ == "__main__":
    main()
