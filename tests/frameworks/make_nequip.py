"""Build tiny untrained NequIP and Allegro models with the framework (in its environment).

Usage: python make_nequip.py DIRECTORY [--aotinductor]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from allegro.model import AllegroModel
from ase import Atoms
from nequip.data import AtomicDataDict, compute_neighborlist_, from_ase
from nequip.data.transforms import ChemicalSpeciesToAtomTypeMapper
from nequip.model import NequIPGNNModel
from nequip.model.inference_models.torchscript import save_torchscript_model
from nequip.scripts._compile_utils import COMPILE_TARGET_DICT
from nequip.scripts._workflow_utils import set_workflow_state
from nequip.utils.aot import aot_export_model
from nequip.utils.global_state import set_global_state

TYPE_NAMES = ["C", "H", "N", "Zn"]
SHIFTS = {"C": -1.0, "H": -0.3, "N": -2.0, "Zn": -0.7}
COMMON = {
    "seed": 7,
    "type_names": TYPE_NAMES,
    "avg_num_neighbors": 20.0,
    "per_type_energy_shifts": SHIFTS,
    "per_type_energy_scales": 2.0,
}
PER_EDGE_TYPE_CUTOFF = {"H": 3.0, "C": {"H": 3.5, "C": 4.5, "N": 4.5, "Zn": 5.0}}


def nequip(dtype: str, r_max: float, layers: int = 2) -> torch.nn.Module:
    """Return a NequIP model with random weights."""
    return NequIPGNNModel(
        **COMMON,
        model_dtype=dtype,
        r_max=r_max,
        num_layers=layers,
        l_max=1,
        parity=False,
        num_features=4,
        radial_mlp_depth=1,
        radial_mlp_width=8,
    )


def allegro(dtype: str, r_max: float, per_edge_type_cutoff: dict | None = None) -> torch.nn.Module:
    """Return an Allegro model with random weights and a ZBL repulsion."""
    return AllegroModel(
        **COMMON,
        model_dtype=dtype,
        r_max=r_max,
        per_edge_type_cutoff=per_edge_type_cutoff,
        l_max=1,
        parity=True,
        radial_chemical_embed={
            "_target_": "allegro.nn.TwoBodyBesselScalarEmbed",
            "num_bessels": 4,
        },
        num_layers=2,
        num_scalar_features=8,
        num_tensor_features=2,
        scalar_embed_mlp_hidden_layers_depth=1,
        scalar_embed_mlp_hidden_layers_width=8,
        allegro_mlp_hidden_layers_depth=1,
        allegro_mlp_hidden_layers_width=8,
        readout_mlp_hidden_layers_depth=1,
        readout_mlp_hidden_layers_width=4,
        pair_potential={
            "_target_": "nequip.nn.pair_potential.ZBL",
            "units": "metal",
            "chemical_species": TYPE_NAMES,
        },
    )


def metadata(model: torch.nn.Module) -> dict[str, str]:
    """Return the metadata that nequip-compile writes."""
    return {**{k: str(v) for k, v in model.metadata.items()}, "allow_tf32": "0"}


def example(r_max: float) -> AtomicDataDict.Type:
    """Return a small periodic graph, the example that AOTInductor traces."""
    rng = np.random.default_rng(3)
    atoms = Atoms("C6H6N4Zn2", positions=rng.uniform(0, 7, (18, 3)), cell=[7, 7, 7], pbc=True)
    data = ChemicalSpeciesToAtomTypeMapper(TYPE_NAMES)(from_ase(atoms))
    data = compute_neighborlist_(data, r_max=r_max)
    for key in (AtomicDataDict.BATCH_KEY, AtomicDataDict.NUM_NODES_KEY):
        data.pop(key, None)
    return data


def write_aotinductor(model: torch.nn.Module, target: str, r_max: float, path: Path) -> None:
    """Write ``path`` as ``nequip-compile --mode aotinductor --device cpu --target TARGET`` does."""
    settings = COMPILE_TARGET_DICT[target]
    batch_map = settings["batch_map_settings"](
        {
            "graph": None,
            "node": torch.export.Dim("num_nodes", min=2, max=torch.inf),
            "edge": torch.export.Dim("num_edges", min=2, max=torch.inf),
        }
    )
    data = settings["data_settings"](example(r_max))
    extra = {
        **metadata(model),
        "nequip_aoti_inputs": " ".join(settings["input"]),
        "nequip_aoti_outputs": " ".join(settings["output"]),
    }
    aot_export_model(
        model,
        torch.device("cpu"),
        settings["input"],
        settings["output"],
        data,
        batch_map,
        str(path),
        {"aot_inductor.metadata": extra},
    )


def main() -> None:
    """Write the models that the engine tests use."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--aotinductor", action="store_true", help="also the .nequip.pt2 files")
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    set_workflow_state("compile")
    set_global_state(allow_tf32=False)
    torchscript = {
        "nequip-f64": nequip("float64", 5.0),
        "nequip-f32": nequip("float32", 5.0),
        "nequip-r8": nequip("float64", 8.0),
        "nequip-r15": nequip("float64", 15.0, layers=1),
        "allegro-f64": allegro("float64", 5.0),
        "allegro-f32": allegro("float32", 5.0),
        "allegro-cut": allegro("float64", 5.0, PER_EDGE_TYPE_CUTOFF),
        "allegro-r8": allegro("float64", 8.0),
    }
    for name, model in torchscript.items():
        path = arguments.directory / f"{name}.nequip.pth"
        save_torchscript_model(model.eval(), metadata(model), str(path), "cpu")
    if not arguments.aotinductor:
        return
    aotinductor = {  # new models: scripting alters a model so that it cannot be traced any more
        "nequip-f64": (nequip("float64", 5.0), "pair_nequip"),
        "allegro-f64": (allegro("float64", 5.0), "pair_allegro"),
        # compiles without complaint, would be wrong physics: must be refused
        "nequip-as-allegro": (nequip("float64", 5.0), "pair_allegro"),
    }
    for name, (model, target) in aotinductor.items():
        path = arguments.directory / f"{name}.nequip.pt2"
        write_aotinductor(model.eval(), target, 5.0, path)


if __name__ == "__main__":
    main()
