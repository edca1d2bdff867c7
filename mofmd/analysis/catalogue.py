"""Observables by name, set up for a structure as the glass paper measures it.

The longest intervals between measured frames are those of Castel et al., Digital Discovery 2024, 3,
355, "Structural properties": 0.1 ps for RDF, angles and coordination, 0.5 ps for displacements,
1 ps for rings, 10 ps for pores. Of a short trajectory frames are measured more often: 200 of what
costs little, 50 of rings, 30 of pores, or all where there are fewer. Where frames have no times,
all are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from mofmd.analysis.base.observable import Observable
from mofmd.analysis.dynamics.msd import Msd
from mofmd.analysis.dynamics.vacf import Vacf
from mofmd.analysis.mechanics.strain_fluctuation import StrainFluctuation
from mofmd.analysis.one_pass import Refused
from mofmd.analysis.option_text import (
    Parser,
    flag,
    limits,
    number,
    numbers_by_element,
    numbers_by_pair,
    pairs,
    triples,
    two_numbers,
    whole_number,
    words,
)
from mofmd.analysis.pores.pores import PoreStatistics
from mofmd.analysis.span import Span
from mofmd.analysis.structure.angles import BondAngles
from mofmd.analysis.structure.coordination import CoordinationNumber
from mofmd.analysis.structure.density import Density
from mofmd.analysis.structure.linkers import Integrity
from mofmd.analysis.structure.rdf import Rdf
from mofmd.analysis.structure.rings import Rings
from mofmd.analysis.structure.scattering import Scattering
from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.topology.metal_donors import MetalDonor, longest_bond_A, metal_donors

RDF_MAX_A = 10.0
RDF_BIN_A = 0.05
Options = Mapping[str, Any]


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

    def interval_ps(self, name: str) -> float | None:
        """Time between measured frames: what was asked for, or what suits the trajectory."""
        entry = CATALOGUE[name]
        asked = self.intervals_ps.get(name, self.intervals_ps.get(""))
        if asked is not None and self.frame.time_ps is None:
            raise InputError(
                f"{name}: an interval in ps is set but the frames have no times; give the timestep "
                "(--timestep-fs)"
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


@dataclass(frozen=True)
class Entry:
    """An observable of the catalogue.

    Parameters
    ----------
    make
        Sets it up for a structure with the options given.
    interval_ps
        Longest time between measured frames [ps].
    frames
        Measured frames that are wanted, however short the trajectory.
    options
        Name of each option and how its text is read.
    """

    make: Callable[[Subject, Options], Sequence[Observable]]
    interval_ps: float
    frames: int
    options: Mapping[str, Parser]


def _rdf(subject: Subject, options: Options) -> Sequence[Observable]:
    chosen = options.get("pairs")
    if chosen is None:
        bonded = sorted((pair.metal, pair.donor) for pair in subject.bonded())
        metals = sorted({metal for metal, _ in bonded})
        chosen = bonded + [(a, b) for a, b in product(metals, metals) if a <= b]
    own = {
        "r_max_A": RDF_MAX_A,
        "bin_width_A": RDF_BIN_A,
        "temperature_K": subject.temperature_K,
        "shrink": True,
        **{name: value for name, value in options.items() if name != "pairs"},
    }
    return [Rdf(a, b, **own) for a, b in chosen]


def _angles(subject: Subject, options: Options) -> Sequence[Observable]:
    chosen = options.get("triples")
    if chosen is None:
        bonded = sorted((pair.metal, pair.donor) for pair in subject.bonded())
        chosen = [(donor, metal, donor) for metal, donor in bonded]
    return [
        BondAngles(
            first,
            centre,
            last,
            max(_cutoff_A(options, centre, first), _cutoff_A(options, centre, last)),
            options.get("bin_width_deg", 1.0),
            subject.temperature_K,
        )
        for first, centre, last in chosen
    ]


def _coordination(subject: Subject, options: Options) -> Sequence[Observable]:
    chosen = options.get("pairs")
    if chosen is None:
        chosen = sorted((pair.metal, pair.donor) for pair in subject.bonded())
    return [CoordinationNumber(a, b, _cutoff_A(options, a, b)) for a, b in chosen]


def _cutoff_A(options: Options, first: str, second: str) -> float:
    """Longest bond of a pair: the one given for it or for all, or the usual one."""
    given: Mapping[tuple[str, str] | None, float] = options.get("cutoff_A", {})
    for pair in ((first, second), (second, first), None):
        if pair in given:
            return given[pair]
    return longest_bond_A(first, second)


def _elasticity(subject: Subject, options: Options) -> Sequence[Observable]:
    if subject.temperature_K is None:
        raise InputError("elasticity: needs the temperature; give --temperature in K")
    return [StrainFluctuation(temperature_K=subject.temperature_K, **options)]


RINGS: Mapping[str, Parser] = {"depth": whole_number, "metal_cutoffs_A": numbers_by_pair}
CATALOGUE: Mapping[str, Entry] = {
    "rdf": Entry(
        _rdf,
        0.1,
        200,
        {"pairs": pairs, "r_max_A": number, "bin_width_A": number, "beyond_half_cell": flag},
    ),
    "angles": Entry(
        _angles, 0.1, 200, {"triples": triples, "cutoff_A": limits, "bin_width_deg": number}
    ),
    "coordination": Entry(_coordination, 0.1, 200, {"pairs": pairs, "cutoff_A": limits}),
    "density": Entry(lambda _, options: [Density(**options)], 0.1, 200, {}),
    "integrity": Entry(
        lambda _, options: [Integrity(**options)], 0.1, 200, {"broken_factor": number}
    ),
    "msd": Entry(
        lambda _, options: [Msd(**options)],
        0.5,
        200,
        {"elements": words, "fit": two_numbers, "memory_max_GB": number},
    ),
    "rings": Entry(lambda _, options: [Rings(**options)], 1.0, 50, RINGS),
    "king": Entry(lambda _, options: [Rings(kind="king", **options)], 1.0, 50, RINGS),
    "pores": Entry(
        lambda _, options: [PoreStatistics(**options)],
        10.0,
        30,
        {
            "probe_radius_A": number,
            "spacing_A": number,
            "radii_A": numbers_by_element,
            "surface": flag,
        },
    ),
    "scattering": Entry(
        lambda _, options: [Scattering(**options)],
        1.0,
        50,
        {"r_max_A": number, "bin_width_A": number, "q_max_per_A": number},
    ),
    "elasticity": Entry(_elasticity, 0.0, 1, {}),
    "vacf": Entry(
        lambda _, options: [Vacf(**options)],
        0.0,
        1,
        {"lag_max_ps": number, "memory_max_GB": number},
    ),
}
DEFAULT = ("rdf", "angles", "coordination", "density", "integrity", "rings", "pores")


def make_observables(
    names: Sequence[str], subject: Subject, refused: Refused | None = None
) -> list[Observable]:
    """Set up observables by name.

    Parameters
    ----------
    names
        Names in ``CATALOGUE``.
    subject
        What is to be measured on.
    refused
        Told of one that cannot be set up for the structure; None makes it an error.
    """
    for name in (*names, *filter(None, subject.intervals_ps), *subject.options):
        if name not in CATALOGUE:
            raise InputError(f"observables: {name!r} is unknown; there are {', '.join(CATALOGUE)}")
    for name in (*filter(None, subject.intervals_ps), *subject.options):
        if name not in names:
            raise InputError(
                f"{name}: has an interval or options, but is not among the observables "
                f"{', '.join(names)}"
            )
    found = []
    for name in names:
        try:
            made = CATALOGUE[name].make(subject, subject.options.get(name, {}))
            interval_ps = subject.interval_ps(name)
        except InputError as error:
            if refused is None:
                raise
            refused(name, error)
        else:
            found += [observable.fresh(interval_ps=interval_ps) for observable in made]
    return found


def read_intervals(texts: Sequence[str]) -> dict[str, float]:
    """Read times between measured frames: ``0.5`` for all observables, ``rings=1`` for one [ps].

    Returns
    -------
    dict
        As ``Subject.intervals_ps`` has them.
    """
    found = {}
    for text in texts:
        name, separator, value = text.rpartition("=")
        if separator and name not in CATALOGUE:
            raise InputError(
                f"--interval {text}: {name!r} is unknown; there are {', '.join(CATALOGUE)}"
            )
        found[name] = number(value, f"--interval {text}")
        if found[name] < 0:
            raise InputError(f"--interval {text}: expected a time in ps, or 0 for every frame")
    return found


def read_options(texts: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read settings of observables, such as ``pores.radii_A=Ce:2.0``.

    Returns
    -------
    dict
        As ``Subject.options`` has them.
    """
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        what, separator, value = text.partition("=")
        name, dot, option = what.strip().partition(".")
        if not separator or not dot:
            raise InputError(f"--set {text}: expected OBSERVABLE.OPTION=VALUE")
        if name not in CATALOGUE:
            raise InputError(f"--set {text}: {name!r} is unknown; there are {', '.join(CATALOGUE)}")
        options = CATALOGUE[name].options
        if option not in options:
            there = ", ".join(options) or "none"
            raise InputError(f"--set {text}: {name} has no option {option!r}; there are {there}")
        found.setdefault(name, {})[option] = options[option](value.strip(), f"--set {text}")
    return found
