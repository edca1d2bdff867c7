"""From a trained model to an unchecked file for LAMMPS, in the framework's own environment."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.io import write

from mofmd.engine.launch import run_to_end
from mofmd.errors import EnvironmentSetupError, InputError, MissingFileError, absent, choices
from mofmd.models.deploy.manifest import describe_universal, make_manifest
from mofmd.models.deploy.options import Options, check_options
from mofmd.models.deploy.source_kind import ENVIRONMENTS, source_kind
from mofmd.models.environments import (
    Framework,
    create_environment,
    environment_python,
    last_words,
    package_pins,
    run_in_environment,
)
from mofmd.models.files.deployed import (
    DeployedModel,
    payload_sha256,
    read_deployed,
    write_with_manifest,
)
from mofmd.models.files.embedded import embedded_models
from mofmd.models.gate.gate import Origin, Reference, Subject
from mofmd.models.universal import MODELS, VARIANTS, find_universal
from mofmd.structures.crystals.crystal_data import build_crystal

_ACCELERATORS = {
    "openequivariance": "openequivariance",
    "cuequivariance": "cuequivariance-torch cuequivariance-ops-torch-cu12",
    "triton": "triton",
}
# in the order in which they are preferred for a model of their very elements
CRYSTALS = ("zif-4", "zif-8", "mof-5", "uio-66")


@dataclass(frozen=True)
class Exported:
    """A model file that has not been through the physics gate, and what its source says."""

    model: DeployedModel
    subject: Subject


def export(
    source: Path,
    output: Path,
    options: Options | None = None,
    report: Callable[[str], None] = print,
) -> Exported:
    """Write a model file for LAMMPS without checking its physics: the first half of ``deploy``.

    Raises
    ------
    InputError, MissingFileError, EnvironmentSetupError
        As ``deploy``.
    """
    options = options or Options()
    universal = find_universal(source)
    if universal is None and not source.exists() and not source.suffix:
        raise _no_source(source)
    framework = universal.framework if universal else ENVIRONMENTS[source_kind(source)]
    check_options(options)
    python = environment_python(framework) or create_environment(framework, report)
    checkpoint = universal.find(python) if universal else source
    _check_accelerator(options, framework, python)
    with tempfile.TemporaryDirectory(prefix="mofmd-export-") as folder:
        work = Path(folder)
        report(f"exporting {source} ({options.format}) with {framework}")
        facts, raw = _run_exporter(checkpoint, framework, python, options, work)
        origin: Origin = facts["structure_origin"]
        if options.may_break and origin == "given":
            origin = "loop"
        subject = _read_reference(work, origin)
        manifest = make_manifest(checkpoint, facts, options, subject)
        if universal:
            manifest |= describe_universal(universal, options)
        manifest["payload_sha256"] = payload_sha256(raw)
        write_with_manifest(raw, manifest, output)
    return Exported(read_deployed(output), subject)


def _no_source(source: Path) -> MissingFileError:
    """Say what stands for a source that is neither a file nor the name of a universal model."""
    name = str(source)
    if name in VARIANTS:
        variant = VARIANTS[name]
        return MissingFileError(
            f"{name}: no such file; of the universal model {variant.model.name} it is deployed "
            f"with --modality {variant.modality}"
        )
    if name in embedded_models():
        return MissingFileError(
            f"{name}: no such file; the model of this name in the package is deployed already: "
            f"`mofmd models list` says where it is"
        )
    return MissingFileError(
        f"{name}: {absent(source)}, and no universal model of this name{choices(name, MODELS)}"
    )


def _check_accelerator(options: Options, framework: Framework, python: Path) -> None:
    """Refuse kernels that are absent, and those that no GPU is there for."""
    name = options.accelerate
    if name not in _ACCELERATORS:
        return
    package = _ACCELERATORS[name]
    module = package.split()[0].replace("-", "_")
    if run_to_end([str(python), "-c", f"import {module}"], Path.cwd(), os.environ).status != 0:
        raise InputError(
            f"--accelerate {name}: absent from the {framework} environment; install it with "
            f"{python} -m pip install {package}"
        )
    raise InputError(
        f"--accelerate {name}: its kernels need a GPU and have not been proven in this version of "
        "mofmd: use --accelerate fused, which has kernels of its own for CPUs and GPUs"
    )


def _run_exporter(
    source: Path, framework: Framework, python: Path, options: Options, work: Path
) -> tuple[dict[str, Any], Path]:
    """Run the exporter in the framework's environment; return its facts and the raw file."""
    exported = work / ("model.pt2" if options.format == "aotinductor" else "model.pth")
    structures = None
    if options.structures:
        structures = str(work / "given.extxyz")
        write(structures, [_plain(atoms) for atoms in options.structures], format="extxyz")
    write(work / "crystals.extxyz", [build_crystal(name, primitive=True) for name in CRYSTALS])
    request = {
        "source": str(source.resolve()),
        "kind": source_kind(source),
        "pins": package_pins(framework),
        "output": str(exported),
        "format": options.format,
        "device": options.device,
        "dtype": options.dtype,
        "head": options.head,
        "modality": options.modality,
        "accelerate": options.accelerate,
        "species": options.species and list(options.species),
        "structures": structures,
        "crystals": str(work / "crystals.extxyz"),
        "results": str(work / "reference.npz"),
    }
    (work / "request.json").write_text(json.dumps(request))
    script = Path(__file__).parents[1] / "export" / "export.py"
    done = run_in_environment(
        python, script, work / "request.json", work / "answer.json", directory=work
    )
    if done.status == 3:
        told = [line for line in done.output.splitlines() if line.startswith("mofmd-export: ")]
        raise InputError(f"{source}: {told[-1].removeprefix('mofmd-export: ')}")
    if done.status < 0:
        raise EnvironmentSetupError(f"{source}: its export {done.how}")
    if done.status != 0 or not exported.exists():
        raise EnvironmentSetupError(
            f"{source}: the framework could not load or export the model (written by a newer "
            f"version of it, perhaps? {python} runs the pinned one):\n{last_words(done)}"
        )
    return json.loads((work / "answer.json").read_text()), exported


def _plain(atoms: Atoms) -> Atoms:
    """Return the structure without labels and whatever else a file may carry."""
    return Atoms(atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)


def _read_reference(work: Path, origin: Origin) -> Subject:
    with np.load(work / "reference.npz") as file:
        structures = [
            Atoms(file[f"numbers{k}"], file[f"positions{k}"], cell=file[f"cell{k}"], pbc=True)
            for k in range(len(file["energy"]))
        ]
        reference = Reference(
            file["energy"].tolist(),
            [file[f"forces{k}"] for k in range(len(structures))],
            list(file["stress"]),
        )
    return Subject(structures, origin, reference)
