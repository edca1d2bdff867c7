"""Export a trained model to mofmd's form (see edge_gradients.py), in the framework's environment.

``mofmd deploy`` runs this; the request and the answer are JSON files. Exit status 3 and the text
``mofmd-export: ...`` on standard error say why a model cannot be exported.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"  # e3nn 0.4.4 loads its constants by pickle

import edge_gradients
import numpy as np
import torch
from ase.io import read
from edge_gradients import EdgeGradientModel, ExportError
from layered import LayeredGradientModel
from operators import define_operators
from source import Source
from structures import choose_structures


def open_source(request: dict[str, Any]) -> Source:
    """Load the model of the request with its family's own code."""
    path, dtype, head = Path(request["source"]), request["dtype"], request["head"]
    if request["kind"] == "sevennet":
        import sevennet_source

        return sevennet_source.open_source(path, dtype, head, request["modality"])
    if request["modality"] is not None:
        raise ExportError("--modality is for SevenNet models")
    if request["kind"] == "mace":
        import mace_source

        return mace_source.open_source(path, dtype, head, request["format"] == "aotinductor")
    if request["kind"] == "legacy_nequip":
        import legacy_nequip_source

        return legacy_nequip_source.open_source(path, dtype, head)
    import nequip_source

    return nequip_source.open_source(path, dtype, head)


def check_packages(pins: dict[str, str], environment: str) -> None:
    """Refuse an environment that is not the one that was made.

    Raises
    ------
    ExportError
        If a package is absent or of another version; the text says how to mend it.
    """
    for name, pinned in pins.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "absent"
        if found != pinned:
            raise ExportError(
                f"{name} in the environment {sys.prefix} is {found}, this version of mofmd needs "
                f"{pinned}: remove that folder, and `mofmd env {environment}` makes it again"
            )


def choose_types(source: Source, species: list[str] | None) -> list[int]:
    """Return the model's type of each type of the export.

    Raises
    ------
    ExportError
        If the model lacks one of the species.
    """
    names = species or source.type_names
    missing = [name for name in names if name not in source.type_names]
    if missing:
        raise ExportError(
            f"the model does not know {', '.join(missing)}: it knows {' '.join(source.type_names)}"
        )
    return [source.type_names.index(name) for name in names]


def accelerate(source: Source, asked: str) -> str:
    """Rewrite the model for faster kernels; return which.

    Raises
    ------
    ExportError
        If those asked for are not for this model.
    """
    if asked == "none" or (asked == "auto" and source.fuse is None):
        return "none"
    if source.fuse is None:
        raise ExportError(
            f"--accelerate {asked}: this is an {source.family} model, which has no convolutions: "
            "use --accelerate none"
        )
    try:
        source.fuse()
    except ExportError as error:
        if asked == "auto":
            return "none"
        raise ExportError(f"--accelerate {asked}: {error}; use --accelerate none") from error
    return "fused"


def flat_metadata(source: Source, names: list[str], types: list[int], width: int) -> dict[str, str]:
    """Return what the LAMMPS plugin reads, in nequip's own words where nequip has them."""
    cutoffs = ""
    if source.cutoffs is not None:
        cutoffs = " ".join(repr(source.cutoffs[a][b]) for a in types for b in types)
    return {
        "model_dtype": source.dtype,
        "num_types": str(len(names)),
        "type_names": " ".join(names),
        "r_max": repr(source.r_max),
        "per_edge_type_cutoff": cutoffs,
        "mofmd_family": source.family,
        "mofmd_form": "edge_gradients",
        "mofmd_exchange_width": str(width),
        "mofmd_layers": str(source.num_layers if source.has_layers else 0),
        "mofmd_torch_version": torch.__version__.split("+")[0],
    }


def export(request: dict[str, Any]) -> dict[str, Any]:
    """Write the model file and the source's own results; return facts for the manifest."""
    torch.manual_seed(0)
    define_operators()
    if request["format"] == "aotinductor":
        # Scripted functions of the frameworks (e3nn's) would be specialised after their first call,
        # and the traced graph with them.
        torch._C._set_graph_executor_optimize(False)
    check_packages(request["pins"], Path(sys.prefix).name)
    source = open_source(request)
    types = choose_types(source, request["species"])
    names = [source.type_names[k] for k in types]
    given = read(request["structures"], index=":") if request["structures"] else []
    for structure in given:
        unknown = sorted(set(structure.get_chemical_symbols()) - set(names))
        if unknown:
            raise ExportError(
                f"the structure has {', '.join(unknown)}, which the model lacks (it knows "
                f"{' '.join(names)})"
            )
    example = source.example
    if example is not None and not set(example.get_chemical_symbols()) <= set(names):
        example = None
    crystals = read(request["crystals"], index=":")
    structures, origin = choose_structures(names, given, example, crystals)
    if not structures:
        raise ExportError("no type of the model is a chemical element: give --structure")
    reference = source.reference(structures)
    accelerated = accelerate(source, request["accelerate"])
    if source.has_layers:
        model = LayeredGradientModel(source.distribute(), types, source.num_layers).eval()
    else:
        model = EdgeGradientModel(source.distribute(), types).eval()
    width = edge_gradients.exchange_width(model, len(names), source.r_max)
    metadata = flat_metadata(source, names, types, width)
    output = Path(request["output"])
    if request["format"] == "aotinductor":
        if not source.traceable:
            raise ExportError(
                "a legacy TorchScript file can be deployed as TorchScript only: use --format "
                "torchscript"
            )
        edge_gradients.write_aotinductor(model, len(names), metadata, output, request["device"])
    else:
        scripted = _script(source, model.to(request["device"]))
        edge_gradients.write_torchscript(scripted, metadata, output)
    arrays = {"energy": reference["energy"], "stress": reference["stress"]}
    for k, (structure, forces) in enumerate(zip(structures, reference["forces"], strict=True)):
        arrays[f"numbers{k}"] = structure.numbers
        arrays[f"positions{k}"] = structure.positions
        arrays[f"cell{k}"] = structure.cell.array
        arrays[f"forces{k}"] = forces
    np.savez(request["results"], **arrays)
    return {
        "structure_origin": origin,
        "family": source.family,
        "type_names": names,
        "r_max": source.r_max,
        "per_edge_type_cutoff": source.cutoffs
        and [[source.cutoffs[a][b] for b in types] for a in types],
        "layers": source.num_layers,
        "exchange_width": width,
        "accelerate": accelerated,
        "dtype": source.dtype,
        "source_dtype": source.source_dtype,
        "torch_version": torch.__version__,
        "framework_versions": {name: version(name) for name in source.packages},
    }


def _script(source: Source, model: torch.nn.Module) -> Any:
    """Return the model as TorchScript."""
    try:
        return source.script(model)
    except RuntimeError as error:
        if not source.traceable:
            raise
        reason = str(error).strip().splitlines()[0]
        raise ExportError(
            f"TorchScript cannot read a part of this model ({reason}): use --format aotinductor"
        ) from error


def main() -> int:
    """Run the request that the first argument names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("request", type=Path)
    parser.add_argument("answer", type=Path)
    arguments = parser.parse_args()
    try:
        facts = export(json.loads(arguments.request.read_text()))
    except ExportError as error:
        print(f"mofmd-export: {error}", file=sys.stderr)
        return 3
    arguments.answer.write_text(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
