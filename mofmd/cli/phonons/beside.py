"""``mofmd phonons compare`` and ``converge``: calculations beside each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mofmd.cli.phonons import options as o
from mofmd.cli.phonons.run import app

TOLD = {
    "rmsd_mesh_THz": "frequencies over the mesh, rms difference (THz)",
    "rmsd_bands_THz": "frequencies along the bands, rms difference (THz)",
    "rmsd_gamma_THz": "frequencies at Γ, rms difference (THz)",
    "mean_gamma_THz": "frequencies at Γ, first minus second, mean (THz)",
    "wasserstein_THz": "densities of states, Wasserstein distance (THz)",
    "wasserstein_to_THz": "  of states up to (THz)",
}


@app.command("compare")
def compare(
    first: Annotated[Path, typer.Argument(help="A folder of phonons run, or a phonopy.yaml.")],
    second: Annotated[
        Path,
        typer.Argument(
            help="The same of another model, or an npz of bands (qpoints, frequencies_THz) or of "
            "a density of states (freq_THz, dos); or a structure, for cells, symmetry and "
            "positions alone."
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
    mofmd phonons compare phonons dft_relaxed.cif
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
    for name, words in TOLD.items():
        if (value := getattr(found, name)) is not None:
            typer.echo(f"{words:54} {value:.5f}")
    for name, value in found.softness.items():
        typer.echo(f"{f'ratio of frequencies, first to second, {name}':54} {value:.4f}")
    if other.structure is not None:
        structures = compare_structures(to_atoms(own.unitcell), other.structure)
        record["structures"] = asdict(structures)
        deviations = " ".join(f"{v:+.3f}" for v in structures.length_deviations_percent)
        typer.echo(f"{'cell edges a b c, first to second (%)':54} {deviations}")
        volume = structures.volume_deviation_percent
        typer.echo(f"{'volume, first to second (%)':54} {volume:+.3f}")
        for one, two in zip(*structures.ladders, strict=True):
            groups = f"{one.space_group} and {two.space_group}"
            typer.echo(f"{f'space groups, within {one.tolerance_A:g} Å':54} {groups}")
        for name, value in structures.fractional_rmsd.items():
            typer.echo(f"{f'positions of {name}, rms (fractional)':54} {value:.6f}")
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
        typer.echo(f"{output / 'compare.json'}")


@app.command("converge")
def converge(
    folders: Annotated[
        list[Path],
        typer.Argument(
            help="Of phonons run with other supercells or displacements, the best settings last."
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A folder for converge.csv.")
    ] = None,
    mesh: o.MeshOption = "auto",
) -> None:
    """Table of how far phonons are converged with supercell and displacement.

    All are compared with the last one, on one mesh. Convergence with the mesh is in the page of
    each.

    Examples
    --------
    mofmd phonons converge phonons-1x1x1 phonons-2x2x2 --mesh 3x3x3 -o convergence
    """
    from mofmd.disk.output import check_output, make_folder
    from mofmd.phonons.beside.settings import TEMPERATURE_K, Settings, settings_convergence
    from mofmd.phonons.output import write_table

    if output is not None:
        check_output(output)
    found = settings_convergence(folders, o.mesh_of(mesh))
    for each in found:
        optical = each.lowest_optical_gamma_THz
        typer.echo(
            f"{each.folder}: supercell {each.supercell}, displacement {each.displacements_A} Å: "
            f"frequencies to the last {each.rmsd_mesh_THz:.5f} THz (at Γ "
            f"{each.rmsd_gamma_THz:.5f}), F(300 K) {each.free_energy_kJ_per_mol:.4f} kJ/mol, C "
            f"{each.heat_capacity_J_per_K_mol:.3f} J/K/mol"
            + ("" if optical is None else f", lowest optical at Γ {optical:.4f} THz")
        )
    if output is not None:
        make_folder(output)
        write_table(
            output / "converge.csv",
            ["temperature_K", *Settings.__dataclass_fields__],
            [[TEMPERATURE_K, *vars(each).values()] for each in found],
        )
        typer.echo(f"{output / 'converge.csv'}")
