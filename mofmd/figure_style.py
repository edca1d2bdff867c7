"""Style of all figures: colours, fonts, files."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.disk.atomic import write_atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours of the stages as in Fig. 5 of Castel et al., Digital Discovery 2024, 3, 355
STAGE_COLOURS = {
    "equilibrate": "#2e8b57",
    "heat": "#e34a33",
    "melt": "#fd8d3c",
    "quench": "#7f7f7f",
    "anneal": "#2171b5",
}
# of stages of other protocols
PROTOCOL_COLOURS = {"deform": "#fd8d3c", "sample": "#2171b5"}
INK = "#222222"
COLOURS = ("#2171b5", "#e6600a", "#2e8b57", "#7a0177", "#7f7f7f", "#b8860b", "#c2185b", "#00838f")
RED = "#e6000a"  # a line that stands out on a map
SIZE = (4.6, 3.0)
STYLE: dict[Any, Any] = {
    "font.size": 8,
    "font.family": "sans-serif",
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "mofmd",
}


def save_figure(figure: Figure, stem: Path) -> None:
    """Write a figure as ``stem.png`` (300 dpi) and ``stem.svg``, without dates."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        for suffix, options in ((".png", {"dpi": 300}), (".svg", {"metadata": {"Date": None}})):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=suffix[1:], **options)
            write_atomic(stem.with_suffix(suffix), buffer.getvalue())


def new_figure(size: tuple[float, float], panels: int = 1) -> tuple[Figure, list[Axes]]:
    """Make a figure in the house's style, panels below each other."""
    from matplotlib import rc_context

    with rc_context(STYLE):
        figure = empty_figure(size)
        axes = figure.subplots(panels, 1, squeeze=False, sharex=True)[:, 0]
    return figure, list(axes)


def empty_figure(size: tuple[float, float]) -> Figure:
    """Make a figure that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over a centred window of an odd number of values, shorter at the ends."""
    half = window // 2
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return np.asarray((total[high] - total[low]) / (high - low))
