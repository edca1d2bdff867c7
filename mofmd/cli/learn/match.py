"""``mofmd learn match``: how large clusters must be to feel what the framework feels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mofmd.cli.defects import ChargeOptions, parse_charges
from mofmd.cli.learn.cut import (
    EveryBlock,
    FlaggedAbove,
    FlaggedAtoms,
    FlaggedColumn,
    FlaggedElements,
    find_blocks_of,
    find_flagged,
    reference_blocks,
)
from mofmd.cli.learn.learn import Frames, read_all
from mofmd.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

    from mofmd.learning.clusters.force_matching import Agreement, Matched


def match(
    frames: Frames,
    labeller: Annotated[
        str, typer.Option(help="Model file, package.module:factory (ASE), or gfn1-xtb.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write.")],
    reference: Annotated[
        str | None,
        typer.Option(help="The frames' crystal or relaxed structure, which says what is bonded."),
    ] = None,
    atoms: FlaggedAtoms = None,
    element: FlaggedElements = None,
    column: FlaggedColumn = None,
    above: FlaggedAbove = None,
    every_block: EveryBlock = False,
    shells: Annotated[
        list[int] | None,
        typer.Option(help="Candidate: shells of blocks around a core; repeatable. [default: 0 1]"),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Of the forces on a core, for blueprints [meV/Å].")
    ] = 30.0,
    blueprints: Annotated[
        Path | None, typer.Option(help="Write for each kind of core the smallest that agrees.")
    ] = None,
    largest: Annotated[int, typer.Option(min=1, help="Most atoms of a cluster.")] = 220,
    allow_images: Annotated[
        bool, typer.Option("--allow-images", help="A cluster may hold an atom in several images.")
    ] = False,
    charge: ChargeOptions = None,
    cache: Annotated[Path, typer.Option(help="Folder of labels.")] = Path("labels"),
    workers: Annotated[int, typer.Option(help="Labellers at a time.")] = 1,
    threads: Annotated[int, typer.Option(help="Threads of each.")] = 1,
) -> None:
    """Compare forces in clusters with those in the frames that they are cut out of.

    Writes match.csv, depth.csv, match.png, match.svg and clusters.extxyz.

    Examples
    --------
    mofmd learn match ld.extxyz --element Zr --labeller sevennet-0.mofmd.pth -o match
    """
    from mofmd.figure_style import save_figure
    from mofmd.learning.clusters.blueprints import Blueprint, Blueprints
    from mofmd.learning.clusters.clusters import CutOptions, write_clusters
    from mofmd.learning.clusters.force_matching import (
        Flagged,
        agreements,
        choose_shells,
        match_forces,
    )
    from mofmd.learning.clusters.matching_files import plot_matching, write_tables
    from mofmd.learning.data.validation import frame_name
    from mofmd.learning.label.labellers import find_labeller
    from mofmd.learning.label.labelling import LabelOptions, label_frames
    from mofmd.trajectory.frame import Frame

    found = read_all(frames)
    method = find_labeller(labeller, threads)
    known = reference_blocks(reference)
    flagged: list[Flagged] = []
    for k, frame in enumerate(found):
        try:
            blocks = find_blocks_of(Frame.from_ase(frame, step=k), known)
            which = find_flagged(frame, atoms, element, (column, above), every_block=every_block)
        except InputError as error:
            raise InputError(f"{frame_name(found, k)}: {error}") from error
        flagged.append(Flagged(frame, blocks, which))

    def label(each: Sequence[Atoms]) -> list[Atoms]:
        return label_frames(each, method, cache, LabelOptions(workers, False), typer.echo)

    options = CutOptions(largest, allow_images, parse_charges(charge))
    matched, refusals = match_forces(flagged, shells or [0, 1], label, options)
    for refusal in refusals:
        typer.echo(f"left out, core {refusal.signature}: {refusal.reason}")
    summary = agreements(matched)
    output.mkdir(parents=True, exist_ok=True)
    write_tables(output, summary, matched)
    write_clusters(output / "clusters.extxyz", [each.to_ase() for each in matched])
    save_figure(plot_matching(matched), output / "match")
    _tell(summary, matched)
    chosen = choose_shells(summary, tolerance)
    for each in summary:
        if chosen.get(each.signature) == each.shells:
            typer.echo(f"{each.signature}: {each.shells} shells agree to {tolerance:g} meV/Å")
    for signature in dict.fromkeys(each.signature for each in summary):
        if signature not in chosen:
            typer.echo(f"{signature}: no candidate agrees to {tolerance:g} meV/Å")
    if blueprints is not None:
        kept = tuple(
            Blueprint(each.signature, each.shells, each.atoms, each.clusters)
            for each in summary
            if chosen.get(each.signature) == each.shells
        )
        Blueprints(max(chosen.values(), default=1), kept).write(blueprints)


def _tell(summary: list[Agreement], matched: list[Matched]) -> None:
    typer.echo("shells  atoms  clusters  core     worst atom  mantle   core  (meV/Å)")
    for each in summary:
        elements = ", ".join(f"{name} {value:.1f}" for name, value in each.elements.items())
        typer.echo(
            f"{each.shells:6d}  {each.atoms:5d}  {each.clusters:8d}  {each.core:7.1f}  "
            f"{each.worst:10.1f}  {each.mantle:7.1f}  {each.signature}: {elements}"
        )
    typer.echo(f"{len(matched)} clusters compared")
