"""Vibrational density of states of dynamics beside that of phonons."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mofmd.analysis.dynamics.vacf import Vacf
from mofmd.analysis.one_pass import analyse
from mofmd.arrays import freeze
from mofmd.errors import InputError
from mofmd.figure_style import COLOURS, INK, SIZE, new_figure
from mofmd.phonons.beside.frequencies import dos_distance
from mofmd.phonons.page.figures import smooth
from mofmd.phonons.spectrum.mesh import Dos
from mofmd.study.sources import find_runs
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.raw_frame import ParsedFrame
from mofmd.trajectory.trajectory import RawFrame, TrajectoryFile, Unwrapped

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FREQUENCY, TOTAL = "frequency", "total"


@dataclass(frozen=True)
class DynamicsDos:
    """Density of states of a run beside that of phonons; arrays are read-only.

    Parameters
    ----------
    frequencies_THz
        (points,).
    total_per_THz, parts_per_THz
        (points,), (elements, points) states of dynamics, of a primitive cell: 3N in all.
    names
        Elements.
    phonons_per_THz
        (points,) states of the phonons at the same resolution.
    resolution_THz
        Of the dynamics: the inverse of the longest time of correlation.
    wasserstein_THz
        Wasserstein distance of both, each taken to one.
    wasserstein_to_THz
        The highest frequency that it counts; None: all.
    """

    frequencies_THz: np.ndarray
    total_per_THz: np.ndarray
    parts_per_THz: np.ndarray
    names: tuple[str, ...]
    phonons_per_THz: np.ndarray
    resolution_THz: float
    wasserstein_THz: float
    wasserstein_to_THz: float | None

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "frequencies_THz", "total_per_THz", "parts_per_THz", "phonons_per_THz")


def dynamics_dos(  # noqa: PLR0913 - one argument per part
    dos: Dos,
    atoms: int,
    source: Path,
    *,
    lag_max_ps: float | None = None,
    start_ps: float | None = None,
    top_THz: float | None = None,
) -> DynamicsDos:
    """Transform the velocities of a run, and set the states beside those of phonons.

    The states of dynamics are those of the observable ``vacf``, equally excited: the classical
    limit. Where frames have no velocities, these are the differences of positions over the time
    between frames Δ, and what that takes from a frequency f, sin²(πfΔ)/(πfΔ)², is given back.

    Parameters
    ----------
    dos
        Of phonons.
    atoms
        Of the primitive cell.
    source
        A run, or a trajectory.
    lag_max_ps
        Longest time of correlation; None: half the run.
    start_ps
        Frames count from here on; None: from the start of the last stage.
    top_THz
        Highest frequency that counts in the distance.

    Raises
    ------
    InputError
        If frames are too far apart for the highest frequency of the phonons.
    """
    frames = _Moving(source)
    (found,) = analyse(frames, [Vacf(lag_max_ps=lag_max_ps)], start_ps=start_ps or 0.0)
    columns = found.tables["vdos"].columns
    frequencies = columns[FREQUENCY].values
    names = tuple(name for name in columns if name not in (FREQUENCY, TOTAL))
    highest = float(dos.edges_THz[-1])
    if frequencies[-1] < highest:
        raise InputError(
            f"{source}: its frames are {500.0 / frequencies[-1]:.3g} fs apart, which folds back "
            f"frequencies above {frequencies[-1]:.3g} THz; phonons reach {highest:.3g} THz: write "
            f"frames every {500.0 / highest:.2g} fs or less"
        )
    width = float(frequencies[1] - frequencies[0])
    taken = np.ones_like(frequencies)
    if frames.differences:
        taken = np.sinc(0.5 * frequencies / frequencies[-1]) ** 2
    total = columns[TOTAL].values / taken
    scale = 3.0 * atoms / (total.sum() * width)
    resolution = 1.0 / float(found.settings["lag_max_ps"])
    centres, widened = smooth(dos, dos.total_per_THz, 0.5 * resolution)
    return DynamicsDos(
        frequencies,
        total * scale,
        np.array([columns[name].values for name in names]) / taken * scale,
        names,
        np.interp(frequencies, centres, widened, left=0.0, right=0.0),
        resolution,
        dos_distance(dos, np.stack([frequencies, total]), top_THz),
        top_THz,
    )


class _Moving:
    """Frames of the last stage of a run with velocities, of their own or of differences."""

    def __init__(self, source: Path) -> None:
        runs = find_runs(source)
        if len(runs) != 1:
            raise InputError(f"{source}: holds {len(runs)} runs, expected one")
        self._window = runs[0].window(None)
        timestep_fs = runs[0].protocol.get("timestep_fs")
        self._file = TrajectoryFile(runs[0].path, timestep_fs=timestep_fs)
        self.differences = self._file.first().velocities is None

    def raw_frames(self) -> Generator[RawFrame]:
        whole = self._file if self._file.first().unwrapped else Unwrapped(self._file)
        with closing(whole.raw_frames()) as frames:
            before: Frame | None = None
            for raw in frames:
                if not self._window.after < raw.step <= self._window.last:
                    continue
                if not self.differences:
                    yield raw
                    continue
                frame = raw.decode()
                if before is not None:
                    yield ParsedFrame(_between(before, frame))
                before = frame


def _between(first: Frame, second: Frame) -> Frame:
    if first.time_ps is None or second.time_ps is None:
        raise InputError("vdos: frames have neither velocities nor times")
    moved = second.positions - first.positions
    return replace(first, velocities=moved / (second.time_ps - first.time_ps))


def dynamics_figure(found: DynamicsDos, top_THz: float | None = None) -> Figure:
    """Draw both densities of states, and the elements of that of dynamics."""
    figure, (axes,) = new_figure(SIZE)
    x = found.frequencies_THz
    top = (
        float(x[found.phonons_per_THz > 0].max(initial=1.0)) * 1.05 if top_THz is None else top_THz
    )
    axes.plot(x, found.phonons_per_THz, color=INK, lw=0.9, label="phonons")
    axes.plot(x, found.total_per_THz, color=COLOURS[0], lw=0.9, label="dynamics")
    for k, name in enumerate(found.names if len(found.names) > 1 else ()):
        axes.plot(
            x, found.parts_per_THz[k], color=COLOURS[1 + k % 7], lw=0.6, label=f"{name}, dynamics"
        )
    shown = x <= top
    highest = max(found.phonons_per_THz[shown].max(), found.total_per_THz[shown].max())
    axes.set(
        xlim=(0.0, top),
        ylim=(0.0, 1.08 * float(highest)),
        xlabel="Frequency (THz)",
        ylabel="States (1/THz)",
    )
    axes.legend(fontsize=6, frameon=False)
    return figure
