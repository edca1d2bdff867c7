"""``mofmd phonons elastic``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mofmd.cli.phonons import options as o
from mofmd.cli.phonons import told
from mofmd.cli.phonons.gathered import gathered
from mofmd.cli.phonons.run import app

if TYPE_CHECKING:
    from mofmd.phonons.model import ModelOptions


@app.command("elastic")
@gathered(models=o.calculator_options)
def elastic(
    structure: o.StructureArgument,
    models: ModelOptions,
    output: o.FolderOption,
    beside: Annotated[
        Path | None,
        typer.Option(help="Phonons of the same model, whose speeds of sound are set beside."),
    ] = None,
    strain: Annotated[
        float, typer.Option(help="Of each of the six, both ways (a number: 0.002 is 0.2 %).")
    ] = 0.002,
    fmax: Annotated[float, typer.Option(help="Limit of the relaxations [eV/Å].")] = 1e-5,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Elastic constants by strains, atoms relaxed, and the speeds of sound that they mean.

    The crystal is relaxed first. Run again, it goes on with what lacks.

    Examples
    --------
    mofmd phonons elastic zif-4 --model zif4-mace-m -o elastic --beside phonons
    """
    import numpy as np

    from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
    from mofmd.disk.atomic import write_atomic
    from mofmd.disk.output import check_output
    from mofmd.phonons.cells import read_crystal, to_phonopy
    from mofmd.phonons.elastic import (
        RECORD,
        SOUND,
        check_strain,
        christoffel_speeds,
        density_of,
        elastic_in_folder,
    )
    from mofmd.phonons.load import load_phonopy
    from mofmd.phonons.output import DIRECTION, write_table
    from mofmd.phonons.spectrum.velocities import sound_directions, sound_speeds

    check_output(output)
    check_strain(strain)
    waves = None if beside is None else sound_speeds(load_phonopy(beside)[0])
    crystal = read_crystal(structure)
    show = told.parts_told()
    with models.opened(crystal) as calculator:
        relaxed, found = elastic_in_folder(
            crystal,
            calculator,
            output,
            strain=strain,
            fmax_eV_per_A=fmax,
            overwrite=overwrite,
            on_strain=lambda k, n: show(k, n, "strains"),
        )
    tensor = ElasticTensor(found.stiffness_GPa)
    units = sound_directions()
    density = density_of(relaxed, to_phonopy(relaxed).masses)
    speeds = christoffel_speeds(found.stiffness_GPa, density, units)
    columns, heads = [units, speeds], [*DIRECTION, *(f"elastic_{k}_km_per_s" for k in "123")]
    if waves is not None:
        columns.append(waves.speeds_km_per_s)
        heads += [f"phonons_{k}_km_per_s" for k in "123"]
    write_table(output / SOUND, heads, np.hstack(columns).tolist())
    record = {
        "structure": structure,
        "model": str(models.model),
        "stiffness_GPa": found.stiffness_GPa.tolist(),
        "asymmetry_GPa": found.asymmetry_GPa,
        "stable": tensor.is_stable,
        "bulk_modulus_hill_GPa": tensor.hill.bulk_GPa,
        "bulk_modulus_reuss_GPa": tensor.reuss.bulk_GPa,
        "shear_modulus_hill_GPa": tensor.hill.shear_GPa,
    }
    write_atomic(output / RECORD, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    typer.echo(f"{output / RECORD}")
    typer.echo("elastic constants (GPa), Voigt's order xx yy zz yz xz xy:")
    for row in found.stiffness_GPa:
        typer.echo(" ".join(f"{value:9.4f}" for value in row))
    typer.echo(
        f"K {tensor.reuss.bulk_GPa:.3f} (Reuss), {tensor.voigt.bulk_GPa:.3f} (Voigt) GPa; G "
        f"{tensor.hill.shear_GPa:.3f} (Hill) GPa; {'stable' if tensor.is_stable else 'NOT stable'}"
    )
    if waves is not None:
        apart = np.abs(waves.speeds_km_per_s / speeds - 1.0)
        typer.echo(
            f"speeds of sound of phonons and elastic constants differ by {100 * apart.mean():.2f} "
            f"% on average, {100 * apart.max():.2f} % at most"
        )
