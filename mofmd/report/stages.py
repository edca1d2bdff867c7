"""The temperature of a run against time, its stages in colours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from mofmd.engine.lammps_log import ThermoTable, join_stages
from mofmd.figure_style import (
    COLOURS,
    PROTOCOL_COLOURS,
    SIZE,
    STAGE_COLOURS,
    moving_average,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMOOTHING_PS = 0.025  # Fig. 5 of Castel et al., Digital Discovery 2024, 3, 355


def is_dynamics(table: ThermoTable) -> bool:
    """Whether a stage has temperatures at times."""
    return (
        table.stage != "minimise"
        and {"Time", "Temp"} <= table.columns.keys()
        and len(table.columns["Time"]) > 0
    )


def plot_temperature(members: Mapping[str, Sequence[ThermoTable]]) -> Figure:
    """Draw temperature against time, as in the glass paper's Fig. 5.

    One line runs through all stages of a run, whatever parts it was cut into. Of one run the values
    stand behind their moving average; of several only the averages are drawn.

    Parameters
    ----------
    members
        Thermo output of each run, by its name; at least one with dynamics.
    """
    figure, (axes,) = new_figure((2 * SIZE[0], 2.9))
    runs = [[t for t in tables if is_dynamics(t)] for tables in members.values()]
    runs = [tables for tables in runs if tables]
    kinds = list(dict.fromkeys(_kind(table.stage) for tables in runs for table in tables))
    colours = _colours(kinds)
    alone = len(runs) == 1
    for tables in runs:
        columns = join_stages(tables, ("Step", "Time", "Temp"))
        time, raw = columns["Time"], columns["Temp"]
        spacing = (time[-1] - time[0]) / max(1, len(time) - 1)
        window = 1 + 2 * round(SMOOTHING_PS / spacing / 2) if spacing > 0 else 1
        smooth = moving_average(raw, window)
        # the last value of a stage is the first of the next one
        ends = [int(np.searchsorted(columns["Step"], t.columns["Step"][-1])) for t in tables]
        for table, (begin, end) in zip(tables, pairwise([0, *ends]), strict=True):
            part = slice(begin, end + 1)
            colour = colours[_kind(table.stage)]
            if alone:
                axes.plot(time[part], raw[part], color=colour, alpha=0.25, linewidth=0.6)
            axes.plot(
                time[part],
                smooth[part],
                color=colour,
                linewidth=1.2 if alone else 0.9,
                alpha=1.0 if alone else max(0.25, 0.9 / len(runs) ** 0.5),
            )
    for kind in kinds:
        axes.plot([], [], color=colours[kind], label=kind)
    axes.set(xlabel="Time (ps)", ylabel="Temperature (K)")
    axes.set_ylim(bottom=0)
    axes.margins(x=0.01)
    if len(kinds) > 1:
        figure.legend(ncols=min(6, len(kinds)), loc="outside upper center", frameon=False)
    return figure


def _kind(stage: str) -> str:
    """Kind of a stage: sample_1, sample_2, ... are of one, as are heat and heat_hot."""
    return re.sub(r"(_hot|_\d+)$", "", stage) or "run"


def _colours(kinds: Sequence[str]) -> dict[str, str]:
    """Colours of the paper's stages, and others for those that it has not."""
    known = {**PROTOCOL_COLOURS, **STAGE_COLOURS}
    spare = [colour for colour in COLOURS if colour not in {known.get(kind) for kind in kinds}]
    others = [kind for kind in kinds if kind not in known]
    found = {kind: spare[k % len(spare)] for k, kind in enumerate(others)}
    return {kind: known.get(kind) or found[kind] for kind in kinds}
