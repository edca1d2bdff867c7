"""Export a trained Allegro model to mofmd's edge-derivative TorchScript form.

Input of the exported module: ``edge_vectors`` (E, 3) float64, ``r_j - r_i``; ``edge_index``
(2, E) int64, row 0 the centre i, row 1 the neighbour j; ``atom_types`` (N,) int64.
Output: ``atomic_energy`` (N, 1) float64 and ``edge_gradients`` (E, 3) float64, the derivative of
the sum of all atomic energies with respect to ``edge_vectors``. The force on i gains +g and the
force on j gains -g of each edge; the virial is ``-sum(r (x) g)``.

Run inside the environment that has ``nequip`` and ``nequip-allegro``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from ase import Atoms
from ase.io import read
from e3nn.util.jit import script
from edge_calculator import EdgeCalculator
from nequip.integrations.ase import NequIPCalculator
from nequip.model.saved_models.load_utils import load_saved_model
from nequip.model.utils import _EAGER_MODEL_KEY
from nequip.nn import ForceStressOutput
from nequip.nn.embedding.utils import cutoff_str_to_fulldict
from nequip.scripts._workflow_utils import set_workflow_state
from nequip.utils.compile import prepare_model_for_compile
from nequip.utils.global_state import set_global_state

CITATIONS = [
    "A. Musaelian et al., Nat. Commun. 14, 579 (2023), doi:10.1038/s41467-023-36329-y",
    "S. Batzner et al., Nat. Commun. 13, 2453 (2022), doi:10.1038/s41467-022-29939-5",
    "N. Castel, D. André, C. Edwards, J. D. Evans, F.-X. Coudert, Digital Discovery 3, 355 (2024), "
    "doi:10.1039/d3dd00236e",
]


class EdgeDerivativeModel(torch.nn.Module):
    """Atomic energies and their derivatives with respect to the edge vectors.

    Parameters
    ----------
    energy : torch.nn.Module
        Energy model of the nequip framework (without its force and stress output).
    """

    def __init__(self, energy: torch.nn.Module) -> None:
        super().__init__()
        self.energy = energy

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Evaluate the model; see the module's docstring for the keys."""
        edge_vectors = data["edge_vectors"].detach().requires_grad_(True)
        out = self.energy(
            {
                "edge_vectors": edge_vectors,
                "edge_index": data["edge_index"].contiguous(),
                "atom_types": data["atom_types"],
            }
        )
        atomic_energy = out["atomic_energy"].to(torch.float64)
        gradient = torch.autograd.grad([atomic_energy.sum()], [edge_vectors])[0]
        assert gradient is not None
        return {"atomic_energy": atomic_energy.detach(), "edge_gradients": gradient.detach()}


def compare(path: Path, source: Path, atoms: Atoms) -> None:
    """Print the differences between the exported file and nequip's calculator.

    Raises
    ------
    SystemExit
        If they differ by more than single precision explains.
    """
    deformed = atoms.copy()
    strain = np.array([[0.03, 0.02, -0.01], [0.0, -0.02, 0.03], [0.0, 0.0, 0.01]])
    deformed.set_cell(deformed.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    deformed.rattle(0.02, seed=1)
    results = []
    exported = EdgeCalculator(path)
    names = exported.manifest["type_names"]
    nequip = NequIPCalculator._from_saved_model(
        source, chemical_species_to_atom_type_map={name: name for name in names}
    )
    for calculator in (exported, nequip):
        deformed.calc = calculator
        virial = -deformed.get_stress() * deformed.get_volume()
        results.append((deformed.get_potential_energy(), deformed.get_forces(), virial))
    differences = [float(np.abs(a - b).max()) for a, b in zip(*results, strict=True)]
    print(f"exported - nequip, strained and tilted cell of {len(atoms)} atoms, largest difference:")
    for label, value in zip(("energy, eV", "force, eV/A", "virial, eV"), differences, strict=True):
        print(f"  {label}: {value:.2e}")
    if max(differences) > 1e-3:
        raise SystemExit("the exported file differs from the source model")


def main() -> None:
    """Export, compare with the source and move the file into place."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="nequip .ckpt or .nequip.zip")
    parser.add_argument("output", type=Path, help="file to write (.mofmd.pth)")
    parser.add_argument("--structure", required=True, help="any file ASE reads, for the check")
    parser.add_argument("--format", default=None, help="ASE format of the structure")
    parser.add_argument("--name", default="zif4-allegro-s")
    args = parser.parse_args()

    set_workflow_state("compile")
    set_global_state(allow_tf32=False)
    model = load_saved_model(args.source, _EAGER_MODEL_KEY, "sole_model")
    model = prepare_model_for_compile(model, "cpu")
    metadata = model.metadata
    names = metadata["type_names"].split()
    cutoffs = None
    if metadata.get("per_edge_type_cutoff"):
        full = cutoff_str_to_fulldict(metadata["per_edge_type_cutoff"], names)
        cutoffs = [[float(full[a][b]) for b in names] for a in names]
    manifest = {
        "schema": 1,
        "name": args.name,
        "family": "allegro",
        "type_names": names,
        "r_max": float(metadata["r_max"]),
        "per_edge_type_cutoff": cutoffs,
        "layers": 1,
        "strictly_local": True,
        "dtype": metadata["model_dtype"],
        "inputs": ["edge_vectors", "edge_index", "atom_types"],
        "outputs": ["atomic_energy", "edge_gradients"],
        "units": {"length": "angstrom", "energy": "eV"},
        "torch_version": torch.__version__,
        "framework_versions": {p: version(p) for p in ("nequip", "nequip-allegro", "e3nn")},
        "source_sha256": hashlib.sha256(args.source.read_bytes()).hexdigest(),
        "citations": CITATIONS,
        "licence": "CC-BY-4.0",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    wrappers = [module for module in model.modules() if isinstance(module, ForceStressOutput)]
    if len(wrappers) != 1:
        raise SystemExit("expected one force and stress output in the source model")
    scripted = script(EdgeDerivativeModel(wrappers[0].func).eval())

    temporary = args.output.with_name(args.output.name + ".part")
    torch.jit.save(
        scripted,
        str(temporary),
        _extra_files={
            "mofmd.json": json.dumps(manifest, indent=1, ensure_ascii=False).encode(),
            # what the LAMMPS plugin reads, flat and in nequip's own format
            **{key: value.encode() for key, value in metadata.items()},
            "mofmd_family": b"allegro",
            "mofmd_form": b"edge_gradients",
        },
    )
    atoms = read(args.structure, format=args.format)
    atoms.wrap()
    compare(temporary, args.source, atoms)
    temporary.replace(args.output)
    print(f"{args.output}: {args.output.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
