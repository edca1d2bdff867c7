"""From a trained model to a checked file for LAMMPS."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from typing import Any, Literal, get_args

import numpy as np
from ase import Atoms
from ase.io import write

import mofmd
from mofmd.engine.launch import run_to_end
from mofmd.errors import EnvironmentSetupError, InputError, MissingFileError
from mofmd.models.environments import (
    Framework,
    create_environment,
    environment_python,
    last_words,
    package_pins,
    run_in_environment,
)
from mofmd.models.export.structures import awry
from mofmd.models.files.archive import open_archive, records
from mofmd.models.files.deployed import (
    SCHEMA,
    DeployedModel,
    payload_sha256,
    read_deployed,
    write_with_manifest,
)
from mofmd.models.gate.engine import GateEngine, Progress, measure_bytes_per_edge, no_progress
from mofmd.models.gate.gate import Check, Origin, Reference, Subject, check_physics, summary
from mofmd.models.universal import MODELS, UniversalModel, find_universal
from mofmd.processes.signals import SignalHandlers
from mofmd.structures.crystals.crystal_data import build_crystal
from mofmd.topology.check import check_structure

Kind = Literal["nequip", "legacy_nequip", "mace", "sevennet"]
Format = Literal["torchscript", "aotinductor"]
Device = Literal["cpu", "cuda"]
Dtype = Literal["float32", "float64"]
Accelerate = Literal["none", "auto", "fused", "openequivariance", "cuequivariance", "triton"]
SUFFIXES: dict[Format, str] = {"torchscript": ".mofmd.pth", "aotinductor": ".mofmd.pt2"}
_ENVIRONMENTS: dict[Kind, Framework] = {
    "nequip": "nequip",
    "legacy_nequip": "nequip",
    "mace": "mace",
    "sevennet": "sevennet",
}
_ACCELERATORS = {
    "openequivariance": "openequivariance",
    "cuequivariance": "cuequivariance-torch cuequivariance-ops-torch-cu12",
    "triton": "triton",
}
# in the order in which they are preferred for a model of their very elements
CRYSTALS = ("zif-4", "zif-8", "mof-5", "uio-66")
_CITATIONS = {
    "nequip": ["S. Batzner et al., Nat. Commun. 13, 2453 (2022), doi:10.1038/s41467-022-29939-5"],
    "allegro": ["A. Musaelian et al., Nat. Commun. 14, 579 (2023), doi:10.1038/s41467-023-36329-y"],
    "mace": ["I. Batatia et al., Adv. Neural Inf. Process. Syst. 35, 11423 (2022)"],
    "sevennet": [
        "Y. Park et al., J. Chem. Theory Comput. 20, 4857 (2024), doi:10.1021/acs.jctc.4c00190"
    ],
}


@dataclass(frozen=True)
class Options:
    """How to deploy.

    Parameters
    ----------
    format
        ``torchscript`` runs on any machine and device; ``aotinductor`` is compiled for this
        processor (or GPU) and this version of torch, and faster for most models.
    device
        ``cpu`` or ``cuda``: where an AOTInductor file shall run and where the gate runs.
    dtype
        ``float32``, ``float64`` or None for the precision of the source.
    head
        Head of a MACE model with several.
    modality
        Modality of a SevenNet model with several.
    species
        Elements that the file shall know, in this order; None for all of the source.
    accelerate
        Faster kernels. ``fused``: each convolution of NequIP, MACE and SevenNet is one operator,
        with kernels of the plugin's own for CPUs and NVIDIA's GPUs; ``auto``: that, where the model
        has convolutions of the kind. The others are kernels of other packages, for GPUs.
    structures
        Structures for the physics gate, the first near rest; None takes the model's own example,
        or a crystal of the package whose elements the model knows.
    name, licence, citations
        For the manifest: name of the model (by default that of the source file), licence of its
        weights, and publications to cite beside the framework's.
    force
        Write a model that fails the gate all the same, marked as failed.
    """

    format: Format = "torchscript"
    device: Device = "cpu"
    dtype: Dtype | None = None
    head: str | None = None
    modality: str | None = None
    species: tuple[str, ...] | None = None
    accelerate: Accelerate = "auto"
    structures: tuple[Atoms, ...] | None = None
    name: str | None = None
    licence: str | None = None
    citations: tuple[str, ...] = ()
    force: bool = False


def source_kind(path: Path) -> Kind:
    """Tell what a trained model's file is, without running anything in it.

    Raises
    ------
    MissingFileError, InputError
        If the file does not exist, is truncated, or is of no kind that can be deployed.
    """
    with open_archive(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
        broken = archive.testzip()
        # a checkpoint says in its pickle what it holds
        pickled = (
            b""
            if broken
            else b"".join(
                archive.read(info) for name, info in records(archive) if name == "data.pkl"
            )
        )
    if broken:
        raise InputError(f"{path}: damaged inside ({broken}): copy it again")
    if "extra/mofmd.json" in names:
        raise InputError(
            f"{path}: is deployed already: `mofmd verify {quote(str(path))}` checks it"
        )
    if any(".data/extern_modules" in name for name in names):
        return "nequip"  # torch.package, what nequip-package writes
    if any(name.startswith("data/aotinductor") for name in names):
        raise InputError(f"{path}: is compiled already: deploy the checkpoint or package instead")
    if any(name.startswith("code/") for name in names):
        if "extra/nequip_version" in names:
            return "legacy_nequip"
        if "extra/chemical_symbols_to_index" in names:
            raise InputError(
                f"{path}: was deployed by SevenNet for its own pair style e3gnn: deploy the "
                "checkpoint (.pth) instead"
            )
        raise InputError(
            f"{path}: is a TorchScript file made for LAMMPS, which runs as it is; for a file "
            "that runs on any number of ranks deploy the checkpoint, package or .model instead"
        )
    if path.suffix == ".ckpt":
        return "nequip"
    if path.suffix == ".model":
        return "mace"
    if path.suffix == ".pth" and b"model_state_dict" in pickled:
        return "sevennet"
    raise InputError(
        f"{path}: what is it? Known: NequIP and Allegro checkpoints (.ckpt) and packages "
        "(.nequip.zip), MACE models (.model), SevenNet checkpoints (.pth), files deployed by "
        f"nequip 0.5 and 0.6 (.pth), and the universal models {', '.join(MODELS)}"
    )


@dataclass(frozen=True)
class Audience:
    """Who is told how a deployment goes on.

    Parameters
    ----------
    report
        Is told what is being done.
    on_check
        Is told each finding of the physics gate.
    on_progress
        Is told each evaluation of the gate.
    """

    report: Callable[[str], None] = print
    on_check: Callable[[Check], None] = lambda _: None
    on_progress: Progress = no_progress


def deploy(
    source: Path,
    output: Path,
    options: Options | None = None,
    audience: Audience | None = None,
) -> DeployedModel:
    """Write a checked model file for LAMMPS.

    Parameters
    ----------
    source
        NequIP or Allegro checkpoint or package, MACE ``.model``, SevenNet checkpoint, legacy
        deployed NequIP file, or the name of a universal model (``universal.MODELS``).
    output
        File to write, ``*.mofmd.pth`` (TorchScript) or ``*.mofmd.pt2`` (AOTInductor).
    options
        See ``Options``.
    audience
        Who is told of it; by default only what is being done is printed.

    Raises
    ------
    InputError, MissingFileError
        If the source or an option cannot be used, or the model fails the gate; nothing is
        written then.
    EnvironmentSetupError
        If the framework's environment cannot be made.
    """
    options, audience = options or Options(), audience or Audience()
    _check_output(output, options)
    with SignalHandlers(), tempfile.TemporaryDirectory(prefix="mofmd-deploy-") as folder:
        unchecked = Path(folder).resolve() / f"unchecked{SUFFIXES[options.format]}"
        exported = export(source, unchecked, options, audience.report)
        audience.report("checking its physics in LAMMPS")
        verification, per_edge = _verify(exported, options, audience)
        manifest = {
            **exported.model.manifest,
            "bytes_per_edge": per_edge,
            "verification": verification,
        }
        write_with_manifest(unchecked, manifest, output)
    return read_deployed(output)


def _verify(
    exported: Exported, options: Options, audience: Audience
) -> tuple[dict[str, Any], float]:
    """Run the gate; return what the manifest keeps of it, and the memory in bytes per edge."""
    checks = []
    ranks = (1, 2, 4) if options.device == "cpu" else (1, 2)
    engine = GateEngine(exported.model, options.device, audience.on_progress)
    for check in check_physics(engine, exported.subject, ranks):
        checks.append(check)
        audience.on_check(check)
    failed = [check.name for check in checks if check.passed is False]
    if failed and not options.force:
        raise InputError(
            f"the deployed model fails the physics gate ({'; '.join(failed)}): not written. "
            "--force writes it, marked as failed, and LAMMPS warns of it in every run"
        )
    found = summary(checks, exported.subject, options.device)
    per_edge = measure_bytes_per_edge(engine, exported.subject.structures[0])
    return {**found, "mofmd_version": mofmd.__version__}, per_edge


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
        raise MissingFileError(
            f"{source}: no such file, and no universal model of this name: there are "
            f"{', '.join(MODELS)}"
        )
    framework = universal.framework if universal else _ENVIRONMENTS[source_kind(source)]
    _check_options(options)
    python = environment_python(framework) or create_environment(framework, report)
    checkpoint = universal.find(python) if universal else source
    _check_accelerator(options, framework, python)
    with tempfile.TemporaryDirectory(prefix="mofmd-export-") as folder:
        work = Path(folder)
        report(f"exporting {source} ({options.format}) with {framework}")
        facts, raw = _run_exporter(checkpoint, framework, python, options, work)
        subject = _read_reference(work, facts["structure_origin"])
        manifest = _manifest(checkpoint, facts, options, subject)
        if universal:
            manifest |= _description(universal, options)
        manifest["payload_sha256"] = payload_sha256(raw)
        write_with_manifest(raw, manifest, output)
    return Exported(read_deployed(output), subject)


def gate_subject(model: DeployedModel, structures: Sequence[Atoms] | None = None) -> Subject:
    """Return the structures of the gate and the source's results for them.

    Without structures of the user's, those are the manifest's own: its reference structure with
    what the source model said of it when the file was made.

    Raises
    ------
    InputError
        If none are given and the manifest holds none.
    """
    if structures:
        return Subject([awry(structures[0]), *structures], "given")
    stored = model.manifest.get("reference")
    if stored is None:
        raise InputError(f"{model.path}: holds no reference structure: give one with --structure")
    atoms = Atoms(
        stored["symbols"], positions=stored["positions_A"], cell=stored["cell_A"], pbc=True
    )
    reference = Reference(
        [stored["energy_eV"]],
        [np.array(stored["forces_eV_per_A"])],
        [np.array(stored["stress_eV_per_A3"])],
    )
    return Subject([atoms], stored.get("origin", "given"), reference)


def _check_output(output: Path, options: Options) -> None:
    suffix = SUFFIXES.get(options.format, "")
    if not output.name.endswith(suffix):
        raise InputError(f"{output}: a file of the format {options.format} must end in {suffix}")
    if not output.parent.is_dir():
        raise MissingFileError(f"{output.parent}: no such folder")


def _check_options(options: Options) -> None:
    for name, value, known in (
        ("format", options.format, get_args(Format)),
        ("device", options.device, get_args(Device)),
        ("dtype", options.dtype or "float64", get_args(Dtype)),
        ("accelerate", options.accelerate, get_args(Accelerate)),
    ):
        if value not in known:
            raise InputError(f"{name}: {value!r} is not one of {', '.join(known)}")
    if options.format == "aotinductor" and not _compiler():
        raise InputError(
            "AOTInductor needs a C++ compiler (g++, or the one that $CXX names) and there is "
            "none: install one, or use --format torchscript"
        )
    if options.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise InputError(
                "--device cuda: torch sees no GPU here, and a file is compiled and checked where "
                "it shall run (`mofmd doctor` tells what is missing)"
            )
    for atoms in options.structures or ():
        check_structure(atoms)


def _compiler() -> str | None:
    return shutil.which(os.environ.get("CXX", "g++"))


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


def _description(universal: UniversalModel, options: Options) -> dict[str, Any]:
    """Return what the manifest says of a universal model."""
    return {
        "name": options.name or universal.name,
        "licence": options.licence or universal.licence,
        "citations": [
            *options.citations,
            *universal.citations,
            *_CITATIONS[universal.framework],
        ],
        "training_data": universal.training_data,
        "level_of_theory": {
            "functional": universal.functionals[options.modality or ""],
            "dispersion": "none",
        },
    }


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


def _manifest(
    source: Path, facts: dict[str, Any], options: Options, subject: Subject
) -> dict[str, Any]:
    structure, reference = subject.structures[0], subject.reference
    assert reference is not None  # there is a source
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
        "citations": [*options.citations, *_CITATIONS[facts["family"]]],
        "licence": options.licence,
    }
