"""Build tiny untrained MACE models with the framework itself (runs in its environment).

Usage: python make_mace.py DIRECTORY
"""

import os

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4.4 on torch >= 2.6

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from e3nn import o3
from e3nn.util import jit
from mace import modules
from mace.calculators import LAMMPS_MACE
from make_foundation import write_foundations

ATOMIC_NUMBERS = [1, 6, 7, 30]


def mace(
    r_max: float,
    hidden: str,
    heads: tuple[str, ...] = ("Default",),
    block: str = "RealAgnosticResidualInteractionBlock",
    numbers: list[int] = ATOMIC_NUMBERS,
    layers: int = 2,
    **options: Any,
) -> torch.nn.Module:
    """Return a MACE with random weights in the current default dtype."""
    isolated = np.resize([-0.3, -1.0, -2.0, -0.7], len(numbers))
    torch.manual_seed(5)
    return modules.ScaleShiftMACE(
        r_max=r_max,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=modules.interaction_classes[block],
        interaction_cls_first=modules.interaction_classes[block],
        num_interactions=layers,
        num_elements=len(numbers),
        hidden_irreps=o3.Irreps(hidden),
        MLP_irreps=o3.Irreps("4x0e"),
        gate=torch.nn.functional.silu,
        atomic_energies=isolated if len(heads) == 1 else np.array([isolated, 2 * isolated]),
        avg_num_neighbors=20.0,
        atomic_numbers=numbers,
        correlation=2,
        radial_type="bessel",
        radial_MLP=[8],
        atomic_inter_scale=1.0 if len(heads) == 1 else [1.0, 0.5],
        atomic_inter_shift=0.0 if len(heads) == 1 else [0.0, 0.1],
        heads=list(heads),
        **options,
    )


def all_electron() -> torch.nn.Module:
    """Return a model whose isolated atoms have energies of all electrons, -5e4 eV for Zn."""
    model = mace(5.0, "4x0e+4x1o")
    energies = model.atomic_energies_fn.atomic_energies
    model.atomic_energies_fn.atomic_energies = energies * 7e4
    return model


def dipoles() -> torch.nn.Module:
    """Return a model that gives dipoles and no energy."""
    block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
    return modules.AtomicDipolesMACE(
        r_max=5.0,
        num_bessel=4,
        num_polynomial_cutoff=5,
        max_ell=2,
        interaction_cls=block,
        interaction_cls_first=block,
        num_interactions=2,
        num_elements=len(ATOMIC_NUMBERS),
        hidden_irreps=o3.Irreps("4x0e+4x1o"),
        MLP_irreps=o3.Irreps("4x0e+4x1o"),
        gate=torch.nn.functional.silu,
        atomic_energies=None,
        avg_num_neighbors=20.0,
        atomic_numbers=ATOMIC_NUMBERS,
        correlation=2,
        radial_MLP=[8],
    )


def main() -> None:
    """Write X.model and X.model-lammps.pt as mace_create_lammps_model does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    directory = parser.parse_args().directory
    directory.mkdir(parents=True, exist_ok=True)
    variants = {
        "mace-f64": (torch.float64, 5.0, "4x0e+4x1o", 2),
        "mace-f32": (torch.float32, 5.0, "4x0e+4x1o", 2),
        "mace-r8": (torch.float64, 8.0, "4x0e", 2),
        "mace-l1-f64": (torch.float64, 5.0, "4x0e+4x1o", 1),
    }
    for name, (dtype, r_max, hidden, layers) in variants.items():
        torch.set_default_dtype(dtype)
        model = mace(r_max, hidden, layers=layers).to(dtype)
        torch.save(model, directory / f"{name}.model")
        jit.compile(LAMMPS_MACE(model)).save(str(directory / f"{name}.model-lammps.pt"))
    torch.set_default_dtype(torch.float64)
    torch.save(mace(5.0, "4x0e+4x1o", ("pbe", "r2scan")), directory / "mace-heads.model")
    others = directory / "others"
    others.mkdir(exist_ok=True)
    torch.save(dipoles(), others / "dipoles.model")
    torch.save(mace(5.0, "4x0e+4x1o", use_last_readout_only=True), others / "readout.model")
    torch.save(
        mace(5.0, "4x0e+4x1o", pair_repulsion=True, distance_transform="Agnesi"),
        others / "repulsion.model",
    )
    write_foundations(others, "small")
    torch.set_default_dtype(torch.float64)
    torch.save(all_electron(), others / "all-electron.model")
    for name in (
        "RealAgnosticDensityResidualInteractionBlock",
        "RealAgnosticAttResidualInteractionBlock",
        "RealAgnosticResidualNonLinearInteractionBlock",
    ):
        model = mace(5.0, "4x0e+4x1o", block=name, apply_cutoff="Density" in name)
        torch.save(model, others / f"{name}.model")


if __name__ == "__main__":
    main()
