"""``mofmd deploy``: a trained model becomes a checked file for LAMMPS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


def deploy(
    source: Annotated[
        Path,
        typer.Argument(
            help="NequIP/Allegro .ckpt or .nequip.zip, MACE .model, SevenNet .pth, a .pth of "
            "nequip 0.5/0.6, or a universal model: sevennet-0, sevennet-l3i5, sevennet-mf-0"
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="*.mofmd.pth, or *.mofmd.pt2 for aotinductor")
    ],
    format: Annotated[  # noqa: A002 - the name of the option
        Literal["torchscript", "aotinductor"],
        typer.Option(help="torchscript: any machine; aotinductor: compiled for this one"),
    ] = "torchscript",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="where it shall run")] = "cpu",
    dtype: Annotated[
        Literal["float32", "float64"] | None, typer.Option(help="default: that of the source")
    ] = None,
    head: Annotated[str | None, typer.Option(help="of a MACE model with several")] = None,
    modality: Annotated[str | None, typer.Option(help="of a SevenNet model with several")] = None,
    species: Annotated[
        str | None, typer.Option(help='elements the file shall know, as "C H N Zn"; default: all')
    ] = None,
    accelerate: Annotated[
        Literal["none", "auto", "fused", "openequivariance", "cuequivariance", "triton"],
        typer.Option(help="faster kernels; fused: mofmd's own, for NequIP, MACE and SevenNet"),
    ] = "auto",
    structure: Annotated[
        Path | None,
        typer.Option(
            help="structure near rest for the checks: any file that ASE reads, or zif-4, ...; "
            "default: the model's own example, or a crystal of its elements"
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="of the model, for the manifest")] = None,
    licence: Annotated[str | None, typer.Option(help="of the weights, for the manifest")] = None,
    cite: Annotated[
        list[str] | None, typer.Option(help="publication behind the model; may be repeated")
    ] = None,
    level_of_theory: Annotated[
        str | None,
        typer.Option(
            help="of the labels it was trained on, for the manifest: pbe (without dispersion), "
            "pbe+d3bj:pbe"
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="write a model that fails its checks, marked as failed")
    ] = False,
) -> None:
    """Write a model file that LAMMPS runs on any number of ranks, and prove its physics.

    Examples
    --------
    mofmd deploy my-model.ckpt -o my-model.mofmd.pth
    mofmd deploy my.model -o my.mofmd.pt2 --format aotinductor --structure zif-4
    """
    from rich.console import Console

    from mofmd.cli.models.gate_display import GateDisplay
    from mofmd.cli.models.verify import read_structures
    from mofmd.models.deploy.audience import Audience
    from mofmd.models.deploy.deploy import deploy as write_deployed
    from mofmd.models.deploy.options import Options
    from mofmd.models.dispersion.theory import parse_theory

    console = Console(highlight=False, soft_wrap=True)
    options = Options(
        format=format,
        device=device,
        dtype=dtype,
        head=head,
        modality=modality,
        species=tuple(species.split()) if species else None,
        accelerate=accelerate,
        structures=read_structures(structure),
        name=name,
        licence=licence,
        citations=tuple(cite or ()),
        level_of_theory=None if level_of_theory is None else parse_theory(level_of_theory),
        force=force,
    )
    with GateDisplay(console) as display:
        audience = Audience(display.report, display.found, display.progress)
        model = write_deployed(source, output, options, audience)
    console.print(
        f"{output}: {model.family}, {' '.join(model.type_names)}, r_max {model.r_max} A, "
        f"{model.manifest['dtype']}, {output.stat().st_size / 1024:.0f} KiB\n"
        f"in LAMMPS:  pair_style {model.family}\n"
        f"            pair_coeff * * {output.name} {' '.join(model.type_names)}",
        markup=False,
    )
