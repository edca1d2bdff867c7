"""``mofmd phonons run``, ``forces`` and ``bands``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mofmd.cli.base.app import App
from mofmd.cli.phonons import options as o

if TYPE_CHECKING:
    from mofmd.phonons.model import ModelOptions
    from mofmd.phonons.run import ForceOptions
    from mofmd.phonons.spectrum.spectrum import Spectrum

RELAXED_SYMMETRY_A = 1e-2  # within which the group that a relaxation keeps is found, at least
RELAXATION_CALLS = 2000

app = App(no_args_is_help=True, help="Lattice dynamics: phonons and what follows from them.")


@app.command("run")
def run(
    structure: o.StructureArgument,
    model: o.ModelOption,
    output: o.FolderOption,
    relax: Annotated[
        bool, typer.Option("--relax/--no-relax", help="Relax atoms and cell first.")
    ] = True,
    fmax: Annotated[float, typer.Option(help="Limit of the forces of that [eV/Å].")] = 1e-5,
    symmetry: Annotated[
        bool, typer.Option("--symmetry", help="Keep the space group while relaxing.")
    ] = False,
    supercell: o.SupercellOption = "auto",
    displacement: o.DisplacementOption = None,
    method: o.MethodOption = "differences",
    symprec: o.SymmetryOption = 1e-5,
    force_limit: o.ForceLimitOption = 1e-3,
    sum_rule: o.SumRuleOption = True,
    mesh: o.MeshOption = "auto",
    points: o.PointsOption = None,
    path: o.PathOption = None,
    width: o.WidthOption = 0.05,
    temperatures: o.TemperaturesOption = "0:1000:10",
    tolerance: o.ToleranceOption = 0.01,
    velocities: o.VelocitiesOption = False,
    dispersion: o.DispersionOption = "auto",
    dtype: o.DtypeOption = "float64",
    device: o.DeviceOption = "cpu",
    lanes: o.LanesOption = 1,
    threads: o.ThreadsOption = 1,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Relax, evaluate displacements, make bands, densities of states, thermal functions, a page.

    Run again after any interruption, it goes on with what lacks.

    Examples
    --------
    mofmd phonons run zif-4 --model zif4-mace-m --supercell 1x1x1 -o phonons
    mofmd phonons run my.cif --model model.pth -o phonons --symmetry --mesh 11x11x11 --lanes 2
    """
    from mofmd.phonons.calculate import calculate
    from mofmd.relaxation import RelaxOptions
    from mofmd.structures.read import read_structure

    limits = RelaxOptions(
        fmax_eV_per_A=fmax,
        keep_symmetry=symmetry,
        symmetry_tolerance_A=max(symprec, RELAXED_SYMMETRY_A),
        calls_max=RELAXATION_CALLS,
    )
    with o.shown_progress() as show:
        found = calculate(
            read_structure(structure),
            model_options(model, dispersion, dtype, device, lanes, threads),
            output,
            relax=limits if relax else None,
            forces=force_options(supercell, displacement, method, symprec, force_limit, sum_rule),
            spectrum=o.spectrum_options(
                mesh, points, path, width, temperatures, tolerance, velocities
            ),
            overwrite=overwrite,
            tell=typer.echo,
            on_forces=o.tell_forces,
            on_results=show,
            name=structure,
        )
    _tell_results(found, output)


