"""``mofmd learn``: frames that are worth a label, and their labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mofmd.cli.learn.learn import Frames, Output, Seed, app, read_all
from mofmd.models.names import find_model


@app.command()
def sample(
    conditions: Annotated[Path, typer.Argument(help="YAML file of runs.")],
    model: Annotated[Path, typer.Option(help="Model file or name: moves the atoms.")],
    output: Output,
    every: Annotated[int, typer.Option(help="Keep one frame of the trajectory in so many.")] = 50,
    before_break: Annotated[int, typer.Option(help="Last whole frames kept of a break.")] = 6,
    ranks: Annotated[int, typer.Option(help="MPI processes of a run.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each process.")] = 1,
) -> None:
    """Run dynamics under many conditions and keep frames: OUTPUT/frames.extxyz.

    Examples
    --------
    mofmd learn sample runs.yaml --model zif4-nequip-s -o sampled
    """
    from mofmd.learning.data.dataset import write_frames
    from mofmd.learning.sample.conditions import read_conditions
    from mofmd.learning.sample.sampling import SampleOptions
    from mofmd.learning.sample.sampling import sample as run_all

    options = SampleOptions(every, before_break, ranks, threads)
    found = run_all(
        read_conditions(conditions), find_model(model), output / "runs", options, typer.echo
    )
    frames = [frame for each in found for frame in (*each.frames, *each.last_frames)]
    write_frames(output / "frames.extxyz", frames)
    broken = sum(bool(each.broken) for each in found)
    typer.echo(f"{output / 'frames.extxyz'}: {len(frames)} frames; {broken} runs broke")


@app.command()
def distort(
    frames: Frames,
    output: Output,
    kick_share: Annotated[float, typer.Option(help="Share of atoms displaced.")] = 0.0,
    terminal_share: Annotated[float, typer.Option(help="Share of bonds to end atoms.")] = 0.05,
    bond_share: Annotated[float, typer.Option(help="Share of other linker bonds.")] = 0.1,
    contact_share: Annotated[float, typer.Option(help="Share of H-H contacts.")] = 0.15,
    seed: Seed = 0,
) -> None:
    """Stretch bonds of the linkers and press hydrogens together, each frame once.

    Examples
    --------
    mofmd learn distort frames.extxyz -o distorted.extxyz --bond-share .2
    """
    from mofmd.learning.data.dataset import write_frames
    from mofmd.learning.data.distort import Distortion, distort_frames

    distortion = Distortion(
        kick_share=kick_share,
        terminal_share=terminal_share,
        bond_share=bond_share,
        contact_share=contact_share,
    )
    made = distort_frames(read_all(frames), distortion, seed)
    write_frames(output, made)
    typer.echo(f"{output}: {len(made)} frames")


@app.command()
def strain(
    frames: Frames,
    output: Output,
    linear: Annotated[
        list[float] | None,
        typer.Option(help="Change of all lengths, a share; repeatable. [default: six to ±0.1]"),
    ] = None,
    random: Annotated[
        int, typer.Option(min=0, help="Copies deformed at random, at their volume.")
    ] = 0,
    shear: Annotated[float, typer.Option(help="Largest element of these deformations.")] = 0.05,
    seed: Seed = 0,
) -> None:
    """Make strained copies of structures or frames; a copy is of its original's trajectory.

    Examples
    --------
    mofmd learn strain picked.extxyz -o strained.extxyz
    mofmd learn strain my.cif -o strained.extxyz --linear -0.03 --linear 0.03 --random 4
    """
    from mofmd.learning.data.dataset import write_frames
    from mofmd.learning.data.strain import ISOTROPIC, strain_frames

    made = strain_frames(read_all(frames), linear or ISOTROPIC, shear, random, seed)
    write_frames(output, made)
    typer.echo(f"{output}: {len(made)} frames")


@app.command()
def pick(
    frames: Frames,
    output: Output,
    count: Annotated[int, typer.Option(help="Frames wanted.")],
    method: Annotated[
        Literal["flat", "fps", "structures", "random"],
        typer.Option(
            help="flat histogram in energy; farthest points in features of atoms (fps) or of whole "
            "structures; or random"
        ),
    ] = "fps",
    model: Annotated[
        Path | None, typer.Option(help="Gives energies and features; a file or a name.")
    ] = None,
    known: Annotated[list[Path] | None, typer.Option(help="Frames already labelled.")] = None,
    crystal_systems: Annotated[
        bool,
        typer.Option("--crystal-systems", help="First one structure of each crystal system."),
    ] = False,
    leave_out_failed: Annotated[
        bool, typer.Option("--leave-out-failed", help="Go on without files that cannot be read.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """Pick the frames that are worth a label, or structures out of a pool.

    Examples
    --------
    mofmd learn pick frames.extxyz -o picked.extxyz --count 200 --model zif4-nequip-s
    mofmd learn pick pool/*.cif -o picked.extxyz --count 100 --method structures --model sevennet-0
    """
    from mofmd.learning.data.dataset import write_frames
    from mofmd.learning.select.selection import Selection, select_frames

    found = read_all(frames, leave_out_failed=leave_out_failed)
    selection = Selection(method, count, model and find_model(model), seed, crystal_systems)
    chosen = select_frames(found, selection, read_all(known or []))
    write_frames(output, chosen)
    if method == "structures":
        typer.echo(" ".join(str(frame.info["trajectory"]) for frame in chosen))
    typer.echo(f"{output}: {len(chosen)} of {len(found)} frames")


@app.command()
def label(
    frames: Frames,
    labeller: Annotated[
        str, typer.Option(help="Model file, package.module:factory (ASE), or gfn1-xtb.")
    ],
    output: Output,
    cache: Annotated[Path, typer.Option(help="Folder of labels.")] = Path("labels"),
    workers: Annotated[int, typer.Option(help="Labellers at a time.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each.")] = 1,
    stress: Annotated[bool, typer.Option(help="Refuse a labeller without stress.")] = True,
    leave_out_failed: Annotated[
        bool, typer.Option("--leave-out-failed", help="Go on without frames that fail.")
    ] = False,
    time_limit: Annotated[
        float | None, typer.Option(help="Seconds after which a frame has failed; default: none.")
    ] = None,
) -> None:
    """Label frames with a reference method; run it again after whatever happened.

    Examples
    --------
    mofmd learn label picked.extxyz --labeller gfn1-xtb -o labelled.extxyz
    mofmd learn label picked.extxyz --labeller teacher.pth+d3bj:pbe -o labelled.extxyz
    """
    from mofmd.learning.data.dataset import write_frames
    from mofmd.learning.label.labellers import ModelLabeller, find_labeller
    from mofmd.learning.label.labelling import LabelOptions, label_frames
    from mofmd.models.files.validity import check_suits

    options = LabelOptions(workers, stress, leave_out_failed, time_limit)
    method = find_labeller(labeller, threads)
    found = read_all(frames)
    if isinstance(method, ModelLabeller):
        check_suits(method.path, found)
    made = label_frames(found, method, cache, options, typer.echo)
    write_frames(output, made)
    typer.echo(f"{output}: {len(made)} labelled frames")
