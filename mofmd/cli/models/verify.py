"""``mofmd verify``: the physics of a deployed model, checked again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from ase import Atoms


def verify(
    file: Annotated[
        Path, typer.Argument(help="a file that `mofmd deploy` wrote, or a name (mofmd models list)")
    ],
    structure: Annotated[
        Path | None,
        typer.Option(help="a structure, any file that ASE reads, or zif-4, ...; default: its own"),
    ] = None,
    ranks: Annotated[str, typer.Option(help="numbers of MPI ranks that must agree")] = "1,2,4",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="where to run")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="findings as JSON")] = False,
    record: Annotated[
        bool, typer.Option("--record", help="write the findings into the file's manifest")
    ] = False,
) -> None:
    """Check a deployed model: source, finite differences, symmetry, ranks, conservation.

    Examples
    --------
    mofmd verify my-model.mofmd.pth --ranks 1,2
    mofmd verify zif4-nequip-s --structure zif-4
    """
    from rich.console import Console

    import mofmd
    from mofmd.cli.models.gate_display import GateDisplay
    from mofmd.errors import InputError
    from mofmd.models.deploy.deploy import gate_subject
    from mofmd.models.files.deployed import read_deployed, write_with_manifest
    from mofmd.models.gate.engine import GateEngine
    from mofmd.models.gate.gate import check_physics, summary
    from mofmd.models.names import find_model
    from mofmd.processes.signals import SignalHandlers

    try:
        counts = [int(word) for word in ranks.split(",")]
    except ValueError:
        raise InputError(f"--ranks {ranks!r}: expected whole numbers, as 1,2,4") from None
    model = read_deployed(find_model(file))
    subject = gate_subject(model, read_structures(structure))
    console = Console(highlight=False, soft_wrap=True, stderr=as_json)
    checks = []
    with SignalHandlers(), GateDisplay(console) as display:
        display.report(f"checking the physics of {file} in LAMMPS")
        for check in check_physics(GateEngine(model, device, display.progress), subject, counts):
            display.found(check)
            checks.append(check)
    found = {**summary(checks, subject, device), "mofmd_version": mofmd.__version__}
    if record:
        write_with_manifest(model.path, {**model.manifest, "verification": found}, model.path)
    if as_json:
        typer.echo(json.dumps(found, indent=1))
    if not found["passed"]:
        raise typer.Exit(1)


def read_structures(path: Path | None) -> tuple[Atoms, ...] | None:
    """Read a built-in crystal, one structure, or all those of a file that ASE knows; or None.

    Raises
    ------
    InputError, MissingFileError
        If the file does not exist or ASE cannot read it.
    """
    from ase.io import read

    from mofmd.errors import InputError
    from mofmd.structures.read import BUILDERS, is_structure, read_structure

    if path is None:
        return None
    if str(path) in BUILDERS or not path.exists() or is_structure(path):
        return (read_structure(path),)
    try:
        return tuple(read(path, index=":"))
    except Exception as error:  # ASE's readers raise whatever they meet
        raise InputError(f"{path}: ASE cannot read this structure ({error})") from error
