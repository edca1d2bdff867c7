"""``mofmd learn``: from a reference method to a model for LAMMPS."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mofmd.cli.base.app import App
from mofmd.errors import InputWarning, counted
from mofmd.models.names import find_model

if TYPE_CHECKING:
    from ase import Atoms

app = App(
    no_args_is_help=True,
    help="Models from a reference method: sample, label, train, evaluate, distil.",
)

Frames = Annotated[list[Path], typer.Argument(help="Frames: extended XYZ, npz, or a structure.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="File or folder to write.")]
Seed = Annotated[int, typer.Option(help="Of random choices.")]


def read_all(files: list[Path], *, leave_out_failed: bool = False) -> list[Atoms]:
    """Read the frames of all files, of which each must hold some, or is left out and named."""
    from mofmd.errors import InputError
    from mofmd.learning.data.dataset import read_frames

    found = []
    for file in files:
        try:
            frames = read_frames(file)
            if not frames:
                raise InputError(f"{file}: holds no frames")
        except InputError as error:
            if not leave_out_failed:
                raise
            typer.echo(f"left out: {error}", err=True)
            continue
        found += frames
    return found


@app.command()
def check(
    frames: Frames,
    species: Annotated[str | None, typer.Option(help='Elements allowed: "C H N Zn".')] = None,
    stress: Annotated[bool, typer.Option(help="Each periodic frame must have a stress.")] = True,
    labeller: Annotated[
        str | None,
        typer.Option(help="Label a few frames again with this: finds a wrong sign of the stress."),
    ] = None,
    again: Annotated[int, typer.Option(help="So many frames, evenly spread.")] = 3,
    element_energies: Annotated[
        bool, typer.Option("--element-energies", help="Fit the energy of each element.")
    ] = False,
) -> None:
    """Check labelled frames: numbers, units, elements, shapes, energies against forces.

    Examples
    --------
    mofmd learn check frames.extxyz --species "C H N Zn"
    """
    from mofmd.learning.data.split import trajectory_of
    from mofmd.learning.data.validation import Expectation, check_frames
    from mofmd.learning.label.labeller_check import compare_labels_with
    from mofmd.learning.label.labellers import find_labeller
    from mofmd.structures.molecules import is_molecule

    found = read_all(frames)
    allowed = tuple(species.split()) if species else None
    check_frames(found, Expectation(allowed, stress))
    names = {trajectory_of(frame) for frame in found}
    if labeller is not None:
        # molecules have no stress to compare
        pool = [frame for frame in found if not (stress and is_molecule(frame))]
        few = pool[:: max(1, len(pool) // max(1, again))][:again]
        with find_labeller(labeller).session() as label:
            ratios = compare_labels_with(few, label, needs_stress=stress)
        typer.echo(
            f"{labeller} / stored labels: forces {ratios.force:.4f}, normal stress "
            f"{ratios.stress_normal:.4f}, shear {ratios.stress_shear:.4f}"
        )
    if element_energies:
        from mofmd.learning.data.element_energies import fit_element_energies

        fitted = fit_element_energies(found)
        told = ", ".join(f"{name} {value:.4f}" for name, value in fitted.eV.items())
        typer.echo(f"{told} eV; {fitted.residual_meV:.2f} meV/atom are left")
    of = counted(len(names), "trajectory", "trajectories")
    verb = "is" if len(found) == 1 else "are"
    typer.echo(f"{counted(len(found), 'frame')} of {of} {verb} fit for training")


@app.command("import")
def import_(
    frames: Frames,
    output: Output,
    origins: Annotated[
        str | None, typer.Option(help="Names of the starts of an npz file: crystal,glass01,...")
    ] = None,
    stress: Annotated[bool, typer.Option(help="Each periodic frame must have a stress.")] = True,
    weight: Annotated[
        float | None, typer.Option(help="Of each frame in MACE's loss: config_weight; 1: none.")
    ] = None,
) -> None:
    """Write labelled frames of any kind as extended XYZ, checked.

    Examples
    --------
    mofmd learn import frames.npz -o frames.extxyz --origins crystal,glass01
    """
    from mofmd.learning.data.dataset import (
        give_weight,
        read_frames,
        read_npz,
        write_frames,
    )
    from mofmd.learning.data.validation import Expectation, check_frames

    names = origins.split(",") if origins else []
    found = []
    for path in frames:
        found += read_npz(path, names) if path.suffix == ".npz" else read_frames(path)
    for frame in found if weight is not None else ():
        give_weight(frame, weight, "--weight")
    check_frames(found, Expectation(needs_stress=stress))
    write_frames(output, found)
    typer.echo(f"{output}: {len(found)} frames")


@app.command()
def split(
    frames: Frames,
    output: Output,
    val: Annotated[float, typer.Option(help="Share of each phase for validation.")] = 0.1,
    test: Annotated[float, typer.Option(help="Share of each phase for the test.")] = 0.1,
    hold_out: Annotated[
        list[str] | None, typer.Option(help="Origin for the test only; repeatable.")
    ] = None,
    val_trajectory: Annotated[list[str] | None, typer.Option(help="By name; repeatable.")] = None,
    test_trajectory: Annotated[list[str] | None, typer.Option(help="By name; repeatable.")] = None,
    largest_force: Annotated[
        float, typer.Option(help="Leave out frames with a force component above, eV/Å.")
    ] = 60.0,
    stress: Annotated[bool, typer.Option(help="Each periodic frame must have a stress.")] = True,
    method: Annotated[
        Literal["random", "fps"],
        typer.Option(
            help="fps: for training the trajectories farthest from each other in features."
        ),
    ] = "random",
    model: Annotated[
        Path | None, typer.Option(help="Gives features for fps; a file or a name.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Deal frames out by whole trajectories: train, val and test.extxyz.

    Examples
    --------
    mofmd learn split frames.extxyz -o data --val .1 --test .1
    mofmd learn split frames.extxyz -o data --val .075 --test .075 --method fps --model sevennet-0
    """
    from mofmd.learning.data.dataset import labels_of, write_frames
    from mofmd.learning.data.split import SplitOptions, split_frames, trajectory_of
    from mofmd.learning.data.validation import Expectation, check_frames

    found = read_all(frames)
    check_frames(found, Expectation(needs_stress=stress))
    kept = [f for f in found if abs(labels_of(f).forces_eV_per_A).max() <= largest_force]
    if len(kept) < len(found):
        typer.echo(f"{len(found) - len(kept)} frames left out: forces above {largest_force} eV/Å")
    options = SplitOptions(
        val_share=val,
        test_share=test,
        held_out_origins=tuple(hold_out or ()),
        val_trajectories=tuple(val_trajectory or ()),
        test_trajectories=tuple(test_trajectory or ()),
        seed=seed,
    )
    means = None
    if method == "fps":
        from mofmd.learning.select.structures import mean_features

        means = mean_features(kept, model and find_model(model))
    asked = {"val": val > 0 or bool(val_trajectory), "test": test > 0 or bool(test_trajectory)}
    for part, members in split_frames(kept, options, means).items():
        write_frames(output / f"{part}.extxyz", members)
        names = {trajectory_of(frame) for frame in members}
        of = counted(len(names), "trajectory", "trajectories")
        typer.echo(f"{part}: {counted(len(members), 'frame')} of {of}")
        if asked.get(part) and not members:
            warnings.warn(
                f"{part} is empty: whole trajectories are dealt out, and there are too few; give "
                "frames of more, or a smaller share",
                InputWarning,
                stacklevel=1,
            )
