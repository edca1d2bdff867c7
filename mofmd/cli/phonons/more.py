"""``mofmd phonons imaginary`` and ``qha``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mofmd.cli.phonons import options as o
from mofmd.cli.phonons import told
from mofmd.cli.phonons.gathered import gathered
from mofmd.cli.phonons.run import app

if TYPE_CHECKING:
    from mofmd.phonons.model import ModelOptions
    from mofmd.phonons.run import ForceOptions


@app.command("imaginary")
@gathered(models=o.model_options, displaced=o.force_options)
def imaginary(
    structure: o.StructureArgument,
    models: ModelOptions,
    displaced: ForceOptions,
    output: o.FolderOption,
    way: Annotated[
        Literal["map", "rattle", "mode-rattle", "nve"],
        typer.Option(help="Along the mode, at random, along all at random, or cold dynamics."),
    ] = "map",
    tolerance: o.ToleranceOption = 0.01,
    rounds: Annotated[int, typer.Option(help="At most.")] = 6,
    amplitude: Annotated[
        float, typer.Option(help="Of rattle (standard deviation) and mode-rattle (largest) [Å].")
    ] = 0.01,
    atoms: Annotated[
        Literal["all", "mode"], typer.Option(help="What rattle moves: all, or the modes' own.")
    ] = "all",
    temperature: Annotated[float, typer.Option(help="Of nve [K].")] = 10.0,
    steps: Annotated[int, typer.Option(help="Of nve.")] = 40,
    fix: Annotated[
        str | None, typer.Option(help="Atoms, from zero, that rattle and nve leave: 0,5,12-20.")
    ] = None,
    cell: o.CellOption = "tri",
    fmax: Annotated[float, typer.Option(help="Limit of the relaxations [eV/Å].")] = 1e-5,
    seed: Annotated[int, typer.Option(help="Of what is random.")] = 1,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Remove imaginary modes: phonons, a move off the saddle, relaxation, until none is left.

    Modes count at the wave vectors that fit into the supercell. Run again, it goes on. Status 3:
    some are left.

    Examples
    --------
    mofmd phonons imaginary zif-4 --model zif4-mace-m --supercell 1x1x1 -o stable
    mofmd phonons imaginary my.cif --model model.pth --way rattle --atoms mode -o stable
    """
    from mofmd.disk.output import check_output
    from mofmd.errors import NOT_REACHED_STATUS
    from mofmd.phonons.cells import read_crystal
    from mofmd.phonons.imaginary.moves import RemovalOptions
    from mofmd.phonons.imaginary.removal import remove_imaginary
    from mofmd.phonons.model import opened

    check_output(output)
    chosen = RemovalOptions(
        way=way,
        tolerance_THz=tolerance,
        rounds=rounds,
        amplitude_A=amplitude,
        atoms=atoms,
        temperature_K=temperature,
        steps=steps,
        fixed=o.atoms_of(fix),
        fmax_eV_per_A=fmax,
        cell=cell,
        seed=seed,
    )
    crystal = read_crystal(structure)
    with opened(models, crystal) as (calculator, described, evaluates):
        found = remove_imaginary(
            crystal,
            calculator,
            evaluates,
            described,
            output,
            chosen,
            displaced,
            overwrite=overwrite,
            on_round=lambda each: told.tell(str(each)),
            on_forces=told.forces_told(),
        )
    if not found.stable:
        typer.echo(f"{output / 'last.cif'}: still has imaginary modes; try another --way", err=True)
        raise typer.Exit(NOT_REACHED_STATUS)
    if found.history[-1].wave_vectors == 1:
        typer.echo(
            "no imaginary mode at Γ; other wave vectors were not looked at: give a larger "
            "--supercell",
            err=True,
        )
    typer.echo(f"{output / 'stable.cif'}")


