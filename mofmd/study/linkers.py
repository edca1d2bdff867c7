"""Linkers of the structure that a run starts from, and how many of them are whole in the end."""

from __future__ import annotations

from dataclasses import dataclass

from mofmd.analysis.structure.linkers import count_whole
from mofmd.structures.read import read_structure
from mofmd.study.sources import Run
from mofmd.topology.building_units import Linkers, find_linkers
from mofmd.trajectory.frame import Frame

STRUCTURE = "structure.data"


@dataclass(frozen=True)
class LinkerCount:
    """Linkers of a run.

    Parameters
    ----------
    total
        Of the structure that it starts from.
    intact
        Those of them that are whole in the last frame analysed.
    caps, caps_intact
        The same of caps, which are no linkers.
    """

    total: int
    intact: int
    caps: int = 0
    caps_intact: int = 0


def starting_linkers(run: Run, first: Frame) -> Linkers | None:
    """Find the linkers that a run must keep: those of its deck's structure.

    A later stage may begin with broken ones, which its own first frame would not tell. Of a file
    without a deck, and of a deck of other atoms, the first frame is all there is.

    Parameters
    ----------
    run
        The run, or a bare file.
    first
        First frame analysed.

    Returns
    -------
    Linkers or None
        None where the structure has no organic linkers.
    """
    start = first
    file = run.directory / STRUCTURE
    if run.manifest and file.is_file():
        found = Frame.from_ase(read_structure(file))
        if found.species == first.species:
            start = found
    linkers = find_linkers(start)
    return linkers if len(linkers) else None


def count_linkers(linkers: Linkers | None, last: Frame) -> LinkerCount | None:
    """Count the linkers that are whole in a frame; None where there are none."""
    if linkers is None:
        return None
    whole = count_whole(last, linkers)
    return LinkerCount(linkers.n_linkers, whole.linkers, linkers.n_caps, whole.caps)
