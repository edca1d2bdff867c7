"""``mofmd phonons run``, ``forces`` and ``bands``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mofmd.cli.base.app import App
from mofmd.cli.phonons import options as o
from mofmd.cli.phonons import told
from mofmd.cli.phonons.gathered import gathered

if TYPE_CHECKING:
    from mofmd.phonons.model import ModelOptions
    from mofmd.phonons.run import ForceOptions
    from mofmd.phonons.spectrum.spectrum import Spectrum, SpectrumOptions

RELAXATION_CALLS = 2000

app = App(no_args_is_help=True, help="Lattice dynamics: phonons and what follows from them.")


@app.command("run")
@gathered(models=o.model_options, displaced=o.force_options, spectrum=o.spectrum_options)
def run(
    structure: o.StructureArgument,
    models: ModelOptions,
    output: o.FolderOption,
    displaced: ForceOptions,
    spectrum: SpectrumOptions,
    relax: Annotated[
        bool, typer.Option("--relax/--no-relax", help="Relax atoms and cell (--cell) first.")
    ] = True,
    cell: o.CellOption = "tri",
    fmax: Annotated[float, typer.Option(help="Limit of the forces of that [eV/Å].")] = 1e-5,
    symmetry: Annotated[
        bool, typer.Option("--symmetry", help="Keep the space group while relaxing.")
    ] = False,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Relax, evaluate displacements, make bands, densities of states, thermal functions, a page.

    Run again after any interruption, it goes on with what lacks.

    Examples
    --------
    mofmd phonons run zif-4 --model zif4-mace-m --supercell 1x1x1 -o phonons
    mofmd phonons run my.cif --model model.pth -o phonons --symmetry --mesh 11x11x11 --lanes 2
    mofmd phonons run my.cif --model gfn1-xtb --supercell 1x1x1 --cell fixed -o reference
    """
    from mofmd.phonons.calculate import calculate
    from mofmd.phonons.cells import read_crystal
    from mofmd.relaxation import RelaxOptions

    limits = RelaxOptions(
        fmax_eV_per_A=fmax,
        cell=cell,
        keep_symmetry=symmetry,
        symmetry_tolerance_A=o.kept_within_A(displaced),
        calls_max=RELAXATION_CALLS,
    )
    with told.shown_progress() as show:
        found = calculate(
            read_crystal(structure),
            models,
            output,
            relax=limits if relax else None,
            forces=displaced,
            spectrum=spectrum,
            overwrite=overwrite,
            tell=typer.echo,
            on_forces=told.forces_told(),
            on_results=show,
            name=structure,
        )
    tell_results(found, output)


@app.command("forces")
@gathered(models=o.model_options, displaced=o.force_options)
def forces(
    structure: o.StructureArgument,
    models: ModelOptions,
    output: o.FolderOption,
    displaced: ForceOptions,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Evaluate the displacements of a relaxed structure alone: phonopy.yaml, FORCE_CONSTANTS.

    Each result is kept as it comes; run again, it goes on with what lacks.

    Examples
    --------
    mofmd phonons forces relaxed.cif --model zif4-mace-m --supercell 1x1x1 -o phonons
    """
    from mofmd.phonons.calculate import force_constants_of
    from mofmd.phonons.cells import read_crystal

    _, constants, facts, _ = force_constants_of(
        read_crystal(structure),
        models,
        output,
        forces=displaced,
        overwrite=overwrite,
        tell=typer.echo,
        on_forces=told.forces_told(),
    )
    typer.echo(
        f"{output}: {facts['evaluations']} evaluations; drift {constants.drift_eV_per_A2:.1e}, "
        f"asymmetry {constants.asymmetry_eV_per_A2:.1e} eV/Å²"
    )


@app.command("bands")
@gathered(spectrum=o.spectrum_options)
def bands(
    source: Annotated[
        Path, typer.Argument(help="A phonopy.yaml with forces, or a folder that holds it.")
    ],
    output: o.FolderOption,
    spectrum: SpectrumOptions,
    sum_rule: o.SumRuleOption = True,
    symmetry_tolerance: Annotated[
        float | None,
        typer.Option(help="Within which symmetry is found [Å]; default: as the file says."),
    ] = None,
) -> None:
    """Make results of forces that are there, by mofmd or by others: no model is needed.

    Examples
    --------
    mofmd phonons bands phonons -o finer --mesh 20x20x20
    mofmd phonons bands phonopy.yaml.xz -o bands --no-sum-rule --path paths.yaml
    """
    from mofmd.disk.output import check_output
    from mofmd.phonons.calculate import results_in_folder
    from mofmd.phonons.load import load_phonopy

    check_output(output)
    phonopy, constants = load_phonopy(
        source, sum_rule=sum_rule, symmetry_tolerance_A=symmetry_tolerance
    )
    facts = {"forces_of": str(source)}
    with told.shown_progress() as show:
        found = results_in_folder(phonopy, constants, output, spectrum, facts, None, show)
    tell_results(found, output)


def tell_results(found: Spectrum, output: Path) -> None:
    """Tell the numbers that matter most, and where the page is."""
    if found.lowest_optical_THz is not None:
        typer.echo(f"lowest optical frequency at Γ {found.lowest_optical_THz:.3f} THz")
    constants = found.force_constants
    typer.echo(
        f"heat capacity at 300 K {found.thermal.heat_capacity_J_per_K_g(300.0):.4f} J/K/g; drift "
        f"{constants.drift_eV_per_A2:.1e}, asymmetry {constants.asymmetry_eV_per_A2:.1e} eV/Å²"
    )
    if found.soft:
        typer.echo(
            f"NOT stable: {len(found.soft)} imaginary modes at wave vectors that fit into the "
            f"supercell, the lowest {-found.soft[0].frequency_THz:.3f}i THz; thermal functions "
            "are bounds. mofmd phonons imaginary removes them",
            err=True,
        )
    elif found.imaginary:
        typer.echo(
            f"stable where nothing is interpolated, but {len(found.imaginary)} imaginary modes "
            f"elsewhere on the mesh, the lowest {-found.imaginary[0].frequency_THz:.3f}i THz: "
            "thermal functions are bounds; a larger --supercell decides",
            err=True,
        )
    else:
        from mofmd.phonons.spectrum.verdict import verdict

        typer.echo(str(verdict(found)))
    typer.echo(f"{output / 'report.html'}")
