"""Frames of dynamics as displacements of a supercell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.phonons.beside.structures import match_atoms
from mofmd.phonons.cells import make_phonopy, to_atoms
from mofmd.structures.symmetry import check_tolerance, symmetry_search
from mofmd.study.sources import find_runs
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import TrajectoryFile
from mofmd.units import BOLTZMANN_EV_PER_K, EV_PER_G_PER_MOL_TO_A2_PER_PS2

if TYPE_CHECKING:
    from phonopy import Phonopy

CELL_CHANGE = 1e-4  # of a cell that counts as fixed, relative
ANGLE_CHANGE = 0.03  # of a cosine
MOVED_MAX_A = 2.0
SYMMETRY_TOLERANCE_A = 1e-3


@dataclass(frozen=True)
class Snapshots:
    """Frames of a supercell; arrays are read-only.

    Parameters
    ----------
    phonopy
        Of the structure in the cell of the frames, without force constants.
    displacements_A
        (frames, atoms, 3) from its supercell, in the order of its atoms, without the drift.
    temperature_K
        Mean of the frames by their velocities, else of the run's log; None where neither tells.
    """

    phonopy: Phonopy
    displacements_A: np.ndarray
    temperature_K: float | None

    def __post_init__(self) -> None:
        """Make the array read-only."""
        freeze(self, "displacements_A")


def read_snapshots(
    source: Path,
    reference: Phonopy,
    frames: int,
    *,
    skip: float = 0.2,
    symmetry_tolerance_A: float = SYMMETRY_TOLERANCE_A,
) -> Snapshots:
    """Read frames of dynamics in a fixed cell, evenly spread.

    Parameters
    ----------
    source
        Directory of a run, of which the last stage counts, or a trajectory.
    reference
        Of the structure: its unit cell repeated is what the frames hold, atoms in any order.
    frames
        How many; fewer if there are fewer.
    skip
        Share of the frames that is left out at the start.
    symmetry_tolerance_A
        Within which the symmetry of the structure in the frames' cell is found.

    Raises
    ------
    InputError
        If the cell changes, the frames are not of this structure, or the tolerance makes no sense.
    """
    if not 0.0 <= skip < 1.0:
        raise InputError(f"skip: {skip}, expected a share from 0 to below 1")
    check_tolerance(symmetry_tolerance_A)
    if frames < 1:
        raise InputError(f"frames: {frames}, expected 1 or more")
    count = sum(1 for _ in _frames(source))
    first = int(skip * count)
    chosen = np.unique(
        np.linspace(first, count - 1, min(frames, count - first)).round().astype(int)
    )
    taken = [frame for k, frame in enumerate(_frames(source)) if k in set(chosen.tolist())]
    if not taken:
        raise InputError(f"{source}: has no frames")
    cells = np.array([frame.cell for frame in taken])
    mean = cells.mean(axis=0)
    change = float(np.abs(cells - mean).max() / np.linalg.norm(mean, axis=1).max())
    if change > CELL_CHANGE:
        raise InputError(
            f"{source}: the cell changes by {100 * change:.2g} %; force constants are of one cell: "
            "run nvt in the mean cell of the npt run"
        )
    phonopy = _in_cell(reference, mean, len(taken[0]), symmetry_tolerance_A, source)
    temperature = mean_temperature(taken)
    if temperature is None and source.is_dir():
        temperature = _logged_temperature(source)
    return Snapshots(phonopy, _displacements(phonopy, taken, mean, source), temperature)


def _frames(source: Path) -> Iterator[Frame]:
    runs = find_runs(source)
    if len(runs) != 1:
        raise InputError(f"{source}: holds {len(runs)} runs, expected one")
    window = runs[0].window(None)
    for frame in TrajectoryFile(runs[0].path):
        if window.after < frame.step <= window.last:
            yield frame


def _in_cell(
    reference: Phonopy, cell: np.ndarray, atoms: int, tolerance_A: float, source: Path
) -> Phonopy:
    """Repeat the unit cell until it is the frames' cell, whose lengths and angles it takes."""
    unit = reference.unitcell.copy()
    lengths = [np.linalg.norm(each, axis=1) for each in (unit.cell, cell)]
    numbers = np.maximum(1, np.rint(lengths[1] / lengths[0])).astype(int)
    units = [
        each / length[:, None] for each, length in zip((unit.cell, cell), lengths, strict=True)
    ]
    turned = np.abs(units[0] @ units[0].T - units[1] @ units[1].T).max()
    if turned > ANGLE_CHANGE or len(unit) * numbers.prod() != atoms:
        raise InputError(
            f"{source}: {atoms} atoms in a cell of {_words(lengths[1])} Å are no repetition of the "
            f"structure's {len(unit)} atoms in {_words(lengths[0])} Å along its axes"
        )
    fractional = unit.scaled_positions
    unit.cell = cell / numbers[:, None]
    unit.scaled_positions = fractional
    with symmetry_search(to_atoms(unit), tolerance_A):
        return make_phonopy(unit, np.diag(numbers), reference.primitive_matrix, tolerance_A)


def _displacements(
    phonopy: Phonopy, frames: list[Frame], cell: np.ndarray, source: Path
) -> np.ndarray:
    """(frames, atoms, 3) from the supercell, the nearest images, without the drift [Å]."""
    supercell = phonopy.supercell
    at = supercell.scaled_positions
    inverse = np.linalg.inv(cell)
    if sorted(frames[0].species) != sorted(supercell.symbols):
        raise InputError(f"{source}: its atoms are not those of the structure repeated")
    order, shift = match_atoms(
        at, frames[0].positions @ inverse, supercell.symbols, list(frames[0].species)
    )
    masses = supercell.masses / supercell.masses.sum()
    found = []
    for frame in frames:
        apart = (frame.positions @ inverse)[order] - at + shift
        apart -= np.rint(apart)
        u = apart @ cell
        found.append(u - masses @ u)
    farthest = max(float(np.linalg.norm(u, axis=1).max()) for u in found)
    if farthest > MOVED_MAX_A:
        raise InputError(
            f"{source}: an atom is {farthest:.2f} Å from its place in the structure: it hops, or "
            "the frames are of another structure; force constants are of atoms that stay"
        )
    return np.array(found)


def mean_temperature(frames: list[Frame]) -> float | None:
    """Mean temperature of frames by their velocities, centre of mass at rest [K]; None without."""
    found = []
    for frame in frames:
        if frame.velocities is None:
            return None
        masses = frame.species.masses
        energy = float((masses[:, None] * frame.velocities**2).sum())
        freedom = max(1, 3 * len(frame) - 3)
        found.append(energy / (freedom * BOLTZMANN_EV_PER_K * EV_PER_G_PER_MOL_TO_A2_PER_PS2))
    return float(np.mean(found))


def _logged_temperature(source: Path) -> float | None:
    stages = find_runs(source)[0].stages
    temperatures = stages[-1].columns.get("Temp") if stages else None
    return None if temperatures is None else float(np.mean(temperatures))


def _words(lengths: np.ndarray) -> str:
    return " × ".join(f"{each:.3f}" for each in lengths)
