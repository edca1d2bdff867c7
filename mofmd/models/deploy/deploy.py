"""From a trained model to a checked file for LAMMPS."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import mofmd
from mofmd.errors import InputError
from mofmd.models.deploy.audience import Audience
from mofmd.models.deploy.exporting import Exported, export
from mofmd.models.deploy.options import SUFFIXES, Options, check_output
from mofmd.models.export.structures import awry
from mofmd.models.files.deployed import DeployedModel, read_deployed, write_with_manifest
from mofmd.models.gate.engine import GateEngine, measure_bytes_per_edge
from mofmd.models.gate.gate import Reference, Subject, check_physics, summary
from mofmd.processes.signals import SignalHandlers


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
    check_output(output, options)
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
