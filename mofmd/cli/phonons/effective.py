"""``mofmd phonons sscha``, ``md`` and ``vdos``: phonons at a temperature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mofmd.cli.phonons import options as o
from mofmd.cli.phonons import told
from mofmd.cli.phonons.gathered import gathered
from mofmd.cli.phonons.run import app, tell_results
from mofmd.errors import NOT_REACHED_STATUS

if TYPE_CHECKING:
    from mofmd.phonons.model import ModelOptions
    from mofmd.phonons.run import Model
    from mofmd.phonons.spectrum.spectrum import SpectrumOptions

PhononsArgument = Annotated[
    Path, typer.Argument(help="A folder of phonons run, of the same model and supercell.")
]


@app.command("sscha")
@gathered(models=o.model_options, spectrum=o.spectrum_options)
def sscha(
    phonons: PhononsArgument,
    models: ModelOptions,
    output: o.FolderOption,
    spectrum: SpectrumOptions,
    temperature: Annotated[float, typer.Option(help="Of the phonons [K].")] = 300.0,
    supercells: Annotated[
        int | None,
        typer.Option(
            help="Displaced ones of a round, even; default: four times those that determine the "
            "force constants, 100 at least."
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(help="At most.")] = 20,
    change: Annotated[
        float, typer.Option(help="Converged where frequencies change by less (rms) [THz].")
    ] = 0.005,
    positions: Annotated[
        bool, typer.Option("--positions/--no-positions", help="Move the mean positions as well.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of the random displacements.")] = 1,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Phonons and free energy at a temperature, self-consistent (SSCHA), quantum statistics.

    Rounds of displaced supercells, drawn of the phonons of the round before, until these change no
    more. The cell stays. Run again, it goes on with what lacks. Status 3: not converged.

    Examples
    --------
    mofmd phonons sscha phonons --model zif4-mace-m --temperature 300 -o sscha-300
    """
    from mofmd.phonons.cells import to_atoms
    from mofmd.phonons.effective.output import write_sscha
    from mofmd.phonons.effective.results import SschaOptions
    from mofmd.phonons.effective.sscha import self_consistent
    from mofmd.phonons.load import load_phonopy
    from mofmd.phonons.model import opened

    chosen = SschaOptions(
        temperature_K=temperature,
        supercells=supercells,
        rounds=rounds,
        change_THz=change,
        positions=positions,
        mesh=spectrum.mesh,
        seed=seed,
    )
    phonopy, _ = load_phonopy(phonons)
    with opened(models, to_atoms(phonopy.unitcell)) as (_, described, evaluates):
        check_model(phonons, described)
        found = self_consistent(
            phonopy,
            evaluates,
            described,
            output,
            chosen,
            overwrite=overwrite,
            tell=told.tell,
            on_round=lambda each: told.tell(str(each)),
            on_progress=told.forces_told(),
        )
    facts = {"phonons": str(phonons), **described.facts}
    tell_results(write_sscha(found, phonopy, output, spectrum, facts), output)
    last = found.rounds[-1]
    if last.free_energy_eV is not None:
        typer.echo(
            f"free energy {last.free_energy_eV:.5f} ± {last.free_energy_error_eV:.5f} eV a "
            f"primitive cell above the structure begun with; frequencies ± {found.noise_THz:.4f} "
            "THz from sampling"
        )
    if not found.converged:
        typer.echo(
            f"NOT converged in {len(found.rounds)} rounds: the last one changed frequencies by "
            f"{last.change_THz:.4f} THz; run again with more --rounds, or more --supercells with "
            "--overwrite",
            err=True,
        )
        raise typer.Exit(NOT_REACHED_STATUS)


