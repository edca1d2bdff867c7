"""Reference of observables: settings from the catalogue, results from a measurement of ZIF-4."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import text
from ase import Atoms
from ase.build import molecule
from scipy.spatial import cKDTree

from mofmd.analysis.base.observable import Observable
from mofmd.analysis.base.registry import Entry, Subject, known_observables
from mofmd.analysis.base.result import Result
from mofmd.analysis.catalogue import make_observables
from mofmd.analysis.one_pass import analyse
from mofmd.errors import InputError
from mofmd.structures.crystals.zif import zif4
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.raw_frame import ParsedFrame

FRAMES = 24
SEED = 1
CHOSEN = "what is measured; by default the metals of the structure and the donors bonded to them"
# two frames show all that these find
CHEAP = (
    "rdf",
    "angles",
    "coordination",
    "density",
    "integrity",
    "rings",
    "king",
    "pores",
    "scattering",
)


class Rattled:
    """A few frames of ZIF-4 with displaced atoms: they have every column that a result can have."""

    def __init__(self, structure: Atoms) -> None:
        rng = np.random.default_rng(SEED)
        start = Frame.from_ase(structure, unwrapped=True)
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
    try:
        made, results = _measure(name, zif4())
    except InputError:  # it is of guests, which the crystal lacks
        made, results = _measure(name, _with_methane(zif4()))
    kind = type(made)
    by_default = " Measured by default." if entry.by_default else ""
    parts = [f"(observable-{name})=\n## {name}", f"{text.prose(kind)}{by_default}"]
    parts.append(
        f"Python: {{py:class}}`~{kind.__module__}.{kind.__qualname__}`. {_interval(entry)}"
    )
    if entry.options:
        parts.append(_settings(name, entry, made))
    return "\n\n".join([*parts, *_results(results)])


def _measure(name: str, structure: Atoms) -> tuple[Observable, list[Result]]:
    """Set an observable up for a structure as the command line does, and measure some frames."""
    trajectory = Rattled(structure)
    options: dict[str, dict[str, Any]] = {name: {}}
    if name == "pores":  # coarse: only names and units are of interest
        options[name] = {"spacing_A": 0.5}
    subject = Subject(trajectory.frames[0], temperature_K=300.0, options=options)
    made = make_observables([name], subject)[0]
    if name in CHEAP:
        trajectory.frames = trajectory.frames[:2]
    return made, analyse(trajectory, [made])


def _with_methane(crystal: Atoms) -> Atoms:
    """Put a methane molecule where the crystal has most room."""
    axes = [np.arange(0, 1, 1 / 24)] * 3
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    atoms = crystal.copy()
    tree = cKDTree(atoms.repeat(3).positions - atoms.cell.array.sum(axis=0))
    points = grid @ atoms.cell.array
    guest = molecule("CH4")
    guest.translate(points[tree.query(points)[0].argmax()] - guest.positions[0])
    return atoms + guest


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
            meanings.get(option, CHOSEN),
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
