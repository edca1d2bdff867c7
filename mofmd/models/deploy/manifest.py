"""What a deployed file says of itself."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import mofmd
from mofmd.errors import InputError
from mofmd.models.deploy.options import Options
from mofmd.models.dispersion.theory import KEY, LevelOfTheory
from mofmd.models.files.deployed import SCHEMA
from mofmd.models.gate.gate import Subject
from mofmd.models.universal import UniversalModel

CITATIONS = {
    "nequip": ["S. Batzner et al., Nat. Commun. 13, 2453 (2022), doi:10.1038/s41467-022-29939-5"],
    "allegro": ["A. Musaelian et al., Nat. Commun. 14, 579 (2023), doi:10.1038/s41467-023-36329-y"],
    "mace": ["I. Batatia et al., Adv. Neural Inf. Process. Syst. 35, 11423 (2022)"],
    "sevennet": [
        "Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190"
    ],
}


def make_manifest(
    source: Path, facts: dict[str, Any], options: Options, subject: Subject
) -> dict[str, Any]:
    """Return the manifest of a model before its gate, from what its exporter found."""
    structure, reference = subject.structures[0], subject.reference
    assert reference is not None  # there is a source
    theory = options.level_of_theory
    layers, width = facts["layers"], facts["exchange_width"]
    return {
        "schema": SCHEMA,
        "name": options.name or source.name.split(".")[0],
        "family": facts["family"],
        "type_names": facts["type_names"],
        "r_max": facts["r_max"],
        "per_edge_type_cutoff": facts["per_edge_type_cutoff"],
        "layers": layers,
        "interaction_range": facts["r_max"] * (layers if width else 1),
        "strictly_local": width == 0,
        "exchange_width": width,
        "form": "edge_gradients",
        "format": options.format,
        "accelerate": facts["accelerate"],
        "device": options.device if options.format == "aotinductor" else "any",
        "dtype": facts["dtype"],
        "source_dtype": facts["source_dtype"],
        "head": options.head,
        "modality": options.modality,
        "units": {"length": "angstrom", "energy": "eV"},
        "torch_version": facts["torch_version"],
        "framework_versions": facts["framework_versions"],
        "mofmd_version": mofmd.__version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "source": {
            "file": source.name,
            "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        },
        "reference": {
            "origin": subject.origin,
            "symbols": structure.get_chemical_symbols(),
            "positions_A": structure.positions.tolist(),
            "cell_A": structure.cell.array.tolist(),
            "energy_eV": reference.energies_eV[0],
            "forces_eV_per_A": np.asarray(reference.forces_eV_per_A[0]).tolist(),
            "stress_eV_per_A3": np.asarray(reference.stresses_eV_per_A3[0]).tolist(),
        },
        "citations": [*options.citations, *CITATIONS[facts["family"]]],
        "licence": options.licence,
        **({} if theory is None else {KEY: theory.as_record()}),
    }


def describe_universal(universal: UniversalModel, options: Options) -> dict[str, Any]:
    """Return what the manifest says of a universal model.

    Raises
    ------
    InputError
        If another level of theory is asked for than that of the model.
    """
    theory = LevelOfTheory(universal.functionals[options.modality or ""])
    if options.level_of_theory not in (None, theory):
        raise InputError(
            f"level_of_theory: {options.level_of_theory}, but {universal.name} was trained on "
            f"{theory}: leave it out"
        )
    return {
        "name": options.name or universal.name,
        "licence": options.licence or universal.licence,
        "citations": [
            *options.citations,
            *universal.citations,
            *CITATIONS[universal.framework],
        ],
        "training_data": universal.training_data,
        KEY: theory.as_record(),
    }
