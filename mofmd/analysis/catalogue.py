"""Observables by name, set up for a structure as the glass paper measures it.

The longest intervals between measured frames are those of Castel et al., Digital Discovery 2024, 3,
355, "Structural properties": 0.1 ps for RDF, angles and coordination, 0.5 ps for displacements,
1 ps for rings, 10 ps for pores. Of a short trajectory frames are measured more often: 200 of what
costs little, 50 of rings, 30 of pores, or all where there are fewer. Where frames have no times,
all are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mofmd.analysis.base.observable import Observable
from mofmd.analysis.base.registry import Subject, find_observable
from mofmd.analysis.one_pass import Refused
from mofmd.analysis.option_text import number
from mofmd.errors import InputError, choices


def make_observables(
    names: Sequence[str], subject: Subject, refused: Refused | None = None
) -> list[Observable]:
    """Set up observables by name.

    Parameters
    ----------
    names
        Names in ``known_observables``.
    subject
        What is to be measured on.
    refused
        Told of one that cannot be set up for the structure; None makes it an error.
    """
    chosen = {*filter(None, subject.intervals_ps), *subject.options}
    entries = {name: find_observable(name, "observables") for name in (*names, *chosen)}
    for name in chosen:
        if name not in names:
            raise InputError(
                f"{name}: has an interval or options, but is not among the observables "
                f"{', '.join(names)}"
            )
    found = []
    for name in names:
        try:
            made = entries[name].make(subject, subject.options.get(name, {}))
            interval_ps = subject.interval_ps(entries[name])
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
        if separator:
            find_observable(name, f"--interval {text}")
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
        options = find_observable(name, f"--set {text}").options
        if option not in options:
            known = choices(option, options)
            raise InputError(f"--set {text}: {name} has no option {option!r}{known}")
        found.setdefault(name, {})[option] = options[option](value.strip(), f"--set {text}")
    return found
