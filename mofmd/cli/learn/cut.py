"""``mofmd learn cut``: surroundings of flagged atoms, cut out of frames as molecules."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mofmd.cli.defects import ChargeOptions, parse_charges
from mofmd.cli.learn.learn import Frames, Output, read_all
from mofmd.errors import InputError, RunError, counted

if TYPE_CHECKING:
    import numpy as np
    from ase import Atoms

    from mofmd.builders.blocks.blocks import Blocks
    from mofmd.learning.clusters.clusters import Refusal
    from mofmd.trajectory.frame import Frame

TOLD = 5

# which atoms are flagged
FlaggedAtoms = Annotated[str | None, typer.Option(help="Flagged atoms, from 1: 1,4-9.")]
FlaggedElements = Annotated[
    list[str] | None, typer.Option(help="Flag all atoms of an element; repeatable.")
]
FlaggedColumn = Annotated[
    str | None, typer.Option(help="Flag atoms by a column of the frames, such as a novelty.")
]
FlaggedAbove = Annotated[
    float | None, typer.Option(help="Flag atoms whose column is larger. [default: 0]")
]
EveryBlock = Annotated[bool, typer.Option("--every-block", help="Flag all atoms of the framework.")]


def cut(
    frames: Frames,
    output: Output,
    reference: Annotated[
        str | None,
        typer.Option(
            help="The frames' crystal or relaxed structure, which says what is bonded; by default "
            "each frame for itself."
        ),
    ] = None,
    atoms: FlaggedAtoms = None,
    element: FlaggedElements = None,
    column: FlaggedColumn = None,
    above: FlaggedAbove = None,
    every_block: EveryBlock = False,
    shells: Annotated[
        int, typer.Option(min=0, help="Shells of blocks around a core of a new kind.")
    ] = 1,
    largest: Annotated[int, typer.Option(min=1, help="Most atoms of a cluster.")] = 220,
    allow_images: Annotated[
        bool, typer.Option("--allow-images", help="A cluster may hold an atom in several images.")
    ] = False,
    blueprints: Annotated[
        Path | None, typer.Option(help="File of blueprints to use, and to add to.")
    ] = None,
    charge: ChargeOptions = None,
    leave_out_refused: Annotated[
        bool, typer.Option("--leave-out-refused", help="Go on without cores that cannot be cut.")
    ] = False,
) -> None:
    """Cut out the surroundings of atoms: core, mantle, hydrogen; neutral, closed shell.

    Examples
    --------
    mofmd learn cut sampled/frames.extxyz --atoms 1,4-9 -o clusters.extxyz
    """
    from mofmd.learning.clusters.blueprints import Blueprints
    from mofmd.learning.clusters.clusters import ClusterCutter, CutOptions, write_clusters
    from mofmd.learning.data.validation import frame_name
    from mofmd.trajectory.frame import Frame

    found = read_all(frames)
    known = (
        Blueprints.read(blueprints, shells)
        if blueprints is not None and blueprints.exists()
        else Blueprints(shells)
    )
    options = CutOptions(largest, allow_images, parse_charges(charge))
    blocks = reference_blocks(reference)
    made: list[Atoms] = []
    refused: list[str] = []
    for k, atoms_of_frame in enumerate(found):
        name = frame_name(found, k)
        try:
            frame = Frame.from_ase(atoms_of_frame, step=k)
            own = find_blocks_of(frame, blocks)
            flagged = find_flagged(
                atoms_of_frame, atoms, element, (column, above), every_block=every_block
            )
            cutter = ClusterCutter(own, options, known)
            clusters, refusals = cutter.cut(frame, flagged)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        for cluster in clusters:
            molecule = cluster.to_ase()
            molecule.info["trajectory"] = atoms_of_frame.info["trajectory"]
            molecule.info["frame"] = k
            made.append(molecule)
        refused += [_told(name, refusal) for refusal in refusals]
    if refused:
        _tell_refused(refused, leave_out=leave_out_refused)
    if not made:
        raise InputError("frames: no atom is flagged, so that there is nothing to cut out")
    write_clusters(output, made)
    if blueprints is not None:
        known.write(blueprints)
    for each in known:
        typer.echo(
            f"{each.signature}: {counted(each.shells, 'shell')}, {each.atoms} atoms; "
            f"{counted(each.clusters, 'cluster')}"
        )
    typer.echo(f"{output}: {len(made)} clusters of {len(found)} frames")


def reference_blocks(reference: str | None) -> Blocks | None:
    """Find the blocks of a reference structure, where there is one."""
    if reference is None:
        return None

    from mofmd.builders.blocks.blocks import find_blocks
    from mofmd.structures.read import read_structure

    return find_blocks(read_structure(reference))


def find_blocks_of(frame: Frame, reference: Blocks | None) -> Blocks:
    """Give the blocks of the reference, or find those of a frame itself."""
    from mofmd.builders.blocks.blocks import find_blocks

    if reference is not None:
        return reference
    try:
        return find_blocks(frame)
    except InputError as error:
        raise InputError(
            f"{error}. If this is a frame of dynamics, name the structure that it began with "
            "(--reference)"
        ) from error


def find_flagged(
    frame: Atoms,
    atoms: str | None,
    elements: Sequence[str] | None,
    column: tuple[str | None, float | None],
    *,
    every_block: bool,
) -> np.ndarray:
    """Find the flagged atoms of a frame."""
    import numpy as np

    name, above = column
    ways = [atoms is not None, bool(elements), name is not None, every_block]
    if sum(ways) != 1:
        raise InputError(
            "flags: name atoms in one way: --atoms, --element, --column or --every-block"
        )
    if above is not None and name is None:
        raise InputError("above: is a value of a column; name it (--column novelty)")
    if atoms is not None:
        return _numbers(atoms, len(frame))
    if elements:
        absent = [each for each in elements if each not in set(frame.symbols)]
        if absent:
            raise InputError(f"element: the frame holds no {absent[0]}")
        return np.flatnonzero(np.isin(np.array(frame.get_chemical_symbols()), elements))
    if name is not None:
        values = frame.arrays.get(name)
        if values is None or values.ndim != 1 or values.dtype.kind not in "bif":
            raise InputError(f"column: the frame has no column {name!r} of one number an atom")
        if np.isnan(values).any():  # infinite is the novelty of an element never seen
            raise InputError(f"column: {name} has values that are not numbers")
        return np.flatnonzero(values > (above or 0.0))
    return np.arange(len(frame))


def _numbers(text: str, n_atoms: int) -> np.ndarray:
    """Read 1,4-9 as indices from zero."""
    import numpy as np

    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdigit() or (dash and not last.isdigit()):
            raise InputError(f"atoms: {part!r}, expected numbers from 1: 1,4-9")
        begin, end = int(first), int(last or first)
        if not 1 <= begin <= end <= n_atoms:
            raise InputError(f"atoms: {part.strip()}, expected numbers from 1 to {n_atoms}")
        found += range(begin - 1, end)
    return np.unique(found)


def _told(name: str, refusal: Refusal) -> str:
    return f"{name}, core {refusal.signature}: {refusal.reason}"


def _tell_refused(refused: list[str], *, leave_out: bool) -> None:
    if not leave_out:
        more = f"; and {len(refused) - TOLD} more" if len(refused) > TOLD else ""
        raise RunError(
            f"{len(refused)} clusters cannot be cut: {'; '.join(refused[:TOLD])}{more}. Mend that, "
            "or leave them out (--leave-out-refused)"
        )
    for line in refused:
        typer.echo(f"left out, {line}")
