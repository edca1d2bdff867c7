"""Reference of observables: settings from the catalogue, results from a measurement of ZIF-4."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import text

from mofmd.analysis.base.observable import Observable
from mofmd.analysis.base.registry import Entry, Subject, known_observables
from mofmd.analysis.base.result import Result
from mofmd.analysis.catalogue import make_observables
from mofmd.analysis.one_pass import analyse
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
from mofmd.trajectory.raw_frame import ParsedFrame

FRAMES = 24
SEED = 1


class Rattled:
    """A few frames of ZIF-4 with displaced atoms: they have every column that a result can have."""

    def __init__(self) -> None:
        rng = np.random.default_rng(SEED)
        start = Frame.from_ase(zif4(), unwrapped=True)
        shape = start.positions.shape
        strains = np.eye(3) + rng.normal(0, 0.002, (FRAMES, 3, 3))
        self.frames = [
            Frame(
                step=k,
                species=start.species,
                positions=start.positions + rng.normal(0, 0.05, shape),
                cell=start.cell @ strains[k],
                time_ps=0.01 * k,
                velocities=rng.normal(0, 5, shape),
            )
            for k in range(FRAMES)
        ]

    def __iter__(self) -> Iterator[Frame]:
        """Go through the frames."""
        return iter(self.frames)

    def raw_frames(self) -> Iterator[ParsedFrame]:
        """Frames as an analysis takes them."""
        return (ParsedFrame(frame) for frame in self.frames)


def page() -> str:
    """Write the reference of all observables."""
    return "\n\n".join(section(name, entry) for name, entry in known_observables().items())


def section(name: str, entry: Entry) -> str:
    """Write the reference of one observable, with what a measurement of it gives."""
    trajectory = Rattled()
    options: dict[str, dict[str, Any]] = {name: {}}
    if name == "pores":  # coarse: only names and units are of interest
        options[name] = {"spacing_A": 0.5}
    subject = Subject(trajectory.frames[0], temperature_K=300.0, options=options)
    made = make_observables([name], subject)
    kind = type(made[0])
    by_default = " Measured by default." if entry.by_default else ""
    parts = [f"(observable-{name})=\n## {name}", f"{text.prose(kind)}{by_default}"]
    parts.append(
        f"Python: {{py:class}}`~{kind.__module__}.{kind.__qualname__}`. {_interval(entry)}"
    )
    if entry.options:
        parts.append(_settings(name, entry, made[0]))
    trajectory.frames = trajectory.frames[: FRAMES if name in ("vacf", "msd", "elasticity") else 2]
    parts += _results(analyse(trajectory, made[:1]))
    return "\n\n".join(parts)


def _interval(entry: Entry) -> str:
    if not entry.interval_ps:
        return "Every frame is measured."
    return (
        f"A frame is measured each {entry.interval_ps:g} ps, or more often: at least "
        f"{entry.frames} frames of a trajectory that has so many."
    )


def _settings(name: str, entry: Entry, observable: Observable) -> str:
    meanings = text.parameters(type(observable))
    defaults = {each.name: each.default for each in fields(observable)}  # type: ignore[arg-type]
    rows = [
        (
            text.code(f"{name}.{option}"),
            text.summary(parser).removeprefix("Read "),
            _default(defaults.get(option)),
            meanings.get(option, ""),
        )
        for option, parser in entry.options.items()
    ]
    return text.table(("`--set`", "takes", "default", "meaning"), rows)


def _default(value: Any) -> str:
    return text.code(f"{value:g}" if isinstance(value, float) else value) if _plain(value) else ""


def _plain(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


def _results(results: list[Result]) -> list[str]:
    parts = []
    for result in results:
        parts.append(f"Result `{result.name}`: {text.markdown(result.definition)}")
        if result.scalars:
            rows = [(text.code(name), each.unit) for name, each in result.scalars.items()]
            parts.append(text.table(("number", "unit"), rows))
        if result.tables:
            columns = {
                name: ", ".join(
                    f"`{column}`" + (f" ({each.unit})" if each.unit else "")
                    for column, each in found.columns.items()
                )
                for name, found in result.tables.items()
            }
            rows = [(text.code(name), result.tables[name].title, columns[name]) for name in columns]
            parts.append(text.table(("table", "what", "columns (unit)"), rows))
    return parts
