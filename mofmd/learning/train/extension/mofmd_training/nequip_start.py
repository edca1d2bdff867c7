"""Weights of nequip that a training goes on from: energies of types, and of frames by them.

python -m mofmd_training.nequip_start facts START FRAMES.extxyz ANSWER.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from ase.io import read
from nequip.data import AtomicDataDict, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper, NeighborListTransform
from nequip.model.saved_models.load_utils import load_saved_model
from nequip.model.utils import _EAGER_MODEL_KEY
from nequip.nn import PerTypeScaleShift
from nequip.nn.embedding.utils import cutoff_str_to_fulldict
from nequip.scripts._workflow_utils import set_workflow_state
from nequip.utils.global_state import set_global_state


def describe(start: Path, frames: Path) -> dict[str, Any]:
    """Return types, cutoffs by centre and neighbour [Å], energies of types and frames [eV]."""
    set_workflow_state("compile")
    set_global_state(allow_tf32=False)
    model = load_saved_model(start, _EAGER_MODEL_KEY, "sole_model")
    metadata = model.metadata
    names = str(metadata["type_names"]).split()
    r_max = float(metadata["r_max"])
    cutoffs = {a: dict.fromkeys(names, r_max) for a in names}
    if metadata.get("per_edge_type_cutoff"):
        cutoffs = cutoff_str_to_fulldict(metadata["per_edge_type_cutoff"], names)
    facts: dict[str, Any] = {"type_names": names, "r_max": r_max, "cutoffs": cutoffs}
    facts |= {"shifts": _shifts(model, names), "energies_eV": []}
    atoms = read(frames, ":")
    if not {str(s) for each in atoms for s in each.symbols} <= set(names):
        return facts
    types = ChemicalSpeciesToAtomTypeMapper(names)
    edges = NeighborListTransform(r_max=r_max, per_edge_type_cutoff=cutoffs, type_names=names)
    model.eval()
    for each in atoms:
        out = model(edges(types(from_ase(each))))
        facts["energies_eV"].append(float(out[AtomicDataDict.TOTAL_ENERGY_KEY]))
    return facts


def _shifts(model: torch.nn.Module, names: list[str]) -> dict[str, float] | None:
    """Return the energy of each type that the model begins with; None where it has none."""
    # a package brings modules of its own, whose class has the same name only
    layers = [m for m in model.modules() if type(m).__name__ == PerTypeScaleShift.__name__]
    if len(layers) != 1 or getattr(layers[0], "shifts", None) is None:
        return None
    values = layers[0].shifts.detach().reshape(-1).tolist()
    values = values * len(names) if len(values) == 1 else values
    return dict(zip(names, values, strict=True)) if len(values) == len(names) else None


def main() -> None:
    """Answer."""
    _, start, frames, answer = sys.argv[1:]
    torch.set_num_threads(1)
    Path(answer).write_text(json.dumps(describe(Path(start), Path(frames)), default=float))


if __name__ == "__main__":
    main()
