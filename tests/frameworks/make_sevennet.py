"""Build tiny untrained SevenNet checkpoints with sevenn itself (runs in its environment).

Usage: python make_sevennet.py DIRECTORY
"""

import argparse
import copy
from pathlib import Path
from typing import Any

import sevenn
import torch
from sevenn import _const as const
from sevenn.model_build import build_E3_equivariant_model
from sevenn.nn.node_embedding import get_type_mapper_from_specie

NAMES = ["C", "H", "N", "Zn"]
IRREPS = ["4x0e", "4x0e+3x1e+2x2e", "4x0e+3x1e+2x2e", "4x0e"]
UNIVERSAL = {  # parts and settings of SevenNet-0
    "cutoff": 4.5,
    "channel": 4,
    "irreps_manual": IRREPS,
    "lmax": 2,
    "is_parity": False,
    "num_convolution_layer": 3,
    "weight_nn_hidden_neurons": [8, 8],
    "radial_basis": {"radial_basis_name": "bessel", "bessel_basis_num": 4},
    "cutoff_function": {"cutoff_function_name": "XPLOR", "cutoff_on": 4.0},
    "self_connection_type": "linear",
}
VARIANTS: dict[str, dict[str, Any]] = {
    "universal": {},
    # l3i5: up to l = 3, polynomial cutoff
    "l3": {
        "lmax": 3,
        "num_convolution_layer": 2,
        "irreps_manual": ["4x0e", "4x0e+3x1e+2x2e+2x3e", "4x0e"],
        "cutoff_function": {"cutoff_function_name": "poly_cut", "poly_cut_p_value": 6},
    },
    "modal": {
        "num_convolution_layer": 2,
        "irreps_manual": ["4x0e", "4x0e+3x1e+2x2e", "4x0e"],
        "use_modality": True,
        "use_modal_node_embedding": True,
        "use_modal_self_inter_intro": True,
        "use_modal_self_inter_outro": True,
        "use_modal_output_block": True,
        "use_modal_wise_shift": True,
        "use_modal_wise_scale": False,
        "_number_of_modalities": 2,
        "_modal_map": {"R2SCAN": 0, "PBE": 1},
        "shift": [[-2.0, -0.5, -3.0, -1.5], [-1.0, -0.3, -2.0, -0.7]],
    },
    # what sevenn takes where a training says nothing: parity, weights by type, biases on request
    "defaults": {
        "lmax": 1,
        "is_parity": True,
        "irreps_manual": False,
        "num_convolution_layer": 4,  # the third has odd scalars
        "self_connection_type": "nequip",
        "use_bias_in_linear": True,
        "readout_as_fcn": True,
        "cutoff_function": {"cutoff_function_name": "poly_cut", "poly_cut_p_value": 6},
    },
    "one-layer": {"num_convolution_layer": 1, "irreps_manual": ["4x0e", "4x0e"]},
}


def config(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a trained model."""
    types = get_type_mapper_from_specie(NAMES)
    return {
        **copy.deepcopy(const.DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG),
        **copy.deepcopy(UNIVERSAL),
        "conv_denominator": 20.0,
        "shift": [-1.0, -0.3, -2.0, -0.7],
        "scale": 1.3,
        "version": sevenn.__version__,
        "dtype": "single",
        "model_type": "E3_equivariant_model",
        "chemical_species": NAMES,
        "_type_map": types,
        "_number_of_species": len(types),
        "use_modality": False,
        **copy.deepcopy(changes),
    }


def checkpoint(changes: dict[str, Any]) -> dict[str, Any]:
    """Return what sevenn saves of a model with random weights."""
    settings = config(changes)
    torch.manual_seed(5)
    model = build_E3_equivariant_model(copy.deepcopy(settings))
    return {"model_state_dict": model.state_dict(), "config": settings, "epoch": 1}


def main() -> None:
    """Write NAME.pth for all variants."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    for name, changes in VARIANTS.items():
        torch.save(checkpoint(changes), directory / f"sevennet-{name}.pth")


if __name__ == "__main__":
    main()