@app.command("forces")
def forces(
    structure: o.StructureArgument,
    model: o.ModelOption,
    output: o.FolderOption,
    supercell: o.SupercellOption = "auto",
    displacement: o.DisplacementOption = None,
    method: o.MethodOption = "differences",
    symprec: o.SymmetryOption = 1e-5,
    force_limit: o.ForceLimitOption = 1e-3,
    sum_rule: o.SumRuleOption = True,
    dispersion: o.DispersionOption = "auto",
    dtype: o.DtypeOption = "float64",
    device: o.DeviceOption = "cpu",
    lanes: o.LanesOption = 1,
    threads: o.ThreadsOption = 1,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Evaluate the displacements of a relaxed structure alone: phonopy.yaml, FORCE_CONSTANTS.

    Each result is kept as it comes; run again, it goes on with what lacks.

    Examples
    --------
    mofmd phonons forces relaxed.cif --model zif4-mace-m --supercell 1x1x1 -o phonons
    """
    from mofmd.phonons.calculate import force_constants_of
    from mofmd.structures.read import read_structure

    _, constants, facts, _ = force_constants_of(
        read_structure(structure),
        model_options(model, dispersion, dtype, device, lanes, threads),
        output,
        forces=force_options(supercell, displacement, method, symprec, force_limit, sum_rule),
        overwrite=overwrite,
        tell=typer.echo,
        on_forces=o.tell_forces,
    )
    typer.echo(
        f"{output}: {facts['evaluations']} evaluations; drift {constants.drift_eV_per_A2:.1e}, "
        f"asymmetry {constants.asymmetry_eV_per_A2:.1e} eV/Å²"
    )


@app.command("bands")
def bands(
    source: Annotated[
        Path, typer.Argument(help="A phonopy.yaml with forces, or a folder that holds it.")
    ],
    output: o.FolderOption,
    sum_rule: o.SumRuleOption = True,
    symprec: Annotated[
        float | None,
        typer.Option(help="Within which symmetry is found [Å]; default: as the file says."),
    ] = None,
    mesh: o.MeshOption = "auto",
    points: o.PointsOption = None,
    path: o.PathOption = None,
    width: o.WidthOption = 0.05,
    temperatures: o.TemperaturesOption = "0:1000:10",
    tolerance: o.ToleranceOption = 0.01,
    velocities: o.VelocitiesOption = False,
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

    chosen = o.spectrum_options(mesh, points, path, width, temperatures, tolerance, velocities)
    check_output(output)
    phonopy, constants = load_phonopy(source, sum_rule=sum_rule, symmetry_tolerance_A=symprec)
    facts = {"forces_of": str(source)}
    with o.shown_progress() as show:
        found = results_in_folder(phonopy, constants, output, chosen, facts, None, show)
    _tell_results(found, output)


def model_options(
    model: Path, dispersion: str, dtype: Any, device: str, lanes: int, threads: int
) -> ModelOptions:
    """Gather what says how a model is run."""
    from mofmd.phonons.extra import need_packages
    from mofmd.phonons.model import ModelOptions

    need_packages()
    return ModelOptions(
        model=model,
        dispersion=dispersion,
        dtype=dtype,
        device=device,
        lanes=lanes,
        threads=threads,
    )


def force_options(
    supercell: str,
    displacement: str | None,
    method: Any,
    symprec: float,
    force_limit: float,
    sum_rule: bool,
) -> ForceOptions:
    """Gather what says how forces are made."""
    from mofmd.phonons.calculation.displacements import DisplacementOptions
    from mofmd.phonons.run import ForceOptions
    from mofmd.structures.supercell import parse_supercell

    return ForceOptions(
        supercell=None if supercell == "auto" else parse_supercell(supercell),
        displacements=DisplacementOptions(
            distances_A=o.numbers_of(displacement, "displacement"), method=method
        ),
        symmetry_tolerance_A=symprec,
        force_limit_eV_per_A=force_limit,
        sum_rule=sum_rule,
    )


def _tell_results(found: Spectrum, output: Path) -> None:
    if found.lowest_optical_THz is not None:
        typer.echo(f"lowest optical frequency at Γ {found.lowest_optical_THz:.3f} THz")
    constants = found.force_constants
    typer.echo(
        f"heat capacity at 300 K {found.thermal.heat_capacity_J_per_K_g(300.0):.4f} J/K/g; drift "
        f"{constants.drift_eV_per_A2:.1e}, asymmetry {constants.asymmetry_eV_per_A2:.1e} eV/Å²"
    )
    if found.imaginary:
        typer.echo(
            f"NOT stable: {len(found.imaginary)} imaginary modes on the mesh, the lowest "
            f"{-found.imaginary[0].frequency_THz:.3f}i THz; thermal functions are bounds. "
            "mofmd phonons imaginary removes them",
            err=True,
        )
    typer.echo(f"{output / 'report.html'}")
