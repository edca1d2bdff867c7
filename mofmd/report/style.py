"""Style of all figures: colours, fonts, files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of the stages as in Fig. 5 of Castel et al., Digital Discovery 2024, 3, 355
STAGE_COLOURS = {
    "equilibrate": "#2e8b57",
    "heat": "#e34a33",
    "melt": "#fd8d3c",
    "quench": "#7f7f7f",
    "anneal": "#2171b5",
}
INK = "#222222"
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
        figure.savefig(stem.with_suffix(".png"), dpi=300)
        figure.savefig(stem.with_suffix(".svg"), metadata={"Date": None})


def moving_average(values: np.ndarray, window: int) -> np.ndarray:
    """Mean over a centred window of an odd number of values, shorter at the ends."""
    half = window // 2
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return np.asarray((total[high] - total[low]) / (high - low))
