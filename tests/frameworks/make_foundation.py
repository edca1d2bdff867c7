"""Build MACE models of the kinds of the published foundation models (runs in MACE's environment).

Random weights, everything else as published: 89 elements, two layers, correlation 3, 6 Å. Sources:
I. Batatia et al., arXiv:2401.00096 (MP-0, 128x0e+128x1o); the notes of MACE's foundation models on
MP-0b and MPA-0 (repulsion of nuclei, Agnesi transform, density normalisation); fine-tuned models
have two heads.

Usage: python make_foundation.py DIRECTORY small|exact [KIND ...]
"""

import os

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4.4 on torch >= 2.6

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from e3nn import o3
from mace import modules

ELEMENTS = [*range(1, 84), *range(89, 95)]  # those of the Materials Project
PLAIN = ("RealAgnosticResidualInteractionBlock", "RealAgnosticResidualInteractionBlock")
DENSITY = ("RealAgnosticDensityInteractionBlock", "RealAgnosticDensityResidualInteractionBlock")
REPULSIVE = {"pair_repulsion": True, "distance_transform": "Agnesi"}
# name: blocks of the first and the other layers, dtype of the file, heads, more
KINDS = {
    "mp-0": (PLAIN, torch.float32, ["Default"], {}),
    "mp-0b": (DENSITY, torch.float32, ["Default"], REPULSIVE),
    "mpa-0": (DENSITY, torch.float64, ["Default"], REPULSIVE),
    "two-head": (DENSITY, torch.float64, ["pt_head", "mof"], REPULSIVE),
}
# hidden irreps, Bessel functions, largest l of the edges, radial network, readout
WIDTHS = {
    "small": ("8x0e + 8x1o", 4, 2, [8], "4x0e"),
    "exact": ("128x0e + 128x1o", 10, 3, [64, 64, 64], "16x0e"),
}
# what files of the year of MP-0 lack: MACE had no such attributes then
LATER = (
    "heads",
    "num_heads",
    "lammps_mliap",
    "apply_cutoff",
    "edge_irreps",
    "use_reduced_cg",
    "use_agnostic_product",
    "use_so3",
    "use_last_readout_only",
    "use_edge_irreps_first",
    "cueq_config",
    "oeq_config",
)


def foundation(kind: str, width: str) -> torch.nn.Module:
    """Return a model with random weights.

    Parameters
    ----------
    kind
        One of ``KINDS``.
    width
        ``small`` or ``exact``.
    """
    (first, other), dtype, heads, more = KINDS[kind]
    hidden, bessel, max_ell, radial, readout = WIDTHS[width]
    count = len(heads)
    isolated = np.random.default_rng(4).uniform(-8.0, -0.1, (count, len(ELEMENTS)))
    torch.set_default_dtype(dtype)
    torch.manual_seed(5)
    return modules.ScaleShiftMACE(
        r_max=6.0,
        num_bessel=bessel,
        num_polynomial_cutoff=5,
        max_ell=max_ell,
        interaction_cls_first=modules.interaction_classes[first],
        interaction_cls=modules.interaction_classes[other],
        num_interactions=2,
        num_elements=len(ELEMENTS),
        hidden_irreps=o3.Irreps(hidden),
        MLP_irreps=o3.Irreps(readout),
        gate=torch.nn.functional.silu,
        atomic_energies=isolated if count > 1 else isolated[0],
        avg_num_neighbors=61.96,
        atomic_numbers=ELEMENTS,
        correlation=3,
        radial_type="bessel",
        radial_MLP=radial,
        atomic_inter_scale=[0.8] * count if count > 1 else 0.8,
        atomic_inter_shift=[0.16] * count if count > 1 else 0.16,
        heads=heads,
        **more,
    )


def as_saved_then(model: torch.nn.Module) -> torch.nn.Module:
    """Take from a model what files of 2023 lack."""
    for module in model.modules():
        for name in LATER:
            module.__dict__.pop(name, None)
    for module in model.modules():
        if isinstance(module, modules.radial.PolynomialCutoff):
            module.p = module.p.to(torch.get_default_dtype())
    return model


def write_foundations(directory: Path, width: str, kinds: Iterable[str] = KINDS) -> None:
    """Write KIND.model of each kind."""
    for kind in kinds:
        model = foundation(kind, width)
        if kind == "mp-0":
            model = as_saved_then(model)
        torch.save(model, directory / f"{kind}.model")


def main() -> None:
    """Write models of one width."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("directory", type=Path)
    parser.add_argument("width", choices=WIDTHS)
    parser.add_argument("kinds", nargs="*", default=list(KINDS))
    arguments = parser.parse_args()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    write_foundations(arguments.directory, arguments.width, arguments.kinds)


if __name__ == "__main__":
    main()
