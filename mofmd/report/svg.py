"""Figures as SVG within a page, in the colours of a light or a dark one."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

from mofmd.figure_style import INK, STYLE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLACK = ("#000000", "black")  # of what the style leaves to matplotlib
# Colours that are hard to see on a dark page, and what stands for them there
ON_DARK = {
    "#2171b5": "#5aa9e6",
    "#e6600a": "#ff8f4a",
    "#2e8b57": "#4fc287",
    "#7a0177": "#d17ad0",
    "#7f7f7f": "#a9b0b8",
    "#b8860b": "#dcae4a",
    "#c2185b": "#f06a9b",
    "#00838f": "#4fb8c4",
    "#e34a33": "#ff7a66",
    "#fd8d3c": "#ffa45e",
}


def figure_svg(figure: Figure) -> str:
    """Text of a figure as SVG for a page: transparent, its colours as variables of the page.

    The variables are ``--ink`` and those of ``colour_variables``, whose light values are the
    figure's own.
    """
    from matplotlib import rc_context

    buffer = io.StringIO()
    with rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    # a style sheet within would hold for the whole page
    text = re.sub(r"<style type=\"text/css\">.*?</style>", "", text, flags=re.DOTALL)
    for colour in (INK, *BLACK):
        text = re.sub(rf"(fill|stroke): {colour}\b", r"\1: var(--ink)", text)
    for colour in ON_DARK:
        text = re.sub(rf"(fill|stroke): {colour}\b", rf"\1: var(--{_name(colour)}, {colour})", text)
    return text


def colour_variables() -> str:
    """Style of a dark page: what stands there for the colours of figures."""
    return "".join(f"--{_name(light)}:{dark};" for light, dark in ON_DARK.items())


def _name(colour: str) -> str:
    return f"c-{colour[1:]}"
