"""Whether a study came to its end, whole and in equilibrium: what a reader asks first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from mofmd.analysis.base.statistics import INDEPENDENT_MIN, mean_of_series, sample
from mofmd.engine.lammps_log import ThermoTable, join_stages
from mofmd.study.study import Analysis, Member

Answer = Literal["yes", "no", "unknown", "none"]
WORST: Sequence[Answer] = ("no", "unknown", "yes", "none")  # first counts
DRIFT_ERRORS = 3.0  # halves that differ by more standard errors are not of one equilibrium
CUT_MAX = 0.5  # of a series, to equilibrate: beyond that it is taken to drift
NAMES_MAX = 3
# what is held fixed says nothing: of these the series that vary are looked at
THERMO: Mapping[str, str] = {"PotEng": "potential energy", "Volume": "volume"}
GRIDS: Mapping[str, tuple[str, str]] = {
    "FiniteStrain": ("Press", "pressure"),
    "VolumeGrid": ("Press", "pressure"),
    "PressureGrid": ("Volume", "volume"),
}
RELAXED = ("EnergyVolume", "Elastic", "Minimise")


@dataclass(frozen=True)
class Verdict:
    """An answer to one question.

    Parameters
    ----------
    question
        One word: Finished, Intact, Equilibrated.
    answer
        ``yes``, ``no``, ``unknown`` (nothing tells, or too little was run), or ``none`` (the
        question does not arise).
    text
        Why, in a sentence.
    """

    question: str
    answer: Answer
    text: str


def verdicts(analysis: Analysis) -> tuple[Verdict, Verdict, Verdict]:
    """Say whether the runs finished, whether their linkers are whole, and whether they settled."""
    return finished(analysis), intact(analysis), equilibrated(analysis)


def finished(analysis: Analysis) -> Verdict:
    """Say whether every run came to its end."""
    question = "Finished"
    member = analysis.members[0]
    unfinished = analysis.about.get("unfinished", {})
    if "members_left_out" not in analysis.about:
        if not member.manifest:
            return Verdict(question, "none", "A file: no run stands behind it.")
        if unfinished:
            return Verdict(question, "no", f"{_sentence(next(iter(unfinished.values())))}")
        return Verdict(question, "yes", f"The run came to its end{_length(member)}.")
    names = {m.name for m in (*analysis.members, *analysis.apart)} | set(unfinished)
    names |= set(analysis.about["members_left_out"])
    done = len(names) - len(unfinished)
    text = f"{done} of {len(names)} members came to their end"
    if not unfinished:
        return Verdict(question, "yes", f"All {len(names)} members came to their end.")
    return Verdict(question, "no", f"{text}; {_named(unfinished)}")


def intact(analysis: Analysis) -> Verdict:
    """Say whether the linkers of the starting structure are whole in the last frame."""
    question = "Intact"
    counts = {m.name: m.linkers for m in analysis.members if m.linkers is not None}
    if not counts:
        return Verdict(question, "none", "No organic linkers in the structure.")
    total = sum(count.total for count in counts.values())
    if all(member.frames == 1 and not member.manifest for member in analysis.members):
        return Verdict(question, "none", f"{total} linkers; one structure tells of no change.")
    whole = sum(count.intact for count in counts.values())
    where = "in the last frame" if len(counts) == 1 else f"in the last frames of {len(counts)} runs"
    text = f"{whole} of {total} linkers are whole {where}"
    fewest = [
        result.scalars["intact, fewest"].value
        for member in analysis.members
        for result in member.results
        if "intact, fewest" in result.scalars
    ]
    least = total // len(counts)
    if whole == total and fewest and min(fewest) < least:
        text += f"; {min(fewest):.0f} of {least} in the worst frame, where bonds were stretched"
    return Verdict(question, "yes" if whole == total else "no", f"{text}.")


def equilibrated(analysis: Analysis) -> Verdict:
    """Say whether what was measured is of an equilibrium, by the series of each run."""
    question = "Equilibrated"
    found = {member.name: _settled(member) for member in analysis.members}
    if len(found) == 1:
        answer, text = next(iter(found.values()))
        return Verdict(question, answer, _sentence(text))
    worst = next(a for a in WORST if any(answer == a for answer, _ in found.values()))
    if worst in ("yes", "none"):
        return Verdict(question, worst, f"All {len(found)} members: {found[next(iter(found))][1]}.")
    bad = {name: text for name, (answer, text) in found.items() if answer == worst}
    text = f"{len(bad)} of {len(found)} members: {next(iter(bad.values()))}"
    return Verdict(question, worst, _sentence(text))


def _settled(member: Member) -> tuple[Answer, str]:
    """Judge one run."""
    protocol = str(member.manifest.get("protocol", {}).get("name", ""))
    if protocol in RELAXED:
        return "none", "relaxed structures, no dynamics"
    series = list(_thermo_series(member, protocol)) or list(_result_series(member))
    series = [(what, values) for what, values in series if len(values) > 1]
    if not series and member.frames > 1:
        return "unknown", "nothing that was measured varies"
    if not series:
        return "none", "a single structure, no dynamics"
    judged = [(_judge(values), what) for what, values in series]
    worst = next(a for a in WORST if any(answer == a for (answer, _), _ in judged))
    reasons = [(what, reason) for (answer, reason), what in judged if answer == worst]
    whats = _list([what for what, _ in reasons])
    if worst == "yes":
        return worst, f"{whats} steady, worth {_least(series)} independent samples"
    # of several that are too short the shortest tells
    return worst, f"{whats}: {reasons[0][1]}"


def _judge(values: np.ndarray) -> tuple[Answer, str]:
    """Whether a series is of one equilibrium, and if not why."""
    found = sample(values)
    used = values[found.cut :]
    if found.cut > CUT_MAX * len(values):
        return "no", f"still changed during {found.cut / len(values):.0%} of what was measured"
    if found.independent < INDEPENDENT_MIN:
        return (
            "unknown",
            f"worth {found.independent:.1f} independent samples, {INDEPENDENT_MIN} are wanted; "
            "run longer",
        )
    middle = len(used) // 2
    first, second = (mean_of_series(h, sample(h, 0)) for h in (used[:middle], used[middle:]))
    error = float(np.hypot(first.standard_error, second.standard_error))
    apart = abs(second.value - first.value)
    if apart > DRIFT_ERRORS * error and error > 0:
        return "no", f"drifts: its two halves differ by {apart / error:.1f} standard errors"
    return "yes", ""


def _least(series: Iterable[tuple[str, np.ndarray]]) -> str:
    return f"{min(sample(values).independent for _, values in series):.0f}"


def _thermo_series(member: Member, protocol: str) -> Iterable[tuple[str, np.ndarray]]:
    """Series of the log: of what was measured, or of each point of a grid."""
    tables = [t for t in member.thermo if t.stage != "minimise" and len(t.columns["Step"]) > 1]
    if protocol in GRIDS:
        column, what = GRIDS[protocol]
        points = [t for t in tables if t.stage.startswith("sample_") and column in t.columns]
        for stage, parts in groupby(points, lambda table: table.stage):
            yield f"{what} of {stage}", join_stages(parts, ("Step", column))[column]
        return
    measured = [t for t in tables if not member.stage or t.stage == member.stage]
    for column, what in THERMO.items():
        if measured and all(column in table.columns for table in measured):
            values = join_stages(measured, ("Step", column))[column]
            if np.ptp(values) > 1e-9 * abs(values).max():
                yield what, values


def _result_series(member: Member) -> Iterable[tuple[str, np.ndarray]]:
    """Series of the results: the volume where it varies, and coordination numbers."""
    for result in member.results:
        columns = result.tables["series"].columns if "series" in result.tables else {}
        if "volume" in columns and np.ptp(columns["volume"].values) > 0:
            yield "volume", columns["volume"].values
        if result.name.startswith("coordination") and np.ptp(columns["number"].values) > 0:
            yield f"{result.name.split()[-1]} coordination", columns["number"].values


def _length(member: Member) -> str:
    """How long the run was, by its log."""
    tables: list[ThermoTable] = [t for t in member.thermo if t.stage != "minimise"]
    tables = [t for t in tables if "Time" in t.columns and len(t.columns["Time"])]
    if not tables:
        return ""
    last = tables[-1].columns
    return f": {last['Step'][-1]:.0f} steps, {last['Time'][-1]:.4g} ps"


def _named(reasons: Mapping[str, str]) -> str:
    shown = list(reasons.items())[:NAMES_MAX]
    more = len(reasons) - len(shown)
    text = "; ".join(f"{name}: {reason}" for name, reason in shown)
    return text + (f"; and {more} more." if more else ".")


def _list(names: Sequence[str]) -> str:
    shown = names[:NAMES_MAX]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
