"""``mofmd phonons imaginary``, ``qha`` and ``compare``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from mofmd.cli.phonons import options as o
from mofmd.cli.phonons.run import app, force_options, model_options


@app.command("imaginary")
def imaginary(
    structure: o.StructureArgument,
    model: o.ModelOption,
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
    fmax: Annotated[float, typer.Option(help="Limit of the relaxations [eV/Å].")] = 1e-5,
    seed: Annotated[int, typer.Option(help="Of what is random.")] = 1,
    supercell: o.SupercellOption = "auto",
    displacement: o.DisplacementOption = None,
    symprec: o.SymmetryOption = 1e-5,
    dispersion: o.DispersionOption = "auto",
    dtype: o.DtypeOption = "float64",
    device: o.DeviceOption = "cpu",
    lanes: o.LanesOption = 1,
    threads: o.ThreadsOption = 1,
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
    from mofmd.phonons.imaginary.moves import RemovalOptions
    from mofmd.phonons.imaginary.removal import remove_imaginary
    from mofmd.phonons.model import describe, evaluator
    from mofmd.structures.read import read_structure

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
        seed=seed,
    )
    models = model_options(model, dispersion, dtype, device, lanes, threads)
    forces = force_options(supercell, displacement, "differences", symprec, 1e-3, True)
    crystal = read_structure(structure)
    calculator = models.calculator(crystal)
    with evaluator(models, calculator) as evaluates:
        found = remove_imaginary(
            crystal,
            calculator,
            evaluates,
            describe(models, calculator),
            output,
            chosen,
            forces,
            on_round=lambda each: typer.echo(str(each)),
        )
    if not found.stable:
        typer.echo(f"{output / 'last.cif'}: still has imaginary modes; try another --way", err=True)
        raise typer.Exit(NOT_REACHED_STATUS)
    typer.echo(f"{output / 'stable.cif'}")


@app.command("qha")
def qha(
    structure: o.StructureArgument,
    model: o.ModelOption,
    output: o.FolderOption,
    volumes: Annotated[int, typer.Option(help="How many.")] = 9,
    strain: Annotated[
        str, typer.Option(help="Relative change of the volume, smallest:largest.")
    ] = "-0.03:0.03",
    shape: Annotated[
        Literal["free", "scaled"],
        typer.Option(help="Relax the cell's shape at each volume, or the atoms alone."),
    ] = "free",
    supercell: o.SupercellOption = "auto",
    displacement: o.DisplacementOption = None,
    symprec: o.SymmetryOption = 1e-5,
    mesh: o.MeshOption = "auto",
    temperatures: o.TemperaturesOption = "0:600:20",
    tolerance: o.ToleranceOption = 0.01,
    fmax: Annotated[float, typer.Option(help="Limit of the relaxations [eV/Å].")] = 1e-5,
    dispersion: o.DispersionOption = "auto",
    dtype: o.DtypeOption = "float64",
    device: o.DeviceOption = "cpu",
    lanes: o.LanesOption = 1,
    threads: o.ThreadsOption = 1,
) -> None:
    """Thermal expansion in the quasi-harmonic approximation, with errors.

    The cell is relaxed, then at each volume its shape and the atoms; phonons at each; free energies
    are fitted with Birch-Murnaghan and Vinet. Run again, it goes on with what lacks.

    Examples
    --------
    mofmd phonons qha zif-4 --model zif4-mace-m --supercell 1x1x1 --volumes 7 -o expansion
    """
    from mofmd.disk.output import check_output
    from mofmd.errors import InputError
    from mofmd.phonons.model import describe, evaluator
    from mofmd.phonons.temperature.expansion import ExpansionOptions, expand
    from mofmd.phonons.temperature.output import at_temperature, write_expansion
    from mofmd.structures.read import read_structure

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
    )
    models = model_options(model, dispersion, dtype, device, lanes, threads)
    forces = force_options(supercell, displacement, "differences", symprec, 1e-3, True)
    crystal = read_structure(structure)
    calculator = models.calculator(crystal)
    described = describe(models, calculator)
    with evaluator(models, calculator) as evaluates:
        found = expand(
            crystal,
            calculator,
            evaluates,
            described,
            output,
            chosen,
            forces,
            on_volume=lambda k, n, text: typer.echo(f"{k}/{n} {text}"),
        )
    facts = {
        "structure": structure,
        **described.facts,
        "shape": shape,
        "strain": list(limits),
        "points": volumes,
    }
    write_expansion(found, output, facts)
    for each in (found.birch_murnaghan, found.vinet):
        typer.echo(_expansion_line(each.equation, at_temperature(each, 300.0), each.static))
        if each.temperatures_K[-1] < chosen.temperatures_K[-1]:
            typer.echo(
                f"{each.equation}: above {each.temperatures_K[-1]:g} K the volume leaves those "
                "computed; add larger ones",
                err=True,
            )
    typer.echo(f"{output / 'report.html'}")


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="A folder of phonons run, or a phonopy.yaml.")],
    second: Annotated[
        Path,
        typer.Argument(
            help="The same of another model, or an npz of bands (qpoints, frequencies_THz) or of "
            "a density of states (freq_THz, dos)."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="A folder for compare.json and the bands over each other."
        ),
    ] = None,
    mesh: o.MeshOption = "auto",
    top: Annotated[
        float | None,
        typer.Option(help="Highest frequency of the states that counts, and drawn [THz]."),
    ] = None,
    sum_rule: o.SumRuleOption = True,
) -> None:
    """Compare two models, or a model and a reference: frequencies, densities of states, cells.

    Both must have the same axes.

    Examples
    --------
    mofmd phonons compare phonons-a phonons-b --mesh 5x5x5
    mofmd phonons compare phonons dft_dos.npz --top 6 -o beside
    """
    from dataclasses import asdict

    from mofmd.disk.atomic import write_atomic
    from mofmd.disk.output import check_output, make_folder
    from mofmd.figure_style import save_figure
    from mofmd.phonons.beside.frequencies import compare as compare_frequencies
    from mofmd.phonons.beside.frequencies import read_other
    from mofmd.phonons.beside.structures import compare_structures
    from mofmd.phonons.cells import to_atoms
    from mofmd.phonons.load import load_phonopy
    from mofmd.phonons.page.figures import overlay_figure
    from mofmd.phonons.spectrum.modes import sample
    from mofmd.phonons.spectrum.path import standard_path

    if output is not None:
        check_output(output)
    other = read_other(second, sum_rule=sum_rule)
    own, _ = load_phonopy(first, sum_rule=sum_rule)
    found = compare_frequencies(own, other, o.mesh_of(mesh), top)
    record: dict[str, Any] = {"first": str(first), "second": str(second), **found.as_dict()}
    for name, value in found.as_dict().items():
        if isinstance(value, float):
            typer.echo(f"{name:22} {value:.5f}")
    for name, value in found.softness.items():
        typer.echo(f"{'ratio, ' + name:22} {value:.4f}")
    if other.phonopy is not None:
        structures = compare_structures(to_atoms(own.unitcell), to_atoms(other.phonopy.unitcell))
        record["structures"] = asdict(structures)
        deviations = " ".join(f"{v:+.3f}" for v in structures.length_deviations_percent)
        typer.echo(f"cell edges a b c        {deviations} %")
        for name, value in structures.fractional_rmsd.items():
            typer.echo(f"{'positions of ' + name:22} {value:.6f} (fractional)")
    if output is not None:
        make_folder(output)
        if other.phonopy is not None:
            path = standard_path(own)
            bands = {
                str(first): sample(own, path.q).frequencies_THz,
                str(second): sample(other.phonopy, path.q).frequencies_THz,
            }
            save_figure(overlay_figure(path, bands, top), output / "bands")
        text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        write_atomic(output / "compare.json", text)


def _expansion_line(equation: str, at: dict[str, Any] | None, static: Any) -> str:
    text = f"{equation}: K(static) {static.bulk_modulus_GPa:.3f} GPa"
    if at is None:
        return text
    edges = ", ".join(f"{e} {1e6 * v:+.2f}" for e, v in at["alpha_L_per_K"].items())
    return (
        f"{text}; 300 K: V {at['volume_A3']:.2f} ± {at['volume_error_A3']:.2f} Å³, alpha_V "
        f"{1e6 * at['alpha_V_per_K']:+.2f} ± {1e6 * at['alpha_V_error_per_K']:.2f}, alpha_L "
        f"{edges} (1e-6/K), K {at['bulk_modulus_GPa']:.3f} GPa"
    )