@app.command("md")
@gathered(models=o.model_options, spectrum=o.spectrum_options)
def md(
    phonons: PhononsArgument,
    run: Annotated[Path, typer.Argument(help="A run in a fixed cell (nvt), or a trajectory.")],
    models: ModelOptions,
    output: o.FolderOption,
    spectrum: SpectrumOptions,
    frames: Annotated[int, typer.Option(help="Evenly spread, so many at most.")] = 200,
    skip: Annotated[float, typer.Option(help="Share of the frames left out at the start.")] = 0.2,
    symmetry_tolerance: Annotated[
        float, typer.Option(help="Within which symmetry is found in the run's cell [Å].")
    ] = 1e-3,
    overwrite: o.OverwriteOption = False,
) -> None:
    """Phonons at the temperature of dynamics, fitted to the forces of its frames.

    The structure's cell repeated must be the cell of the run, in whose size the phonons are.
    Run again, it goes on with what lacks.

    Examples
    --------
    mofmd phonons md phonons nvt-300 --model zif4-mace-m -o effective-300
    """
    from mofmd.phonons.cells import to_atoms
    from mofmd.phonons.effective.frames import read_snapshots
    from mofmd.phonons.effective.md import fit_frames
    from mofmd.phonons.effective.output import write_frame_fit
    from mofmd.phonons.load import load_phonopy
    from mofmd.phonons.model import opened

    reference, _ = load_phonopy(phonons)
    snapshots = read_snapshots(
        run, reference, frames, skip=skip, symmetry_tolerance_A=symmetry_tolerance
    )
    with opened(models, to_atoms(reference.unitcell)) as (_, described, evaluates):
        found = fit_frames(
            snapshots,
            evaluates,
            described,
            output,
            overwrite=overwrite,
            tell=told.tell,
            on_progress=told.forces_told(),
        )
    facts = {"phonons": str(phonons), "run": str(run), **described.facts}
    tell_results(write_frame_fit(found, snapshots.phonopy, output, spectrum, facts), output)
    typer.echo(
        f"{found.steps[-1].frames} frames: frequencies ± {found.noise_THz:.4f} THz from sampling; "
        f"{100 * found.anharmonicity:.1f} % of the forces are anharmonic"
    )


@app.command("vdos")
def vdos(
    phonons: Annotated[Path, typer.Argument(help="A folder of phonons, or a phonopy.yaml.")],
    run: Annotated[Path, typer.Argument(help="A run or trajectory, its frames a few fs apart.")],
    output: o.FolderOption,
    mesh: o.MeshOption = "auto",
    width: o.WidthOption = 0.05,
    lag: Annotated[
        float | None,
        typer.Option(help="Longest time of correlation, the inverse of the resolution [ps]."),
    ] = None,
    start: Annotated[
        float | None, typer.Option("--start-ps", help="Frames count from here on [ps].")
    ] = None,
    top: Annotated[
        float | None, typer.Option(help="Highest frequency that counts, and drawn [THz].")
    ] = None,
) -> None:
    """Set the vibrational density of states of dynamics beside that of phonons.

    Examples
    --------
    mofmd phonons vdos phonons nve-300 -o vdos --top 6
    """
    import json

    import numpy as np

    from mofmd.disk.atomic import write_atomic
    from mofmd.disk.output import check_output, make_folder
    from mofmd.figure_style import save_figure
    from mofmd.phonons.beside.dynamics import dynamics_dos, dynamics_figure
    from mofmd.phonons.load import load_phonopy
    from mofmd.phonons.output import write_table
    from mofmd.phonons.spectrum.mesh import make_dos, make_mesh

    check_output(output)
    phonopy, _ = load_phonopy(phonons)
    dos = make_dos(make_mesh(phonopy, o.mesh_of(mesh)), width_THz=width)
    found = dynamics_dos(
        dos, len(phonopy.primitive), run, lag_max_ps=lag, start_ps=start, top_THz=top
    )
    make_folder(output)
    write_table(
        output / "vdos.csv",
        [
            "frequency_THz",
            "phonons_per_THz",
            "dynamics_per_THz",
            *(f"dynamics_{name}_per_THz" for name in found.names),
        ],
        np.column_stack(
            [
                found.frequencies_THz,
                found.phonons_per_THz,
                found.total_per_THz,
                found.parts_per_THz.T,
            ]
        ).tolist(),
    )
    save_figure(dynamics_figure(found, top), output / "vdos")
    record = {
        "phonons": str(phonons),
        "run": str(run),
        "resolution_THz": found.resolution_THz,
        "wasserstein_THz": found.wasserstein_THz,
        "wasserstein_to_THz": found.wasserstein_to_THz,
    }
    write_atomic(output / "vdos.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    typer.echo(
        f"Wasserstein distance {found.wasserstein_THz:.4f} THz, at a resolution of "
        f"{found.resolution_THz:.3f} THz"
    )
    typer.echo(f"{output / 'vdos.png'}")


def check_model(phonons: Path, model: Model) -> None:
    """Refuse a folder of phonons that were made by mofmd with another model."""
    from mofmd.disk.record import read_record
    from mofmd.errors import InputError
    from mofmd.phonons.calculation.store import PLAN, SCHEMA
    from mofmd.phonons.run import FORCES

    plan = phonons / FORCES / PLAN
    if not plan.is_file():
        return
    found = read_record(plan, SCHEMA, kind="a folder of forces", mend="run mofmd phonons run")
    if found.get("model") != model.identity:
        name = found.get("model_facts", {}).get("model", "another model")
        raise InputError(
            f"{phonons}: is of {name}, or of another precision or dispersion than asked for: its "
            "structure is not relaxed for this model; run mofmd phonons run with it first"
        )
