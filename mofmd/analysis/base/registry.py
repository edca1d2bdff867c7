"""Observables by name: each says in its own file what it is called and how it is set up.

A new observable is one file in one of the folders of ``mofmd.analysis``, with a class derived from
``Observable`` and ``@observable("name", ...)`` above it. The command line, its help, the results
and the report then have it: the report shows the tables and numbers of its results under its title.

>>> @observable("volume", title="Volume", interval_ps=0.1, frames=200)  # doctest: +SKIP
... @dataclass(eq=False)
... class Volume(Observable): ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from mofmd import analysis
from mofmd.analysis.base.observable import Observable
from mofmd.analysis.option_text import Parser
from mofmd.analysis.span import Span
from mofmd.errors import InputError, choices
from mofmd.structures.frame import Frame
from mofmd.topology.metal_donors import MetalDonor, metal_donors

Options = Mapping[str, Any]
Made = TypeVar("Made", bound=Callable[..., Any])
LAST = 100  # place of an observable that does not say


@dataclass(frozen=True)
class Subject:
    """What is to be measured on, and how.

    Parameters
    ----------
    frame
        First frame.
    temperature_K
        Temperature, for potentials of mean force and elastic constants; None leaves the first out
        and makes the second an error.
    span
        Frames that will be analysed; None measures every one.
    intervals_ps
        Time between measured frames by the name of the observable, or under the name "" for all;
        zero measures every frame. Those that are not given are found.
    options
        Settings of observables by their names, besides what is found: ``{"pores": {"radii_A":
        {"Ce": 2.0}}}``.
    """

    frame: Frame
    temperature_K: float | None = None
    span: Span | None = None
    intervals_ps: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Options] = field(default_factory=dict)

    def interval_ps(self, entry: Entry) -> float | None:
        """Time between measured frames: what was asked for, or what suits the trajectory."""
        asked = self.intervals_ps.get(entry.name, self.intervals_ps.get(""))
        if asked is not None and self.frame.time_ps is None:
            raise InputError(
                f"{entry.name}: an interval in ps is set but the frames have no times; give the "
                "timestep (--timestep-fs)"
            )
        if self.span is None or self.span.length_ps is None:
            return asked or None
        if asked is None:
            asked = min(entry.interval_ps, self.span.length_ps / entry.frames)
        return self.span.whole_frames_ps(asked)

    def bonded(self) -> list[MetalDonor]:
        """Metals and the donors bonded to them."""
        try:
            return metal_donors(self.frame)
        except InputError as error:
            raise InputError(
                f"{error}; rdf, angles and coordination are set up by such bonds; choose elements: "
                "--set rdf.pairs=C-C, angles.triples=C-C-C, coordination.pairs=C-C"
            ) from None

    def bonded_pairs(self) -> list[tuple[str, str]]:
        """Metals and the donors bonded to them, as pairs of elements in alphabetical order."""
        return sorted((pair.metal, pair.donor) for pair in self.bonded())


@dataclass(frozen=True)
class Entry:
    """An observable as the command line and the report know it.

    Parameters
    ----------
    name
        Its name; the names of its results begin with ``results``.
    title
        Heading in the report, and what it is in one line.
    make
        Sets it up for a structure with the options given.
    interval_ps
        Longest time between measured frames [ps]; zero takes every frame.
    frames
        Measured frames that are wanted, however short the trajectory.
    options
        Name of each option and how its text is read.
    by_default
        Whether it is measured where none is named.
    place
        Order among the others, in lists and in the report.
    results
        First word of the names of its results.
    """

    name: str
    title: str
    make: Callable[[Subject, Options], Sequence[Observable]]
    interval_ps: float
    frames: int
    options: Mapping[str, Parser]
    by_default: bool
    place: int
    results: str


_ENTRIES: dict[str, Entry] = {}


def observable(  # noqa: PLR0913 - what an observable says of itself, all named
    name: str,
    *,
    title: str,
    interval_ps: float,
    frames: int,
    options: Mapping[str, Parser] | None = None,
    by_default: bool = False,
    place: int = LAST,
    results: str | None = None,
) -> Callable[[Made], Made]:
    """Register an observable: above its class, or above a function that sets it up.

    A class is set up with the options as its fields; a function is called with the ``Subject`` and
    the options and returns the observables. The other parameters are those of ``Entry``.
    """

    def register(made: Made) -> Made:
        def from_class(_: Subject, given: Options) -> Sequence[Observable]:
            return [made(**given)]

        _ENTRIES[name] = Entry(
            name,
            title,
            from_class if isinstance(made, type) else made,
            interval_ps,
            frames,
            options or {},
            by_default,
            place,
            results or name,
        )
        return made

    return register


def known_observables() -> dict[str, Entry]:
    """Observables by name, in their order: those of every module of ``mofmd.analysis``."""
    for module in pkgutil.walk_packages(analysis.__path__, f"{analysis.__name__}."):
        importlib.import_module(module.name)
    return {e.name: e for e in sorted(_ENTRIES.values(), key=lambda e: (e.place, e.name))}


def default_observables() -> tuple[str, ...]:
    """Names of the observables that are measured where none is named."""
    return tuple(name for name, entry in known_observables().items() if entry.by_default)


def find_observable(name: str, where: str) -> Entry:
    """Look an observable up.

    Parameters
    ----------
    name
        Its name.
    where
        Where it was named, for the error.

    Raises
    ------
    InputError
        If there is none of this name.
    """
    known = known_observables()
    if name not in known:
        raise InputError(f"{where}: {name!r} is unknown{choices(name, known)}")
    return known[name]