@app.command("qha")
@gathered(models=o.model_options, displaced=o.force_options)
def qha(
    structure: o.StructureArgument,
    models: ModelOptions,
    displaced: ForceOptions,
    output: o.FolderOption,
    volumes: Annotated[int, typer.Option(help="How many.")] = 9,
    strain: Annotated[
        str, typer.Option(help="Relative change of the volume, smallest:largest.")
    ] = "-0.03:0.03",
    shape: Annotated[
        Literal["free", "scaled"],
        typer.Option(help="Relax the cell's shape at each volume, or the atoms alone."),
    ] = "free",
    mesh: o.MeshOption = "auto",
    temperatures: o.TemperaturesOption = "0:600:20",
    tolerance: o.ToleranceOption = 0.01,
    fmax: Annotated[float, typer.Option(help="Limit of the relaxations [eV/Å].")] = 1e-5,
    symmetry: Annotated[
        bool, typer.Option("--symmetry", help="Keep the space group: fewer displacements.")
    ] = False,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            help="Volumes at temperatures to set beside: a directory of npt runs, or a CSV file "
            "with temperature_K and volume_A3 of the structure's cell; repeatable."
        ),
    ] = None,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Thermal expansion in the quasi-harmonic approximation, with errors.

    The cell is relaxed, then at each volume its shape and the atoms; phonons at each; free energies
    are fitted with Birch-Murnaghan and Vinet. Run again, it goes on with what lacks.

    Examples
    --------
    mofmd phonons qha zif-4 --model zif4-mace-m --supercell 1x1x1 --symmetry -o expansion
    mofmd phonons qha zif-4 --model zif4-mace-m --beside npt-100 --beside npt-300 -o expansion
    """
    from mofmd.disk.output import check_output
    from mofmd.errors import InputError
    from mofmd.phonons.cells import read_crystal
    from mofmd.phonons.model import opened
    from mofmd.phonons.temperature.expansion import ExpansionOptions, expand
    from mofmd.phonons.temperature.measured import read_measured
    from mofmd.phonons.temperature.output import at_temperature, write_expansion

    check_output(output)
    low, colon, high = strain.partition(":")
    try:
        limits = float(low), float(high)
    except ValueError as error:
        raise InputError(f"strain: {strain!r}, expected smallest:largest") from error
    del colon
    chosen = ExpansionOptions(
        points=volumes,
        strain=limits,
        shape=shape,
        mesh=o.mesh_of(mesh),
        temperatures_K=o.temperatures_of(temperatures),
        tolerance_THz=tolerance,
        fmax_eV_per_A=fmax,
        keep_symmetry=symmetry,
        symmetry_tolerance_A=o.kept_within_A(displaced),
    )
    crystal = read_crystal(structure)
    measured = read_measured(beside or (), len(crystal))
    with opened(models, crystal) as (calculator, described, evaluates):
        found = expand(
            crystal,
            calculator,
            evaluates,
            described,
            output,
            chosen,
            displaced,
            overwrite=overwrite,
            on_volume=told.parts_told(),
            on_forces=told.forces_told(),
        )
    facts = {
        "structure": structure,
        **described.facts,
        "shape": shape,
        "strain": list(limits),
        "points": volumes,
    }
    write_expansion(found, output, facts, measured)
    for each in (found.birch_murnaghan, found.vinet):
        typer.echo(_expansion_line(each.equation, at_temperature(each, 300.0), each.static))
        if each.temperatures_K[-1] < chosen.temperatures_K[-1]:
            typer.echo(
                f"{each.equation}: above {each.temperatures_K[-1]:g} K the volume leaves those "
                "computed; add larger ones",
                err=True,
            )
    typer.echo(f"{output / 'report.html'}")


def _expansion_line(equation: str, at: dict[str, Any] | None, static: Any) -> str:
    from mofmd.phonons.temperature.output import alpha_text, volume_text

    text = f"{equation}: K(static) {static.bulk_modulus_GPa:.3f} GPa"
    if at is None:
        return text
    edges = ", ".join(f"{e} {1e6 * v:+.2f}" for e, v in at["alpha_L_per_K"].items())
    return (
        f"{text}; 300 K: V {volume_text(at)} Å³, alpha_V {alpha_text(at)}, alpha_L {edges} "
        f"(1e-6/K), K {at['bulk_modulus_GPa']:.3f} GPa"
    )
