"""``mofmd phonons run``, ``forces`` and ``bands``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mofmd.cli.base.app import App
from mofmd.cli.phonons import options as o

if TYPE_CHECKING:
    from ase import Atoms
    from phonopy import Phonopy

    from mofmd.phonons.calculation.force_constants import ForceConstants
    from mofmd.phonons.model import ModelOptions
    from mofmd.phonons.run import ForceOptions

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
    from mofmd.structures.read import read_structure

    chosen = o.spectrum_options(mesh, points, path, width, temperatures, tolerance, velocities)
    models = model_options(model, dispersion, dtype, device, lanes, threads)
    forces = force_options(supercell, displacement, method, symprec, force_limit, sum_rule)
    atoms = read_structure(structure)
    phonopy, constants, facts, atoms = _forces(
        atoms,
        models,
        forces,
        output,
        fmax=fmax if relax else None,
        symmetry=symmetry,
        symmetry_tolerance=max(symprec, 1e-2),
        overwrite=overwrite,
    )
    _results(phonopy, constants, chosen, output, {"structure": structure, **facts}, atoms)


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
    from mofmd.structures.read import read_structure

    models = model_options(model, dispersion, dtype, device, lanes, threads)
    chosen = force_options(supercell, displacement, method, symprec, force_limit, sum_rule)
    atoms = read_structure(structure)
    _, constants, facts, _ = _forces(atoms, models, chosen, output, overwrite=overwrite)
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
    from mofmd.phonons.load import load_phonopy

    chosen = o.spectrum_options(mesh, points, path, width, temperatures, tolerance, velocities)
    check_output(output)
    phonopy, constants = load_phonopy(source, sum_rule=sum_rule, symmetry_tolerance_A=symprec)
    _results(phonopy, constants, chosen, output, {"forces_of": str(source)}, None)


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


def _forces(
    atoms: Atoms,
    models: ModelOptions,
    options: ForceOptions,
    output: Path,
    *,
    fmax: float | None = None,
    symmetry: bool = False,
    symmetry_tolerance: float = 1e-2,
    overwrite: bool = False,
) -> tuple[Phonopy, ForceConstants, dict[str, Any], Atoms]:
    """Relax if asked, then evaluate; give phonopy's object, force constants, facts, structure."""
    from mofmd.disk.output import check_output
    from mofmd.errors import RunError
    from mofmd.models.dispersion.dispersion import dispersion_hints, parse_dispersion
    from mofmd.phonons.model import describe, evaluator
    from mofmd.phonons.run import forces_in_folder
    from mofmd.relaxation import RelaxOptions, relax_in_folder

    check_output(output)
    calculator = models.calculator(atoms)
    for hint in dispersion_hints(
        parse_dispersion(models.dispersion), calculator.dispersion, calculator.path
    ):
        typer.echo(hint)
    facts: dict[str, Any] = {}
    if fmax is not None:
        done = relax_in_folder(
            atoms,
            calculator,
            RelaxOptions(
                fmax_eV_per_A=fmax,
                keep_symmetry=symmetry,
                symmetry_tolerance_A=symmetry_tolerance,
                calls_max=2000,
            ),
            output / "relax",
            overwrite=overwrite,
        )
        typer.echo(str(done))
        if not done.converged:
            raise RunError(
                f"{output / 'relax'}: the limits were not kept; look at convergence.png, run again "
                "to go on, or set a larger --fmax"
            )
        atoms = done.atoms
        facts["relaxation"] = done.as_dict()
    described = describe(models, calculator)
    with evaluator(models, calculator) as evaluates:
        phonopy, constants = forces_in_folder(
            atoms,
            evaluates,
            described,
            output,
            options,
            overwrite=overwrite,
            on_progress=o.tell_forces,
        )
    return phonopy, constants, {**described.facts, **_plan(output), **facts}, atoms


def _plan(output: Path) -> dict[str, Any]:
    """Read what the forces' own record says of them."""
    import json

    from mofmd.phonons.calculation.store import PLAN
    from mofmd.phonons.run import FORCES

    found = json.loads((output / FORCES / PLAN).read_text(encoding="utf-8"))
    return {name: found[name] for name in ("supercell", "displacements_A", "method", "evaluations")}


def _results(
    phonopy: Phonopy,
    constants: ForceConstants,
    options: Any,
    output: Path,
    facts: dict[str, Any],
    atoms: Atoms | None,
) -> None:
    from mofmd.phonons.cells import to_atoms
    from mofmd.phonons.ladder import symmetry_ladder
    from mofmd.phonons.output import write_force_constants, write_phonopy, write_spectrum
    from mofmd.phonons.page.page import write_page
    from mofmd.phonons.spectrum.spectrum import make_spectrum

    with o.shown_progress() as show:
        spectrum = make_spectrum(phonopy, constants, options, show)
    output.mkdir(parents=True, exist_ok=True)
    ladder = symmetry_ladder(to_atoms(phonopy.unitcell) if atoms is None else atoms)
    if atoms is None:
        write_phonopy(phonopy, output)
        write_force_constants(phonopy, output)
    write_spectrum(spectrum, output, facts, ladder)
    page = write_page(phonopy, spectrum, output, facts, ladder=ladder)
    thermal = spectrum.thermal
    if spectrum.lowest_optical_THz is not None:
        typer.echo(f"lowest optical frequency at Γ {spectrum.lowest_optical_THz:.3f} THz")
    typer.echo(
        f"heat capacity at 300 K {thermal.heat_capacity_J_per_K_g(300.0):.4f} J/K/g; drift "
        f"{constants.drift_eV_per_A2:.1e}, asymmetry {constants.asymmetry_eV_per_A2:.1e} eV/Å²"
    )
    if spectrum.imaginary:
        typer.echo(
            f"NOT stable: {len(spectrum.imaginary)} imaginary modes on the mesh, the lowest "
            f"{-spectrum.imaginary[0].frequency_THz:.3f}i THz; thermal functions are bounds. "
            "mofmd phonons imaginary removes them",
            err=True,
        )
    typer.echo(f"{page}")
